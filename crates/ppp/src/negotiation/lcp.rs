//! LCP's options: MRU, Magic-Number, the compressions, and the authentication protocol (RFC 1661
//! §6)

pub(crate) mod common;

use pptp_packet::Counter;

use common::Common;

use crate::{
    config::{
        ClientConfig,
        policy::{AuthenticationPolicy, EncryptionDemand},
        quirks::Quirks,
    },
    context::random::Random,
    failure::Failure,
    negotiation::{
        negotiator::option_set::{Judgement, MAX_FAILURE, OptionSet},
        role_options::{LinkFacts, LinkOptions},
    },
    wire::{
        frame,
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::{AuthenticationProtocol, Protocol},
    },
};

/// The type of the option Authentication-Protocol (RFC 1661 §6.2)
pub(crate) const AUTHENTICATION_PROTOCOL: u8 = 3;

/// LCP of the side that has to authenticate itself
#[derive(Debug)]
pub(crate) struct Lcp {
    common: Common,
    policy: AuthenticationPolicy,
    /// True if MPPE has to have keys
    wants_keys: bool,
    /// The protocol that the peer asked for and that was acknowledged
    agreed: Option<AuthenticationProtocol>,
    /// The latest protocol that it asked for other than MS-CHAPv2
    offered: Option<AuthenticationProtocol>,
    /// The protocols that it asked for, and was asked for MS-CHAPv2 instead
    declined: Declined,
    /// Times that it was refused
    refusals: u8,
}

/// Protocols that a peer was asked to do without: a bit for each that could be allowed
#[derive(Clone, Copy, Debug, Default)]
struct Declined(u8);

impl Declined {
    const fn bit(protocol: AuthenticationProtocol) -> u8 {
        match protocol {
            AuthenticationProtocol::Pap => 1,
            AuthenticationProtocol::ChapMd5 => 2,
            AuthenticationProtocol::MsChapV1 => 4,
            AuthenticationProtocol::Eap => 8,
            _ => 0,
        }
    }

    const fn contain(self, protocol: AuthenticationProtocol) -> bool {
        self.0 & Self::bit(protocol) != 0
    }

    const fn insert(&mut self, protocol: AuthenticationProtocol) {
        self.0 |= Self::bit(protocol);
    }
}

impl Lcp {
    pub(crate) fn new(config: &ClientConfig) -> Self {
        Self {
            common: Common::new(config.mru).compressing(config.header_compression),
            policy: config.authentication,
            wants_keys: config.encryption.demand == EncryptionDemand::Require,
            agreed: None,
            offered: None,
            declined: Declined::default(),
            refusals: 0,
        }
    }

    /// Puts the peer's quirks into the policy
    pub(crate) fn apply(&mut self, quirks: Quirks) {
        self.policy.accept_first_offer =
            quirks.accept_first_offer.unwrap_or(self.policy.accept_first_offer);
    }

    fn refused(&self) -> Failure {
        match self.offered {
            Some(offered) if self.policy.allows(offered) && !self.has_keys(offered) => {
                Failure::AuthProtocolWithoutKeys { offered }
            }
            Some(offered) if self.policy.allows(offered) && self.declined.contain(offered) => {
                Failure::AuthProtocolWithdrawn { offered }
            }
            offered => Failure::AuthProtocolRefused { offered },
        }
    }

    const fn has_keys(&self, protocol: AuthenticationProtocol) -> bool {
        protocol.leaves_keys() || !self.wants_keys
    }

    /// Returns true if this protocol is agreed to now: MS-CHAPv2 at once, another allowed one once
    /// the server insists
    fn agrees_to(&self, protocol: AuthenticationProtocol) -> bool {
        let insists = self.policy.accept_first_offer || self.declined.contain(protocol);
        let may_be = self.policy.allows(protocol) && self.has_keys(protocol);
        protocol == AuthenticationProtocol::MsChapV2 || may_be && insists
    }

    /// Judges the authentication protocol: a Nak with MS-CHAPv2 as often as RFC 1661 allows, then a
    /// Reject, then the end
    fn judge_authentication(
        &mut self,
        option: &ConfigurationOption<'_>,
    ) -> Result<Judgement, Failure> {
        let protocol = AuthenticationProtocol::parse(option.value);
        if protocol.is_some_and(|protocol| {
            self.agrees_to(protocol) && option.value == protocol.option_value()
        }) {
            return Ok(Judgement::Ack);
        }
        self.offered = protocol;
        self.refusals.increment();
        match self.refusals {
            ..=MAX_FAILURE => {
                Ok(Judgement::Nak(AuthenticationProtocol::MsChapV2.option_value().into()))
            }
            refusals if refusals <= MAX_FAILURE.saturating_add(1) => Ok(Judgement::Reject),
            _ => Err(self.refused()),
        }
    }
}

impl OptionSet for Lcp {
    const PROTOCOL: Protocol = Protocol::Lcp;
    const NUMBER: u16 = frame::LCP;

    fn restart(&mut self, random: &mut Random) {
        self.common.restart(random);
        self.agreed = None;
        self.declined = Declined::default();
        self.refusals = 0;
    }

    fn request(&self) -> OptionsBuf {
        self.common.request()
    }

    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        random: &mut Random,
    ) -> Result<Judgement, Failure> {
        match option.kind {
            AUTHENTICATION_PROTOCOL => self.judge_authentication(option),
            _ => self.common.judge(option, random),
        }
    }

    /// Notes the protocol as declined now, not when judged: a Reject of another option may go first
    fn on_nak_sent(&mut self, naks: &Options<'_>) {
        if let (Some(_), Some(offered)) = (naks.find(AUTHENTICATION_PROTOCOL), self.offered) {
            self.declined.insert(offered);
        }
    }

    fn on_peer_insists(&self) -> Option<Failure> {
        LinkOptions::disagreement(self)
    }

    fn on_ack_sent(&mut self, request: &Options<'_>) {
        self.common.on_ack_sent(request);
        let option = request.find(AUTHENTICATION_PROTOCOL);
        self.agreed = option.and_then(|option| AuthenticationProtocol::parse(option.value));
    }

    fn on_nak(&mut self, options: &Options<'_>, random: &mut Random) -> Result<(), Failure> {
        self.common.on_nak(options, random)
    }

    fn on_reject(&mut self, options: &Options<'_>) -> Result<(), Failure> {
        self.common.on_reject(options);
        Ok(())
    }
}

impl LinkOptions for Lcp {
    /// Returns the outcome of LCP; a server that asks for no authentication proves nothing either
    fn facts(&self) -> Result<LinkFacts, Failure> {
        match self.agreed {
            Some(protocol) => Ok(self.common.facts(protocol)),
            None => Err(self.refused()),
        }
    }

    fn require_keys(&mut self) {
        self.wants_keys = true;
    }

    fn disagreement(&self) -> Option<Failure> {
        let is_at_odds = self.refusals > 0 && self.agreed.is_none();
        is_at_odds.then(|| self.refused())
    }
}

#[cfg(test)]
mod tests {
    use pptp_mschap::Password;

    use super::{common::MAGIC_NUMBER, *};

    fn lcp() -> (Lcp, Random) {
        let mut random = Random::new([1; 32]);
        let mut lcp = Lcp::new(&ClientConfig::new("user", Password::new("")));
        lcp.restart(&mut random);
        (lcp, random)
    }

    fn judge(kind: u8, value: &[u8]) -> Judgement {
        let (mut lcp, mut random) = lcp();
        lcp.judge(&ConfigurationOption { kind, value }, &mut random).unwrap()
    }

    #[test]
    fn the_option_table_every_option_of_a_real_server() {
        let nak_mru = || Judgement::Nak(vec![0x05, 0x78]);
        let nak_auth = || Judgement::Nak(vec![0xC2, 0x23, 0x81]);
        let table: [(u8, &[u8], Judgement); 22] = [
            (1, &[0x05, 0x78], Judgement::Ack),
            (1, &[0x00, 0x80], Judgement::Ack),
            (1, &[0x00, 0x7F], nak_mru()),
            (1, &[0x05], nak_mru()),
            (2, &[0; 4], Judgement::Ack),
            (2, &[0; 3], Judgement::Reject),
            (3, &[0xC2, 0x23, 0x81], Judgement::Ack),
            (3, &[0xC2, 0x23, 0x80], nak_auth()),
            (3, &[0xC2, 0x23, 0x05], nak_auth()),
            (3, &[0xC0, 0x23], nak_auth()),
            (3, &[0xC2, 0x27], nak_auth()),
            (3, &[], nak_auth()),
            (4, &[0xC0, 0x25, 0, 0, 0, 1], Judgement::Reject),
            (5, &[1, 2, 3, 4], Judgement::Ack),
            (7, &[], Judgement::Ack),
            (8, &[], Judgement::Ack),
            (9, &[1], Judgement::Reject),
            (13, &[6], Judgement::Reject),
            (17, &[0x06, 0x4E], Judgement::Reject),
            (18, &[], Judgement::Reject),
            (19, &[1; 18], Judgement::Reject),
            (23, &[0, 1], Judgement::Reject),
        ];
        for (kind, value, expected) in table {
            assert_eq!(judge(kind, value), expected, "option {kind} {value:02x?}");
        }
    }

    #[test]
    fn a_magic_number_of_zero_or_our_own_is_refused() {
        assert!(matches!(judge(5, &[0; 4]), Judgement::Nak(_)));
        let (mut lcp, mut random) = lcp();
        let own = lcp.common.magic().to_be_bytes();
        let option = ConfigurationOption { kind: MAGIC_NUMBER, value: &own };
        let Judgement::Nak(other) = lcp.judge(&option, &mut random).unwrap() else { panic!() };
        assert_ne!(other, own);
    }

    #[test]
    fn an_unwanted_protocol_gets_five_naks_then_a_reject_then_the_end() {
        let (mut lcp, mut random) = lcp();
        let pap = ConfigurationOption { kind: AUTHENTICATION_PROTOCOL, value: &[0xC0, 0x23] };
        for _ in 0..5 {
            assert!(matches!(lcp.judge(&pap, &mut random), Ok(Judgement::Nak(_))));
        }
        assert_eq!(lcp.judge(&pap, &mut random), Ok(Judgement::Reject));
        let offered = Some(AuthenticationProtocol::Pap);
        let refused = Err(Failure::AuthProtocolRefused { offered });
        assert_eq!(lcp.judge(&pap, &mut random), refused);
    }

    #[test]
    fn rejected_options_are_not_asked_for_again() {
        let (mut lcp, _) = lcp();
        assert_eq!(lcp.request().into_vec().len(), 10);
        lcp.on_reject(&Options::parse(&[1, 4, 5, 0x78, 5, 6, 0, 0, 0, 1]).unwrap()).unwrap();
        assert!(lcp.request().is_empty());
        let facts = lcp.common.facts(AuthenticationProtocol::MsChapV2);
        assert_eq!((facts.mru, facts.magic), (1500, None));
    }
}
