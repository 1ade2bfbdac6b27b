//! Two links of random configurations over a line that loses, doubles and reorders: both come up if
//! what they want goes together, or else both end with a reason, in bounded time
//!
//! On a line that loses a fifth of what it gets ten transmissions of one request may all be in vain; of
//! a thousand pairs that go together at most one may end so.

use std::{cell::RefCell, time::Duration};

use pptp_mppe::{KeyStrength, StatefulReset};
use pptp_mschap::Password;
use proptest::{
    prelude::*,
    sample::{select, subsequence},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{matrix::packets_pass, wire::Wire};
use crate::{
    AddressRequest, AuthenticationPolicy,
    AuthenticationProtocol::{self, ChapMd5, Eap, MsChapV1, MsChapV2, Pap},
    ClientConfig, EchoPolicy, EncryptionDemand, EncryptionPolicy, Extras, Failure, Link, OnNak,
    ServerAuthentication, ServerConfig, ServerEncryption, ServerOrder,
};

/// Pairs that are tried; a release build has the time for all of them
const PAIRS: u32 = if cfg!(debug_assertions) { 1000 } else { 10_000 };

/// Within this both are up or both have ended, whatever the line does
const BOUND: Duration = Duration::from_mins(3);

/// The faults of the line
#[derive(Clone, Copy, Debug)]
struct Line {
    delay: u64,
    loss: f64,
    doubled: f64,
    jitter: u64,
    seed: u64,
}

fn line() -> impl Strategy<Value = Line> {
    (1..100_u64, 0.0..0.2, 0.0..0.2, 0..200_u64, any::<u64>()).prop_map(
        |(delay, loss, doubled, jitter, seed)| Line { delay, loss, doubled, jitter, seed },
    )
}

fn authentication_policy() -> impl Strategy<Value = AuthenticationPolicy> {
    any::<[bool; 5]>().prop_map(|[eap, mschap_v1, chap_md5, pap, accept_first_offer]| {
        AuthenticationPolicy {
            eap,
            insecure_mschap_v1: mschap_v1,
            insecure_chap_md5: chap_md5,
            insecure_pap: pap,
            accept_first_offer,
        }
    })
}

const RESETS: [StatefulReset; 2] = [StatefulReset::Linux, StatefulReset::Rfc];

fn encryption_policy() -> impl Strategy<Value = EncryptionPolicy> {
    use EncryptionDemand::{InsecureAllow, InsecureDeny, InsecurePrefer, Require};
    let demand = select(vec![Require, Require, InsecurePrefer, InsecureAllow, InsecureDeny]);
    let least = select(vec![KeyStrength::Bits128, KeyStrength::Bits56, KeyStrength::Bits40]);
    let stateful = prop::option::of(select(RESETS.to_vec()));
    (demand, least, stateful, any::<bool>()).prop_map(|(demand, least, stateful, first)| {
        EncryptionPolicy {
            demand,
            insecure_least_key: least,
            insecure_stateful: stateful,
            insecure_stateful_first: first,
        }
    })
}

fn echo() -> impl Strategy<Value = EchoPolicy> {
    (10..40_u64, 5..15_u64, 4..7_u8).prop_map(|(silence, interval, unanswered)| EchoPolicy {
        silence: Duration::from_secs(silence),
        interval: Duration::from_secs(interval),
        unanswered,
    })
}

fn addresses() -> impl Strategy<Value = AddressRequest> {
    let address = || prop_oneof![Just([0; 4]), Just([192, 168, 1, 200]), any::<[u8; 4]>()];
    let dns = || prop::option::of(address());
    (address(), dns(), dns()).prop_map(|(address, primary, secondary)| AddressRequest {
        address: address.into(),
        primary_dns: primary.map(Into::into),
        secondary_dns: secondary.map(Into::into),
    })
}

fn client() -> impl Strategy<Value = ClientConfig> {
    let policies = (authentication_policy(), encryption_policy());
    let details = (128..=1500_u16, echo(), addresses(), any::<[bool; 2]>());
    let password = prop::bool::weighted(0.95);
    (policies, details, password).prop_map(|(policies, details, is_right)| {
        let ((authentication, encryption), (mru, echo, addresses, [ipv6, header_compression])) =
            (policies, details);
        let password = Password::new(if is_right { "test123" } else { "wrong" });
        let config = ClientConfig::new("testuser", password);
        ClientConfig {
            authentication,
            encryption,
            mru,
            echo,
            addresses,
            ipv6,
            header_compression,
            ..config
        }
    })
}

fn extras() -> impl Strategy<Value = Extras> {
    let link = subsequence(vec![(13, vec![6]), (19, vec![1; 21]), (23, vec![0, 1])], 0..=3);
    let address = subsequence(vec![(2, vec![0, 0x2D, 15, 1]), (144, vec![255; 4])], 0..=2);
    let rejected = subsequence(vec![1, 5, 7, 8], 0..=4);
    let first = prop::option::of(any::<u8>());
    (link, address, rejected, any::<[bool; 3]>(), first).prop_map(
        |(link_options, address_options, rejected_options, flags, first_identifier)| {
            let [omits_usual_options, hides_address, rejects_magic] = flags;
            Extras {
                omits_usual_options,
                link_options,
                address_options,
                hides_address,
                rejects_magic,
                rejected_options,
                first_identifier,
                ..Extras::default()
            }
        },
    )
}

fn server_encryption() -> impl Strategy<Value = ServerEncryption> {
    let [linux, rfc] = RESETS.map(ServerEncryption::Mppe128Stateful);
    select(vec![
        ServerEncryption::Mppe128,
        ServerEncryption::Mppe128,
        ServerEncryption::Mppe128,
        ServerEncryption::Mppe56,
        ServerEncryption::Mppe40,
        linux,
        rfc,
        ServerEncryption::ZeroBits,
        ServerEncryption::MppcOnly,
        ServerEncryption::None,
        ServerEncryption::NoCcp,
        ServerEncryption::Silent,
    ])
}

fn server_authentication() -> impl Strategy<Value = ServerAuthentication> {
    let protocols = vec![MsChapV2, Eap, MsChapV1, ChapMd5, Pap];
    let protocols = subsequence(protocols, 1..=5).prop_shuffle();
    let on_nak = select(vec![OnNak::Insist, OnNak::Yield, OnNak::Withdraw]);
    (protocols, on_nak, any::<bool>()).prop_map(|(protocols, on_nak, repeats_challenges)| {
        ServerAuthentication { protocols, on_nak, repeats_challenges, ..Default::default() }
    })
}

fn server() -> impl Strategy<Value = ServerConfig> {
    let order = select(vec![ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras]);
    let behavior = (order, server_authentication(), server_encryption(), extras());
    (behavior, 128..=1500_u16, echo(), any::<[bool; 2]>(), 0..3_usize).prop_map(
        |((order, authentication, encryption, extras), mru, echo, [ipv6, yields], dns)| {
            let config = ServerConfig::new([192, 168, 1, 1].into(), [192, 168, 1, 200].into());
            ServerConfig {
                secrets: vec![("testuser".to_owned(), Password::new("test123"))],
                dns: vec![[192, 168, 1, 1].into(); dns],
                encryption_yields: yields,
                order,
                authentication,
                encryption,
                extras,
                mru,
                echo,
                ipv6,
                ..config
            }
        },
    )
}

/// Returns the protocol that server and client agree on, if there is one (RFC 1661 section 6.2)
fn authentication(
    client: &ClientConfig,
    server: &ServerAuthentication,
) -> Option<AuthenticationProtocol> {
    let policy = client.authentication;
    let wants_keys = client.encryption.demand == EncryptionDemand::Require;
    let will_do =
        |it: &AuthenticationProtocol| policy.allows(*it) && (it.leaves_keys() || !wants_keys);
    let (first, others) = server.protocols.split_first()?;
    if *first == MsChapV2 || policy.accept_first_offer && will_do(first) {
        return Some(*first);
    }
    match server.on_nak {
        OnNak::Withdraw | OnNak::Deaf => None,
        OnNak::Insist => Some(*first).filter(will_do),
        OnNak::Yield if others.contains(&MsChapV2) => Some(MsChapV2),
        OnNak::Yield => {
            let at_once = others.iter().find(|it| policy.accept_first_offer && will_do(it));
            // the last one is asked for again and again
            at_once.or_else(|| server.protocols.last().filter(|it| will_do(it))).copied()
        }
    }
}

/// The MPPE that a server insists on
const fn insisted(encryption: ServerEncryption) -> Option<(KeyStrength, bool)> {
    match encryption {
        ServerEncryption::Mppe128 => Some((KeyStrength::Bits128, false)),
        ServerEncryption::Mppe128Stateful(_) => Some((KeyStrength::Bits128, true)),
        ServerEncryption::Mppe56 => Some((KeyStrength::Bits56, false)),
        ServerEncryption::Mppe40 => Some((KeyStrength::Bits40, false)),
        _ => None,
    }
}

/// Returns true if the two have a way to go on behind an authentication that leaves keys, or does not
fn encryption(client: EncryptionPolicy, server: &ServerConfig, has_keys: bool) -> bool {
    let is_alike = |(strength, is_stateful): (KeyStrength, bool)| {
        strength >= client.insecure_least_key
            && (!is_stateful || client.insecure_stateful.is_some())
    };
    let may_be_clear = client.demand != EncryptionDemand::Require;
    let may_be_encrypted = client.demand != EncryptionDemand::InsecureDeny && has_keys;
    match (insisted(server.encryption), server.encryption) {
        (Some(mppe), _) => may_be_encrypted && (is_alike(mppe) || server.encryption_yields),
        (None, ServerEncryption::ZeroBits | ServerEncryption::MppcOnly) => {
            may_be_clear || has_keys && server.encryption_yields
        }
        (None, _) => may_be_clear,
    }
}

fn are_compatible(client: &ClientConfig, server: &ServerConfig) -> bool {
    let knows = client.password.octets(client.password_encoding)
        == Password::new("test123").octets(client.password_encoding);
    authentication(client, &server.authentication)
        .is_some_and(|it| knows && encryption(client.encryption, server, it.leaves_keys()))
}

/// Returns true if the server has not a word to say behind its Success, so that a client waits for one that
/// was lost in vain: it does not repeat its Response by a timer (RFC 1994 section 4.2 would let it)
const fn falls_silent(server: &ServerConfig) -> bool {
    matches!(server.order, ServerOrder::AccelPpp)
        && matches!(server.encryption, ServerEncryption::NoCcp | ServerEncryption::Silent)
}

/// The outcome of the pairs
#[derive(Debug, Default)]
struct Tally {
    up: Vec<Duration>,
    ended: Vec<Duration>,
    /// Pairs that go together, one of whose protocols had all its ten transmissions lost or unanswered
    given_up: usize,
}

fn run(client: ClientConfig, server: ServerConfig, line: Line) -> Wire {
    let links = (Link::client(client, [1; 32]), Link::server(server, [2; 32]));
    let mut wire = Wire::new(links.0, links.1, Duration::from_millis(line.delay));
    wire.lose(line.loss, line.seed).disturb(line.doubled, Duration::from_millis(line.jitter));
    wire.connect();
    wire
}

fn check(
    client: ClientConfig,
    server: ServerConfig,
    line: Line,
    tally: &RefCell<Tally>,
) -> Result<(), TestCaseError> {
    let (must_be_up, falls_silent) = (are_compatible(&client, &server), falls_silent(&server));
    let mut wire = run(client, server, line);
    prop_assert!(wire.converges(BOUND), "hangs\n{}", wire.ladder);
    let took = wire.elapsed();
    let failures = (wire.client.failure(), wire.server.failure());
    if must_be_up && matches!(failures.0, Some(Failure::NegotiationTimeout { .. })) {
        tally.borrow_mut().given_up += usize::from(!falls_silent);
        return Ok(());
    }
    prop_assert_eq!(
        wire.client.link.is_up(),
        must_be_up,
        "{:?} after {:?}\n{}",
        failures,
        took,
        wire.ladder
    );
    let tally = &mut *tally.borrow_mut();
    if !must_be_up {
        tally.ended.push(took);
        return Ok(());
    }
    tally.up.push(took);
    let [client, server] = [&wire.client, &wire.server].map(|end| end.up().unwrap().1.clone());
    prop_assert_eq!(client.encryption, server.encryption);
    prop_assert_eq!(
        (client.inner_address, client.mru, client.magic),
        (server.peer_address.unwrap(), server.peer_mru, server.peer_magic)
    );
    packets_pass(&mut wire, client.encryption);
    Ok(())
}

fn quantiles(times: &mut [Duration]) -> [Duration; 3] {
    times.sort_unstable();
    [times.len() / 2, times.len() * 99 / 100, times.len() - 1].map(|at| times[at])
}

#[test]
fn random_pairs_on_a_bad_line_come_up_if_they_go_together_and_end_otherwise() {
    let config = Config { cases: PAIRS, failure_persistence: None, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tally = RefCell::default();
    TestRunner::new_with_rng(config, random)
        .run(&(client(), server(), line()), |(client, server, line)| {
            check(client, server, line, &tally)
        })
        .unwrap();
    let Tally { mut up, mut ended, given_up } = tally.into_inner();
    println!("{} up: half, 99 in 100 and all within {:?}", up.len(), quantiles(&mut up));
    println!("{} ended: half, 99 in 100 and all within {:?}", ended.len(), quantiles(&mut ended));
    println!("{given_up} gave up after ten transmissions");
    assert!(up.len() * 4 > ended.len(), "many go together");
    assert!(given_up * 1000 <= up.len(), "{given_up} of {}", up.len());
}

/// Our repeated LCP request reaches a server that is past it: it begins anew and challenges anew, while its
/// own new request looks like a repeat to us. What it encrypts with is the key of its second login.
#[test]
fn a_login_that_is_repeated_before_ccp_opens_gives_the_keys() {
    let (silence, interval) = (Duration::from_secs(10), Duration::from_secs(5));
    let echo = EchoPolicy { silence, interval, unanswered: 4 };
    let mut client = super::connect::client_config();
    client.mru = 128;
    client.echo = echo;
    client.encryption.insecure_stateful = Some(StatefulReset::Linux);
    client.encryption.insecure_stateful_first = true;
    let mut server = super::connect::server_config(ServerOrder::Pppd);
    server.mru = 128;
    server.echo = echo;
    server.extras.rejects_magic = true;
    let (delay, jitter, seed) = (1, 39, 17_990_163_634_655_532_039);
    let line = Line {
        delay,
        loss: 0.071_795_612_980_012,
        doubled: 0.121_029_062_451_410_64,
        jitter,
        seed,
    };
    let tally = RefCell::default();
    check(client, server, line, &tally).unwrap();
    assert_eq!(tally.into_inner().up.len(), 1);
}
