//! CCP of a server: MPPE as three real servers offer it, or none

use crate::ccp::{MPPE, bits};
use crate::config::{ServerEncryption, ServerOrder};
use crate::failure::{Failure, MppeBits, Protocol};
use crate::frame;
use crate::negotiator::{Judgement, MAX_FAILURE, OptionSet};
use crate::packet::{ConfigurationOption, Options, OptionsBuf};
use crate::random::Random;
use crate::role::EncryptionOptions;

/// What a server offers, and how far that got
#[derive(Debug)]
pub(crate) struct Ccp {
    order: ServerOrder,
    encryption: ServerEncryption,
    offer: Option<MppeBits>,
    offered: Option<MppeBits>,
    refused: u8,
    is_encrypted: bool,
}

impl Ccp {
    pub(crate) const fn new(order: ServerOrder, encryption: ServerEncryption) -> Self {
        Self {
            order,
            encryption,
            offer: Self::first_offer(order, encryption),
            offered: None,
            refused: 0,
            is_encrypted: false,
        }
    }

    /// RRAS offers all it has and lets itself be talked down; without encryption MPPC is left
    const fn first_offer(order: ServerOrder, encryption: ServerEncryption) -> Option<MppeBits> {
        match (order, encryption) {
            (ServerOrder::Rras, ServerEncryption::Mppe128) => Some(MppeBits::ANY),
            (ServerOrder::Rras, ServerEncryption::None) => Some(MppeBits(0x0100_0001)),
            (_, ServerEncryption::Mppe128) => Some(MppeBits::STATELESS_128),
            (_, ServerEncryption::None) => None,
        }
    }
}

impl OptionSet for Ccp {
    const PROTOCOL: Protocol = Protocol::Ccp;
    const NUMBER: u16 = frame::CCP;

    fn restart(&mut self, _: &mut Random) {
        *self = Self::new(self.order, self.encryption);
    }

    fn request(&self) -> OptionsBuf {
        let mut request = OptionsBuf::default();
        if let Some(offer) = self.offer {
            request.push(MPPE, &offer.0.to_be_bytes());
        }
        request
    }

    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        _: &mut Random,
    ) -> Result<Judgement, Failure> {
        self.offered = option.u32().map(MppeBits).or(self.offered);
        Ok(match (option.kind, self.encryption, option.u32().map(MppeBits)) {
            (MPPE, ServerEncryption::Mppe128, Some(MppeBits::STATELESS_128)) => Judgement::Ack,
            (MPPE, ServerEncryption::Mppe128, _) => {
                Judgement::Nak(MppeBits::STATELESS_128.0.to_be_bytes().into())
            }
            _ => Judgement::Reject,
        })
    }

    fn missing(&mut self, request: &Options<'_>) -> Result<OptionsBuf, Failure> {
        let mut missing = OptionsBuf::default();
        if self.encryption == ServerEncryption::Mppe128 && bits(request).is_none() {
            missing.push(MPPE, &MppeBits::STATELESS_128.0.to_be_bytes());
        }
        Ok(missing)
    }

    fn agree(&mut self, request: &Options<'_>) {
        self.is_encrypted = bits(request) == Some(MppeBits::STATELESS_128);
    }

    fn naked(&mut self, options: &Options<'_>, _: &mut Random) -> Result<(), Failure> {
        self.refused = self.refused.saturating_add(1);
        if self.refused > MAX_FAILURE {
            return Err(self.unavailable());
        }
        if self.encryption == ServerEncryption::Mppe128
            && bits(options) == Some(MppeBits::STATELESS_128)
        {
            self.offer = Some(MppeBits::STATELESS_128);
        }
        Ok(())
    }

    fn rejected(&mut self, _: &Options<'_>) -> Result<(), Failure> {
        Err(self.unavailable())
    }
}

impl EncryptionOptions for Ccp {
    fn unavailable(&self) -> Failure {
        Failure::EncryptionUnavailable { offered: self.offered }
    }

    fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }
}
