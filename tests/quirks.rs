//! Servers that want to be spoken to in another way: each row is a real one

use std::{borrow::Cow, time::Duration};

use pptp::{
    State, TunnelConfig,
    info::Redial,
    quirks::{Pattern, Quirks, Recognition},
};
use pptp_testkit::{Control, Server, StartResult};
use pptp_tests::{World, config, get};

/// A server of this vendor that serves only who says what it wants to hear
fn insisting(building: u32, vendor: &str, insists_on: Quirks) -> pptp_testkit::ServerBuilder {
    let vendor = vendor.to_owned();
    let insists_on = insists_on.control;
    Server::builder(building).control(Control { vendor, insists_on, ..Control::default() })
}

/// Connects, reads the device's page, and tells how often and why it was dialled once more
async fn connect(world: &World, config: TunnelConfig) -> (pptp::Tunnel, Vec<Redial>) {
    let connecting = world.client.connect(config);
    let mut state = connecting.state();
    let watching = tokio::spawn(async move {
        let mut redials = Vec::new();
        loop {
            match &*state.borrow_and_update() {
                State::Redialling { why } => redials.push(why.clone()),
                State::Up | State::Down { .. } => return redials,
                _ => {}
            }
            if state.changed().await.is_err() {
                return redials;
            }
        }
    });
    let tunnel = connecting.await.expect("a tunnel");
    let page = String::from_utf8(get(&tunnel, "/").await.expect("a page")).unwrap();
    assert!(page.starts_with("building "), "{page}");
    (tunnel, watching.await.unwrap())
}

fn recognized(kind: &str) -> Vec<Redial> {
    vec![Redial::Recognized { kind: kind.to_owned() }]
}

#[tokio::test(start_paused = true)]
async fn an_orckit_is_recognized_redialled_once_and_remembered() {
    let world = World::new(50);
    let building = world.serve(1, insisting(1, "Orckit ATUR3", Quirks::ORCKIT));
    let (tunnel, redials) = connect(&world, config(building.address())).await;
    assert_eq!(redials, recognized("Orckit"));
    let info = tunnel.info();
    assert_eq!(info.quirks(), Some(&Quirks::ORCKIT));
    println!("{}", info.timeline);
    // the TCP connection, the reply that told who it is, and the hang-up
    let round_trips = info.round_trips + 3;
    assert_eq!(info.connect_time, Duration::from_millis(100) * u32::from(round_trips));
    let peer = tunnel.peer().expect("told");
    assert_eq!((peer.vendor.as_str(), peer.firmware), ("Orckit ATUR3", 1));
    tunnel.close().await;
    building.idle().await;
    let stats = building.stats();
    assert_eq!((stats.connections_ever, stats.up_ever), (2, 1));

    let resumed = config(building.address()).resuming(&info);
    let (tunnel, redials) = connect(&world, resumed).await;
    assert_eq!(redials, [], "it is remembered");
    assert_eq!(tunnel.info().quirks(), Some(&Quirks::ORCKIT), "and stays so");
    tunnel.close().await;
    world.client.wait_idle().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_knows_an_orckit_dials_it_once() {
    let world = World::new(50);
    let building = world.serve(1, insisting(1, "", Quirks::ORCKIT));
    let plain = world.client.connect(config(building.address())).await.unwrap_err();
    assert_eq!(plain.name(), "ControlRefused", "nothing to know it by: {plain}");
    let named = config(building.address()).quirks(Quirks::ORCKIT);
    let (tunnel, redials) = connect(&world, named).await;
    assert_eq!(redials, []);
    assert_eq!(tunnel.info().quirks(), None, "nothing that the caller does not know");
}

/// Their GRE carries the Call ID 0, all of it: the address tells them apart
#[tokio::test(start_paused = true)]
async fn two_orckits_at_a_time_are_told_apart_and_one_is_dialled_once_at_a_time() {
    let world = World::new(5);
    let buildings = [1, 2].map(|n| world.serve(n, insisting(n.into(), "", Quirks::ORCKIT)));
    let named = |server: &Server| config(server.address()).quirks(Quirks::ORCKIT);
    let mut tunnels = Vec::new();
    for (number, building) in (1..).zip(&buildings) {
        let (tunnel, _) = connect(&world, named(building)).await;
        let page = get(&tunnel, "/").await.unwrap();
        assert_eq!(String::from_utf8(page).unwrap(), format!("building {number}\n"));
        tunnels.push(tunnel);
    }
    let second = world.client.connect(named(&buildings[0])).await.unwrap_err();
    assert_eq!(second.name(), "CallIdsExhausted", "{second}");
    for tunnel in tunnels {
        tunnel.close().await;
    }
    world.client.wait_idle().await;
    connect(&world, named(&buildings[0])).await;
}

/// Its quirk is one of PPP, which begins after the reply
#[tokio::test(start_paused = true)]
async fn pptpd_is_recognized_in_time() {
    let world = World::new(5);
    let building = world.building(1);
    let (tunnel, redials) = connect(&world, config(building.address())).await;
    assert_eq!(redials, []);
    assert_eq!(tunnel.peer().expect("told").recognized.as_deref(), Some("pptpd"));
    assert_eq!(tunnel.info().quirks(), Some(&Quirks::PPTPD));
}

#[tokio::test(start_paused = true)]
async fn alcatels_result_0_is_success() {
    let world = World::new(5);
    let control = Control { start_result: StartResult::from(0), ..Control::default() };
    let building = world.serve(1, Server::builder(1).control(control));
    let (_tunnel, redials) = connect(&world, config(building.address())).await;
    assert_eq!(redials, []);
}

#[tokio::test(start_paused = true)]
async fn mxstream_wants_a_phone_number() {
    let world = World::new(5);
    let building = world.serve(1, insisting(1, "mxstream", Quirks::phone_number("1234")));
    let without = world.client.connect(config(building.address())).await.unwrap_err();
    assert_eq!(without.name(), "CallRefused");
    assert!(without.to_string().contains("phone number"), "{without}");
    connect(&world, config(building.address()).phone_number("1234")).await;
    connect(&world, config(building.address()).quirks(Quirks::phone_number("1234"))).await;
}

#[tokio::test(start_paused = true)]
async fn cisco_wants_a_client_host_name() {
    let world = World::new(5);
    let building = world.serve(1, insisting(1, "Cisco", Quirks::client_host_name("group-7")));
    let without = world.client.connect(config(building.address())).await.unwrap_err();
    assert_eq!(without.name(), "ControlRefused");
    assert!(without.to_string().contains("client host name"), "{without}");
    connect(&world, config(building.address()).client_host_name("group-7")).await;
}

fn of_vendor(name: &'static str, quirks: Quirks) -> Recognition {
    let vendor = Some(Pattern::Contains(Cow::Borrowed(name)));
    Recognition { name: name.into(), vendor, host_name: None, firmware: None, quirks }
}

#[tokio::test(start_paused = true)]
async fn a_caller_adds_kinds_of_its_own_and_what_the_reply_tells_in_time_needs_no_redial() {
    let world = World::new(5);
    let wants = Quirks::SET_LINK_INFO.or(Quirks::phone_number("99"));
    let building = world.serve(1, insisting(1, "Acme 3000", wants.clone()));
    let told = config(building.address()).recognize(of_vendor("acme", wants.clone()));
    let (tunnel, redials) = connect(&world, told).await;
    assert_eq!(redials, []);
    assert_eq!(tunnel.info().quirks(), Some(&wants));
    assert_eq!(building.stats().connections_ever, 1);

    let other = world.serve(2, insisting(2, "Relay", Quirks::client_host_name("relay")));
    let told =
        config(other.address()).recognize(of_vendor("relay", Quirks::client_host_name("relay")));
    let (_tunnel, redials) = connect(&world, told).await;
    assert_eq!(redials, recognized("relay"));
}

/// What it is known for does not help: it is dialled once more, and no further
#[tokio::test(start_paused = true)]
async fn a_redial_that_fails_is_the_end() {
    let world = World::new(5);
    let building = world.serve(1, insisting(1, "Relay", Quirks::client_host_name("other")));
    let told =
        config(building.address()).recognize(of_vendor("relay", Quirks::client_host_name("relay")));
    let error = world.client.connect(told).await.unwrap_err();
    assert_eq!(error.name(), "ControlRefused", "{error}");
    world.client.wait_idle().await;
    building.idle().await;
    assert_eq!(building.stats().connections_ever, 2);
}

/// A hang-up at any moment of a redial ends it, and leaves nothing behind
#[tokio::test(start_paused = true)]
async fn a_redial_is_hung_up_at_any_moment() {
    for moment in (0..1500).step_by(25) {
        let world = World::new(50);
        let building = world.serve(1, insisting(1, "Orckit", Quirks::ORCKIT));
        let connecting = world.dial(&building);
        let _ = tokio::time::timeout(Duration::from_millis(moment), connecting).await;
        let idle = tokio::time::timeout(Duration::from_secs(15), world.client.wait_idle()).await;
        assert!(idle.is_ok(), "hung up after {moment} ms, and still there");
    }
}
