//! One client's control connection and tunnel, as the server has it

use std::{net::Ipv4Addr, time::Instant};

use pptp_control::{Decoder, Message};
use pptp_packet::PacketBuf;
use pptp_tunnel::{Event, NotNow, Phase, RasCode, Tunnel, TunnelError};

use crate::{
    Closes, Ended, Faults,
    connection::Writer,
    faults::without_echo_replies,
    lan::destination,
    outlet::Outlet,
    unreachable::{Allowance, host_unreachable, time_exceeded},
};

/// One client, from the moment its control connection was accepted
#[derive(Debug)]
pub(crate) struct Session {
    tunnel: Tunnel,
    client: Ipv4Addr,
    inner_address: Option<Ipv4Addr>,
    /// The way to write; `None` once the client has let too many octets pile up
    writer: Option<Writer>,
    /// Octets of the largest IP packet that fits, once the tunnel is up
    mtu: usize,
    up: bool,
    down: Option<TunnelError>,
    deadline: Option<Instant>,
    /// Something happened since the outputs were taken
    touched: bool,
    heard: Heard,
    closes: Option<Closes>,
    unreachable: Allowance,
    faults: Faults,
}

/// Messages of a client on the control connection, for the statistics
#[derive(Debug, Default)]
struct Heard {
    decoder: Decoder,
    call_cleared: bool,
    stopped: bool,
    start_requested: bool,
    call_requested: bool,
}

impl Session {
    pub(crate) fn new(
        tunnel: Tunnel,
        client: Ipv4Addr,
        inner_address: Option<Ipv4Addr>,
        writer: Writer,
    ) -> Self {
        Self {
            tunnel,
            client,
            inner_address,
            writer: Some(writer),
            mtu: 0,
            up: false,
            down: None,
            deadline: None,
            touched: true,
            heard: Heard::default(),
            closes: None,
            unreachable: Allowance::default(),
            faults: Faults::default(),
        }
    }

    /// Switches failures on and off
    pub(crate) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
        self.tunnel.set_faults(faults.link());
    }

    /// Closes the control connection at this moment
    pub(crate) const fn closing(mut self, closes: Option<Closes>) -> Self {
        self.closes = closes;
        self
    }

    pub(crate) fn handle_control(&mut self, now: Instant, octets: &[u8]) {
        self.touched = true;
        self.heard.listen(octets);
        let is_over = match self.closes {
            Some(Closes::AtStartRequest) => self.heard.start_requested,
            Some(Closes::AtCallRequest) => self.heard.call_requested,
            _ => false,
        };
        if is_over { self.close_connection(now) } else { self.tunnel.handle_control(now, octets) }
    }

    fn close_connection(&mut self, now: Instant) {
        self.writer = None;
        self.tunnel.handle_control_eof(now);
    }

    pub(crate) fn handle_control_eof(&mut self, now: Instant) {
        self.touched = true;
        self.tunnel.handle_control_eof(now);
    }

    /// Takes one GRE datagram; gives the IP packet that was in it
    pub(crate) fn handle_gre<'p>(
        &mut self,
        now: Instant,
        datagram: &'p mut [u8],
    ) -> Option<&'p mut [u8]> {
        self.touched = true;
        self.tunnel.handle_gre(now, datagram)
    }

    /// The next IP packet that had to wait for one before it
    pub(crate) fn poll_ip(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.tunnel.poll_ip(now)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.touched = true;
            self.tunnel.handle_timeout(now);
        }
    }

    /// Hangs up
    pub(crate) fn close(&mut self, now: Instant) {
        self.touched = true;
        self.tunnel.close(now);
    }

    /// Negotiates PPP anew
    pub(crate) fn renegotiate(&mut self, now: Instant) {
        self.touched = true;
        self.tunnel.renegotiate(now);
    }

    /// Ends the link with an error code of Windows
    pub(crate) fn terminate(&mut self, code: RasCode) {
        self.touched = true;
        self.tunnel.terminate(code);
    }

    /// Challenges the client once more
    pub(crate) fn challenge(&mut self, now: Instant) {
        self.touched = true;
        self.tunnel.challenge(now);
    }

    /// Takes the tunnel's events, and reports if the statistics change
    pub(crate) fn take_events(&mut self) -> Noticed {
        let mut noticed = Noticed::default();
        while let Some(event) = self.tunnel.poll_event() {
            match event {
                Event::Up(facts) => {
                    noticed.came_up |= self.mtu == 0;
                    self.mtu = usize::from(facts.mtu);
                    self.up = true;
                }
                Event::Renegotiating => self.up = false,
                Event::Down(reason) => {
                    tracing::debug!(client = %self.client, %reason, "down");
                    self.up = false;
                    self.down.get_or_insert(reason);
                }
                _ => {}
            }
            noticed.anything = true;
        }
        noticed
    }

    /// Puts an IP packet of the building into the tunnel, or gives the slot back
    pub(crate) fn deliver(
        &mut self,
        now: Instant,
        mut packet: PacketBuf,
        outlet: &mut Outlet,
    ) -> bool {
        let fits = packet.len() <= self.mtu;
        // the client's window is advisory, and servers are known to ignore it
        if self.faults.is_silent() {
            outlet.put_back(packet);
            return true;
        }
        if !fits || self.tunnel.may_send(now) == Err(NotNow::NotUp) {
            outlet.put_back(packet);
            return false;
        }
        self.touched = true;
        self.tunnel.seal(now, &mut packet);
        outlet.push(packet, self.client);
        true
    }

    /// Sends PPP's control frames, after which packets may pass
    pub(crate) fn take_frames(&mut self, now: Instant, outlet: &mut Outlet) {
        if self.closes == Some(Closes::BehindCallReply) {
            return;
        }
        self.tunnel.poll_frames(now, &mut outlet.towards(self.client));
    }

    /// An ICMP message that the destination of the client's packet has no host, unless too many
    /// were sent
    pub(crate) fn unreachable(&mut self, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
        let answer = host_unreachable(packet)?;
        let is_for_client = destination(&answer) == self.inner_address;
        (is_for_client && self.unreachable.take(now)).then_some(answer)
    }

    /// An ICMP message that the client's packet has exceeded its time to live (RFC 792), unless too
    /// many were sent
    pub(crate) fn expired(&mut self, now: Instant, packet: &[u8]) -> Option<Vec<u8>> {
        let answer = time_exceeded(packet)?;
        let is_for_client = destination(&answer) == self.inner_address;
        (is_for_client && self.unreachable.take(now)).then_some(answer)
    }

    /// The session's own output, and its next deadline; false if there was not room for all of it
    pub(crate) fn take_outputs(&mut self, now: Instant, outlet: &mut Outlet) -> bool {
        if self.closes != Some(Closes::BehindCallReply) {
            self.tunnel.poll_gre(now, &mut outlet.towards(self.client));
        }
        let mut octets = Vec::new();
        let says = self.tunnel.poll_control(now, &mut octets);
        if self.faults.ignores_control_echoes {
            octets = without_echo_replies(&octets);
        }
        if says && self.writer.as_ref().is_some_and(|writer| !writer.write(octets)) {
            // closed, or the tunnel's last moments would be spent reading on
            self.close_connection(now);
            self.take_events();
        }
        if self.closes == Some(Closes::BehindCallReply) && self.heard.call_requested {
            self.close_connection(now);
            self.take_events();
        }
        self.deadline = self.tunnel.poll_timeout().map(|(at, _)| at);
        self.touched = !outlet.has_room();
        !self.touched
    }

    pub(crate) const fn is_touched(&self) -> bool {
        self.touched
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.up
    }

    pub(crate) const fn inner_address(&self) -> Option<Ipv4Addr> {
        self.inner_address
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Octets of the largest IP packet that fits
    pub(crate) const fn mtu(&self) -> usize {
        self.mtu
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.tunnel.is_finished()
    }

    /// The end of the session, if it has ended
    pub(crate) fn ended(&self) -> Option<Ended> {
        Some(Ended {
            client: self.client,
            inner_address: self.inner_address,
            was_up: self.mtu > 0,
            lcp_opened: self.tunnel.timeline().reached(Phase::Authentication).is_some(),
            call_cleared: self.heard.call_cleared,
            stopped: self.heard.stopped,
            reason: self.down.clone()?,
        })
    }
}

/// The result of [`Session::take_events`]
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Noticed {
    pub(crate) anything: bool,
    /// IP packets pass for the first time
    pub(crate) came_up: bool,
}

impl Heard {
    /// Notes the messages in these octets; errors are left to the tunnel
    fn listen(&mut self, mut octets: &[u8]) {
        while let Ok(Some(message)) = self.decoder.decode(&mut octets) {
            match message {
                Message::StartControlConnectionRequest(_) => self.start_requested = true,
                Message::OutgoingCallRequest(_) => self.call_requested = true,
                Message::CallClearRequest(_) => self.call_cleared = true,
                Message::StopControlConnectionRequest(_)
                | Message::StopControlConnectionReply(_) => self.stopped = true,
                _ => {}
            }
        }
    }
}
