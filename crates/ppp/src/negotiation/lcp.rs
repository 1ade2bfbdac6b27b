//! LCP's options: MRU, Magic-Number, the compressions, and who authenticates how (RFC 1661 §6)

use pptp_packet::Counter;

use crate::config::ClientConfig;
use crate::config::policy::{AuthenticationPolicy, EncryptionDemand};
use crate::context::random::Random;
use crate::failure::Failure;
use crate::negotiation::negotiator::option_set::{Judgement, MAX_FAILURE, OptionSet};
use crate::negotiation::role_options::{LinkFacts, LinkOptions};
use crate::wire::frame;
use crate::wire::packet::{ConfigurationOption, Options, OptionsBuf};
use crate::wire::protocol::{AuthenticationProtocol, Protocol};

pub(crate) const MRU: u8 = 1;
const ACCM: u8 = 2;
pub(crate) const AUTHENTICATION_PROTOCOL: u8 = 3;
pub(crate) const MAGIC_NUMBER: u8 = 5;
const PFC: u8 = 7;
const ACFC: u8 = 8;

/// The MRU of a peer that names none (RFC 1661 §6.1)
pub(crate) const DEFAULT_MRU: u16 = 1500;
/// No real link has a smaller one; pppd's limit too
const MIN_MRU: u16 = 128;

/// LCP options that neither role treats differently
#[derive(Debug)]
pub(crate) struct Common {
    wanted_mru: u16,
    preferred_mru: u16,
    wants_mru: bool,
    wants_magic: bool,
    /// The compression of headers that we want, and the part that the peer has not rejected
    preferred_form: frame::Form,
    wanted_form: frame::Form,
    magic: u32,
    peer_mru: u16,
    peer_magic: Option<u32>,
    form: frame::Form,
    /// The Magic-Number we last proposed to the peer in a Configure-Nak
    proposed: Option<u32>,
    /// Times in a row that our own Magic-Number came back
    echoes: u8,
}

impl Common {
    pub(crate) const fn new(mru: u16) -> Self {
        Self {
            wanted_mru: mru,
            preferred_mru: mru,
            wants_mru: true,
            wants_magic: true,
            preferred_form: frame::Form { acfc: false, pfc: false },
            wanted_form: frame::Form { acfc: false, pfc: false },
            magic: 0,
            peer_mru: DEFAULT_MRU,
            peer_magic: None,
            form: frame::Form { acfc: false, pfc: false },
            proposed: None,
            echoes: 0,
        }
    }

    /// Asks the peer to compress its headers, or does not
    pub(crate) const fn compressing(self, wanted: bool) -> Self {
        let form = frame::Form { acfc: wanted, pfc: wanted };
        Self { preferred_form: form, ..self }
    }

    /// Does without a Magic-Number
    #[cfg(feature = "server")]
    pub(crate) const fn forgo_magic(&mut self) {
        self.wants_magic = false;
    }

    pub(crate) fn facts(&self, authentication: AuthenticationProtocol) -> LinkFacts {
        LinkFacts {
            authentication,
            mru: if self.wants_mru { self.wanted_mru } else { DEFAULT_MRU },
            magic: self.wants_magic.then_some(self.magic),
            peer_mru: self.peer_mru,
            peer_magic: self.peer_magic,
            form: self.form,
        }
    }

    pub(crate) fn restart(&mut self, random: &mut Random) {
        let echoes = self.echoes;
        let form = self.preferred_form;
        *self = Self { preferred_form: form, wanted_form: form, ..Self::new(self.preferred_mru) };
        self.echoes = echoes;
        self.magic = random.magic();
    }

    pub(crate) fn request(&self) -> OptionsBuf {
        let mut request = OptionsBuf::default();
        if self.wants_mru {
            request.push(MRU, &self.wanted_mru.to_be_bytes());
        }
        if self.wants_magic {
            request.push(MAGIC_NUMBER, &self.magic.to_be_bytes());
        }
        if self.wanted_form.pfc {
            request.push(PFC, &[]);
        }
        if self.wanted_form.acfc {
            request.push(ACFC, &[]);
        }
        request
    }

    pub(crate) fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        random: &mut Random,
    ) -> Result<Judgement, Failure> {
        Ok(match (option.kind, option.value.len()) {
            (MRU, _) => self.judge_mru(option),
            (MAGIC_NUMBER, _) => return self.judge_magic(option, random),
            // No octet is escaped in GRE, so that any map will do.
            (ACCM, 4) | (PFC | ACFC, 0) => Judgement::Ack,
            _ => Judgement::Reject,
        })
    }

    fn judge_mru(&self, option: &ConfigurationOption<'_>) -> Judgement {
        match option.u16() {
            Some(mru) if mru >= MIN_MRU => Judgement::Ack,
            _ => Judgement::Nak(self.preferred_mru.to_be_bytes().into()),
        }
    }

    /// A peer with our own Magic-Number may be ourselves (RFC 1661 §6.4)
    fn judge_magic(
        &mut self,
        option: &ConfigurationOption<'_>,
        random: &mut Random,
    ) -> Result<Judgement, Failure> {
        match option.u32() {
            Some(magic) if magic != 0 && !(self.wants_magic && magic == self.magic) => {
                self.echoes = 0;
                return Ok(Judgement::Ack);
            }
            Some(magic) if magic != 0 => self.count_echo()?,
            _ => {}
        }
        let proposed = random.magic();
        self.proposed = Some(proposed);
        Ok(Judgement::Nak(proposed.to_be_bytes().into()))
    }

    fn count_echo(&mut self) -> Result<(), Failure> {
        self.echoes.increment();
        if self.echoes >= MAX_ECHOES { Err(Failure::Loopback) } else { Ok(()) }
    }

    pub(crate) fn on_ack_sent(&mut self, request: &Options<'_>) {
        let number = |kind| request.find(kind).and_then(|option| option.u32());
        self.peer_mru = request.find(MRU).and_then(|option| option.u16()).unwrap_or(DEFAULT_MRU);
        self.peer_magic = number(MAGIC_NUMBER);
        self.form.pfc = request.find(PFC).is_some();
        self.form.acfc = request.find(ACFC).is_some();
    }

    pub(crate) fn on_nak(
        &mut self,
        options: &Options<'_>,
        random: &mut Random,
    ) -> Result<(), Failure> {
        for option in options {
            match option.kind {
                MRU => self.take_mru(option.u16()),
                MAGIC_NUMBER => {
                    let magic = option.u32();
                    if magic.is_some() && (magic == self.proposed || magic == Some(self.magic)) {
                        self.count_echo()?;
                    }
                    self.magic = random.magic();
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The peer would like to send less, or more; more than an Ethernet frame we do not take
    fn take_mru(&mut self, hint: Option<u16>) {
        self.wanted_mru = match hint {
            Some(mru) if (MIN_MRU..=DEFAULT_MRU).contains(&mru) => mru,
            _ => self.wanted_mru,
        };
    }

    pub(crate) fn on_reject(&mut self, options: &Options<'_>) {
        for option in options {
            match option.kind {
                MRU => self.wants_mru = false,
                MAGIC_NUMBER => self.wants_magic = false,
                PFC => self.wanted_form.pfc = false,
                ACFC => self.wanted_form.acfc = false,
                _ => {}
            }
        }
    }
}

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
    /// Times it was told no
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

    /// Agrees to an allowed protocol without asking for a better one first
    pub(crate) const fn agree_at_first_asking(&mut self) {
        self.policy.at_first_asking = true;
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

    /// MS-CHAPv2 at once, something else that is allowed once the server insists
    fn agrees_to(&self, protocol: AuthenticationProtocol) -> bool {
        let insists = self.policy.at_first_asking || self.declined.contain(protocol);
        let may_be = self.policy.allows(protocol) && self.has_keys(protocol);
        protocol == AuthenticationProtocol::MsChapV2 || may_be && insists
    }

    /// A Nak with MS-CHAPv2 as long as RFC 1661 lets us, then a Reject, then the end
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

    fn insists(&self) -> Option<Failure> {
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
    /// A server that asks for nothing has not to prove anything either
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

/// Our own Magic-Number this often in a row: the line is looped back
const MAX_ECHOES: u8 = 10;

#[cfg(test)]
mod tests {
    use pptp_mschap::Password;

    use super::*;

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
        let own = lcp.common.magic.to_be_bytes();
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
