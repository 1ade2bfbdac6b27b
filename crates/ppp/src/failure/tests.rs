//! The texts and names of failures, word for word

use std::collections::BTreeSet;

use pptp_mppe::KeyStrength;

use super::*;
use crate::{Encryption, Phase, Question};

/// Every failure there is, in the enum's order, with its name and its words
fn table() -> Vec<(Failure, &'static str, &'static str)> {
    let mut rows = of_authentication();
    rows.extend(of_encryption());
    rows.extend(of_the_link());
    rows
}

fn of_authentication() -> Vec<(Failure, &'static str, &'static str)> {
    use AuthenticationProtocol::{ChapMd5, Pap};
    vec![
        (
            refused(691, "Access denied"),
            "AuthFailed",
            r#"the server refused the login: wrong user name or password (error 691): "Access denied""#,
        ),
        (
            Failure::ServerNotAuthentic,
            "ServerNotAuthentic",
            "the server could not prove that it knows the password: it may be an impostor",
        ),
        (
            Failure::AuthProtocolRefused { offered: Some(Pap) },
            "AuthProtocolRefused",
            "the server does not authenticate with MS-CHAPv2: it offered PAP",
        ),
        (
            Failure::AuthProtocolRefused { offered: None },
            "AuthProtocolRefused",
            "the server does not authenticate with MS-CHAPv2",
        ),
        (
            Failure::AuthProtocolWithdrawn { offered: ChapMd5 },
            "AuthProtocolWithdrawn",
            "the server offered CHAP-MD5, and nothing any more when it was asked for MS-CHAPv2",
        ),
        (
            Failure::AuthProtocolWithoutKeys { offered: Pap },
            "AuthProtocolWithoutKeys",
            "encryption is required, and PAP leaves no keys for it",
        ),
    ]
}

fn of_encryption() -> Vec<(Failure, &'static str, &'static str)> {
    let opens = WrongKey::NothingOpens { packets: 8 };
    let random = WrongKey::RandomProtocols([0x3B12, 0x91C4, 0x00A0]);
    vec![
        (
            Failure::EncryptionUnavailable { offered: Some(MppeBits(0x61)) },
            "EncryptionUnavailable",
            "the server does not encrypt as is required here: it offered +S+L+C",
        ),
        (
            Failure::EncryptionDemanded { offered: Some(MppeBits::STATELESS_128) },
            "EncryptionDemanded",
            "the server insists on encryption, which this link does not have: it offered +H+S",
        ),
        (
            Failure::EncryptionLost,
            "EncryptionLost",
            "the peer took the encryption down while the link was in use",
        ),
        (
            Failure::Undecryptable(pptp_mppe::Discard::OutOfReach),
            "Undecryptable",
            "what the peer encrypts can no longer be opened: the peer's keys are out of reach",
        ),
        (
            Failure::WrongKey(opens),
            "WrongKey",
            "the MPPE keys of the two ends differ: none of the first 8 packets could be opened",
        ),
        (
            Failure::WrongKey(random),
            "WrongKey",
            "the MPPE keys of the two ends differ: the peer rejected the protocols 3b12, 91c4 and 00a0, \
             which nobody sent",
        ),
    ]
}

fn of_the_link() -> Vec<(Failure, &'static str, &'static str)> {
    use Protocol::{Ccp, Chap, Ipcp, Lcp};
    let terminated =
        |message: &str| Failure::TerminatedByPeer { protocol: Lcp, message: message.to_owned() };
    vec![
        (
            Failure::NothingPasses(NothingPasses::Silence { pings: 4, echoes: 4 }),
            "NothingPasses",
            "nothing passes inside the tunnel: 4 pings through the tunnel without an answer, while \
             the peer answered 4 LCP echoes beside them",
        ),
        (
            Failure::NothingPasses(NothingPasses::NotOpened {
                reset_requests: 3,
                mppe_rejects: 0,
                unsent_protocols: 1,
                pings: 5,
            }),
            "NothingPasses",
            "nothing passes inside the tunnel: the peer cannot open our packets: 3 Reset-Requests, \
             0 rejects of MPPE and 1 of protocols that were never sent, and 5 pings through the \
             tunnel without an answer",
        ),
        (Failure::NoAddress, "NoAddress", "the server gave no usable inner address"),
        (
            Failure::AddressChanged {
                assigned: Assigned::DnsServer,
                old: Some(Ipv4Addr::new(192, 168, 1, 1)),
                new: Ipv4Addr::new(6, 6, 6, 6),
            },
            "AddressChanged",
            "the server named another DNS server while the link was up: 6.6.6.6 instead of 192.168.1.1",
        ),
        (
            Failure::Loopback,
            "Loopback",
            "the line is looped back: the packets that come in are our own",
        ),
        (
            Failure::EchoTimeout { unanswered: 4 },
            "EchoTimeout",
            "the peer fell silent and did not answer 4 echo requests",
        ),
        (
            Failure::NegotiationTimeout { protocol: Chap },
            "NegotiationTimeout",
            "the peer did not answer the CHAP requests in time",
        ),
        (
            Failure::NoAgreement { protocol: Ipcp },
            "NoAgreement",
            "the IPCP negotiation does not converge",
        ),
        (terminated("bye\u{1B}[2J"), "TerminatedByPeer", r#"the peer ended LCP: "bye\u{1b}[2J""#),
        (terminated(""), "TerminatedByPeer", "the peer ended LCP"),
        (Failure::RejectedProtocol { protocol: Ccp }, "RejectedProtocol", "the peer rejected CCP"),
        (
            Failure::RejectedCode { protocol: Lcp, code: 5 },
            "RejectedCode",
            "the peer rejected code 5 of LCP",
        ),
        (
            Failure::PeerMisbehaved(Rule::EndlessRenegotiation),
            "EndlessRenegotiation",
            "the peer misbehaved: it renegotiates without end",
        ),
    ]
}

fn refused(code: u32, message: &str) -> Failure {
    Failure::AuthFailed { code, retry: false, message: message.to_owned() }
}

#[test]
fn each_has_its_name_and_says_what_happened() {
    for (failure, name, words) in table() {
        assert_eq!(failure.name(), name);
        assert_eq!(failure.to_string(), words);
    }
    let mut names: Vec<_> = table().into_iter().map(|(_, name, _)| name).collect();
    names.dedup();
    assert_eq!(names, Failure::NAMES, "all of them, in order");
}

/// RFC 2759 §6; PAP has no codes (RFC 1334 §2.2.2)
#[test]
fn a_refused_login_tells_the_code_in_words_and_quotes_the_server() {
    for (code, message, words) in [
        (646, "", "not at this hour (error 646)"),
        (647, "", "the account is disabled (error 647)"),
        (648, "", "the password has expired (error 648)"),
        (649, "", "the account may not dial in (error 649)"),
        (709, "", "the password could not be changed (error 709)"),
        (1, "", "unknown reason (error 1)"),
        (0, "Login incorrect", r#""Login incorrect""#),
        (0, "", "it gave no reason"),
    ] {
        let expected = format!("the server refused the login: {words}");
        assert_eq!(refused(code, message).to_string(), expected);
    }
}

/// RFC 1661 §6.2, RFC 1994 §3, RFC 3748 §5
#[test]
fn authentication_protocols_are_read_and_written_by_their_numbers() {
    use AuthenticationProtocol as Auth;
    for (protocol, number, words, leaves_keys, proves_server) in [
        (Auth::Pap, 0xC023, "PAP", false, false),
        (Auth::Eap, 0xC227, "EAP", true, true),
        (Auth::EapMethod(4), 0xC227, "EAP-MD5", false, false),
        (Auth::EapMethod(13), 0xC227, "EAP-TLS", false, false),
        (Auth::EapMethod(25), 0xC227, "PEAP", false, false),
        (Auth::EapMethod(6), 0xC227, "EAP with method 6", false, false),
        (Auth::ChapMd5, 0xC2_2305, "CHAP-MD5", false, false),
        (Auth::MsChapV1, 0xC2_2380, "MS-CHAPv1", true, false),
        (Auth::MsChapV2, 0xC2_2381, "MS-CHAPv2", true, true),
        (Auth::ChapOther(0x0A), 0xC2_230A, "CHAP with algorithm 0a", false, false),
        (Auth::Other(0xC025), 0xC025, "protocol c025", false, false),
    ] {
        assert_eq!((protocol.number(), protocol.to_string().as_str()), (number, words));
        assert_eq!(
            (protocol.leaves_keys(), protocol.proves_server()),
            (leaves_keys, proves_server)
        );
        let octets = number.to_be_bytes();
        let value = if number > 0xFFFF { &octets[1..] } else { &octets[2..] };
        let read = if let Auth::EapMethod(_) = protocol { Auth::Eap } else { protocol };
        assert_eq!(Auth::parse(value), Some(read), "{value:02x?}");
        assert_eq!(Auth::parse(&value[..1]), None);
    }
}

#[test]
fn protocols_have_their_assigned_numbers() {
    let all = [
        (Protocol::Lcp, 0xC021, "LCP"),
        (Protocol::Pap, 0xC023, "PAP"),
        (Protocol::Chap, 0xC223, "CHAP"),
        (Protocol::Eap, 0xC227, "EAP"),
        (Protocol::Ccp, 0x80FD, "CCP"),
        (Protocol::Ipcp, 0x8021, "IPCP"),
        (Protocol::Ipv6cp, 0x8057, "IPV6CP"),
    ];
    for (protocol, number, name) in all {
        assert_eq!((protocol.number(), protocol.to_string().as_str()), (number, name));
    }
}

/// RFC 3078 §2.1
#[test]
fn mppe_is_told_as_it_was_offered_and_as_it_was_agreed_on() {
    assert_eq!(MppeBits(0x0100_00F1).to_string(), "+H+M+S+L+D+C");
    assert_eq!(MppeBits(0).to_string(), "no encryption");
    for (strength, stateful, words) in [
        (KeyStrength::Bits40, true, "MPPE 40 bit stateful"),
        (KeyStrength::Bits56, false, "MPPE 56 bit stateless"),
        (KeyStrength::Bits128, false, "MPPE 128 bit stateless"),
    ] {
        assert_eq!(Encryption { strength, stateful }.to_string(), words);
    }
}

#[test]
fn phases_and_questions_are_told_in_words() {
    use Phase::{Authentication, Dead, LinkControl, Network, Terminating, Up};
    let phases = [Dead, LinkControl, Authentication, Network, Up, Terminating];
    let words: BTreeSet<_> = phases.iter().map(Phase::to_string).collect();
    assert_eq!(words.len(), phases.len(), "no two read alike: {words:?}");
    assert_eq!(LinkControl.to_string(), "link control");
    let expired = Question::NewPassword { message: String::new() };
    assert_eq!(expired.to_string(), "the password has expired: a new one is wanted");
    let other = Question::OtherCredentials { code: 691, message: String::new() };
    assert_eq!(other.to_string(), "the login was refused (error 691): another one is wanted");
}
