//! The options of one protocol, as the negotiator asks for them

use crate::{
    context::random::Random,
    failure::Failure,
    wire::{
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::Protocol,
    },
};

/// Configure-Naks after which an option that is not acceptable is rejected (RFC 1661 §4.6)
pub(crate) const MAX_FAILURE: u8 = 5;

/// The options of a protocol, in which LCP, CCP and IPCP differ
pub(crate) trait OptionSet {
    /// The protocol that has these options
    const PROTOCOL: Protocol;
    /// Its number in a PPP header
    const NUMBER: u16;

    /// Sets the options back to the configuration, since negotiation begins from scratch
    fn restart(&mut self, random: &mut Random);
    /// The options of our Configure-Request
    fn request(&self) -> OptionsBuf;
    /// Returns the answer to one option of the peer's Configure-Request
    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        random: &mut Random,
    ) -> Result<Judgement, Failure>;
    /// Options the peer should have asked for; they go into a Configure-Nak
    fn missing(&mut self, _request: &Options<'_>) -> Result<OptionsBuf, Failure> {
        Ok(OptionsBuf::default())
    }
    /// Configure-Naks after which an option that is not acceptable is rejected (RFC 1661 §4.6)
    fn max_failure(&self) -> u8 {
        MAX_FAILURE
    }
    /// Notes that a Configure-Nak with these values was sent
    fn on_nak_sent(&mut self, _naks: &Options<'_>) {}
    /// Returns the failure, if any, of a peer that hears us and sends a refused request again and
    /// again
    fn on_peer_insists(&self) -> Option<Failure> {
        None
    }
    /// Takes the values of the peer's request, which is about to be acknowledged
    fn on_ack_sent(&mut self, request: &Options<'_>);
    /// Notes that the peer acknowledged our request
    fn on_ack(&mut self) -> Result<(), Failure> {
        Ok(())
    }
    /// Handles a Configure-Nak: the peer wants other values in our request
    fn on_nak(&mut self, options: &Options<'_>, random: &mut Random) -> Result<(), Failure>;
    /// Handles a Configure-Reject: the peer does not take these options in our request
    fn on_reject(&mut self, options: &Options<'_>) -> Result<(), Failure>;
}

/// The answer to one option of the peer
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Ack,
    /// Ask for this value instead
    Nak(Vec<u8>),
    Reject,
}
