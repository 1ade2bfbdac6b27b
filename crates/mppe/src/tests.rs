//! The samples of RFC 3079, and frames made from them

use std::time::Instant;

use proptest::prelude::*;

use crate::{
    key::{KeyChain, SessionKey},
    *,
};

pub(crate) fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> =
        hex.chars().filter(|c| *c != ' ').map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

pub(crate) fn key(hex: &str) -> [u8; 16] {
    let mut key = [0; 16];
    key[..hex.len() / 2].copy_from_slice(&octets(hex));
    key
}

/// Any instant: tests count on from it
#[expect(clippy::disallowed_methods, reason = "there is no other way to have an instant")]
pub(crate) fn epoch() -> Instant {
    Instant::now()
}

pub(crate) const SEND: &str = "D5F0E9521E3EA9589645E86051C82226";
const RECEIVE: &str = "8B7CDC149B993A1BA118CB153F56DCCB";

/// strength, start key, initial session key, RC4("test message")
type Sample = (KeyStrength, &'static str, &'static str, &'static str);

fn check(samples: &[Sample]) {
    for &(strength, start, session, ciphertext) in samples {
        let chain = KeyChain::new(&key(start), strength);
        let initial = chain.initial();
        assert_eq!(chain.octets(&initial), octets(session), "{strength:?} {start}");
        let mut message = *b"test message";
        chain.with_cipher(&initial, |cipher| cipher.apply(&mut message));
        assert_eq!(message[..], octets(ciphertext), "{strength:?} {start}");
    }
}

#[test]
fn rfc3079_section_3_5_client_receive() {
    check(&[
        (KeyStrength::Bits40, "8B7CDC149B993A1B", "D1269EC49FA62E3E", "929137917E5803D668D75898"),
        (KeyStrength::Bits56, "8B7CDC149B993A1B", "D15C00C49FA62E3E", "3F106833FA448DA842BC57B8"),
        (
            KeyStrength::Bits128,
            RECEIVE,
            "405CB2247A7956E6E211007AE27B22D4",
            "81848317DF68846272FB5ABE",
        ),
    ]);
}

#[test]
fn rfc3079_section_3_5_client_send() {
    check(&[
        (KeyStrength::Bits40, "D5F0E9521E3EA958", "D1269ED2AE999038", "DA2FFC50B22612D41FA7F2BB"),
        (KeyStrength::Bits56, "D5F0E9521E3EA958", "D16A9BD2AE999038", "4AB6DF617437264825FB655C"),
        (
            KeyStrength::Bits128,
            SEND,
            "49D11D0F0CC6BEFBA2A9B4B688F91EEE",
            "B56CA95695E14ACB15F1BA3C",
        ),
    ]);
}

#[test]
fn rfc3079_section_2_5_ms_chap_v1() {
    let session = |strength, start: &str| {
        let chain = KeyChain::new(&key(start), strength);
        chain.octets(&chain.initial()).to_vec()
    };
    assert_eq!(session(KeyStrength::Bits40, "76A152936096D783"), octets("D1269E538CEC4A08"));
    assert_eq!(session(KeyStrength::Bits56, "76A152936096D783"), octets("D10801538CEC4A08"));
    check(&[(
        KeyStrength::Bits128,
        "A8947850CFC0ACC1D1789FB62DDCDDB0",
        "59D159BC09F76F1DA2A86A28FFEC0B1E",
        "FAE90688F985F313C7D367C3",
    )]);
}

/// The key of the frame with each of these counts
fn chain_at(strength: KeyStrength, start: &str, counts: &[(usize, &str)]) {
    let chain = KeyChain::new(&key(start), strength);
    let keys: Vec<SessionKey> =
        std::iter::successors(Some(chain.initial()), |key| Some(chain.next(key)))
            .skip(1)
            .take(4096)
            .collect();
    for (count, expected) in counts {
        assert_eq!(chain.octets(&keys[*count]), octets(expected), "{strength:?} {count}");
    }
}

#[test]
fn stateless_key_chain_of_128_bits() {
    let send = [
        (0, "0E09C108101DFDDEF6C0E2F2D95D0BAD"),
        (1, "03273439AC5F94C97F13D9133DF4DFC5"),
        (2, "146489FCDBCDDFED41085FB0E7DB0166"),
        (255, "F9365D685C307F4E2C64020DAF26085C"),
        (4095, "E3F0C4AF570CB2911D2BA8D4DBFF3300"),
    ];
    chain_at(KeyStrength::Bits128, SEND, &send);
    let receive = [
        (0, "726F10500E2B54135B1B74D7682F0471"),
        (1, "2805BC7869BEC825573A7803E95A3ACD"),
        (2, "58128C36CABD54968139FD94B5883D4A"),
        (255, "7DEACF489DA29586FAEAF17F14FC1773"),
        (4095, "58D30FEA39698607D2627E638F6E12D9"),
    ];
    chain_at(KeyStrength::Bits128, RECEIVE, &receive);
}

#[test]
fn stateless_key_chain_of_40_and_56_bits() {
    for start in [SEND, "D5F0E9521E3EA958"] {
        chain_at(KeyStrength::Bits40, start, &[(0, "D1269E772B557EC1")]);
        chain_at(KeyStrength::Bits56, start, &[(0, "D1EF3D78B562DEA9")]);
    }
    chain_at(KeyStrength::Bits40, RECEIVE, &[(0, "D1269ECE4D98D181")]);
    chain_at(KeyStrength::Bits56, RECEIVE, &[(0, "D16182A2AB481407")]);
}

/// An IPv4 header whose checksum was left 0, and the frames it becomes behind 00FD
const GOLDEN: &str = "0021 45000014 00004000 40010000 0a000001 0a000002";
const GOLDEN_FRAMES: [&str; 2] = [
    "9000 3f79989876f0f2250a21c66e893061fc2734db57bbb5",
    "9001 fb2e423d06714fa3a00c82d01ecd60c9583acc304364",
];
/// The place of the checksum in such a frame, and its right value
const CHECKSUM: (std::ops::Range<usize>, [u8; 2]) = (14..16, [0x26, 0xE7]);

#[test]
fn golden_frames_are_sealed() {
    let mut encryptor = Encryptor::stateless(&key(SEND), KeyStrength::Bits128);
    for golden in GOLDEN_FRAMES {
        let mut inner = octets(GOLDEN);
        let header = encryptor.seal(&mut inner);
        assert_eq!([&header[..], &inner[..]].concat(), octets(golden));
    }
}

/// Only the plausibility filter can distinguish these frames from genuine ones, and it must do so
#[test]
fn golden_frames_open_once_their_checksum_is_right() {
    let mut decryptor = Decryptor::stateless(&key(SEND), KeyStrength::Bits128);
    for (golden, sequence) in GOLDEN_FRAMES.into_iter().zip(0..) {
        let mut frame = octets(golden);
        let arrival = Arrival { sequence, order: Order::Ahead };
        let opened = decryptor.open(epoch(), arrival, &mut frame);
        assert_eq!(opened, Err(Discard::Implausible));
        // RC4 lets bits be flipped through: with the right checksum it is a golden frame too.
        let (at, checksum) = CHECKSUM;
        frame[at].iter_mut().zip(checksum).for_each(|(octet, flip)| *octet ^= flip);
        let mut plain = octets(GOLDEN);
        plain[12..14].copy_from_slice(&checksum);
        let opened = decryptor.open(epoch(), arrival, &mut frame).unwrap();
        assert_eq!((opened.protocol, &*opened.payload), (0x0021, &plain[2..]));
    }
}

#[test]
fn coherency_count_wraps_behind_4095() {
    let mut encryptor = Encryptor::stateless(&[1; 16], KeyStrength::Bits40);
    let headers: Vec<_> = (0..4098).map(|_| encryptor.seal(&mut [])).collect();
    assert_eq!(headers[4094..], [[0x9F, 0xFE], [0x9F, 0xFF], [0x90, 0x00], [0x90, 0x01]]);
}

#[test]
fn no_key_is_printed() {
    let encryptor = Encryptor::stateless(&[0xAB; 16], KeyStrength::Bits128);
    let decryptor = Decryptor::stateless(&[0xAB; 16], KeyStrength::Bits128);
    let printed = format!("{encryptor:?} {decryptor:?}");
    assert_eq!(printed.matches("SessionKey([redacted])").count(), 4);
    assert!(!printed.contains("171") && !printed.to_lowercase().contains("ab, "), "{printed}");
}

proptest! {
    #[test]
    fn header_is_parsed_as_it_was_emitted(octets: [u8; 2]) {
        prop_assert_eq!(header::Header::parse(octets).emit(), octets);
    }

    #[test]
    fn any_octets_are_read_without_a_panic_and_stay(
        frames: Vec<(u32, bool, Vec<u8>)>,
        valid_header: bool,
    ) {
        let mut decryptor = Decryptor::stateless(&[1; 16], KeyStrength::Bits128);
        for (sequence, ahead, mut frame) in frames {
            if let (true, Some(first)) = (valid_header, frame.first_mut()) {
                *first = 0x90 | *first & 0x0F;
            }
            let before = frame.clone();
            let order = if ahead { Order::Ahead } else { Order::Behind };
            let arrival = Arrival { sequence, order };
            prop_assert!(decryptor.open(epoch(), arrival, &mut frame).is_err());
            prop_assert_eq!(frame, before);
        }
    }
}
