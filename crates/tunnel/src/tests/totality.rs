//! Any inputs at any stage: never a panic, never without bound, and silence after the end

use std::{ops::Range, time::Duration};

use pptp_gre::Header;
use proptest::{collection::vec, prelude::*};

use super::pair::*;
use crate::GreError;

/// Events that one turn may leave, whatever came: a Down, and the renegotiations of a minute
const MAX_EVENTS: usize = 40;

#[derive(Clone, Debug)]
enum Input {
    Control(Vec<u8>),
    /// A control message of this type, filled with something
    Message(u8, Vec<u8>),
    Gre(Vec<u8>),
    /// A datagram of the call: its sequence number from the latest on, and its frame
    Frame(u32, Option<u32>, Vec<u8>),
    /// One that the peer sent some time, with octets changed
    Damaged(prop::sample::Index, Vec<(prop::sample::Index, u8)>),
    Unreachable,
    NotSent,
    Eof,
    Close,
    /// The peer closes
    PeerCloses,
    /// Turns without room for datagrams from here on, or with room again
    Room(bool),
    Turn,
    Wait(u32),
}

/// Generates a PPP control frame with a known protocol and code
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let protocol = prop_oneof![
        Just([0xC0, 0x21]),
        Just([0xC2, 0x23]),
        Just([0x80, 0xFD]),
        Just([0x80, 0x21]),
        Just([0x00, 0xFD]),
        Just([0x00, 0x21]),
        Just([0x80, 0x57]),
    ];
    (protocol, 0..14_u8, 0..4_u8, vec(any::<u8>(), 0..40)).prop_map(|(protocol, code, id, data)| {
        let length = u16::try_from(data.len() + 4).unwrap().to_be_bytes();
        [&[0xFF, 3][..], &protocol, &[code, id], &length, &data].concat()
    })
}

fn input() -> impl Strategy<Value = Input> {
    let octets = |range: Range<usize>| vec(any::<u8>(), range);
    prop_oneof![
        1 => octets(0..40).prop_map(Input::Control),
        4 => (1..17_u8, octets(0..60)).prop_map(|(kind, octets)| Input::Message(kind, octets)),
        1 => octets(0..60).prop_map(Input::Gre),
        6 => (0..100_u32, prop::option::of(0..20_u32), frame())
            .prop_map(|(ahead, ack, frame)| Input::Frame(ahead, ack, frame)),
        4 => (any::<prop::sample::Index>(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..3))
            .prop_map(|(which, changes)| Input::Damaged(which, changes)),
        1 => Just(Input::Unreachable),
        1 => Just(Input::NotSent),
        1 => Just(Input::Eof),
        1 => Just(Input::Close),
        1 => Just(Input::PeerCloses),
        1 => any::<bool>().prop_map(Input::Room),
        6 => Just(Input::Turn),
        4 => (0..40_000_u32).prop_map(Input::Wait),
    ]
}

fn give(pair: &mut Pair, input: Input) {
    let now = pair.now;
    let (client, server) = (&mut pair.client, &pair.server);
    let sealed = u32::try_from(server.tunnel.stats().gre.sealed).unwrap();
    match input {
        Input::Control(octets) => client.tunnel.handle_control(now, &octets),
        Input::Message(kind, octets) => client.tunnel.handle_control(now, &message(kind, &octets)),
        Input::Gre(mut octets) => _ = client.tunnel.handle_gre(now, &mut octets),
        Input::Frame(ahead, acknowledgment, frame) => {
            let sequence = Some(sealed.wrapping_add(ahead));
            let header = Header { call_id: CLIENT_CALL, sequence, acknowledgment };
            let length = u16::try_from(frame.len()).unwrap();
            let mut datagram = [header.emit(length).as_slice(), &frame].concat();
            let _ = client.tunnel.handle_gre(now, &mut datagram);
        }
        Input::Damaged(which, changes) if !server.datagrams.is_empty() => {
            let mut datagram = which.get(&server.datagrams).clone();
            for (at, octet) in changes {
                *at.get_mut(&mut datagram) = octet;
            }
            let _ = client.tunnel.handle_gre(now, &mut datagram);
        }
        Input::Damaged(..) => {}
        Input::Unreachable => client.tunnel.handle_gre_error(now, GreError::ProtocolUnreachable),
        Input::NotSent => client.tunnel.handle_gre_error(now, GreError::NotSent("no".into())),
        Input::Eof => client.tunnel.handle_control_eof(now),
        Input::Close => client.tunnel.close(now),
        Input::PeerCloses => pair.close_server(),
        Input::Room(has_room) => client.room = if has_room { usize::MAX } else { 0 },
        Input::Turn => pair.client_turn(),
        Input::Wait(millis) => pair.run(Duration::from_millis(millis.into())),
    }
}

/// No turn without room goes on for ever
fn have_room(pair: &mut Pair) {
    pair.client.room = usize::MAX;
    pair.client_turn();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_inputs_at_any_stage(
        order in 0..3_usize,
        before in 0..400_u64,
        inputs in vec(input(), 0..40),
    ) {
        let mut pair = Pair::of(ORDERS[order]);
        pair.run(ms(before));
        for input in inputs {
            if matches!(input, Input::Wait(_)) {
                have_room(&mut pair);
            }
            let told = pair.client.events.len();
            give(&mut pair, input);
            prop_assert!(pair.client.events.len() - told <= MAX_EVENTS || pair.client.down().is_none());
        }
        have_room(&mut pair);
        let _ = pair.client.down();
        pair.server.fall_silent();
        pair.close_client();
        pair.run(secs(8));
        prop_assert!(pair.client.tunnel.is_finished());
        prop_assert_eq!(pair.client.tunnel.poll_timeout(), None);
        prop_assert!(pair.client.down().is_some());
    }

    #[test]
    fn a_flood_between_two_turns_leaves_no_more_events_than_a_few(
        order in 0..3_usize,
        before in 80..400_u64,
        frames in vec((any::<prop::sample::Index>(), frame()), 0..300),
    ) {
        let mut pair = Pair::of(ORDERS[order]);
        pair.run(ms(before));
        have_room(&mut pair);
        let told = pair.client.events.len();
        for (n, (which, frame)) in frames.into_iter().enumerate() {
            let ahead = u32::try_from(n).unwrap();
            give(&mut pair, Input::Frame(ahead, None, frame));
            give(&mut pair, Input::Damaged(which, Vec::new()));
        }
        pair.client_turn();
        let events = pair.client.events.len() - told;
        prop_assert!(events <= MAX_EVENTS, "{events}");
    }
}
