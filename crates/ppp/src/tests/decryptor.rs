//! The reactions of a link to frames that do not open, and to keys that do not last

use pptp_mppe::{Discard as Mppe, KeyStrength};
use pptp_mschap::Password;

use super::script::{Script, last_request};
use crate::{ClientConfig, Discard, Failure, frame, wire::packet::Code};

/// An encrypted frame without the D and A bits that a stateless session has in each
const NOT_FLUSHED: [u8; 12] = [0x00, 0xFD, 0x10, 0x00, 1, 2, 3, 4, 5, 6, 7, 8];

#[test]
fn a_peer_that_goes_on_in_another_mode_is_left() {
    let mut script = Script::up();
    script.receive_ip().unwrap();
    for _ in 0..15 {
        let discarded = script.receive_frame(&mut NOT_FLUSHED.clone());
        assert_eq!(discarded, Err(Discard::Undecryptable(Mppe::NotFlushed)));
    }
    assert_eq!(script.failure(), None);
    let stats = script.link.decryptor_stats().unwrap();
    assert_eq!((stats.opened, stats.not_flushed), (1, 15));
    let last = script.receive_frame(&mut NOT_FLUSHED.clone());
    assert_eq!(last, Err(Discard::Undecryptable(Mppe::ScoreLimit)));
    assert_eq!(script.failure(), Some(Failure::Undecryptable(Mppe::ScoreLimit)));
}

#[test]
fn without_encryption_there_is_no_decryptor() {
    assert_eq!(Script::at_network().link.decryptor_stats(), None);
}

/// The start keys of an authentication serve once (RFC 3079 §3)
#[test]
fn ccp_that_comes_to_something_else_the_second_time_ends_the_link() {
    let mut config = ClientConfig::new("User", Password::new("clientPass"));
    config.encryption.insecure_least_key = KeyStrength::Bits40;
    let mut script = Script::with(config);
    script.open_lcp();
    script.authenticate();
    script.open_network();
    assert!(script.link.is_up());
    let mppe_40 = &[18, 6, 1, 0, 0, 0x20];
    script.send(frame::CCP, Code::ConfigureRequest, 2, mppe_40);
    for id in 3..6 {
        let sent = script.sent();
        let request = last_request(&sent, frame::CCP);
        if request.data == mppe_40 {
            script.send(frame::CCP, Code::ConfigureAck, request.id, mppe_40);
            break;
        }
        script.send(frame::CCP, Code::ConfigureNak, request.id, mppe_40);
        script.send(frame::CCP, Code::ConfigureRequest, id, mppe_40);
    }
    assert_eq!(script.failure(), Some(Failure::EncryptionLost));
}

/// RFC 3078 §7.3, RFC 1962 §4.1: what a stateful session loses stops it, until the peer begins anew
#[cfg(feature = "server")]
mod stateful {
    use std::time::Duration;

    use pptp_mppe::{Arrival, Order, StatefulReset};
    use pptp_packet::PacketBuf;

    use super::*;
    use crate::{Link, Received, ServerConfig, ServerEncryption, tests::wire::Wire};

    const PACKET: &[u8] = b"\x45\0\0\x14\0\0\0\0\x40\x01\x66\xE7\x0A\0\0\x01\x0A\0\0\x02";

    fn wire(reset: StatefulReset) -> Wire {
        let mut config = ClientConfig::new("testuser", Password::new("test123"));
        config.encryption.insecure_stateful = Some(reset);
        let server = ServerConfig {
            secrets: vec![("testuser".to_owned(), Password::new("test123"))],
            encryption: ServerEncryption::Mppe128Stateful(reset),
            ..ServerConfig::new([192, 168, 1, 1].into(), [192, 168, 1, 200].into())
        };
        let (client, server) = (Link::client(config, [1; 32]), Link::server(server, [2; 32]));
        let mut wire = Wire::new(client, server, Duration::from_millis(20));
        wire.connect().run_until_up(Duration::from_secs(5));
        assert!(wire.client.link.is_up(), "{}", wire.ladder);
        wire
    }

    /// The server's next packet
    fn sealed(wire: &mut Wire) -> Vec<u8> {
        let mut packet = PacketBuf::new();
        packet.reset(PACKET.len()).copy_from_slice(PACKET);
        assert!(wire.server.link.seal(&mut packet));
        packet.as_slice().to_vec()
    }

    fn opens(wire: &mut Wire, sequence: u32, mut frame: Vec<u8>) -> bool {
        let arrival = Arrival { sequence, order: Order::Ahead };
        let received = wire.client.link.handle_frame(wire.now, arrival, &mut frame);
        matches!(received, Received::Ip(packet) if *packet == *PACKET)
    }

    #[test]
    fn a_lost_frame_is_told_and_after_the_answer_frames_open_again() {
        for reset in [StatefulReset::Linux, StatefulReset::Rfc] {
            let mut wire = wire(reset);
            let [first, _lost, third] = std::array::from_fn(|_| sealed(&mut wire));
            assert!(opens(&mut wire, 1000, first));
            assert!(!opens(&mut wire, 1002, third));
            wire.turn();
            wire.run(Duration::from_millis(100));
            assert_eq!(wire.server.link.stats().reset_requests, 1, "{}", wire.ladder);
            for sequence in 1003..1010 {
                let frame = sealed(&mut wire);
                assert!(opens(&mut wire, sequence, frame), "{reset:?}");
            }
            let stats = wire.client.link.decryptor_stats().unwrap();
            assert_eq!((stats.opened, stats.reset_requests), (8, 1), "{reset:?}");
        }
    }
}
