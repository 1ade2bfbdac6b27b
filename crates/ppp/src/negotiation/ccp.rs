//! CCP's one option that matters: MPPE (RFC 3078 §2)

use pptp_mppe::{KeyStrength, StatefulReset};
use pptp_packet::Counter;

use crate::{
    config::policy::{EncryptionDemand, EncryptionPolicy},
    context::random::Random,
    encryption::agreed::{Agreed, CcpPolicy, Encryption},
    failure::Failure,
    negotiation::{
        negotiator::option_set::{Judgement, MAX_FAILURE, OptionSet},
        role_options::EncryptionOptions,
    },
    wire::{
        frame,
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::{MppeBits, Protocol},
    },
};

/// The MPPE option
pub(crate) const MPPE: u8 = 18;

/// CCP of a client, within its policy
///
/// Our request tells what we can receive (RFC 1962 §2): every strength that the policy allows,
/// which by default is one. The peer's request is acknowledged if it names one strength that is
/// allowed; a request for several is answered with the strongest of them that both have, any other
/// with our first choice. MPPC is never acknowledged.
#[derive(Debug)]
pub(crate) struct Ccp {
    policy: EncryptionPolicy,
    /// True if the link was encrypted once, so that it is never in the clear again
    was_encrypted: bool,
    /// The bits of our request; `None`: it has no MPPE option
    request: Option<MppeBits>,
    /// The latest offer of the peer that was something else
    offered: Option<MppeBits>,
    /// Requests of the peer refused for their MPPE option
    refusals: u8,
    /// Requests of ours refused for it
    refused: u8,
    /// True if the peer's request was acknowledged without encryption
    has_given_up: bool,
    /// The encryption of the peer's acknowledged request, which it can receive
    send: Option<Encryption>,
    /// The encryption of our acknowledged request, which we can receive
    receive: Option<Encryption>,
}

impl Ccp {
    pub(crate) fn new(policy: EncryptionPolicy) -> Self {
        let mut ccp = Self {
            policy,
            was_encrypted: false,
            request: None,
            offered: None,
            refusals: 0,
            refused: 0,
            has_given_up: false,
            send: None,
            receive: None,
        };
        ccp.request = Some(
            ccp.with_mode(MppeBits::at_least(policy.insecure_least_key, KeyStrength::Bits128)),
        );
        ccp
    }

    /// Returns true if a link in the clear is allowed
    fn may_be_clear(&self) -> bool {
        !self.was_encrypted && !self.policy.is_required()
    }

    /// Strengths, with the mode that is asked for first
    fn with_mode(&self, strengths: MppeBits) -> MppeBits {
        if self.wants_stateful() { strengths } else { strengths.stateless() }
    }

    const fn wants_stateful(&self) -> bool {
        self.policy.insecure_stateful.is_some() && self.policy.insecure_stateful_first
    }

    /// Returns the strongest offered strength that is allowed
    fn strongest(&self, offered: MppeBits) -> Option<KeyStrength> {
        offered.strengths().find(|strength| *strength >= self.policy.insecure_least_key)
    }

    /// Returns true if the peer's own request may be acknowledged
    ///
    /// A request that is allowed, but is not our first choice, only if the peer was asked for our
    /// first choice before.
    ///
    /// It may not if ours has been given up: one direction alone must not be encrypted.
    fn agrees_to(&self, offered: MppeBits) -> bool {
        let is_liked = |it: Encryption| it.stateful == self.wants_stateful();
        match offered.exactly().filter(|it| it.is_allowed_by(self.policy)) {
            Some(exact) => self.asks() && (is_liked(exact) || self.refusals > 0),
            None => offered.is_none() && self.may_give_up(),
        }
    }

    /// Returns true if our own request is for MPPE
    fn asks(&self) -> bool {
        self.request.is_some_and(|bits| !bits.is_none())
    }

    /// Returns true if the peer was asked for MPPE in vain, and a link in the clear is allowed
    fn may_give_up(&self) -> bool {
        let has_asked = self.refusals > 0 || self.policy.demand == EncryptionDemand::InsecureAllow;
        self.may_be_clear() && has_asked
    }

    fn refuse(&mut self, offered: Option<MppeBits>) -> Result<Judgement, Failure> {
        self.offered = offered.or(self.offered);
        let common = offered.and_then(|offered| self.strongest(offered));
        // a peer that offers something else is asked once: a server that would yield agrees to our
        // request
        let has_said_so = self.refusals > 0 || offered.is_none();
        if !self.asks() || common.is_none() && has_said_so && self.may_give_up() {
            return Ok(Judgement::Reject);
        }
        self.refusals.increment();
        if self.refusals > MAX_FAILURE {
            return Err(self.unavailable());
        }
        let wanted = common.map_or(STRONGEST, |strength| MppeBits::at_least(strength, strength));
        let wanted = self.with_mode(wanted);
        Ok(Judgement::Nak(wanted.0.to_be_bytes().into()))
    }

    /// Returns the bits to ask for after the peer has named its own
    fn next_request(&self, offered: MppeBits) -> Option<MppeBits> {
        let strength = self.strongest(offered)?;
        let encryption = Encryption { strength, stateful: !offered.is_stateless() };
        encryption.is_allowed_by(self.policy).then(|| MppeBits::only(encryption))
    }
}

impl OptionSet for Ccp {
    const PROTOCOL: Protocol = Protocol::Ccp;
    const NUMBER: u16 = frame::CCP;

    fn restart(&mut self, _: &mut Random) {
        *self = Self { was_encrypted: self.was_encrypted, ..Self::new(self.policy) };
    }

    fn request(&self) -> OptionsBuf {
        let mut request = OptionsBuf::default();
        if let Some(bits) = self.request {
            request.push(MPPE, &bits.0.to_be_bytes());
        }
        request
    }

    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        _: &mut Random,
    ) -> Result<Judgement, Failure> {
        if option.kind != MPPE {
            return Ok(Judgement::Reject);
        }
        match option.u32().map(MppeBits) {
            Some(offered) if self.agrees_to(offered) => Ok(Judgement::Ack),
            offered => self.refuse(offered),
        }
    }

    /// Asks for MPPE if the peer's request has none, which would leave our packets in the clear
    fn missing(&mut self, request: &Options<'_>) -> Result<OptionsBuf, Failure> {
        let mut missing = OptionsBuf::default();
        if request.find(MPPE).is_none()
            && let Judgement::Nak(value) = self.refuse(None)?
        {
            missing.push(MPPE, &value);
        }
        Ok(missing)
    }

    fn on_ack_sent(&mut self, request: &Options<'_>) {
        let agreed = bits(request).and_then(MppeBits::exactly);
        self.send = agreed.filter(|encryption| encryption.is_allowed_by(self.policy));
        self.has_given_up = self.send.is_none();
    }

    /// Takes the strongest if the peer acknowledges several strengths at once
    fn on_ack(&mut self) -> Result<(), Failure> {
        self.receive =
            self.request.and_then(|bits| self.next_request(bits)).and_then(MppeBits::exactly);
        Ok(())
    }

    /// Asks for the MPPE of the peer's Nak if that is allowed, and otherwise for ours
    fn on_nak(&mut self, options: &Options<'_>, _: &mut Random) -> Result<(), Failure> {
        let offered = bits(options);
        self.offered = offered.or(self.offered);
        self.refused.increment();
        // the better kind is asked for once more: some servers yield, but not for one direction
        // alone
        let is_first = self.refused == 1 && !self.has_given_up;
        if let Some(chosen) = offered.and_then(|offered| self.next_request(offered)) {
            self.request = Some(if is_first { self.with_mode(chosen) } else { chosen });
        } else if self.may_be_clear() && !is_first {
            self.request = offered.filter(|offered| offered.is_none());
        } else {
            // one strength, for those that understand no list of them
            self.request = Some(self.with_mode(STRONGEST));
        }
        if self.refused > MAX_FAILURE { Err(self.unavailable()) } else { Ok(()) }
    }

    fn on_reject(&mut self, _: &Options<'_>) -> Result<(), Failure> {
        if !self.may_be_clear() {
            return Err(self.unavailable());
        }
        self.request = None;
        Ok(())
    }
}

impl EncryptionOptions for Ccp {
    fn ccp_policy(&self, has_keys: bool) -> CcpPolicy {
        match self.policy.demand {
            _ if !self.may_be_clear() => CcpPolicy::Require,
            EncryptionDemand::InsecurePrefer if has_keys => CcpPolicy::Prefer,
            EncryptionDemand::InsecureAllow if has_keys => CcpPolicy::Listen,
            _ => CcpPolicy::Refuse,
        }
    }

    fn unavailable(&self) -> Failure {
        if self.was_encrypted {
            return Failure::EncryptionLost;
        }
        Failure::EncryptionUnavailable { offered: self.offered }
    }

    fn disagreement(&self) -> Option<Failure> {
        let theirs = self.refusals > 0 && self.send.is_none();
        (theirs || self.refused > 0).then(|| self.unavailable())
    }

    fn note_refused(&mut self, request: &Options<'_>) {
        self.offered = bits(request).filter(|bits| !bits.is_none()).or(self.offered);
    }

    fn offered(&self) -> Option<MppeBits> {
        self.offered
    }

    fn agreed(&self) -> Agreed {
        Agreed::new(self.send, self.receive)
    }

    fn require_encryption(&mut self) {
        self.was_encrypted = true;
    }

    fn stateful_reset(&self) -> StatefulReset {
        self.policy.insecure_stateful.unwrap_or(StatefulReset::Rfc)
    }
}

pub(crate) fn bits(options: &Options<'_>) -> Option<MppeBits> {
    options.find(MPPE).and_then(|option| option.u32()).map(MppeBits)
}

/// 128 bits alone
const STRONGEST: MppeBits = MppeBits(0x40);

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [u8; 4] = [0x01, 0x00, 0x00, 0x40];

    fn judge(ccp: &mut Ccp, kind: u8, value: &[u8]) -> Result<Judgement, Failure> {
        ccp.judge(&ConfigurationOption { kind, value }, &mut Random::new([0; 32]))
    }

    #[test]
    fn rfc3078_section_2_1_the_request_is_128_bit_stateless() {
        assert_eq!(
            Ccp::new(EncryptionPolicy::default()).request().into_vec(),
            [0x12, 0x06, 0x01, 0x00, 0x00, 0x40]
        );
    }

    #[test]
    fn everything_but_128_bit_stateless_gets_five_naks_that_name_it() {
        for bits in [0, 0x0100_0020, 0x0100_0080, 0x40, 0x0100_00E1, 0x0100_0001, 0x0100_0041] {
            let mut ccp = Ccp::new(EncryptionPolicy::default());
            for _ in 0..5 {
                let verdict = judge(&mut ccp, MPPE, &u32::to_be_bytes(bits));
                assert_eq!(verdict, Ok(Judgement::Nak(WANTED.into())), "{bits:08x}");
            }
            let offered = Some(MppeBits(bits));
            let end = Err(Failure::EncryptionUnavailable { offered });
            assert_eq!(judge(&mut ccp, MPPE, &u32::to_be_bytes(bits)), end);
        }
        assert_eq!(
            judge(&mut Ccp::new(EncryptionPolicy::default()), MPPE, &WANTED),
            Ok(Judgement::Ack)
        );
    }

    #[test]
    fn other_compressions_are_rejected() {
        for kind in [0, 1, 2, 3, 17, 21, 24, 26] {
            assert_eq!(
                judge(&mut Ccp::new(EncryptionPolicy::default()), kind, &[0x78]),
                Ok(Judgement::Reject)
            );
        }
    }

    #[test]
    fn a_request_without_mppe_lacks_it() {
        let mut ccp = Ccp::new(EncryptionPolicy::default());
        let missing = ccp.missing(&Options::parse(&[]).unwrap()).unwrap();
        assert_eq!(missing.into_vec(), ccp.request().into_vec());
    }

    fn allowing() -> Ccp {
        let demand = EncryptionDemand::InsecureAllow;
        Ccp::new(EncryptionPolicy { demand, ..EncryptionPolicy::default() })
    }

    #[test]
    fn a_server_that_would_yield_is_asked_before_one_direction_stays_in_the_clear() {
        let mut ccp = allowing();
        assert_eq!(judge(&mut ccp, MPPE, &[1, 0, 0, 1]), Ok(Judgement::Nak(WANTED.into())));
        assert_eq!(judge(&mut ccp, MPPE, &[1, 0, 0, 1]), Ok(Judgement::Reject));
    }

    #[test]
    fn once_one_direction_is_in_the_clear_the_other_is_not_asked_for_again() {
        let (mut ccp, none) = (allowing(), [18, 6, 0, 0, 0, 0]);
        assert_eq!(judge(&mut ccp, MPPE, &[0; 4]), Ok(Judgement::Ack));
        let none = Options::parse(&none).unwrap();
        ccp.on_ack_sent(&none);
        ccp.on_nak(&none, &mut Random::new([0; 32])).unwrap();
        assert_eq!(ccp.request().into_vec(), [18, 6, 0, 0, 0, 0]);
    }

    #[test]
    fn a_rejected_mppe_ends_it_at_once_with_what_was_offered() {
        let mut ccp = Ccp::new(EncryptionPolicy::default());
        judge(&mut ccp, MPPE, &[1, 0, 0, 1]).unwrap();
        let offered = Some(MppeBits(0x0100_0001));
        let rejected = ccp.on_reject(&Options::parse(&[18, 6, 1, 0, 0, 0x40]).unwrap());
        assert_eq!(rejected, Err(Failure::EncryptionUnavailable { offered }));
    }
}
