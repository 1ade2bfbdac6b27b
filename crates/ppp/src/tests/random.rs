//! Whatever comes in, in whatever phase: no panic, bounded memory, an end

use std::time::Duration;

use pptp_mppe::{Arrival, Order};
use proptest::{collection::vec, prelude::*};

use super::{
    authenticators::{agreed_with, config},
    script::{LCP_REQUEST, MPPE_128, PEER_ADDRESS, Script},
};
use crate::{
    ClientConfig, Questions,
    wire::{frame, packet::Packet},
};

/// Something a bad peer does
#[derive(Clone, Debug)]
enum Op {
    Octets(Vec<u8>),
    Packet { protocol: u16, code: u8, id: u8, data: Vec<u8> },
    Encrypted(Vec<u8>),
    Wait(u16),
    Rewind(u32),
    Close,
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    let option = (0..40_u8, vec(any::<u8>(), 0..8)).prop_map(|(kind, value)| {
        let length = u8::try_from(value.len() + 2).unwrap();
        [&[kind, length][..], &value].concat()
    });
    prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(option, 0..6).prop_map(|options| options.concat()),
        Just(LCP_REQUEST.to_vec()),
        Just(MPPE_128.to_vec()),
        Just(PEER_ADDRESS.to_vec()),
        authentication(),
    ]
}

/// The packets of authenticators and their clients
fn authentication() -> impl Strategy<Value = Vec<u8>> {
    let chap = (1..8_u8, 0..4_u8, prop::sample::select(&BODIES[..]), 0..3_u16);
    let inner = chap.prop_map(|(code, id, body, lie)| {
        let mut data = vec![26];
        Packet { code, id, data: body }.emit(&mut data);
        let length = u16::from_be_bytes([data[3], data[4]]).wrapping_add(lie).wrapping_sub(1);
        data[3..5].copy_from_slice(&length.to_be_bytes());
        data
    });
    let body = prop::sample::select(&BODIES[..]).prop_map(<[u8]>::to_vec);
    let change = (any::<u8>(), 500..1200_usize).prop_map(|(octet, length)| vec![octet; length]);
    prop_oneof![2 => body, 3 => inner, 1 => change]
}

const BODIES: [&[u8]; 8] = [
    &[16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, b's'],
    &[8, 1, 2, 3, 4, 5, 6, 7, 8],
    &[1],
    &[4, 1, 9],
    b"E=648 R=1 C=00112233445566778899AABBCCDDEEFF V=3 M=expired",
    b"E=691 R=1 V=3",
    b"S=407A5589115FD0D6209F510FE9C04566932CDA56",
    b"\x04User\x0AclientPass",
];

fn op() -> impl Strategy<Value = Op> {
    const PROTOCOLS: [u16; 8] = [
        frame::LCP,
        frame::LCP,
        frame::CHAP,
        frame::CCP,
        frame::IPCP,
        frame::PAP,
        frame::EAP,
        0x8057,
    ];
    let packet = (prop::sample::select(&PROTOCOLS[..]), 0..17_u8, 0..4_u8, data());
    prop_oneof![
        1 => vec(any::<u8>(), 0..60).prop_map(Op::Octets),
        8 => packet.prop_map(|(protocol, code, id, data)| Op::Packet { protocol, code, id, data }),
        1 => vec(any::<u8>(), 0..60).prop_map(Op::Encrypted),
        1 => (0..20_000_u16).prop_map(Op::Wait),
        1 => (0..100_u32).prop_map(Op::Rewind),
        1 => prop::bool::weighted(0.05)
            .prop_map(|close| if close { Op::Close } else { Op::Wait(3) }),
    ]
}

fn perform(script: &mut Script, op: Op) {
    match op {
        Op::Octets(mut octets) => drop(script.receive_frame(&mut octets)),
        Op::Packet { protocol, code, id, data } => {
            let mut packet = Vec::new();
            Packet { code, id, data: &data }.emit(&mut packet);
            let _ = script.receive_frame(&mut frame::control(protocol, &packet));
        }
        Op::Encrypted(octets) => {
            let mut octets = [&[0x00, 0xFD, 0x90][..], &octets].concat();
            let _ = script.receive_frame(&mut octets);
            let arrival = Arrival { sequence: script.sequence, order: Order::Behind };
            let _ = script.link.handle_frame(script.now, arrival, &mut octets);
        }
        Op::Wait(milliseconds) => script.wait(Duration::from_millis(milliseconds.into())),
        Op::Rewind(frames) => script.sequence = script.sequence.wrapping_sub(frames),
        Op::Close => script.link.close(script.now),
    }
}

fn survive(mut script: Script, ops: Vec<Op>) -> Result<(), TestCaseError> {
    for op in ops {
        perform(&mut script, op);
        let frames = std::iter::from_fn(|| script.link.poll_frame()).count();
        prop_assert!(frames <= 64);
        prop_assert!(!script.link.is_up() || script.link.poll_timeout().is_some());
    }
    let events = script.events();
    prop_assert!(events.len() <= 32);
    // Whatever state it was brought to, silence ends it.
    script.wait(Duration::from_mins(5));
    prop_assert_eq!(script.link.poll_timeout(), None);
    prop_assert_eq!(script.link.phase(), crate::Phase::Dead);
    Ok(())
}

const METHODS: [&[u8]; 5] =
    [&[0xC0, 0x23], &[0xC2, 0x23, 0x05], &[0xC2, 0x23, 0x80], &[0xC2, 0x23, 0x81], &[0xC2, 0x27]];

proptest! {
    #[test]
    fn before_lcp_is_open(ops in vec(op(), 0..60)) {
        survive(Script::new(), ops)?;
    }

    #[test]
    fn before_the_authentication(ops in vec(op(), 0..60)) {
        survive(Script::at_authentication(), ops)?;
    }

    #[test]
    fn before_the_authentication_by_any_method(
        method in 0..METHODS.len(), asks: bool, ops in vec(op(), 0..60),
    ) {
        let questions = Questions { new_password: asks, other_credentials: asks };
        survive(agreed_with(ClientConfig { questions, ..config() }, METHODS[method]), ops)?;
    }

    #[test]
    fn before_ccp_and_ipcp_are_open(ops in vec(op(), 0..60)) {
        survive(Script::at_network(), ops)?;
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_server(order in 0..3_usize, method in 0..5_usize, expired: bool, ops in vec(op(), 0..60)) {
        use crate::AuthenticationProtocol::{ChapMd5, Eap, MsChapV1, MsChapV2, Pap};
        use crate::{Link, ServerAuthentication, ServerConfig, ServerOrder};

        let orders = [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras];
        let config = ServerConfig {
            order: orders[order],
            authentication: ServerAuthentication {
                expired,
                retries: 2,
                ..ServerAuthentication::only([ChapMd5, Eap, MsChapV1, MsChapV2, Pap][method])
            },
            secrets: vec![("User".to_owned(), crate::Password::new("clientPass"))],
            ..ServerConfig::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into())
        };
        let mut script = Script::new();
        script.link = Link::server(config, [4; 32]);
        script.link.open(script.now);
        survive(script, ops)?;
    }

    #[test]
    fn while_up(ops in vec(op(), 0..60)) {
        survive(Script::up(), ops)?;
    }
}
