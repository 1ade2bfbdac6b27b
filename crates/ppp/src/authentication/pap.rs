//! PAP, the side that is authenticated (RFC 1334 §2)

use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{
    account::Account,
    phase::{Authenticated, Keys, Outcome, peer_text},
};
use crate::{
    context::{Context, PacketError, round_trips::Sent, stats::Discard},
    failure::Failure,
    wire::{
        authentication::{
            PapRequest,
            pap::{ACK, NAK, REQUEST},
            pap_message,
        },
        frame,
        packet::Packet,
        protocol::Protocol,
    },
};

/// Sends the password until it is acknowledged
#[derive(Debug)]
pub(crate) struct Pap {
    /// Identifiers of the requests sent since LCP opened: the first and the latest
    ids: (u8, u8),
    sent: Option<Sent>,
    tries: u8,
    is_over: bool,
    deadline: Option<Instant>,
}

impl Pap {
    /// Sends the first request
    pub(crate) fn start(now: Instant, account: &Account, context: &mut Context) -> Self {
        let mut pap =
            Self { ids: (1, 0), sent: None, tries: MAX_TRIES, is_over: false, deadline: None };
        pap.send(now, account, context);
        pap
    }

    /// Sends a request; each transmission has its own identifier (RFC 1334 §2.2.1)
    fn send(&mut self, now: Instant, account: &Account, context: &mut Context) {
        self.ids.1 = self.ids.1.wrapping_add(1);
        self.tries = self.tries.saturating_sub(1);
        self.deadline = now.checked_add(RESTART);
        self.sent = Some(context.round_trips.stamp(now));
        let password = account.password.octets(account.encoding);
        let mut data = Zeroizing::new(Vec::new());
        PapRequest { peer_id: account.user.as_bytes(), password: &password }.emit(&mut data);
        context.send(frame::PAP, &Packet { code: REQUEST, id: self.ids.1, data: &data });
    }

    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        context: &mut Context,
    ) -> Result<Outcome, PacketError> {
        let (first, last) = self.ids;
        if self.is_over || !(first..=last).contains(&packet.id) {
            return Err(PacketError::Discard(Discard::OutOfPhase));
        }
        let message = peer_text(pap_message(packet.data));
        match packet.code {
            ACK => {}
            NAK => return Err(Failure::AuthFailed { code: 0, retry: false, message }.into()),
            _ => return Err(PacketError::Discard(Discard::OutOfPhase)),
        }
        if let Some(sent) = self.sent.take() {
            context.round_trips.answered(now, sent);
        }
        self.is_over = true;
        self.deadline = None;
        Ok(Outcome::Authenticated(Authenticated { keys: Keys::None, peer_name: Box::default() }))
    }

    /// Sends the request again, because the Ack was lost: a server answers it with the same Ack
    /// (RFC 1334 §2.2.1)
    pub(crate) fn repeat(&mut self, now: Instant, account: &Account, context: &mut Context) {
        if !self.is_over && self.tries > 0 {
            self.send(now, account, context);
        }
    }

    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        account: &Account,
        context: &mut Context,
    ) -> Result<(), Failure> {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return Ok(());
        }
        if self.tries == 0 {
            return Err(Failure::NegotiationTimeout { protocol: Protocol::Pap });
        }
        self.send(now, account, context);
        Ok(())
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// Time before an unanswered request is sent again
const RESTART: Duration = Duration::from_secs(3);
/// Requests sent in all
const MAX_TRIES: u8 = 10;
