//! Tests of the error codes of Windows

use super::*;

/// As RRAS sends it: its Magic-Number, the mark, the code
fn data(code: u32) -> Vec<u8> {
    [&[0x12, 0x34, 0x56, 0x78], &WINDOWS_MARK[..], &code.to_be_bytes()].concat()
}

#[test]
fn a_code_is_read_from_what_windows_sends_and_from_nothing_shorter() {
    let octets = data(691);
    assert_eq!(octets[4..], [0, 0x3C, 0xCD, 0x74, 0, 0, 0x02, 0xB3], "a public capture");
    assert_eq!(RasCode::parse(&octets), Some(RasCode(691)));
    for length in 0..octets.len() {
        assert_eq!(RasCode::parse(&octets[..length]), None, "{length} octets");
    }
    assert_eq!(RasCode::parse(&[&octets[..], &[0; 4]].concat()), Some(RasCode(691)), "padded");
    assert_eq!(RasCode::parse(&data(u32::MAX)), Some(RasCode(u32::MAX)));
}

#[test]
fn words_are_no_code() {
    for words in [&b"MPPE disabled"[..], b"peer refused to authenticate", b"User request"] {
        assert_eq!(RasCode::parse(words), None);
    }
    for place in 4..8 {
        let mut octets = data(691);
        octets[place] ^= 1;
        assert_eq!(RasCode::parse(&octets), None, "octet {place} of the mark is another");
    }
}

#[test]
fn a_code_is_told_with_its_number_and_its_meaning() {
    for (code, words) in [
        (691, "error 691 (wrong user name or password)"),
        (919, "error 919 (no authentication protocol in common)"),
        (0, "error 0 (the peer wished to end it)"),
        (828, "error 828 (a code without a meaning here)"),
    ] {
        assert_eq!(RasCode(code).to_string(), words);
    }
}
