//! A choice of targets

use std::{fmt, net::Ipv4Addr, str::FromStr};

use ipnet::Ipv4Net;

/// A choice of targets: a network, and ports of it
///
/// It is asked about the address that is dialled, after a name has been resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRule {
    network: Ipv4Net,
    /// Ports from, to and with; empty: all
    ports: Vec<(u16, u16)>,
}

/// The reason why a text is no choice of targets
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no choice of targets: write `*`, `192.168.1.0/24`, `192.168.1.3:80,443` or `*:8000-8010`"
)]
pub struct InvalidRule(pub String);

impl TargetRule {
    /// All targets
    pub const ALL: Self =
        Self { network: Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0), ports: Vec::new() };

    /// Returns true if this port of this address is chosen
    pub fn has(&self, address: Ipv4Addr, port: u16) -> bool {
        let is_port = |(from, to): &(u16, u16)| (*from..=*to).contains(&port);
        self.network.contains(&address) && (self.ports.is_empty() || self.ports.iter().any(is_port))
    }

    /// Returns true if some port of this address is chosen
    pub fn has_host(&self, address: Ipv4Addr) -> bool {
        self.network.contains(&address)
    }
}

impl FromStr for TargetRule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let invalid = || InvalidRule(text.chars().take(80).collect());
        let (network, ports) = match text.split_once(':') {
            Some((network, ports)) => (network, parse_ports(ports).ok_or_else(invalid)?),
            None => (text, Vec::new()),
        };
        let network = if network == "*" { Some(Self::ALL.network) } else { parse_network(network) };
        Ok(Self { network: network.ok_or_else(invalid)?, ports })
    }
}

impl fmt::Display for TargetRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.network.prefix_len() == 0 {
            f.write_str("*")?;
        } else {
            self.network.fmt(f)?;
        }
        for (place, (from, to)) in self.ports.iter().enumerate() {
            f.write_str(if place == 0 { ":" } else { "," })?;
            if from == to {
                write!(f, "{from}")?;
            } else {
                write!(f, "{from}-{to}")?;
            }
        }
        Ok(())
    }
}

/// Reads a network; one whose host part is not zero is a slip
fn parse_network(text: &str) -> Option<Ipv4Net> {
    match text.parse::<Ipv4Net>() {
        Ok(network) => Some(network).filter(|it| it.addr() == it.network()),
        Err(_) => text.parse::<Ipv4Addr>().ok().map(Ipv4Net::from),
    }
}

fn parse_ports(text: &str) -> Option<Vec<(u16, u16)>> {
    let range = |text: &str| {
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        (0 < from && from <= to).then_some((from, to))
    };
    text.split(',').map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(rule: &str, address: [u8; 4], port: u16) -> bool {
        rule.parse::<TargetRule>().unwrap().has(address.into(), port)
    }

    #[test]
    fn a_rule_chooses_a_network_and_ports_of_it() {
        assert!(may("*", [10, 0, 0, 1], 1));
        assert!(may("192.168.1.0/24", [192, 168, 1, 3], 80));
        assert!(!may("192.168.1.0/24", [192, 168, 2, 3], 80));
        assert!(may("192.168.1.3:80,443", [192, 168, 1, 3], 443));
        assert!(!may("192.168.1.3:80,443", [192, 168, 1, 3], 81));
        assert!(!may("192.168.1.3:80,443", [192, 168, 1, 4], 80));
        assert!(may("*:8000-8010", [1, 2, 3, 4], 8010));
        assert!(!may("*:8000-8010", [1, 2, 3, 4], 8011));
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for text in ["*", "192.168.1.0/24", "192.168.1.3/32:80,443", "*:8000-8010"] {
            assert_eq!(text.parse::<TargetRule>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn slips_are_refused() {
        for text in
            ["", ":80", "192.168.1.3/24", "192.168.1.3:", "*:0", "*:9-8", "*:x", "::/0", "*:65536"]
        {
            assert_eq!(text.parse::<TargetRule>(), Err(InvalidRule(text.into())), "{text}");
        }
    }
}
