//! The phases of a link: their order, their start and their end

use std::time::Instant;

use pptp_packet::Counter;

use super::{
    Machine,
    mtu::mtu,
    role::{IpcpStart, Role},
};
#[cfg(feature = "server")]
use crate::wire::frame;
#[cfg(feature = "server")]
use crate::wire::packet::Packet;
use crate::{
    authentication::{Authenticated, Authentication, Keys, Outcome},
    context::rate::Rate,
    encryption::cipher::Cipher,
    events::{Event, Negotiated, Phase},
    failure::{Failure, Rule},
    guard::pinned::PinnedAddresses,
    negotiation::{
        negotiator::Layer,
        role_options::{AddressOptions, LinkFacts, LinkOptions},
    },
    wire::protocol::Protocol,
};

impl<R: Role> Machine<R> {
    /// Acts on a change of LCP's layer
    pub(super) fn lcp_changed(&mut self, now: Instant, layer: Option<Layer>) {
        match layer {
            Some(Layer::Up) => match self.lcp.options.facts() {
                Ok(facts) => self.authenticate(now, facts),
                Err(failure) => self.fail(now, failure),
            },
            Some(Layer::Down) if self.phase != Phase::Terminating => self.start_over(now),
            Some(Layer::Finished) => self.give_up_lcp(now),
            _ => {}
        }
    }

    fn authenticate(&mut self, now: Instant, facts: LinkFacts) {
        self.link = Some(facts);
        self.echo.start(now);
        self.enter(Phase::Authentication);
        self.authentication.start(now, facts.authentication, &mut self.context);
    }

    /// Starts everything above LCP again, keys included, since LCP is negotiated anew
    pub(super) fn start_over(&mut self, now: Instant) {
        self.lower_network_layer(now);
        if self.renegotiates(now) {
            self.enter(Phase::LinkControl);
        }
    }

    /// Takes down everything above LCP
    pub(super) fn lower_network_layer(&mut self, now: Instant) {
        self.ccp.down(now, &mut self.context);
        self.ipcp.down(now, &mut self.context);
        self.end_ipv6(now);
        if self.role.ipcp_start() != IpcpStart::AtOnce {
            self.ipcp.close(now, &mut self.context);
        }
        self.authentication.stop();
        self.early.clear();
        self.echo.stop();
        self.link = None;
        self.forget_encryption();
    }

    fn forget_encryption(&mut self) {
        self.stop_proof();
        self.data_path.reset();
    }

    pub(super) fn give_up_lcp(&mut self, now: Instant) {
        if self.phase == Phase::Terminating {
            return self.end(Event::Closed);
        }
        let timeout = Failure::NegotiationTimeout { protocol: Protocol::Lcp };
        let failure = self.lcp.options.disagreement().unwrap_or(timeout);
        self.fail(now, failure);
    }

    /// Acts on the outcome of an authentication packet
    pub(super) fn conclude(&mut self, now: Instant, outcome: Outcome) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Authenticated(authenticated) => self.authenticated(now, authenticated),
            Outcome::AuthenticatedAgain(keys) => self.data_path.renew_keys(keys),
            Outcome::PasswordChanged(authenticated) => {
                self.push(Event::PasswordChanged);
                if let Some(authenticated) = authenticated {
                    self.authenticated(now, authenticated);
                }
            }
            Outcome::Ask(question) => self.push(Event::Ask(question)),
        }
    }

    /// Goes on after both ends have proven who they are
    fn authenticated(&mut self, now: Instant, authenticated: Authenticated) {
        self.peer_name = authenticated.peer_name;
        self.is_new_login = true;
        #[cfg(feature = "server")]
        let Some(keys) = self.role.postpone(now, authenticated.keys, &mut self.context.random)
        else {
            return;
        };
        #[cfg(not(feature = "server"))]
        let keys = authenticated.keys;
        self.begin_network(now, keys);
    }

    /// Begins CCP and the network protocols
    pub(super) fn begin_network(&mut self, now: Instant, keys: Keys) {
        self.enter(Phase::Network);
        #[cfg(feature = "server")]
        for (protocol, data) in self.role.terminate_requests() {
            self.send_terminate_request(protocol, &data);
        }
        self.start_encryption(now, keys);
        match self.role.ipcp_start() {
            IpcpStart::AtOnce => {
                self.ipcp.open(now, &mut self.context);
                self.ipcp.up(now, &mut self.context);
                self.begin_ipv6(now);
            }
            #[cfg(feature = "server")]
            IpcpStart::ClosedAtFirst => {
                self.ipcp.up(now, &mut self.context);
            }
            #[cfg(feature = "server")]
            IpcpStart::DeafAtFirst => {}
        }
        if self.data_path.is_clear() {
            self.on_data_path_decided(now);
        }
    }

    /// Acts on a change of IPCP's layer
    pub(super) fn ipcp_changed(&mut self, now: Instant, layer: Option<Layer>) {
        match layer {
            Some(Layer::Up) => self.come_up(now),
            Some(Layer::Down) => self.go_down(now),
            Some(Layer::Finished) => self.fail(now, Failure::NoAddress),
            None => {}
        }
    }

    /// Brings the link up, if IPCP is open and the data path is
    pub(super) fn come_up(&mut self, now: Instant) {
        let is_settled = self.data_path.is_open(self.ccp.is_open());
        if let (Phase::Network, true, true, Some(link)) =
            (self.phase, is_settled, self.ipcp.is_open(), self.link)
        {
            if let Err(failure) = self.pin_addresses() {
                return self.fail(now, failure);
            }
            let negotiated = self.negotiated(&link);
            self.enter(Phase::Up);
            self.push(Event::Up(negotiated));
            if let Some(cipher) = self.data_path.cipher_mut() {
                cipher.begin();
            }
            self.begin_proof(now);
            #[cfg(feature = "server")]
            for (code, data) in self.role.remarks() {
                self.id = self.id.wrapping_add(1);
                let packet = Packet { code: code.into(), id: self.id, data: &data };
                self.context.send(frame::LCP, &packet);
            }
        }
    }

    /// Keeps the addresses of the first time up, and refuses others later
    fn pin_addresses(&mut self) -> Result<(), Failure> {
        let facts = self.ipcp.options.facts();
        let is_new_login = std::mem::take(&mut self.is_new_login);
        if let Some(pinned) = self.pinned.as_ref().filter(|_| self.role.pins_addresses()) {
            pinned.check(&facts)?;
        }
        let now = PinnedAddresses::new(&facts);
        match &mut self.pinned {
            Some(pinned) if is_new_login => pinned.request = now.request,
            Some(_) => {}
            pinned @ None => *pinned = Some(Box::new(now)),
        }
        Ok(())
    }

    /// Tells the facts of a link that is up, since they have changed
    pub(super) fn tell_up(&mut self) {
        if let Some(link) = self.link {
            let negotiated = self.negotiated(&link);
            self.push(Event::Up(negotiated));
        }
    }

    fn negotiated(&self, link: &LinkFacts) -> Negotiated {
        let addresses = self.ipcp.options.facts();
        let encryption = self.data_path.cipher().map(Cipher::encryption);
        Negotiated {
            mru: link.mru,
            peer_mru: link.peer_mru,
            magic: link.magic,
            peer_magic: link.peer_magic,
            pfc: link.form.pfc,
            acfc: link.form.acfc,
            authentication: link.authentication,
            peer_name: self.peer_name.clone(),
            encryption,
            inner_address: addresses.inner_address,
            peer_address: addresses.peer_address,
            dns: addresses.dns,
            request: self.pinned.as_ref().map_or(addresses.request, |pinned| pinned.request),
            ipv6: self.ipv6_addresses(),
            mtu: mtu(link, self.carrier_limit, encryption.is_some()),
        }
    }

    pub(super) fn go_down(&mut self, now: Instant) {
        self.stop_proof();
        if self.phase == Phase::Up && self.renegotiates(now) {
            self.enter(Phase::Network);
        }
    }

    /// Returns true if the link may be negotiated anew once more
    fn renegotiates(&mut self, now: Instant) -> bool {
        if self.phase == Phase::Up {
            let stats = &mut self.context.stats;
            stats.renegotiations.increment();
            self.push(Event::Renegotiating);
        }
        let rate =
            self.renegotiations.get_or_insert_with(|| Box::new(Rate::new(RENEGOTIATION_RATE)));
        let may = rate.take(now);
        if !may {
            self.fail(now, Failure::PeerMisbehaved(Rule::EndlessRenegotiation));
        }
        may
    }

    /// Ends the link for a reason of ours: the peer is told once, and not waited for
    pub(crate) fn fail(&mut self, now: Instant, failure: Failure) {
        if self.phase == Phase::Dead {
            return;
        }
        self.lcp.close(now, &mut self.context);
        self.end_with(failure);
    }

    /// Ends the link because the peer did
    pub(super) fn end_with(&mut self, failure: Failure) {
        let phase = self.phase;
        self.end(Event::Down { phase, failure });
    }

    fn end(&mut self, event: Event) {
        if self.phase == Phase::Dead {
            return;
        }
        self.phase = Phase::Dead;
        self.confirmation = None;
        self.forget_encryption();
        self.authentication.stop();
        self.push_even_if_dead(event);
    }
}

/// Negotiations begun anew in a minute
const RENEGOTIATION_RATE: (u8, u8) = (8, 60);
