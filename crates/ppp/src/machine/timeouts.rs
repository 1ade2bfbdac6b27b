//! The deadlines of a link, and what is due at them

use std::time::Instant;

use crate::{
    authentication::Authentication,
    encryption::cipher::Cipher,
    events::{Event, Phase, Timer},
    failure::Failure,
    liveness::echo::EchoAction,
    machine::{Machine, role::Role},
    negotiation::negotiator::Layer,
    wire::protocol::Protocol,
};

impl<R: Role> Machine<R> {
    /// Performs all that is due at `now`
    ///
    /// From the lowest layer up: LCP and the login may end the link, which makes the rest needless, and
    /// CCP goes before IPCP, since an IPCP that gives up would hide the failure of CCP.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.phase != Phase::Dead {
            self.handle_negotiation_timeout(now);
        }
        // a link that has just ended asks no more questions
        if self.phase != Phase::Dead {
            self.handle_liveness_timeout(now);
        }
    }

    /// Repeats requests, and gives up the protocols that had no answer
    fn handle_negotiation_timeout(&mut self, now: Instant) {
        if self.lcp.handle_timeout(now, &mut self.context) == Some(Layer::Finished) {
            return self.give_up_lcp(now);
        }
        if let Err(failure) = self.authentication.handle_timeout(now, &mut self.context) {
            return self.fail(now, failure);
        }
        #[cfg(feature = "server")]
        if let (Some(keys), Phase::Authentication) = (self.role.due(now), self.phase) {
            self.begin_network(now, keys);
        }
        if self.ccp.handle_timeout(now, &mut self.context) == Some(Layer::Finished) {
            self.ccp_timed_out(now);
        }
        if self.ipcp.handle_timeout(now, &mut self.context) == Some(Layer::Finished) {
            return self.fail(now, Failure::NegotiationTimeout { protocol: Protocol::Ipcp });
        }
        if let Some(ipv6cp) = &mut self.ipv6cp {
            let layer = ipv6cp.handle_timeout(now, &mut self.context);
            self.ipv6_changed(layer);
        }
    }

    /// Probes an open link: resets, Echo-Requests, proofs, confirmations
    fn handle_liveness_timeout(&mut self, now: Instant) {
        self.check_encryption_deadlines(now);
        match self.echo.handle_timeout(now) {
            Some(EchoAction::Ask) => {
                self.send_echo_request(now);
                if self.echo.is_last_question() && !self.echo.has_answered() {
                    self.push(Event::AskCarrier);
                }
            }
            Some(EchoAction::Dead(unanswered)) => self.on_peer_silent(now, unanswered),
            None => {}
        }
        self.check_path(now);
        self.check_confirmation(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        let lcp = match self.phase {
            Phase::Dead => return None,
            Phase::Terminating => Timer::Terminate,
            _ => Timer::Restart(Protocol::Lcp),
        };
        let cipher = self.data_path.cipher();
        let ipv6cp = self.ipv6cp.as_ref().and_then(|ipv6cp| ipv6cp.deadline());
        let confirmation = self.confirmation.as_ref().and_then(|it| it.deadline());
        let deadlines = [
            (self.lcp.deadline(), lcp),
            (self.authentication.deadline(), Timer::Authentication),
            (self.ccp.deadline(), Timer::Restart(Protocol::Ccp)),
            (self.ipcp.deadline(), Timer::Restart(Protocol::Ipcp)),
            (ipv6cp, Timer::Restart(Protocol::Ipv6cp)),
            (self.echo.deadline(), Timer::Echo),
            (self.path_monitor.deadline(), Timer::Proof),
            (cipher.and_then(Cipher::kept_keys), Timer::KeptKeys),
            (cipher.and_then(Cipher::reset_request), Timer::ResetRequest),
            (self.data_path.clear_at(), Timer::Encryption),
            #[cfg(feature = "server")]
            (self.role.deadline(), Timer::Authentication),
            (confirmation, Timer::Confirmation),
        ];
        let deadlines = deadlines.into_iter().filter_map(|(at, timer)| Some((at?, timer)));
        deadlines.min_by_key(|(at, _)| *at)
    }
}
