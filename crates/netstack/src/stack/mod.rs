//! The stack proper (interface first, bodies to come)
#![allow(missing_docs, unused_variables, clippy::todo, clippy::missing_const_for_fn, clippy::needless_pass_by_value, clippy::unused_self, clippy::needless_pass_by_ref_mut)]

use std::{error::Error, io, net::Ipv4Addr, sync::Arc, task::Waker, time::Instant};

use pptp_packet::Egress;

use crate::StackConfig;

#[derive(Debug)]
pub struct Stack {}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {}

impl Stack {
    pub fn new(config: StackConfig, now: Instant) -> Self {
        todo!()
    }
    pub fn reconfigure(&mut self, now: Instant, address: Ipv4Addr, mtu: usize, dns: Vec<Ipv4Addr>) {
        todo!()
    }
    pub fn ingress(&mut self, now: Instant, packet: &[u8], out: &mut impl Egress) {
        todo!()
    }
    /// True if something is left that found no room
    pub fn egress(&mut self, now: Instant, out: &mut impl Egress) -> bool {
        todo!()
    }
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        todo!()
    }
    pub fn shut_down(&mut self, reason: Arc<dyn Error + Send + Sync>, kind: io::ErrorKind) {
        todo!()
    }
    pub fn take_ready(&mut self) -> bool {
        todo!()
    }
    pub fn drain_wakers(&mut self, into: &mut Vec<Waker>) {
        todo!()
    }
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
