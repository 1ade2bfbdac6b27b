//! CCP of a server: every kind of MPPE, and none, as real servers have it

use pptp_mppe::{KeyStrength, StatefulReset};
use pptp_packet::Counter;

use crate::{
    context::random::Random,
    encryption::agreed::{Agreed, CcpPolicy, Encryption},
    failure::Failure,
    negotiation::{
        ccp::{MPPE, bits},
        negotiator::option_set::{Judgement, MAX_FAILURE, OptionSet},
        role_options::EncryptionOptions,
    },
    server::{
        behavior::{ServerEncryption, ServerOrder},
        config::ServerConfig,
    },
    wire::{
        frame,
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::{MppeBits, Protocol},
    },
};

/// The options of a server's CCP
#[derive(Debug)]
pub(crate) struct ServerCcp {
    encryption: ServerEncryption,
    yields: bool,
    first_offer: Option<MppeBits>,
    /// Our request; `None`: it has no MPPE option
    offer: Option<MppeBits>,
    /// The latest request of the client
    offered: Option<MppeBits>,
    /// Requests of the client refused
    refusals: u8,
    /// Requests of ours refused
    refused: u8,
    send: Option<Encryption>,
    receive: Option<Encryption>,
}

impl ServerCcp {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let first_offer =
            config.extras.first_offer.or_else(|| first_offer(config.order, config.encryption));
        Self::of(config.encryption, config.encryption_yields, first_offer)
    }

    const fn of(encryption: ServerEncryption, yields: bool, first_offer: Option<MppeBits>) -> Self {
        Self {
            encryption,
            yields,
            first_offer,
            offer: first_offer,
            offered: None,
            refusals: 0,
            refused: 0,
            send: None,
            receive: None,
        }
    }

    /// The MPPE bits that this server requires
    fn wanted(&self) -> Option<MppeBits> {
        self.encryption.mppe().map(MppeBits::only)
    }

    /// Returns true if a Configure-Nak of the client makes us ask for this
    fn gives_in_to(&self, wish: MppeBits) -> bool {
        let is_among = |offer: MppeBits| offer.0 & wish.0 == wish.0;
        let yields = self.yields && self.encryption != ServerEncryption::None;
        wish.exactly().is_some() && (yields || self.offer.is_some_and(is_among))
    }
}

impl OptionSet for ServerCcp {
    const PROTOCOL: Protocol = Protocol::Ccp;
    const NUMBER: u16 = frame::CCP;

    fn restart(&mut self, _: &mut Random) {
        *self = Self::of(self.encryption, self.yields, self.first_offer);
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
        let asked = option.u32().map(MppeBits).filter(|_| option.kind == MPPE);
        self.offered = asked.or(self.offered);
        let Some(asked) = asked else { return Ok(Judgement::Reject) };
        let is_one = asked.exactly().is_some();
        let wanted = match self.encryption {
            ServerEncryption::ZeroBits => MppeBits(0),
            ServerEncryption::MppcOnly if self.yields && is_one => asked,
            ServerEncryption::MppcOnly if self.yields => MppeBits::STATELESS_128,
            _ => match self.wanted() {
                Some(wanted) => wanted,
                None => return Ok(Judgement::Reject),
            },
        };
        if asked == wanted || self.yields && is_one && self.refusals > 0 {
            return Ok(Judgement::Ack);
        }
        self.refusals.increment();
        Ok(Judgement::Nak(wanted.0.to_be_bytes().into()))
    }

    fn missing(&mut self, request: &Options<'_>) -> Result<OptionsBuf, Failure> {
        let mut missing = OptionsBuf::default();
        if let (Some(wanted), None) = (self.wanted(), bits(request)) {
            missing.push(MPPE, &wanted.0.to_be_bytes());
        }
        Ok(missing)
    }

    fn on_ack_sent(&mut self, request: &Options<'_>) {
        self.send = bits(request).and_then(MppeBits::exactly);
    }

    fn on_ack(&mut self) -> Result<(), Failure> {
        self.receive = self.offer.and_then(MppeBits::exactly);
        Ok(())
    }

    fn on_nak(&mut self, options: &Options<'_>, _: &mut Random) -> Result<(), Failure> {
        self.refused.increment();
        if self.refused > MAX_FAILURE {
            return Err(self.unavailable());
        }
        if let Some(wish) = bits(options).filter(|wish| self.gives_in_to(*wish)) {
            self.offer = Some(wish);
        }
        Ok(())
    }

    fn on_reject(&mut self, _: &Options<'_>) -> Result<(), Failure> {
        self.offer = None;
        if self.wanted().is_some() { Err(self.unavailable()) } else { Ok(()) }
    }
}

impl EncryptionOptions for ServerCcp {
    fn unavailable(&self) -> Failure {
        Failure::EncryptionUnavailable { offered: self.offered }
    }

    fn ccp_policy(&self, _: bool) -> CcpPolicy {
        match self.encryption {
            ServerEncryption::NoCcp => CcpPolicy::Refuse,
            ServerEncryption::Silent => CcpPolicy::Ignore,
            _ if self.wanted().is_some() => CcpPolicy::Require,
            _ => CcpPolicy::Prefer,
        }
    }

    fn agreed(&self) -> Agreed {
        Agreed::new(self.send, self.receive)
    }

    fn stateful_reset(&self) -> StatefulReset {
        match self.encryption {
            ServerEncryption::Mppe128Stateful(reset) => reset,
            _ => StatefulReset::Linux,
        }
    }
}

impl ServerEncryption {
    /// The MPPE that a server of this kind insists on
    const fn mppe(self) -> Option<Encryption> {
        let (strength, stateful) = match self {
            Self::Mppe128 => (KeyStrength::Bits128, false),
            Self::Mppe128Stateful(_) => (KeyStrength::Bits128, true),
            Self::Mppe56 => (KeyStrength::Bits56, false),
            Self::Mppe40 => (KeyStrength::Bits40, false),
            Self::None | Self::ZeroBits | Self::MppcOnly | Self::NoCcp | Self::Silent => {
                return None;
            }
        };
        Some(Encryption { strength, stateful })
    }
}

/// The first offer: RRAS offers every strength and agrees to less; without encryption it offers
/// MPPC
fn first_offer(order: ServerOrder, encryption: ServerEncryption) -> Option<MppeBits> {
    match (order, encryption) {
        (ServerOrder::Rras, ServerEncryption::Mppe128) => Some(MppeBits::ANY),
        (ServerOrder::Rras, ServerEncryption::None) | (_, ServerEncryption::MppcOnly) => {
            Some(MppeBits::MPPC)
        }
        (_, ServerEncryption::ZeroBits) => Some(MppeBits(0)),
        (_, encryption) => encryption.mppe().map(MppeBits::only),
    }
}
