//! Echo requests on their way (RFC 792)

use std::{task::Poll, time::Duration};

use pptp_packet::{Egress, Waiters};

use crate::{
    SocketError,
    engine::EchoRequest,
    ip::{Address, ECHO_HEADER, IPV4_HEADER, Version},
    shared::time::Time,
};

/// An echo request and its outcome
#[derive(Debug)]
pub(super) struct Echo {
    pub(super) to: Address,
    pub(super) ident: u16,
    /// Octets behind the ICMP header
    data_len: usize,
    pub(super) waiters: Waiters,
    pub(super) queued: bool,
    /// The times at which the requests were composed, whose sequence numbers begin at 1; the time in the queue
    /// does not count
    sent: Vec<Time>,
    outcome: Option<Result<Duration, SocketError>>,
}

impl Echo {
    /// A request in an IP packet of `packet_len` octets, which is between both headers and [`MAX_ECHO_LEN`]
    pub(super) fn new(to: Address, ident: u16, packet_len: usize) -> Self {
        let data_len = packet_len.saturating_sub(headers(to.version()));
        let waiters = Waiters::default();
        Self { to, ident, data_len, waiters, queued: false, sent: Vec::new(), outcome: None }
    }

    pub(super) fn is_of(&self, to: Address, ident: u16, sequence: u16) -> bool {
        (self.to, self.ident) == (to, ident) && self.sent_at(sequence).is_some()
    }

    pub(super) fn answer(&mut self, sequence: u16, now: Time) {
        let sent = self.sent_at(sequence).unwrap_or(now);
        let took = Duration::from_micros(now.saturating_sub(sent));
        self.outcome.get_or_insert(Ok(took));
    }

    fn sent_at(&self, sequence: u16) -> Option<Time> {
        self.sent.get(usize::from(sequence).checked_sub(1)?).copied()
    }

    pub(super) fn fail(&mut self, error: SocketError) {
        self.outcome.get_or_insert(Err(error));
    }

    pub(super) fn poll(&self) -> Poll<Result<Duration, SocketError>> {
        self.outcome.map_or(Poll::Pending, Poll::Ready)
    }

    pub(super) fn egress(&mut self, from: Address, now: Time, out: &mut impl Egress) {
        self.sent.push(now);
        let request = EchoRequest {
            source: from,
            destination: self.to,
            identifier: self.ident,
            sequence: u16::try_from(self.sent.len()).unwrap_or(u16::MAX),
            data: DATA.get(..self.data_len).unwrap_or(DATA),
        };
        request.compose(out);
    }
}

/// Octets of an IP packet with as much data as the ping program sends
pub(crate) fn default_echo_len(to: Address) -> usize {
    headers(to.version()).saturating_add(DEFAULT_DATA)
}

/// Octets of the IP header and the ICMP header
const fn headers(version: Version) -> usize {
    version.header_len().saturating_add(ECHO_HEADER)
}

/// Octets of the largest echo request in an IP packet: no tunnel's MTU is above
pub(super) const MAX_ECHO_LEN: usize = 1500;

/// Octets of data that the ping program sends
const DEFAULT_DATA: usize = 56;

/// As much as fits the largest packet behind the shorter header
const DATA: &[u8] = &[0x2A; MAX_ECHO_LEN - IPV4_HEADER - ECHO_HEADER];
