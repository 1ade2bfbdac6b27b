//! The counters of a site over all its dials and tunnels

use std::net::SocketAddrV4;

use pptp::Tunnel;

use crate::status::{DialCounts, Traffic};

/// The counters of a site over all its dials and tunnels
#[derive(Debug, Default)]
pub(super) struct Counters {
    dials: DialCounts,
    /// A dial was begun, and its result is not known
    is_open: bool,
    /// The latest dial failed, or its tunnel was lost, and none has led up since
    has_failed: bool,
    reached: Option<SocketAddrV4>,
    /// The traffic of the tunnels that are gone
    past: Traffic,
    /// The present tunnel, until nothing is left of it on the wire: so no packet is missing from the sum
    tunnel: Option<Tunnel>,
}

impl Counters {
    pub(super) fn dial_began(&mut self) {
        self.dials.begun = self.dials.begun.saturating_add(1);
        self.is_open = true;
    }

    /// Notes that TCP is open to the server
    pub(super) const fn reached(&mut self, server: SocketAddrV4) {
        self.reached = Some(server);
    }

    /// Notes the dial's tunnel, also if the dial was given up meanwhile
    pub(super) fn tunnel(&mut self, tunnel: &Tunnel) {
        self.tunnel = Some(tunnel.clone());
    }

    pub(super) fn dial_led_up(&mut self) {
        self.has_failed = false;
        if std::mem::take(&mut self.is_open) {
            self.dials.up = self.dials.up.saturating_add(1);
        }
    }

    /// Notes that a dial failed, or that a tunnel was lost
    pub(super) const fn failed(&mut self) {
        self.has_failed = true;
    }

    /// Returns true if the latest dial failed, or its tunnel was lost, and none has led up since
    pub(super) const fn has_failed(&self) -> bool {
        self.has_failed
    }

    pub(super) fn dial_failed(&mut self, name: &'static str) {
        if std::mem::take(&mut self.is_open) {
            self.dials.count_failure(name);
        }
    }

    /// Notes that nothing of the dial or of the tunnel is left on the wire
    pub(super) fn left(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.dials.given_up = self.dials.given_up.saturating_add(1);
        }
        self.past = self.traffic();
        self.tunnel = None;
    }

    /// The traffic of the tunnels that are gone, and the present one
    pub(super) fn parts(&self) -> (Traffic, Option<Tunnel>) {
        (self.past, self.tunnel.clone())
    }

    pub(super) const fn dials(&self) -> &DialCounts {
        &self.dials
    }

    /// The server's outer address that was reached last
    pub(super) const fn reached_last(&self) -> Option<SocketAddrV4> {
        self.reached
    }

    /// The traffic of all tunnels, the present one included
    pub(super) fn traffic(&self) -> Traffic {
        match &self.tunnel {
            Some(tunnel) => self.past.plus(&Traffic::of(&tunnel.stats())),
            None => self.past,
        }
    }
}
