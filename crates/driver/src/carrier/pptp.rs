//! PPTP as a carrier: GRE datagrams beside a control connection over TCP

use std::time::Instant;

use pptp_packet::{Egress, PacketBuf};
use pptp_tunnel::{Event, NotNow, Tunnel};

use super::Carrier;

impl Carrier for Tunnel {
    type Event = Event;

    fn handle_datagram<'p>(
        &mut self,
        now: Instant,
        datagram: &'p mut [u8],
    ) -> Option<&'p mut [u8]> {
        self.handle_gre(now, datagram)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_ip(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.poll_ip(now)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.poll_event()
    }

    fn poll_frames(&mut self, now: Instant, out: &mut impl Egress) {
        self.poll_frames(now, out);
    }

    fn may_send(&self, now: Instant) -> Result<(), NotNow> {
        self.may_send(now)
    }

    fn seal(&mut self, now: Instant, packet: &mut PacketBuf) {
        self.seal(now, packet);
    }

    fn poll_datagrams(&mut self, now: Instant, out: &mut impl Egress) {
        self.poll_gre(now, out);
    }

    fn poll_control(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        self.poll_control(now, out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout().map(|(at, _reason)| at)
    }

    fn is_finished(&self) -> bool {
        self.is_finished()
    }

    fn useful_datagrams(&self) -> u64 {
        self.useful_datagrams()
    }
}
