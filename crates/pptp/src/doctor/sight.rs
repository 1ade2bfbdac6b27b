//! The visible part of a connect, in words

use std::net::SocketAddrV4;

use pptp_tunnel::{AuthenticationProtocol, Facts, MppeBits, Peer, Transcript};

use super::finding::Step;
use crate::{Connecting, Info, Stats, TunnelConfig, state::Redial};

/// The visible part of a connect at some moment
pub(super) struct Sight {
    pub(super) server: Option<SocketAddrV4>,
    peer: Option<Peer>,
    stats: Stats,
    pub(super) transcript: Transcript,
    pub(super) info: Option<Info>,
    /// A state that lasts no longer than a moment may go by unseen: so they are asked for
    redials: Vec<Redial>,
    /// Datagrams since the connect began that were for none of our calls
    pub(super) strangers: u64,
    /// GRE of ours to the server that connection tracking saw no answer to
    pub(super) unreplied: usize,
}

impl Sight {
    pub(super) fn of(connecting: &Connecting) -> Self {
        Self {
            server: connecting.server(),
            peer: connecting.peer(),
            stats: connecting.stats(),
            transcript: Transcript::of(connecting.flight_record().records()),
            info: None,
            redials: connecting.redials(),
            strangers: 0,
            unreplied: 0,
        }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.transcript.encryption_in.is_some() && self.transcript.encryption_out.is_some()
    }

    /// Up, and not encrypted
    pub(super) fn is_in_the_clear(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.encryption.is_none())
    }

    pub(super) fn tell(&self, step: Step, config: &TunnelConfig) -> String {
        match step {
            Step::Name => name(&config.server),
            Step::Tcp => match self.server {
                Some(server) => format!("{server} accepts"),
                None => "the server accepts".into(),
            },
            Step::ControlConnection => self.control_connection(),
            Step::Call => "the server takes the call".into(),
            Step::GreOut => self.gre_out(),
            Step::GreIn => self.gre_in(),
            Step::LinkControl => match self.transcript.peer_mru {
                Some(mru) => format!("open, the server's MRU is {mru}"),
                None => "open, the server named no MRU".into(),
            },
            Step::Authentication => {
                let again = self.redials.iter().filter_map(again_for_authentication);
                format!("{}{}", self.authentication(), again.collect::<String>())
            }
            Step::Encryption if self.is_in_the_clear() => {
                format!("in the clear, as an insecure option allows; {}", self.encryption())
            }
            Step::Encryption => self.encryption(),
            Step::Addresses => self.info.as_ref().map_or_else(String::new, addresses),
            _ => String::new(),
        }
    }

    fn control_connection(&self) -> String {
        let Some(peer) = &self.peer else { return "established".into() };
        let Peer { vendor, host_name, firmware, recognized, .. } = peer;
        let mut seen =
            format!("vendor {vendor:?}, host name {host_name:?}, firmware {firmware:#06x}");
        if let Some(recognized) = recognized {
            seen = format!("{seen}, recognized as {recognized}");
        }
        for redial in &self.redials {
            let how = match redial {
                Redial::Recognized { kind } => format!("dialled again as a {kind} wants it"),
                Redial::NotPptp { address } => format!("after {address} was no PPTP server"),
                Redial::AsksOnce { .. } | Redial::WithoutEap { .. } => continue,
            };
            seen = format!("{seen}, {how}");
        }
        seen
    }

    /// Both directions, for when one does not pass
    pub(super) fn gre(&self) -> String {
        let mut seen = format!("{}, {}", self.gre_out(), self.gre_in());
        let others = self.stats.tunnel.other_call.saturating_add(self.strangers);
        if others > 0 {
            seen = format!("{seen}, {others} for other Call IDs: a NAT on the way may change them");
        }
        if self.unreplied > 0 {
            seen = format!("{seen}, connection tracking saw no answer to {}", self.unreplied);
        }
        seen
    }

    pub(super) fn gre_out(&self) -> String {
        let sent = self.stats.tunnel.gre.sealed;
        match self.stats.unsendable {
            0 => format!("{sent} datagrams sent"),
            refused => format!("{sent} datagrams made, {refused} of them refused by this machine"),
        }
    }

    fn gre_in(&self) -> String {
        format!("{} datagrams received", self.stats.tunnel.gre.committed)
    }

    pub(super) fn authentication(&self) -> String {
        let Transcript { authentication_offered: offered, authentication_chosen: chosen, .. } =
            &self.transcript;
        told(offered, chosen.as_ref().map(AuthenticationProtocol::to_string))
    }

    pub(super) fn encryption(&self) -> String {
        let Transcript { encryption_offered: offered, encryption_in, encryption_out, .. } =
            &self.transcript;
        let chosen = encryption_in.zip(*encryption_out).map(|(received, sent)| {
            if received == sent {
                bits(sent)
            } else {
                format!("{} in, {} out", bits(received), bits(sent))
            }
        });
        told(offered, chosen)
    }
}

/// A dial that was for the authentication
fn again_for_authentication(redial: &Redial) -> Option<String> {
    match redial {
        Redial::AsksOnce { .. } => Some(", dialled again to agree at once".into()),
        Redial::WithoutEap { offered } => {
            Some(format!(", dialled again without EAP, where it wanted {offered}"))
        }
        Redial::Recognized { .. } | Redial::NotPptp { .. } => None,
    }
}

fn name(server: &str) -> String {
    let host = crate::connect::network::split_port(server).map_or(server, |(host, _)| host);
    match host.parse::<std::net::Ipv4Addr>() {
        Ok(address) => format!("{address} is an address"),
        Err(_) => format!("{host} has an IPv4 address"),
    }
}

fn addresses(info: &Info) -> String {
    let Facts { inner_address, peer_address, dns, mtu, .. } = &info.facts;
    let peer = peer_address.map_or_else(|| "none".into(), |peer| peer.to_string());
    let dns: Vec<_> = dns.iter().map(ToString::to_string).collect();
    let dns = if dns.is_empty() { "none".into() } else { dns.join(", ") };
    format!("ours is {inner_address}, the server's {peer}, DNS {dns}, MTU {mtu}")
}

/// A word that a failure may have used itself
pub(super) const OFFERED: &str = "offered";

/// `offered PAP, MS-CHAPv2, chosen MS-CHAPv2`
fn told<T: ToString>(offered: &[T], chosen: Option<String>) -> String {
    let offered: Vec<_> = offered.iter().map(ToString::to_string).collect();
    let offered = if offered.is_empty() { "nothing".into() } else { offered.join(", ") };
    match chosen {
        Some(chosen) => format!("{OFFERED} {offered}, chosen {chosen}"),
        None => format!("{OFFERED} {offered}"),
    }
}

/// `+H+S (128 bits, stateless)`
fn bits(bits: MppeBits) -> String {
    let strength = [(0x40, "128"), (0x80, "56"), (0x20, "40")];
    let strength = strength.iter().find(|(bit, _)| bits.0 & bit != 0).map(|(_, text)| *text);
    let mode = if bits.0 & 0x0100_0000 == 0 { "stateful" } else { "stateless" };
    match strength {
        Some(strength) => format!("{bits} ({strength} bits, {mode})"),
        None => bits.to_string(),
    }
}
