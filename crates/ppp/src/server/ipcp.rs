//! IPCP of the side that assigns addresses

use std::net::Ipv4Addr;

use crate::{
    config::AddressRequest,
    context::random::Random,
    failure::Failure,
    negotiation::{
        ipcp::{IP_ADDRESS, PRIMARY_DNS, SECONDARY_DNS, address},
        negotiator::option_set::{Judgement, MAX_FAILURE, OptionSet},
        role_options::{AddressFacts, AddressOptions},
    },
    server::config::{Extras, ServerConfig},
    wire::{
        frame,
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::Protocol,
    },
};

/// Our address, and the values given to the client
#[derive(Debug)]
pub(crate) struct ServerIpcp {
    address: Ipv4Addr,
    assigned: Ipv4Addr,
    dns: Vec<Ipv4Addr>,
    /// True if the client takes our address
    tells_address: bool,
    /// Naks of the DNS options that are left: see [`Extras::dns_naks`]
    dns_naks: u8,
    /// True if the client has had its first address
    has_assigned: bool,
    configured: Extras,
    extras: Vec<(u8, Vec<u8>)>,
}

impl ServerIpcp {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self {
            address: config.address,
            assigned: config.assigned_address,
            dns: config.dns.clone(),
            tells_address: true,
            dns_naks: 0,
            has_assigned: false,
            configured: config.extras.clone(),
            extras: Vec::new(),
        }
    }

    /// Returns the value that the client is to have in this option
    fn value(&self, kind: u8) -> Option<Ipv4Addr> {
        match kind {
            IP_ADDRESS => Some(self.assigned),
            PRIMARY_DNS => self.dns.first().copied(),
            SECONDARY_DNS => self.dns.get(1).copied(),
            _ => None,
        }
    }
}

impl OptionSet for ServerIpcp {
    const PROTOCOL: Protocol = Protocol::Ipcp;
    const NUMBER: u16 = frame::IPCP;

    fn restart(&mut self, _: &mut Random) {
        if let Some(second) = self.configured.second_address.take_if(|_| self.has_assigned) {
            self.assigned = second;
        }
        self.dns_naks = self.configured.dns_naks;
        self.tells_address = !self.configured.hides_address;
        self.extras.clone_from(&self.configured.address_options);
    }

    fn request(&self) -> OptionsBuf {
        let mut request = OptionsBuf::default();
        if self.tells_address {
            request.push(IP_ADDRESS, &self.address.octets());
        }
        for (kind, value) in &self.extras {
            request.push(*kind, value);
        }
        request
    }

    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        _: &mut Random,
    ) -> Result<Judgement, Failure> {
        let is_dns = [PRIMARY_DNS, SECONDARY_DNS].contains(&option.kind);
        Ok(match self.value(option.kind) {
            Some(value) if self.dns_naks > 0 && is_dns => Judgement::Nak(value.octets().into()),
            // no word of it before those: see `missing`
            Some(_) if self.dns_naks > 0 => Judgement::Ack,
            Some(value) if address(option) == Some(value) => Judgement::Ack,
            Some(value) => Judgement::Nak(value.octets().into()),
            None => Judgement::Reject,
        })
    }

    fn missing(&mut self, request: &Options<'_>) -> Result<OptionsBuf, Failure> {
        let mut missing = OptionsBuf::default();
        let has = |kind| request.find(kind).is_some();
        let asks_for_dns = has(PRIMARY_DNS) || has(SECONDARY_DNS);
        if self.dns_naks > 0 && asks_for_dns {
            self.dns_naks = self.dns_naks.saturating_sub(1);
            return Ok(missing);
        }
        let asked = request.find(IP_ADDRESS).and_then(|option| address(&option));
        if asked.is_none() || self.dns_naks > 0 && asked != Some(self.assigned) {
            missing.push(IP_ADDRESS, &self.assigned.octets());
        }
        Ok(missing)
    }

    fn max_failure(&self) -> u8 {
        if self.configured.dns_naks > 0 { u8::MAX } else { MAX_FAILURE }
    }

    fn on_ack_sent(&mut self, _: &Options<'_>) {
        self.has_assigned = true;
    }

    fn on_nak(&mut self, _: &Options<'_>, _: &mut Random) -> Result<(), Failure> {
        Ok(())
    }

    fn on_reject(&mut self, options: &Options<'_>) -> Result<(), Failure> {
        self.tells_address &= options.find(IP_ADDRESS).is_none();
        self.extras.retain(|(kind, _)| options.find(*kind).is_none());
        Ok(())
    }
}

impl AddressOptions for ServerIpcp {
    fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn facts(&self) -> AddressFacts {
        AddressFacts {
            inner_address: self.address,
            peer_address: Some(self.assigned),
            dns: self.dns.clone(),
            request: AddressRequest::default(),
        }
    }
}
