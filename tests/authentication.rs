//! Ways to log in, through the whole client: what is asked of the caller, and what is never done unasked

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use pptp::{
    Password, State, TunnelConfig, TunnelError,
    config::{
        AuthenticationProtocol::{self, ChapMd5, Eap, MsChapV1, MsChapV2, Pap},
        Credentials, EncryptionDemand, PasswordEncoding,
    },
    error::LinkFailure,
    info::Redial,
};
use pptp_testkit::{Control, OnNak, Server, ServerAuthentication, ServerBuilder, ServerEncryption};
use pptp_tests::{World, config, get};

fn insisting(protocol: AuthenticationProtocol) -> ServerAuthentication {
    ServerAuthentication::only(protocol)
}

fn server(authentication: ServerAuthentication) -> ServerBuilder {
    Server::builder(1).authentication(authentication)
}

/// All that is weak, by its name
fn weak(config: TunnelConfig) -> TunnelConfig {
    config
        .insecure_mschap_v1()
        .insecure_chap_md5()
        .insecure_pap()
        .insecure_encryption(EncryptionDemand::InsecureAllow)
}

async fn page(tunnel: &pptp::Tunnel) -> String {
    String::from_utf8(get(tunnel, "/").await.expect("a page")).unwrap()
}

fn recorded(tunnel: &pptp::Tunnel) -> Vec<u8> {
    let record = tunnel.flight_record();
    record.records().iter().flat_map(|record| record.octets.clone()).collect()
}

fn refusal(error: &TunnelError) -> u32 {
    match error.failure.link() {
        Some(LinkFailure::AuthFailed { code, .. }) => *code,
        other => panic!("{other:?}: {error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn each_way_to_log_in_carries_packets_and_is_told() {
    let world = World::new(10);
    for (number, protocol) in [(1, MsChapV2), (2, Eap), (3, MsChapV1), (4, ChapMd5), (5, Pap)] {
        let encryption =
            if protocol.leaves_keys() { ServerEncryption::Mppe128 } else { ServerEncryption::None };
        let builder = Server::builder(number.into()).authentication(insisting(protocol));
        let building = world.serve(number, builder.encryption(encryption));
        let tunnel = world.client.connect(weak(config(building.address()))).await.expect("up");
        let info = tunnel.info();
        assert_eq!(info.authentication, protocol);
        assert_eq!(info.encryption.is_some(), protocol.leaves_keys(), "{protocol}");
        assert_eq!(page(&tunnel).await, format!("building {number}\n"));
        let everything = recorded(&tunnel);
        assert!(!everything.windows(7).any(|octets| octets == b"test123"), "{protocol}");
        tunnel.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn by_default_nothing_weaker_than_ms_chap_v2() {
    let world = World::new(10);
    for (number, protocol) in [(1, MsChapV1), (2, ChapMd5), (3, Pap)] {
        let builder = Server::builder(number.into()).authentication(insisting(protocol));
        let building = world.serve(number, builder);
        let error = world.dial(&building).await.expect_err("refused");
        let expected = LinkFailure::AuthProtocolRefused { offered: Some(protocol) };
        assert_eq!(error.failure.link(), Some(&expected), "{error}");
    }
    let building = world.serve(4, Server::builder(4).authentication(insisting(Eap)));
    let without = config(building.address()).eap(false);
    let error = world.client.connect(without).await.expect_err("refused");
    assert_eq!(error.name(), "AuthProtocolRefused");
    assert_eq!(world.connect(&building).await.info().authentication, Eap);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_only_once_is_dialled_once_more() {
    let world = World::new(10);
    for (number, vendor, dials) in [(1, "router box", 2), (2, "linux", 1)] {
        let authentication =
            ServerAuthentication { on_nak: OnNak::Withdraw, ..insisting(MsChapV1) };
        let control = Control { vendor: vendor.to_owned(), ..Control::default() };
        let builder = Server::builder(number.into()).authentication(authentication);
        let building = world.serve(number, builder.control(control));
        let connecting = world.client.connect(config(building.address()).insecure_mschap_v1());
        let mut state = connecting.state();
        let redialled = tokio::spawn(async move {
            let is_over = |state: &State| {
                matches!(state, State::Redialling { .. } | State::Up | State::Down { .. })
            };
            let state = state.wait_for(is_over).await.expect("a state").clone();
            matches!(state, State::Redialling { why: Redial::AsksOnce { offered: MsChapV1 } })
        });
        let tunnel = connecting.await.expect("up");
        assert_eq!(redialled.await.unwrap(), dials == 2, "{vendor}");
        assert_eq!(tunnel.info().authentication, MsChapV1);
        tunnel.close().await;
        building.idle().await;
        assert_eq!(building.stats().connections_ever, dials, "{vendor}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_password_is_changed_when_the_caller_gives_a_new_one() {
    let world = World::new(10);
    for (number, protocol) in [(1, MsChapV2), (2, Eap), (3, MsChapV1)] {
        let authentication = ServerAuthentication { expired: true, ..insisting(protocol) };
        let builder = Server::builder(number.into()).authentication(authentication);
        let building = world.serve(number, builder);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let changed = Arc::new(AtomicU32::new(0));
        let (seen, told) = (Arc::clone(&asked), Arc::clone(&changed));
        let config = config(building.address())
            .insecure_mschap_v1()
            .name("seven")
            .connect_timeout(Duration::from_secs(10))
            .on_password_expired(move |refused| {
                seen.lock().unwrap().push(refused);
                async {
                    // longer than the connect may take: the caller's time is its own
                    tokio::time::sleep(Duration::from_secs(25)).await;
                    Some(Password::new("n\u{F6}w \u{1F511}"))
                }
            })
            .on_password_changed(move |tunnel| {
                assert_eq!(tunnel, "seven");
                told.fetch_add(1, Ordering::Relaxed);
            });
        let tunnel = world.client.connect(config).await.expect("up");
        assert_eq!(page(&tunnel).await, format!("building {number}\n"));
        let asked = asked.lock().unwrap();
        let [refused] = &asked[..] else { panic!("asked {} times", asked.len()) };
        assert_eq!((&*refused.tunnel, &*refused.user, refused.code), ("seven", "testuser", 648));
        assert_eq!(changed.load(Ordering::Relaxed), 1);
        assert!(recorded(&tunnel).len() > 586, "the change is there: its length, in zeros");
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_password_is_never_changed_unasked() {
    let world = World::new(10);
    let authentication = ServerAuthentication { expired: true, ..insisting(MsChapV2) };
    let building = world.serve(1, server(authentication));
    let address = building.address();
    let answers = [
        config(address),
        config(address).on_password_expired(async |_| None),
        config(address).on_password_expired(async |_| Some(Password::new("test123"))),
        config(address).on_password_expired(async |_| Some(Password::new("x".repeat(257)))),
        config(address).on_password_expired(async |_| std::future::pending().await),
        config(address).on_login_refused(async |_| Some(Credentials::new("testuser", "x"))),
    ];
    for config in answers {
        let error = world.client.connect(config).await.expect_err("refused");
        assert_eq!(refusal(&error), 648, "{error}");
    }
    tokio::time::timeout(Duration::from_secs(30), world.client.wait_idle()).await.expect("idle");
}

#[tokio::test(start_paused = true)]
async fn another_login_is_asked_for_once_and_the_same_is_never_sent_again() {
    let world = World::new(10);
    let authentication = ServerAuthentication { retries: 5, ..insisting(MsChapV2) };
    let building = world.serve(1, server(authentication));
    let wrong = || TunnelConfig::new(building.address().to_string(), "testuser", "wrong");
    let asked = Arc::new(AtomicU32::new(0));
    let answering = |user: &'static str, password: &'static str| {
        let asked = Arc::clone(&asked);
        wrong().on_login_refused(move |refused| {
            assert_eq!((refused.code, &*refused.user), (691, "testuser"));
            asked.fetch_add(1, Ordering::Relaxed);
            async move { Some(Credentials::new(user, password)) }
        })
    };
    let tunnel = world.client.connect(answering("testuser", "test123")).await.expect("up");
    assert_eq!(page(&tunnel).await, "building 1\n");
    assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
    for config in [answering("testuser", "still wrong"), answering("testuser", "wrong"), wrong()] {
        let error = world.client.connect(config).await.expect_err("refused");
        assert_eq!(refusal(&error), 691, "{error}");
        assert!(asked.swap(0, Ordering::Relaxed) <= 1, "asked once at most");
    }
}

/// Whoever hangs up while the caller is asked does not wait for the answer
#[tokio::test(start_paused = true)]
async fn a_question_does_not_hold_up_a_hang_up() {
    let world = World::new(10);
    let authentication = ServerAuthentication { expired: true, ..insisting(MsChapV2) };
    let building = world.serve(1, server(authentication));
    let (told, asked) = tokio::sync::oneshot::channel();
    let told = Mutex::new(Some(told));
    let connecting =
        world.client.connect(config(building.address()).on_password_expired(move |_| {
            let told = told.lock().unwrap().take();
            async move {
                told.map(|told| told.send(()));
                std::future::pending().await
            }
        }));
    asked.await.expect("asked");
    let started = tokio::time::Instant::now();
    drop(connecting);
    world.client.wait_idle().await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_challenge_while_up_is_answered_and_nothing_is_lost() {
    let world = World::new(10);
    for (number, protocol) in [(1, MsChapV2), (2, Eap)] {
        let builder = Server::builder(number.into()).authentication(insisting(protocol));
        let building = world.serve(number, builder);
        let tunnel = world.connect(&building).await;
        for _ in 0..3 {
            building.challenge_all();
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(page(&tunnel).await, format!("building {number}\n"));
            assert!(matches!(*tunnel.state().borrow(), State::Up));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn passwords_beyond_ascii_and_domains() {
    let world = World::new(10);
    let authentication =
        ServerAuthentication { encoding: PasswordEncoding::WidenedUtf8, ..insisting(MsChapV2) };
    let builder = server(authentication)
        .secret("flat", "p@ss w\u{F6}rd")
        .secret(r"BUILDING\testuser", "test123");
    let building = world.serve(1, builder);
    let flat = || TunnelConfig::new(building.address().to_string(), "flat", "p@ss w\u{F6}rd");
    let widened = flat().password_encoding(PasswordEncoding::WidenedUtf8);
    world.client.connect(widened).await.expect("up");
    assert_eq!(refusal(&world.client.connect(flat()).await.expect_err("other octets")), 691);
    let domain = TunnelConfig::new(building.address().to_string(), r"BUILDING\testuser", "test123");
    world.client.connect(domain).await.expect("up");
}
