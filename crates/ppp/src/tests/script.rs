//! A client's link, and a peer that sends what a test tells it

use std::time::{Duration, Instant};

use pptp_mppe::{Arrival, Encryptor, KeyStrength, Order};
use pptp_mschap::{
    AuthenticatorResponse, HashName, Password, PasswordEncoding, Side, StartKeys, challenge_hash,
    master_key,
};

use super::epoch;
use crate::{
    ClientConfig, Discard, Event, Failure, Link, Received, frame,
    wire::packet::{ChapValue, Code, Packet},
};

pub(crate) const LCP_REQUEST: &[u8] = &[1, 4, 0x05, 0x78, 3, 5, 0xC2, 0x23, 0x81, 5, 6, 9, 9, 9, 9];
pub(crate) const MPPE_128: &[u8] = &[18, 6, 0x01, 0, 0, 0x40];
pub(crate) const PEER_ADDRESS: &[u8] = &[3, 6, 192, 168, 1, 1];
pub(crate) const ADDRESSES: &[u8] =
    &[3, 6, 192, 168, 1, 200, 129, 6, 192, 168, 1, 1, 131, 6, 9, 9, 9, 9];

/// A control frame that the client sent
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) protocol: u16,
    pub(crate) code: u8,
    pub(crate) id: u8,
    pub(crate) data: Vec<u8>,
}

/// The client and its peer
pub(crate) struct Script {
    pub(crate) link: Link,
    pub(crate) now: Instant,
    pub(crate) peer: Option<Encryptor>,
    pub(crate) sequence: u32,
    challenge: [u8; 16],
}

impl Script {
    /// A client that has just sent its first Configure-Request
    pub(crate) fn new() -> Self {
        let config = ClientConfig::new("User", Password::new("clientPass"));
        Self::with(config)
    }

    /// Over a carrier without forged frames: those are for the tests of the guard
    pub(crate) fn with(config: ClientConfig) -> Self {
        Self::guarded(ClientConfig { carrier_is_forgeable: false, ..config })
    }

    /// Over a carrier as `config` has it
    pub(crate) fn guarded(config: ClientConfig) -> Self {
        let (link, now) = (Link::client(config, [3; 32]), epoch());
        let mut script = Self { link, now, peer: None, sequence: 0, challenge: [0x5B; 16] };
        script.link.open(now);
        script
    }

    /// A client whose LCP is open
    pub(crate) fn at_authentication() -> Self {
        let mut script = Self::new();
        script.open_lcp();
        script
    }

    /// A client that has authenticated itself
    pub(crate) fn at_network() -> Self {
        let mut script = Self::at_authentication();
        script.authenticate();
        script
    }

    /// A client whose link is up
    pub(crate) fn up() -> Self {
        Self::new().brought_up()
    }

    pub(crate) fn up_with(config: ClientConfig) -> Self {
        Self::with(config).brought_up()
    }

    pub(crate) fn brought_up(mut self) -> Self {
        self.open_lcp();
        self.authenticate();
        self.open_network();
        assert!(self.link.is_up());
        self.sent();
        self
    }

    pub(crate) fn open_lcp(&mut self) {
        self.send(frame::LCP, Code::ConfigureRequest, 0, LCP_REQUEST);
        self.acknowledge(frame::LCP);
    }

    pub(crate) fn authenticate(&mut self) {
        self.challenge(1);
        let (success, keys) = self.success();
        self.receive(frame::CHAP, 3, 1, success.as_bytes());
        self.peer = Some(Encryptor::stateless(keys.send.as_bytes(), KeyStrength::Bits128));
    }

    pub(crate) fn open_network(&mut self) {
        self.send(frame::CCP, Code::ConfigureRequest, 1, MPPE_128);
        self.send(frame::IPCP, Code::ConfigureRequest, 1, PEER_ADDRESS);
        let sent = self.sent();
        self.acknowledge_in(&sent, frame::CCP);
        let id = last_request(&sent, frame::IPCP).id;
        self.send(frame::IPCP, Code::ConfigureNak, id, ADDRESSES);
        self.acknowledge(frame::IPCP);
    }

    /// Acknowledges the client's latest request
    pub(crate) fn acknowledge(&mut self, protocol: u16) {
        let sent = self.sent();
        self.acknowledge_in(&sent, protocol);
    }

    pub(crate) fn acknowledge_in(&mut self, sent: &[Sent], protocol: u16) {
        let request = last_request(sent, protocol);
        self.send(protocol, Code::ConfigureAck, request.id, &request.data);
    }

    /// Challenges the client
    pub(crate) fn challenge(&mut self, id: u8) {
        let mut data = Vec::new();
        ChapValue { value: &self.challenge, name: b"server" }.emit(&mut data);
        self.receive(frame::CHAP, 1, id, &data);
    }

    /// The right Success text for the client's latest Response, and the server's keys
    pub(crate) fn success(&mut self) -> (String, StartKeys) {
        let sent = self.sent();
        let response = sent.iter().rev().find(|it| it.protocol == frame::CHAP).unwrap();
        let chap = ChapValue::parse(&response.data).unwrap();
        let peer_challenge = chap.value[..16].try_into().unwrap();
        let proof = chap.value[24..48].try_into().unwrap();
        let hash = Password::new("clientPass").nt_hash(PasswordEncoding::Utf16);
        let challenge =
            challenge_hash(peer_challenge, &self.challenge, chap.name, HashName::StripDomain);
        let text = AuthenticatorResponse::new(&hash, proof, &challenge).to_string();
        (text, master_key(&hash, proof).start_keys(Side::Server))
    }

    pub(crate) fn new_challenge(&mut self) {
        self.challenge[0] ^= 1;
    }

    /// The peer sends a packet that the client must accept
    pub(crate) fn send(&mut self, protocol: u16, code: Code, id: u8, data: &[u8]) {
        self.receive(protocol, code.into(), id, data);
    }

    pub(crate) fn receive(&mut self, protocol: u16, code: u8, id: u8, data: &[u8]) {
        assert_eq!(self.try_receive(protocol, code, id, data), Ok(()));
    }

    /// The peer sends a packet
    pub(crate) fn try_receive(
        &mut self,
        protocol: u16,
        code: u8,
        id: u8,
        data: &[u8],
    ) -> Result<(), Discard> {
        let mut packet = Vec::new();
        Packet { code, id, data }.emit(&mut packet);
        self.receive_frame(&mut frame::control(protocol, &packet))
    }

    pub(crate) fn receive_frame(&mut self, frame: &mut [u8]) -> Result<(), Discard> {
        self.sequence = self.sequence.wrapping_add(1);
        let arrival = Arrival { sequence: self.sequence, order: Order::Ahead };
        match self.link.handle_frame(self.now, arrival, frame) {
            Received::Ip(_) | Received::Control => Ok(()),
            Received::Discarded(discard) => Err(discard),
            Received::Proof => unreachable!("no test answers a proof here"),
        }
    }

    /// The peer sends an encrypted IP packet
    pub(crate) fn receive_ip(&mut self) -> Result<(), Discard> {
        let mut inner = *b"\x00\x21\x45\0\0\x14\0\0\0\0\x40\x01\x66\xE7\x0A\0\0\x01\x0A\0\0\x02";
        let header = self.peer.as_mut().unwrap().seal(&mut inner);
        self.receive_frame(&mut [&[0x00, 0xFD][..], &header, &inner].concat())
    }

    /// Returns the frames that the client has sent since the last call
    pub(crate) fn sent(&mut self) -> Vec<Sent> {
        let frames = std::iter::from_fn(|| self.link.poll_frame());
        frames
            .map(|mut octets| {
                assert!(octets.starts_with(&[0xFF, 0x03]));
                let (protocol, information) = frame::parse(&mut octets).unwrap();
                let Packet { code, id, data } = Packet::parse(information).unwrap();
                Sent { protocol, code, id, data: data.to_vec() }
            })
            .collect()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.link.poll_event()).collect()
    }

    pub(crate) fn failure(&mut self) -> Option<Failure> {
        self.events().into_iter().find_map(|event| match event {
            Event::Down { failure, .. } => Some(failure),
            _ => None,
        })
    }

    /// Lets time pass, with every deadline in it
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.link.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.link.handle_timeout(self.now);
        }
        self.now = end;
    }
}

pub(crate) fn last_request(sent: &[Sent], protocol: u16) -> &Sent {
    let is_request = |it: &&Sent| it.protocol == protocol && it.code == 1;
    sent.iter().rev().find(is_request).expect("a Configure-Request")
}
