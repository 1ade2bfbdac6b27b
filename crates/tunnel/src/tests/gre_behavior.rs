//! Servers whose GRE differs from RFC 2637 §4, and how the client takes that

use pptp_gre::Header;
use pptp_ppp::{AuthenticationProtocol, OnNak, ServerAuthentication, ServerOrder};

use super::pair::*;
use crate::{Acknowledgments, Event, GreBehavior};

fn up(gre: GreBehavior) -> Pair {
    let config = crate::ServerConfig { gre, ..server_config(ServerOrder::Pppd) };
    let mut pair = Pair::new(client_config(), config);
    pair.run(secs(2));
    assert!(pair.client.up().is_some(), "{gre:?}");
    pair
}

fn headers(end: &End) -> Vec<Header> {
    end.datagrams.iter().map(|datagram| Header::parse(datagram).unwrap().0).collect()
}

fn upload(pair: &mut Pair, packets: u16) {
    pair.client.waiting.extend((0..packets).map(|number| ip_packet(number, 200)));
    pair.client_turn();
    pair.run(secs(10));
    assert_eq!(pair.server.packets.len(), usize::from(packets), "all of them, in 10 s");
}

#[test]
fn acknowledgments_that_never_come_or_wait_for_data_do_not_stop_an_upload() {
    for acknowledgments in [Acknowledgments::WithData, Acknowledgments::Never] {
        let mut pair = up(GreBehavior { acknowledgments, ..GreBehavior::default() });
        upload(&mut pair, 200);
        let headers = headers(&pair.server);
        assert!(headers.iter().all(|header| header.sequence.is_some()), "none is sent alone");
        let any = headers.iter().any(|header| header.acknowledgment.is_some());
        assert_eq!(any, acknowledgments == Acknowledgments::WithData, "{acknowledgments:?}");
    }
}

#[test]
fn numbers_may_begin_anywhere() {
    for first_sequence in [1, 0x8000_0000, u32::MAX] {
        let mut pair = up(GreBehavior { first_sequence, ..GreBehavior::default() });
        assert_eq!(headers(&pair.server)[0].sequence, Some(first_sequence));
        upload(&mut pair, 10);
        assert_eq!(pair.client.tunnel.stats().gre.duplicates, 0);
    }
}

/// RFC 1994 §4.1: the same Challenge gets the same Response
#[test]
fn control_frames_that_come_twice_change_nothing() {
    let mut pair = up(GreBehavior { repeats_frames: true, ..GreBehavior::default() });
    let frames = |end: &End, wanted: &[u8]| {
        let payload = |datagram: &Vec<u8>| datagram[Header::parse(datagram).unwrap().1].to_vec();
        let is_wanted = |frame: &Vec<u8>| frame.starts_with(wanted);
        end.datagrams.iter().map(payload).filter(is_wanted).collect::<Vec<_>>()
    };
    assert_eq!(frames(&pair.server, &[0xFF, 0x03, 0xC2, 0x23, 1]).len(), 2, "the Challenge");
    match &frames(&pair.client, &[0xFF, 0x03, 0xC2, 0x23, 2])[..] {
        [first, second] => assert_eq!(first, second, "the Response"),
        other => panic!("{other:?}"),
    }
    assert_eq!(pair.client.events.iter().filter(|(_, it)| matches!(it, Event::Up(_))).count(), 1);
    upload(&mut pair, 10);
}

/// pptpd's pppd, asked for what it does not have, asks for nothing any more and hangs up
#[test]
fn what_pptpd_asks_for_is_agreed_to_at_its_first_asking() {
    for (vendor, name) in [("linux", None), ("other", Some("AuthProtocolWithdrawn"))] {
        let mut client = client_config();
        client.link.authentication.insecure_mschap_v1 = true;
        let mut server = server_config(ServerOrder::Pppd);
        server.control.vendor = vendor.to_owned();
        server.link.authentication = ServerAuthentication {
            protocols: vec![AuthenticationProtocol::MsChapV1],
            on_nak: OnNak::Withdraw,
            ..ServerAuthentication::default()
        };
        let mut pair = Pair::new(client, server);
        pair.run(secs(2));
        assert_eq!(pair.client.down().map(|(_, error)| error.name()), name, "{vendor}");
        assert_eq!(pair.client.up().is_some(), name.is_none());
    }
}
