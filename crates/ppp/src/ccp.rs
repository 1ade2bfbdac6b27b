//! CCP's one option that matters: MPPE (RFC 3078 §2)

use crate::failure::{Failure, MppeBits, Protocol};
use crate::frame;
use crate::negotiator::{Judgement, MAX_FAILURE, OptionSet};
use crate::packet::{ConfigurationOption, Options, OptionsBuf};
use crate::random::Random;
use crate::role::EncryptionOptions;

/// The MPPE option
pub(crate) const MPPE: u8 = 18;

/// CCP of a link that must be encrypted with 128-bit stateless MPPE, both ways
#[derive(Debug, Default)]
pub(crate) struct Ccp {
    /// What the peer offered last that was something else
    offered: Option<MppeBits>,
    /// Requests of the peer refused for their MPPE option
    refusals: u8,
    /// Requests of ours refused for it
    refused: u8,
    /// Whether we acknowledged a request with the right MPPE option
    is_encrypted: bool,
}

impl Ccp {
    fn refuse(&mut self, offered: Option<MppeBits>) -> Result<Vec<u8>, Failure> {
        self.offered = offered.or(self.offered);
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals > MAX_FAILURE {
            return Err(self.unavailable());
        }
        Ok(MppeBits::STATELESS_128.0.to_be_bytes().into())
    }
}

impl OptionSet for Ccp {
    const PROTOCOL: Protocol = Protocol::Ccp;
    const NUMBER: u16 = frame::CCP;

    fn restart(&mut self, _: &mut Random) {
        *self = Self::default();
    }

    fn request(&self) -> OptionsBuf {
        let mut request = OptionsBuf::default();
        request.push(MPPE, &MppeBits::STATELESS_128.0.to_be_bytes());
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
            Some(MppeBits::STATELESS_128) => Ok(Judgement::Ack),
            offered => self.refuse(offered).map(Judgement::Nak),
        }
    }

    /// A request without MPPE would leave the peer's packets to us in the clear
    fn missing(&mut self, request: &Options<'_>) -> Result<OptionsBuf, Failure> {
        let mut missing = OptionsBuf::default();
        if request.find(MPPE).is_none() {
            missing.push(MPPE, &self.refuse(None)?);
        }
        Ok(missing)
    }

    fn agree(&mut self, request: &Options<'_>) {
        self.is_encrypted = bits(request) == Some(MppeBits::STATELESS_128);
    }

    /// Nothing else will do, so that the same is asked for again
    fn naked(&mut self, options: &Options<'_>, _: &mut Random) -> Result<(), Failure> {
        self.offered = bits(options).or(self.offered);
        self.refused = self.refused.saturating_add(1);
        if self.refused > MAX_FAILURE { Err(self.unavailable()) } else { Ok(()) }
    }

    fn rejected(&mut self, _: &Options<'_>) -> Result<(), Failure> {
        Err(self.unavailable())
    }
}

impl EncryptionOptions for Ccp {
    fn unavailable(&self) -> Failure {
        Failure::EncryptionUnavailable { offered: self.offered }
    }

    fn disagreement(&self) -> Option<Failure> {
        let theirs = self.refusals > 0 && !self.is_encrypted;
        (theirs || self.refused > 0).then(|| self.unavailable())
    }

    fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }
}

pub(crate) fn bits(options: &Options<'_>) -> Option<MppeBits> {
    options.find(MPPE).and_then(|option| option.u32()).map(MppeBits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [u8; 4] = [0x01, 0x00, 0x00, 0x40];

    fn judge(ccp: &mut Ccp, kind: u8, value: &[u8]) -> Result<Judgement, Failure> {
        ccp.judge(&ConfigurationOption { kind, value }, &mut Random::new([0; 32]))
    }

    #[test]
    fn rfc3078_section_2_1_the_request_is_128_bit_stateless() {
        assert_eq!(Ccp::default().request().into_vec(), [0x12, 0x06, 0x01, 0x00, 0x00, 0x40]);
    }

    #[test]
    fn everything_but_128_bit_stateless_is_naked_to_it_five_times() {
        for bits in [0, 0x0100_0020, 0x0100_0080, 0x40, 0x0100_00E1, 0x0100_0001, 0x0100_0041] {
            let mut ccp = Ccp::default();
            for _ in 0..5 {
                let verdict = judge(&mut ccp, MPPE, &u32::to_be_bytes(bits));
                assert_eq!(verdict, Ok(Judgement::Nak(WANTED.into())), "{bits:08x}");
            }
            let offered = Some(MppeBits(bits));
            let end = Err(Failure::EncryptionUnavailable { offered });
            assert_eq!(judge(&mut ccp, MPPE, &u32::to_be_bytes(bits)), end);
        }
        assert_eq!(judge(&mut Ccp::default(), MPPE, &WANTED), Ok(Judgement::Ack));
    }

    #[test]
    fn other_compressions_are_rejected() {
        for kind in [0, 1, 2, 3, 17, 21, 24, 26] {
            assert_eq!(judge(&mut Ccp::default(), kind, &[0x78]), Ok(Judgement::Reject));
        }
    }

    #[test]
    fn a_request_without_mppe_lacks_it() {
        let mut ccp = Ccp::default();
        let missing = ccp.missing(&Options::parse(&[]).unwrap()).unwrap();
        assert_eq!(missing.into_vec(), ccp.request().into_vec());
    }

    #[test]
    fn a_rejected_mppe_ends_it_at_once_with_what_was_offered() {
        let mut ccp = Ccp::default();
        judge(&mut ccp, MPPE, &[1, 0, 0, 1]).unwrap();
        let offered = Some(MppeBits(0x0100_0001));
        let rejected = ccp.rejected(&Options::parse(&[18, 6, 1, 0, 0, 0x40]).unwrap());
        assert_eq!(rejected, Err(Failure::EncryptionUnavailable { offered }));
    }
}
