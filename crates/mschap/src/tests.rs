//! The vectors of RFC 2433, 2759 and 3079, and property tests where the RFCs have no vectors

use proptest::prelude::*;
use sha1::Digest;

use crate::{des_block::expand_key, *};

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap()).collect()
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    octets(hex).try_into().unwrap()
}

fn nt_hash(password: &str) -> NtHash {
    Password::new(password).nt_hash(PasswordEncoding::Utf16)
}

const AUTHENTICATOR_CHALLENGE: &str = "5B5D7C7D7B3F2F3E3C2C602132262628";
const PEER_CHALLENGE: &str = "21402324255E262A28295F2B3A337C7E";
const NT_RESPONSE: &str = "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF";
const V1_CHALLENGE: &str = "102DB5DF085D3041";

fn challenge(user: &str, hash_name: HashName) -> [u8; 8] {
    let peer = array(PEER_CHALLENGE);
    challenge_hash(&peer, &array(AUTHENTICATOR_CHALLENGE), user.as_bytes(), hash_name)
}

#[test]
fn rfc2759_section_9_2_challenge() {
    assert_eq!(challenge("User", HashName::StripDomain), array("D02E4386BCE91226"));
    assert_eq!(challenge("User", HashName::AsSent), array("D02E4386BCE91226"));
}

#[test]
fn a_domain_is_stripped_unless_the_name_goes_as_sent() {
    assert_eq!(challenge(r"CORP\User", HashName::StripDomain), array("D02E4386BCE91226"));
    assert_eq!(challenge(r"A\CORP\User", HashName::StripDomain), array("D02E4386BCE91226"));
    assert_eq!(challenge(r"CORP\User", HashName::AsSent), array("EB926169CF8690E8"));
}

#[test]
fn rfc2759_section_9_2_hashes() {
    let hash = nt_hash("clientPass");
    assert_eq!(hash.as_bytes(), &array("44EBBA8D5312B8D611474411F56989AE"));
    assert_eq!(hash.hash().as_bytes(), &array("41C00C584BD2D91C4017A2A12FA59F3F"));
}

#[test]
fn rfc2759_section_9_2_responses() {
    let (hash, challenge) = (nt_hash("clientPass"), array("D02E4386BCE91226"));
    let response = nt_response(&challenge, &hash);
    assert_eq!(response, array(NT_RESPONSE));
    assert_eq!(
        AuthenticatorResponse::new(&hash, &response, &challenge).to_string(),
        "S=407A5589115FD0D6209F510FE9C04566932CDA56"
    );
}

#[test]
fn rfc2759_section_9_3_des_key_expansion() {
    assert_eq!(expand_key(array("FC156AF7EDCD6C")), array("FD0B5B5E7F6E34D9"));
    assert_eq!(expand_key(array("0EDDE3337D427F")), array("0E6E796737EA08FE"));
}

#[test]
fn nt_hash_of_passwords_beyond_ascii() {
    let cases = [
        ("pässwörd", "0553152250AC01ADB4213CB9938663E4"),
        ("пароль", "507E3EE80DF7DB7C1FDD8D50AE8DB606"),
        ("🔑key", "08636AD2DBBE22210305DB7278DE577F"),
        ("", "31D6CFE0D16AE931B73C59D7E0C089C0"),
    ];
    for (password, hash) in cases {
        assert_eq!(nt_hash(password).as_bytes(), &array(hash), "{password}");
    }
}

#[test]
fn widened_octets_are_latin_1_where_possible_else_utf_8() {
    let widened = |text: &str| Password::new(text).nt_hash(PasswordEncoding::WidenedOctets);
    assert_eq!(widened("pässwörd").as_bytes(), nt_hash("pässwörd").as_bytes());
    // Each UTF-8 octet of these two, read as a character of its own.
    assert_eq!(widened("п").as_bytes(), nt_hash("\u{D0}\u{BF}").as_bytes());
    assert_eq!(widened("äп").as_bytes(), nt_hash("\u{C3}\u{A4}\u{D0}\u{BF}").as_bytes());
}

#[test]
fn rfc2433_appendix_b_responses() {
    let (hash, challenge) = (nt_hash("MyPw"), array(V1_CHALLENGE));
    assert_eq!(hash.as_bytes(), &array("FC156AF7EDCD6C0EDDE3337D427F4EAC"));
    let response = array("4E9D3C8F9CFD385D5BF4D3246791956CA4C351AB409A3D61");
    assert_eq!(nt_response(&challenge, &hash), response);

    let lm_hash = Password::new("MyPw").lm_hash();
    assert_eq!(lm_hash.as_bytes(), &array("75BA30198E6D1975AAD3B435B51404EE"));
    let response = array("91881D0152AB0C33C524135EC24A95EE64E23CDC2D33347D");
    assert_eq!(lm_response(&challenge, &lm_hash), response);
}

#[test]
fn ms_chap_v1_responses_for_client_pass() {
    let (password, challenge) = (Password::new("clientPass"), array(V1_CHALLENGE));
    let nt = array("54F22AC5AA6C5CBF7E60531821852087D681F1CC9E1BB36E");
    assert_eq!(nt_response(&challenge, &nt_hash("clientPass")), nt);
    let lm = array("EDBAC3D1B2BC24BDA687A4EBDE1F18943F4A329D5C372A8F");
    assert_eq!(lm_response(&challenge, &password.lm_hash()), lm);
}

#[test]
fn lm_hash_takes_14_octets_and_no_case() {
    let hash = |password: &str| *Password::new(password).lm_hash().as_bytes();
    assert_eq!(hash("14 octets long"), hash("14 OCTETS LONG, and this is not seen"));
    assert_ne!(hash("14 octets long"), hash("14 octets lon"));
}

#[test]
fn rfc3079_section_3_5_start_keys() {
    let master = master_key(&nt_hash("clientPass"), &array(NT_RESPONSE));
    assert_eq!(master.as_bytes(), &array("FDECE3717A8C838CB388E527AE3CDD31"));
    let client = master.start_keys(Side::Client);
    let send = array::<16>("D5F0E9521E3EA9589645E86051C82226");
    let receive = array::<16>("8B7CDC149B993A1BA118CB153F56DCCB");
    assert_eq!((client.send.as_bytes(), client.receive.as_bytes()), (&send, &receive));
    // 40 and 56 bits: the first eight octets of the same keys.
    assert_eq!(client.send.as_bytes()[..8], array::<8>("D5F0E9521E3EA958"));
    assert_eq!(client.receive.as_bytes()[..8], array::<8>("8B7CDC149B993A1B"));
    let server = master.start_keys(Side::Server);
    assert_eq!((server.send.as_bytes(), server.receive.as_bytes()), (&receive, &send));
}

#[test]
fn rfc3079_section_2_5_v1_start_keys() {
    let lm_hash = Password::new("clientPass").lm_hash();
    assert_eq!(lm_hash.as_bytes(), &array("76A152936096D7830E2390227404AFD2"));
    assert_eq!(v1_start_key_40_56(&lm_hash).as_bytes()[..8], array::<8>("76A152936096D783"));
    let start = v1_start_key_128(&nt_hash("clientPass"), &array(V1_CHALLENGE));
    assert_eq!(start.as_bytes(), &array("A8947850CFC0ACC1D1789FB62DDCDDB0"));
}

const PROOF: &str = "S=407A5589115FD0D6209F510FE9C04566932CDA56";

#[test]
fn success_messages_of_real_servers() {
    let expected = AuthenticatorResponse::parse(PROOF.as_bytes()).unwrap();
    for tail in ["", " M=Access granted", "M=Access granted", " M=", "M=", " M=\u{0}"] {
        let message = format!("{PROOF}{tail}");
        assert_eq!(AuthenticatorResponse::parse(message.as_bytes()), Ok(expected), "{tail:?}");
    }
    let lower = format!("S={}", PROOF[2..].to_lowercase());
    assert_eq!(AuthenticatorResponse::parse(lower.as_bytes()), Ok(expected));
    assert_eq!(expected.to_string(), PROOF);
}

#[test]
fn success_messages_that_prove_nothing() {
    let no_proof = ["", "S=", "S", "M=welcome", " S=407A", &PROOF[..41], &PROOF.to_lowercase()];
    for message in no_proof {
        let parsed = AuthenticatorResponse::parse(message.as_bytes());
        assert_eq!(parsed, Err(ParseError::NoAuthenticatorResponse), "{message:?}");
    }
    let not_hex = PROOF.replace('A', "G");
    let parsed = AuthenticatorResponse::parse(not_hex.as_bytes());
    assert_eq!(parsed, Err(ParseError::NoAuthenticatorResponse));
    for tail in ["0", " ", "  M=two spaces", " N=0", "\0"] {
        let parsed = AuthenticatorResponse::parse(format!("{PROOF}{tail}").as_bytes());
        assert_eq!(parsed, Err(ParseError::TrailingOctets), "{tail:?}");
    }
}

#[test]
fn a_proof_with_one_bit_wrong_is_another_one() {
    let right = AuthenticatorResponse::parse(PROOF.as_bytes()).unwrap();
    let wrong = AuthenticatorResponse::parse(PROOF.replace("DA56", "DA57").as_bytes()).unwrap();
    assert_ne!(right, wrong);
}

#[test]
fn failure_of_accel_ppp_names_no_challenge() {
    let failure = Failure::parse(b"E=691 R=0 V=3 M=Authentication failure").unwrap();
    assert_eq!((failure.code, failure.retry), (691, false));
    assert_eq!((&failure.challenge, failure.version), (&None, Some(3)));
    assert_eq!(failure.message, "Authentication failure");
    assert_eq!(failure.meaning(), Some("authentication failure"));
}

#[test]
fn failure_of_pppd() {
    let text = format!("E=691 R=1 C={AUTHENTICATOR_CHALLENGE} V=0 M=Access denied");
    let failure = Failure::parse(text.as_bytes()).unwrap();
    assert_eq!((failure.code, failure.retry), (691, true));
    assert_eq!(failure.challenge, Some(octets(AUTHENTICATOR_CHALLENGE)));
    assert_eq!((failure.version, &*failure.message), (Some(0), "Access denied"));
    assert_eq!(failure.to_string(), text);
}

#[test]
fn failure_of_windows_says_nothing_for_people() {
    let text = format!("E=691 R=1 C={AUTHENTICATOR_CHALLENGE} V=3");
    let failure = Failure::parse(text.as_bytes()).unwrap();
    assert_eq!((failure.version, &*failure.message), (Some(3), ""));
    assert_eq!(failure.to_string(), text);
}

#[test]
fn failure_of_ms_chap_v1_has_a_short_challenge() {
    let failure = Failure::parse(b"E=648 R=0 C=102DB5DF085D3041 V=2").unwrap();
    assert_eq!(failure.challenge, Some(octets(V1_CHALLENGE)));
    assert_eq!(failure.meaning(), Some("password expired"));
}

#[test]
fn failure_in_pieces() {
    let failure = Failure::parse(b"  R=1 X=7 C=12 V=x  E=709 M=E=691 R=0 \xFF").unwrap();
    assert_eq!((failure.code, failure.retry), (709, true));
    assert_eq!((&failure.challenge, failure.version), (&None, None));
    assert_eq!(failure.message, "E=691 R=0 \u{FFFD}");
    for text in ["", "R=1", "M=E=691", "E=", "E=x", "E=-1", "E=99999999999", "Access denied"] {
        assert_eq!(Failure::parse(text.as_bytes()), Err(ParseError::NoErrorCode), "{text:?}");
    }
}

#[test]
fn failure_codes_of_rfc2759_section_6_have_a_meaning() {
    let meaning = |code| Failure::parse(format!("E={code}").as_bytes()).unwrap().meaning();
    assert!([646, 647, 648, 649, 691, 709].into_iter().all(|code| meaning(code).is_some()));
    assert_eq!(meaning(690), None);
}

#[test]
fn v1_retry_challenges_add_23_without_carry() {
    assert_eq!(v1_retry_challenge([0xF0, 1, 2, 3, 4, 5, 6, 7]), [0x07, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn md5_response_of_rfc1994() {
    let challenge: Vec<u8> = (0..16).collect();
    assert_eq!(md5_response(1, b"secret", &challenge), array("740E86463BDA3A4D7017D6E0FBA0699D"));
}

#[test]
fn octets_beyond_ascii_for_pap_and_chap_md5() {
    let octets = |text: &str, encoding| Password::new(text).octets(encoding).to_vec();
    assert_eq!(octets("w\u{F6}rd", PasswordEncoding::Utf16), b"w\xC3\xB6rd");
    assert_eq!(octets("w\u{F6}rd", PasswordEncoding::WidenedUtf8), b"w\xC3\xB6rd");
    assert_eq!(octets("w\u{F6}rd", PasswordEncoding::WidenedOctets), b"w\xF6rd");
    assert_eq!(octets("\u{43F}", PasswordEncoding::WidenedOctets), "\u{43F}".as_bytes());
}

/// A secrets file in UTF-8 is widened octet by octet, with any characters
#[test]
fn widened_utf_8_is_not_what_latin_1_would_be() {
    let widened = Password::new("p\u{E4}ss").nt_hash(PasswordEncoding::WidenedUtf8);
    assert_eq!(widened.as_bytes(), nt_hash("p\u{C3}\u{A4}ss").as_bytes());
    let ascii = Password::new("clientPass").nt_hash(PasswordEncoding::WidenedUtf8);
    assert_eq!(ascii.as_bytes(), nt_hash("clientPass").as_bytes());
}

fn change(new: &str, fill: u8) -> Result<PasswordChange, PasswordTooLong> {
    let (old, new) = (nt_hash("clientPass"), Password::new(new));
    PasswordChange::new(&old, &new, PasswordEncoding::Utf16, &[fill; 512])
}

/// The vectors of an independent computation, with a fill of zeros
#[test]
fn rfc2759_section_8_9_and_8_12_a_changed_password() {
    assert_eq!(nt_hash("newPass1").as_bytes(), &array("2A408365F72BDBA84336616E8BC36C9E"));
    let change = change("newPass1", 0).unwrap();
    assert_eq!(change.encrypted_hash(), &array("C9C405739AAC0406CE510476DA1B67E6"));
    let digest = sha1::Sha1::digest(change.encrypted_password());
    assert_eq!(digest[..], array::<20>("96A40F76D1C0E54A40461DC0C02049A233979AD3"));
}

#[test]
fn a_changed_password_is_read_by_whoever_knows_the_old_one() {
    for new in ["", "newPass1", "пароль 🔑", &"x".repeat(256)] {
        let change = change(new, 0xA5).unwrap();
        let received =
            PasswordChange::from_fields(change.encrypted_password(), change.encrypted_hash());
        assert_eq!(received.open(&nt_hash("clientPass")), Some(Password::new(new)), "{new}");
        assert_eq!(received.open(&nt_hash("another")), None);
        let mut other = *change.encrypted_hash();
        other[15] ^= 1;
        let forged = PasswordChange::from_fields(change.encrypted_password(), &other);
        assert_eq!(forged.open(&nt_hash("clientPass")), None, "{new}");
    }
    assert_eq!(change(&"x".repeat(257), 0).err(), Some(PasswordTooLong));
    assert_eq!(change(&"🔑".repeat(129), 0).err(), Some(PasswordTooLong));
}

#[test]
fn passwords_compare() {
    assert_eq!(Password::new("one"), Password::from("one"));
    assert_ne!(Password::new("one"), Password::from("two".to_owned()));
    assert_ne!(Password::new("one"), Password::from("ones"));
}

#[test]
fn no_secret_is_printed() {
    let password = Password::new("secret");
    let hash = password.nt_hash(PasswordEncoding::Utf16);
    let master = master_key(&hash, &array(NT_RESPONSE));
    let proof = AuthenticatorResponse::new(&hash, &array(NT_RESPONSE), &array(V1_CHALLENGE));
    let keys = master.start_keys(Side::Client);
    let change = change("secret", 0).unwrap();
    let printed = format!("{password:?} {hash:?} {master:?} {keys:?} {proof:?} {change:?}");
    assert_eq!(printed.matches("[redacted]").count(), 7);
    assert!(!printed.chars().any(|c| c.is_ascii_digit() && c != '1'), "{printed}");
    assert!(!printed.contains("secret"));
}

proptest! {
    #[test]
    fn failure_is_read_as_it_was_emitted(
        code: u32,
        retry: bool,
        challenge in prop_oneof![
            Just(None),
            prop::collection::vec(any::<u8>(), 8).prop_map(Some),
            prop::collection::vec(any::<u8>(), 16).prop_map(Some),
        ],
        version: Option<u32>,
        message: String,
    ) {
        let failure = Failure { code, retry, challenge, version, message };
        prop_assert_eq!(Failure::parse(failure.to_string().as_bytes()), Ok(failure));
    }

    #[test]
    fn success_is_read_as_it_was_emitted(response: [u8; 24], challenge: [u8; 8]) {
        let proof = AuthenticatorResponse::new(&nt_hash("clientPass"), &response, &challenge);
        prop_assert_eq!(AuthenticatorResponse::parse(proof.to_string().as_bytes()), Ok(proof));
    }

    #[test]
    fn any_octets_are_read_without_a_panic(tail: Vec<u8>) {
        for start in ["", "S=", "E=691 ", PROOF] {
            let text = [start.as_bytes(), &tail].concat();
            let _ = (Failure::parse(&text), AuthenticatorResponse::parse(&text));
        }
    }

    #[test]
    fn any_change_of_a_password_is_read_without_a_panic(
        block in prop::collection::vec(any::<u8>(), PasswordChange::PASSWORD_LEN),
        hash: [u8; 16],
    ) {
        let change = PasswordChange::from_fields(&block.try_into().unwrap(), &hash);
        prop_assert_eq!(change.open(&nt_hash("clientPass")), None);
    }

    #[test]
    fn any_des_key_has_odd_parity(key: [u8; 7]) {
        prop_assert!(expand_key(key).iter().all(|octet| octet.count_ones() % 2 == 1));
    }
}
