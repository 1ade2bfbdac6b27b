//! A client against peers that follow a script, some of them bad

mod addresses;
mod answers;
mod authentication_policy;
mod chap;
mod encryption_policy;
mod link_control;
mod timeouts;

use std::{net::Ipv4Addr, time::Duration};

use pptp_mppe::{Arrival, Order};
use pptp_mschap::Password;

use super::script::{ADDRESSES, LCP_REQUEST, MPPE_128, PEER_ADDRESS, Script, Sent, last_request};
use crate::{
    AuthenticationProtocol, ClientConfig, Discard, EncryptionDemand, Event, Failure, Link,
    MppeBits, Phase, Protocol, Received, Rule, Timer, frame, wire::packet::Code,
};

const SECOND: Duration = Duration::from_secs(1);

fn codes(sent: &[Sent]) -> Vec<(u16, u8)> {
    sent.iter().map(|it| (it.protocol, it.code)).collect()
}

/// An LCP request with this Authentication-Protocol
fn lcp_request(authentication: &[u8]) -> Vec<u8> {
    let length = u8::try_from(authentication.len() + 2).unwrap();
    [&[1, 4, 5, 0x78, 3, length], authentication].concat()
}

/// An idle link is small: beside this it holds a few short options and the last Response
#[test]
fn an_idle_link_is_small() {
    let size = size_of::<crate::machine::Machine<crate::client::Client>>();
    // 1536, and what the proof of the data path and its figures take
    assert!(size <= 1536 + 152, "{size} octets");
}
