//! Every method of authentication, a client of this crate against a server of it

use std::{net::Ipv4Addr, time::Duration};

use pptp_mppe::{Arrival, Order};
use pptp_mschap::{HashName, Password, PasswordEncoding};
use pptp_packet::PacketBuf;

use super::wire::Wire;
use crate::{
    AuthenticationPolicy, AuthenticationProtocol,
    AuthenticationProtocol::{ChapMd5, Eap, EapMethod, MsChapV1, MsChapV2, Pap},
    ClientConfig, EncryptionDemand, Event, Failure, Link, OnNak, Phase, Question, Questions,
    Quirks, Received, ServerAuthentication, ServerConfig, ServerOrder,
};

const DELAY: Duration = Duration::from_millis(20);
const SECONDS: Duration = Duration::from_secs(5);
const ORDERS: [ServerOrder; 3] = [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras];

fn anything() -> AuthenticationPolicy {
    AuthenticationPolicy {
        eap: true,
        insecure_mschap_v1: true,
        insecure_chap_md5: true,
        insecure_pap: true,
        accept_first_offer: false,
    }
}

/// A client that agrees to everything, encryption or none
fn client() -> ClientConfig {
    let mut config = ClientConfig::new("testuser", Password::new("test123"));
    config.authentication = anything();
    config.encryption.demand = EncryptionDemand::InsecureAllow;
    config
}

fn server(authentication: ServerAuthentication) -> ServerConfig {
    let (gateway, address) = (Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(192, 168, 1, 200));
    ServerConfig {
        secrets: vec![("testuser".to_owned(), Password::new("test123"))],
        authentication,
        dns: vec![gateway; 2],
        ..ServerConfig::new(gateway, address)
    }
}

fn insisting(protocol: AuthenticationProtocol) -> ServerAuthentication {
    ServerAuthentication::only(protocol)
}

fn wire(client: ClientConfig, server: ServerConfig) -> Wire {
    Wire::new(Link::client(client, [1; 32]), Link::server(server, [2; 32]), DELAY)
}

/// The outcome of a connect
fn dial(client: ClientConfig, server: ServerConfig) -> Wire {
    let mut wire = wire(client, server);
    wire.connect().run(SECONDS);
    wire
}

fn got_through(wire: &Wire) -> bool {
    let network = |(_, event): &(Duration, Event)| *event == Event::Phase(Phase::Network);
    wire.client.events.iter().any(network) && wire.server.events.iter().any(network)
}

fn used(wire: &Wire) -> Option<AuthenticationProtocol> {
    let client = wire.client.up()?.1.authentication;
    assert_eq!(wire.server.up()?.1.authentication, client);
    Some(client)
}

/// An IPv4 header with a right checksum
const PACKET: [u8; 20] =
    [0x45, 0, 0, 0x14, 0, 0, 0, 0, 0x40, 1, 0x66, 0xE7, 0x0A, 0, 0, 1, 0x0A, 0, 0, 2];

fn passes(from: &mut Link, to: &mut Link, wire_now: std::time::Instant, sequence: u32) -> bool {
    let mut packet = PacketBuf::new();
    packet.reset(PACKET.len()).copy_from_slice(&PACKET);
    assert!(from.seal(&mut packet));
    let arrival = Arrival { sequence: 1000 + sequence, order: Order::Ahead };
    let received = to.handle_frame(wire_now, arrival, packet.as_mut_slice());
    matches!(received, Received::Ip(packet) if *packet == PACKET)
}

fn packets_pass(wire: &mut Wire, sequence: u32) -> bool {
    let Wire { client, server, now, .. } = wire;
    passes(&mut client.link, &mut server.link, *now, sequence)
        && passes(&mut server.link, &mut client.link, *now, sequence)
}

#[test]
fn the_methods_with_keys_bring_an_encrypted_link_up() {
    for order in ORDERS {
        for protocol in [MsChapV2, MsChapV1, Eap] {
            let config = ServerConfig { order, ..server(insisting(protocol)) };
            let mut wire = dial(client(), config);
            assert_eq!(used(&wire), Some(protocol), "{order:?}\n{}", wire.ladder);
            assert!((0..5).all(|sequence| packets_pass(&mut wire, sequence)), "{protocol}");
        }
    }
}

#[test]
fn the_methods_without_keys_authenticate_all_the_same() {
    for order in ORDERS {
        for protocol in [Pap, ChapMd5] {
            let config = ServerConfig { order, ..server(insisting(protocol)) };
            let wire = dial(client(), config);
            assert!(got_through(&wire), "{protocol} {order:?}\n{}", wire.ladder);
        }
    }
}

#[test]
fn wrong_credentials_are_refused_by_every_method() {
    for (protocol, code, retry, message) in [
        (Pap, 0, false, "Login incorrect"),
        (ChapMd5, 691, true, "Access denied"),
        (MsChapV1, 691, true, "Access denied"),
        (MsChapV2, 691, true, "Access denied"),
        (Eap, 691, true, "Access denied"),
    ] {
        for (user, password) in [("testuser", "wrong"), ("nobody", "test123"), ("testuser", "")] {
            let config = ClientConfig {
                user: user.to_owned(),
                password: Password::new(password),
                ..client()
            };
            let wire = dial(config, server(insisting(protocol)));
            let expected = Failure::AuthFailed { code, retry, message: message.to_owned() };
            assert_eq!(wire.client.failure(), Some(&expected), "{protocol}\n{}", wire.ladder);
            assert!(!got_through(&wire));
        }
    }
}

#[test]
fn nothing_weaker_is_agreed_to_unless_it_is_allowed() {
    for protocol in [Pap, ChapMd5, MsChapV1] {
        let config = ClientConfig::new("testuser", Password::new("test123"));
        let wire = dial(config, server(insisting(protocol)));
        let expected = Failure::AuthProtocolRefused { offered: Some(protocol) };
        assert_eq!(wire.client.failure(), Some(&expected), "{}", wire.ladder);
        assert!(!wire.ladder.contains("test123"));
    }
    let mut config = ClientConfig::new("testuser", Password::new("test123"));
    config.authentication.eap = false;
    let wire = dial(config, server(insisting(Eap)));
    let expected = Failure::AuthProtocolRefused { offered: Some(Eap) };
    assert_eq!(wire.client.failure(), Some(&expected));
}

#[test]
fn a_server_that_yields_ends_in_ms_chap_v2_whatever_is_allowed() {
    for protocol in [Pap, ChapMd5, MsChapV1, Eap] {
        let authentication = ServerAuthentication {
            protocols: vec![protocol, MsChapV2],
            on_nak: OnNak::Yield,
            ..ServerAuthentication::default()
        };
        for config in [client(), ClientConfig::new("testuser", Password::new("test123"))] {
            let wire = dial(config, server(authentication.clone()));
            assert_eq!(used(&wire), Some(MsChapV2), "{protocol}\n{}", wire.ladder);
        }
    }
}

/// It has no MS-CHAPv2, and asks for one weak protocol after the other
#[test]
fn a_server_that_goes_through_its_list_is_met_at_the_second_asking() {
    let authentication = ServerAuthentication {
        protocols: vec![Pap, ChapMd5, MsChapV1],
        on_nak: OnNak::Yield,
        ..ServerAuthentication::default()
    };
    let wire = dial(client(), server(authentication));
    assert_eq!(used(&wire), Some(MsChapV1), "{}", wire.ladder);
}

#[test]
fn pppd_asks_once_and_is_agreed_with_at_once_if_so_told() {
    for protocol in [MsChapV1, Eap, Pap, ChapMd5] {
        let withdrawing = ServerAuthentication { on_nak: OnNak::Withdraw, ..insisting(protocol) };
        let wire = dial(client(), server(withdrawing.clone()));
        let expected = Failure::AuthProtocolWithdrawn { offered: protocol };
        assert_eq!(wire.client.failure(), Some(&expected), "{}", wire.ladder);

        let mut config = client();
        config.authentication.accept_first_offer = true;
        let wire = dial(config, server(withdrawing.clone()));
        assert!(got_through(&wire), "{protocol}\n{}", wire.ladder);

        let mut wire = self::wire(client(), server(withdrawing));
        wire.client.link.apply(Quirks { accept_first_offer: Some(true) });
        wire.connect().run(SECONDS);
        assert!(got_through(&wire), "{protocol}\n{}", wire.ladder);
    }
}

#[test]
fn the_password_does_not_leave_where_encryption_could_not_follow() {
    for protocol in [Pap, ChapMd5] {
        let config = ClientConfig {
            authentication: anything(),
            ..ClientConfig::new("testuser", Password::new("test123"))
        };
        let wire = dial(config, server(insisting(protocol)));
        let expected = Failure::AuthProtocolWithoutKeys { offered: protocol };
        assert_eq!(wire.client.failure(), Some(&expected), "{}", wire.ladder);
        assert!(!got_through(&wire));
    }
}

#[test]
fn eap_refuses_other_methods_until_the_right_one_comes() {
    for proposals in [vec![4], vec![13, 25, 4], vec![6; 5]] {
        let authentication = ServerAuthentication { eap_proposals: proposals, ..insisting(Eap) };
        let wire = dial(client(), server(authentication));
        assert_eq!(used(&wire), Some(Eap), "{}", wire.ladder);
    }
    let authentication = ServerAuthentication { eap_proposals: vec![4; 6], ..insisting(Eap) };
    let wire = dial(client(), server(authentication));
    let expected = Failure::AuthProtocolRefused { offered: Some(EapMethod(4)) };
    assert_eq!(wire.client.failure(), Some(&expected));
}

#[test]
fn a_server_without_the_right_proof_is_left() {
    let wrong = format!("S={}", "0".repeat(40));
    for protocol in [MsChapV2, Eap] {
        for text in [&*wrong, "", "S=", "M=welcome"] {
            let success_text = Some(text.to_owned());
            let authentication = ServerAuthentication { success_text, ..insisting(protocol) };
            let wire = dial(client(), server(authentication));
            assert_eq!(wire.client.failure(), Some(&Failure::ServerNotAuthentic), "{text:?}");
        }
    }
    for (protocol, text) in [(MsChapV1, ""), (MsChapV1, "whatever"), (ChapMd5, "")] {
        let success_text = Some(text.to_owned());
        let authentication = ServerAuthentication { success_text, ..insisting(protocol) };
        let wire = dial(client(), server(authentication));
        assert!(got_through(&wire), "{protocol} proves nothing anyway\n{}", wire.ladder);
    }
}

#[test]
fn challenges_that_come_twice_cost_nothing() {
    for protocol in [MsChapV2, MsChapV1, Eap] {
        let once = dial(client(), server(insisting(protocol)));
        let authentication =
            ServerAuthentication { repeats_challenges: true, ..insisting(protocol) };
        let twice = dial(client(), server(authentication));
        assert_eq!(used(&twice), Some(protocol), "{}", twice.ladder);
        assert_eq!(twice.client.up().unwrap().0, once.client.up().unwrap().0);
    }
}

#[test]
fn a_challenge_while_up_is_answered_and_the_keys_stay() {
    for protocol in [MsChapV2, MsChapV1, Eap] {
        let mut wire = dial(client(), server(insisting(protocol)));
        assert!(packets_pass(&mut wire, 0));
        for sequence in 1..4 {
            wire.server.link.challenge(wire.now);
            wire.turn();
            wire.run(SECONDS);
            assert!(wire.client.link.is_up() && wire.server.link.is_up(), "{}", wire.ladder);
            assert!(packets_pass(&mut wire, 100 * sequence), "{protocol}");
        }
        let ups = wire.client.events.iter().filter(|(_, event)| matches!(event, Event::Up(_)));
        assert_eq!(ups.count(), 1, "the link was up all the time");
    }
}

#[test]
fn renegotiation_authenticates_anew_with_new_keys() {
    for protocol in [MsChapV2, MsChapV1, Eap] {
        let mut wire = dial(client(), server(insisting(protocol)));
        wire.server.link.renegotiate(wire.now);
        wire.turn();
        wire.run(SECONDS);
        assert_eq!(used(&wire), Some(protocol), "{}", wire.ladder);
        assert!(packets_pass(&mut wire, 500), "{protocol}");
    }
}

/// Dials, answers the first question as told, and gives what the client was asked
fn ask(
    mut wire: Wire,
    answer: impl FnOnce(&mut Link, std::time::Instant),
) -> (Wire, Vec<Question>) {
    wire.connect().run(SECONDS);
    answer(&mut wire.client.link, wire.now);
    wire.turn();
    wire.run(SECONDS);
    let questions = wire.client.events.iter().filter_map(|(_, event)| match event {
        Event::Ask(question) => Some(question.clone()),
        _ => None,
    });
    let questions = questions.collect();
    (wire, questions)
}

fn asking() -> ClientConfig {
    let questions = Questions { new_password: true, other_credentials: true };
    ClientConfig { questions, ..client() }
}

fn is_expired(failure: Option<&Failure>) -> bool {
    matches!(failure, Some(Failure::AuthFailed { code: 648, .. }))
}

#[test]
fn rfc2759_section_7_an_expired_password_is_changed_if_the_owner_says_to_what() {
    for order in ORDERS {
        for protocol in [MsChapV2, MsChapV1, Eap] {
            let authentication = ServerAuthentication { expired: true, ..insisting(protocol) };
            let config = ServerConfig { order, ..server(authentication) };
            let (mut wire, questions) = ask(wire(asking(), config), |link, now| {
                assert_eq!(link.phase(), Phase::Authentication);
                link.change_password(now, Password::new("n\u{F6}w 🔑"));
            });
            assert!(matches!(&*questions, [Question::NewPassword { .. }]), "{questions:?}");
            assert_eq!(used(&wire), Some(protocol), "{order:?}\n{}", wire.ladder);
            assert!(wire.client.events.iter().any(|(_, it)| *it == Event::PasswordChanged));
            assert!(packets_pass(&mut wire, 0), "the keys are those of the new password");
        }
    }
}

#[test]
fn an_expired_password_ends_it_if_nobody_wants_to_be_asked() {
    for protocol in [MsChapV2, MsChapV1, Eap] {
        let authentication = ServerAuthentication { expired: true, ..insisting(protocol) };
        let wire = dial(client(), server(authentication));
        assert!(is_expired(wire.client.failure()), "{}", wire.ladder);
    }
}

#[test]
fn an_expired_password_is_not_changed_into_itself_or_by_silence() {
    for protocol in [MsChapV2, MsChapV1, Eap] {
        let authentication = ServerAuthentication { expired: true, ..insisting(protocol) };
        let config = || wire(asking(), server(authentication.clone()));
        let (same, _) = ask(config(), |link, now| {
            link.change_password(now, Password::new("test123"));
        });
        let (long, _) = ask(config(), |link, now| {
            link.change_password(now, Password::new("x".repeat(257)));
        });
        let (none, _) = ask(config(), Link::give_up);
        let (wrong, _) = ask(config(), |link, now| {
            link.log_in_as(now, "testuser".to_owned(), Password::new("other"));
        });
        for (wire, why) in [(same, "the same"), (long, "too long"), (none, "given up")] {
            assert!(is_expired(wire.client.failure()), "{protocol} {why}\n{}", wire.ladder);
        }
        assert_eq!(wrong.client.failure(), None, "that was not the question");
        let mut silent = wrong;
        silent.run(Duration::from_mins(1));
        assert!(is_expired(silent.client.failure()), "{protocol}: a minute without an answer");
    }
}

#[test]
fn another_login_is_taken_once_where_the_server_welcomes_it() {
    for order in ORDERS {
        for protocol in [MsChapV2, MsChapV1, Eap] {
            let authentication = ServerAuthentication { retries: 2, ..insisting(protocol) };
            let config = ServerConfig { order, ..server(authentication) };
            let mut wrong = asking();
            wrong.password = Password::new("wrong");
            let (mut right, questions) = ask(wire(wrong.clone(), config.clone()), |link, now| {
                link.log_in_as(now, "testuser".to_owned(), Password::new("test123"));
            });
            assert!(matches!(&*questions, [Question::OtherCredentials { code: 691, .. }]));
            assert_eq!(used(&right), Some(protocol), "{order:?}\n{}", right.ladder);
            assert!(packets_pass(&mut right, 0));

            let (again, questions) = ask(wire(wrong.clone(), config.clone()), |link, now| {
                link.log_in_as(now, "testuser".to_owned(), Password::new("wrong too"));
            });
            assert_eq!(questions.len(), 1, "asked once");
            assert!(matches!(again.client.failure(), Some(Failure::AuthFailed { code: 691, .. })));

            let (same, _) = ask(wire(wrong, config), |link, now| {
                link.log_in_as(now, "testuser".to_owned(), Password::new("wrong"));
            });
            assert!(matches!(same.client.failure(), Some(Failure::AuthFailed { code: 691, .. })));
            let responses = same.ladder.matches("Response").count();
            assert_eq!(responses, same.ladder.matches("Challenge").count(), "not sent twice");
        }
    }
}

/// The server loses patience while its client's owner thinks, and negotiates LCP anew
#[test]
fn a_refused_password_is_not_sent_again_after_a_renegotiation() {
    let authentication = ServerAuthentication { retries: 2, ..insisting(MsChapV2) };
    let mut config = asking();
    config.password = Password::new("wrong");
    let mut wire = wire(config, server(authentication));
    wire.connect().run(SECONDS);
    let before = wire.ladder.matches("Response").count();
    wire.server.link.renegotiate(wire.now);
    wire.turn();
    wire.run(SECONDS);
    assert_eq!(wire.ladder.matches("Response").count(), before, "{}", wire.ladder);
    assert!(matches!(wire.client.failure(), Some(Failure::AuthFailed { code: 691, .. })));
}

#[test]
fn a_domain_is_hashed_as_the_server_wants_it() {
    for protocol in [MsChapV2, Eap] {
        for ours in [HashName::StripDomain, HashName::AsSent] {
            for theirs in [HashName::StripDomain, HashName::AsSent] {
                let user = r"BUILDING\testuser";
                let client = ClientConfig { user: user.into(), hash_name: ours, ..client() };
                let mut server = server(insisting(protocol));
                server.secrets = vec![(user.into(), Password::new("test123"))];
                server.hash_name = theirs;
                let wire = dial(client, server);
                assert_eq!(used(&wire).is_some(), ours == theirs, "{}", wire.ladder);
            }
        }
    }
}

#[test]
fn passwords_beyond_ascii_in_every_encoding() {
    use PasswordEncoding::{Utf16, WidenedOctets, WidenedUtf8};
    let encodings = [Utf16, WidenedOctets, WidenedUtf8];
    for protocol in [MsChapV2, MsChapV1, Eap, ChapMd5, Pap] {
        let hashes = protocol.leaves_keys();
        for (password, same) in [
            // Which encodings are the same where a hash is made, and where octets are sent
            ("test123", [[0, 0, 0], [0, 0, 0]]),
            ("p@ss w\u{F6}rd", [[0, 0, 1], [0, 1, 0]]),
            ("пароль", [[0, 1, 1], [0, 0, 0]]),
            ("🔑", [[0, 1, 1], [0, 0, 0]]),
        ] {
            let classes = same[usize::from(!hashes)];
            for (ours, one) in encodings.into_iter().zip(classes) {
                for (theirs, other) in encodings.into_iter().zip(classes) {
                    let client = ClientConfig {
                        password: Password::new(password),
                        password_encoding: ours,
                        ..client()
                    };
                    let authentication =
                        ServerAuthentication { encoding: theirs, ..insisting(protocol) };
                    let mut server = server(authentication);
                    server.secrets = vec![("testuser".into(), Password::new(password))];
                    let wire = dial(client, server);
                    let what = format!("{protocol} {password} {ours:?} {theirs:?}");
                    assert_eq!(got_through(&wire), one == other, "{what}\n{}", wire.ladder);
                }
            }
        }
    }
}

/// Whatever a Failure says, the link ends with it, and what can be read of it is told
#[test]
fn failures_in_all_broken_forms_end_every_method() {
    for (text, code, retry, message) in [
        ("E=691 R=1 C=000102030405060708090A0B0C0D0E0F V=3 M=no", 691, true, "no"),
        ("E=691 R=0 V=3 M=Authentication failure", 691, false, "Authentication failure"),
        ("E=691 R=0 C=0102030405060708 M=short", 691, false, "short"),
        ("E=691 R=1 C=xyz V=3", 691, true, ""),
        ("E=691 R=1 C= V= M=", 691, true, ""),
        ("E=691", 691, false, ""),
        ("R=1 E=649 V=3", 649, true, ""),
        ("E=646 M=E=691 R=1", 646, false, "E=691 R=1"),
        ("E=647 R=2 V=x", 647, false, ""),
        ("  E=709   R=0", 709, false, ""),
        ("E=4294967295", u32::MAX, false, ""),
        ("E=4294967296", 0, false, "E=4294967296"),
        ("E=-691", 0, false, "E=-691"),
        ("e=691 r=1", 0, false, "e=691 r=1"),
        ("Access denied", 0, false, "Access denied"),
        ("", 0, false, ""),
    ] {
        for protocol in [MsChapV2, MsChapV1, Eap, ChapMd5] {
            let failure_text = Some(text.to_owned());
            let authentication = ServerAuthentication { failure_text, ..insisting(protocol) };
            let config = ClientConfig { password: Password::new("wrong"), ..client() };
            let wire = dial(config, server(authentication));
            let expected = Failure::AuthFailed { code, retry, message: message.to_owned() };
            assert_eq!(wire.client.failure(), Some(&expected), "{protocol} {text:?}");
        }
    }
}

#[test]
fn every_method_gets_through_although_frames_are_lost() {
    let mut given_up = 0;
    for protocol in [MsChapV2, MsChapV1, Eap, ChapMd5, Pap] {
        for seed in 0..60 {
            let mut wire = wire(client(), server(insisting(protocol)));
            wire.lose(0.2, seed).connect().run(Duration::from_secs(100));
            let has_ended = wire.client.failure().is_some();
            assert!(got_through(&wire) || has_ended, "{protocol} {seed} hangs\n{}", wire.ladder);
            given_up += u32::from(!got_through(&wire));
        }
    }
    // Ten transmissions of the same can be lost one after the other, though rarely.
    assert!(given_up <= 6, "{given_up} of 300 gave up");
}

#[test]
fn the_round_trips_of_each_method() {
    for (protocol, expected) in [(MsChapV2, 4), (MsChapV1, 5), (Eap, 7)] {
        let wire = dial(client(), server(insisting(protocol)));
        let (at, _) = wire.client.up().expect("up");
        let taken = at.as_millis() / (2 * DELAY).as_millis();
        assert_eq!(taken, expected, "{protocol}\n{}", wire.ladder);
        assert_eq!(u128::from(wire.client.link.round_trips()), taken, "{protocol}");
    }
}

#[test]
fn no_method_prints_a_secret() {
    for protocol in [MsChapV2, MsChapV1, Eap, ChapMd5, Pap] {
        let wire = dial(client(), server(insisting(protocol)));
        let printed = format!("{:?} {:?}", wire.client.link, wire.server.link);
        assert!(!printed.contains("test123"), "{protocol}");
        // Neither as octets: t, e, s, t, 1
        assert!(!printed.contains("116, 101, 115, 116, 49"), "{protocol}");
    }
}
