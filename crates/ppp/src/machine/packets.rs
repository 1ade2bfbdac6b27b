//! Inner packets: sealed or in the clear on the way out, opened on the way in

use std::time::Instant;

use pptp_mppe::is_plausible_ipv4;
use pptp_packet::PacketBuf;

use crate::{
    context::stats::Discard,
    encryption::cipher::Cipher,
    events::{Phase, Received},
    failure::Failure,
    machine::{Machine, role::Role},
    wire::{
        frame,
        packet::{Code, Packet},
    },
};

impl<R: Role> Machine<R> {
    /// Encrypts an inner packet, or leaves it in the clear if that was agreed; false while the link
    /// is not up
    pub(crate) fn seal(&mut self, packet: &mut PacketBuf) -> bool {
        let (true, Some(link)) = (self.is_up(), &self.link) else { return false };
        #[cfg(feature = "server")]
        let corrupt = |encrypted: &mut [u8]| self.role.corrupt(encrypted);
        #[cfg(not(feature = "server"))]
        let corrupt = |_: &mut [u8]| {};
        self.data_path.seal(packet, link.form, corrupt)
    }

    /// Takes an IP packet in the clear, only if both ends agreed on a link in the clear
    pub(super) fn take_clear<'p>(
        &mut self,
        now: Instant,
        protocol: u16,
        packet: &'p mut [u8],
    ) -> Result<Received<'p>, Discard> {
        if !(self.data_path.is_clear() && self.is_up() && self.wants(protocol)) {
            return Err(Discard::Plaintext);
        }
        if protocol == frame::IP && !is_plausible_ipv4(packet) {
            return Err(Discard::Implausible);
        }
        self.echo.heard(now);
        self.ipcp.note_peer_is_open();
        Ok(self.take_opened(now, packet))
    }

    pub(super) fn open_encrypted<'p>(
        &mut self,
        now: Instant,
        arrival: pptp_mppe::Arrival,
        information: &'p mut [u8],
    ) -> Result<Received<'p>, Discard> {
        let is_open = self.ccp.is_open();
        let wants_ipv6 = self.wants(frame::IPV6);
        let cipher = self.data_path.cipher_mut().filter(|_| is_open);
        let cipher = cipher.ok_or(Discard::OutOfPhase)?;
        let opened = match cipher.open(now, arrival, information) {
            Ok(opened) => opened,
            Err(discard) => {
                self.undecryptable(now, arrival.sequence, discard);
                return Err(Discard::Undecryptable(discard));
            }
        };
        self.ccp.note_peer_is_open();
        self.echo.heard(now);
        if opened.protocol != frame::IP && !(opened.protocol == frame::IPV6 && wants_ipv6) {
            return Err(Discard::InnerProtocol);
        }
        self.note_opened(now, arrival.sequence);
        if self.phase != Phase::Up {
            return Err(Discard::OutOfPhase);
        }
        self.ipcp.note_peer_is_open();
        Ok(self.take_opened(now, opened.payload))
    }

    fn undecryptable(&mut self, now: Instant, sequence: u32, discard: pptp_mppe::Discard) {
        let is_up = self.phase == Phase::Up;
        // a late packet or a copy need not open, and an attacker off the path does not hit a number
        // nearby
        let is_noise = discard == pptp_mppe::Discard::Implausible;
        if is_up && is_noise && self.sequence_window.contains(now, sequence) {
            self.path_monitor.unopened(now);
        }
        let cipher = self.data_path.cipher().filter(|_| is_up);
        if let Some(wrong) = cipher.and_then(Cipher::wrong_key) {
            self.give_up_decrypting(now, sequence, Failure::WrongKey(wrong));
        } else if discard.is_fatal() {
            self.give_up_decrypting(now, sequence, Failure::Undecryptable(discard));
        } else {
            self.ask_for_reset(now);
        }
    }

    /// Asks for a reset of a stateful session that lost a frame (RFC 1962 §4.1)
    pub(super) fn ask_for_reset(&mut self, now: Instant) {
        let is_due = |cipher: &mut Cipher| cipher.poll_reset_request(now);
        if self.data_path.cipher_mut().is_some_and(is_due) {
            self.id = self.id.wrapping_add(1);
            let code = Code::ResetRequest.into();
            self.context.send(frame::CCP, &Packet { code, id: self.id, data: &[] });
        }
    }
}
