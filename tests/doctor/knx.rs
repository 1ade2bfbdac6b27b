//! What the doctor asks of a KNXnet/IP device, and in which order

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use pptp::{
    doctor::{Step, Verdict},
    net::UdpSocket,
};
use pptp_testkit::{DEVICE, UdpOptions};
use pptp_tests::{World, address_of, config};

use super::{all, examine, of};

/// Which of the two questions a scripted device answers
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    /// The one with the client's address in it
    OurAddress,
    /// The one with the control endpoint 0.0.0.0:0
    RouteBack,
}

/// A KNXnet/IP device on `port` that answers one kind of question; it tells how many of each it got
async fn knx_device(socket: UdpSocket, answers: Answers, asked: [Arc<AtomicU32>; 2]) {
    let mut description = vec![6, 0x10, 0x02, 0x04, 0, 68, 54, 1];
    description.resize(30, 0);
    description.extend(b"one-way");
    description.resize(68, 0);
    let mut question = [0; 64];
    loop {
        let (length, from) = socket.recv_from(&mut question).await.unwrap();
        assert_eq!((length, &question[..8]), (14, &[6, 0x10, 2, 3, 0, 14, 8, 1][..]));
        let is_route_back = question[8..14] == [0; 6];
        if !is_route_back {
            let SocketAddr::V4(source) = from else { panic!("{from}") };
            assert_eq!(question[8..12], source.ip().octets(), "our own inner address");
            assert_eq!(question[12..14], source.port().to_be_bytes(), "and port");
        }
        asked[usize::from(is_route_back)].fetch_add(1, Ordering::Relaxed);
        if is_route_back == (answers == Answers::RouteBack) {
            socket.send_to(&description, from).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_knx_device_is_asked_with_our_address_first_and_with_route_back_second() {
    let table = [
        (Answers::OurAddress, Verdict::Passed, "answers to our inner address", [1, 0]),
        (Answers::RouteBack, Verdict::Warned, "answers only with route back", [2, 1]),
    ];
    for (answers, verdict, seen, expected) in table {
        let world = World::new(10);
        let building = world.building(1);
        let address = (DEVICE, 3672).into();
        let socket = building.net().udp_bind(address, UdpOptions::default()).unwrap();
        let asked = [Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0))];
        let device = tokio::spawn(knx_device(socket, answers, asked.clone()));
        let target = "knx:192.168.1.3:3672".parse().unwrap();
        let findings = all(examine(&world, config(address_of(1))).target(target)).await;
        let finding = of(&findings, Step::Target);
        assert_eq!(finding.verdict, verdict, "{finding}");
        assert!(finding.seen.contains(seen) && finding.seen.contains("\"one-way\""), "{finding}");
        let advice = finding.advice.as_deref().unwrap_or_default();
        assert_eq!(advice.contains("NAT mode"), answers == Answers::RouteBack, "{finding}");
        let asked = asked.map(|count| count.load(Ordering::Relaxed));
        assert_eq!(asked, expected, "with our address, and with route back");
        assert!(!device.is_finished(), "the device saw what it expected");
        device.abort();
    }
}
