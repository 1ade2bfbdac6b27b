//! The building's DHCP server, which answers DHCPINFORM only (RFC 2131 §4.3.5)

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU32, Ordering},
};

use dhcproto::{
    Decodable, Encodable,
    v4::{Decoder, DhcpOption, Message, MessageType, Opcode, OptionCode, UnknownOption},
};
use pptp_netstack::Route;

use crate::{ROUTER, lan::NETMASK};

pub(super) const PORT: u16 = 67;

/// Knowledge and behavior of a building's DHCP server
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dhcp {
    /// Classless static routes (RFC 3442)
    pub routes: Vec<Route>,
    /// True if the routes go into Microsoft's option 249 instead of 121
    pub microsoft: bool,
    /// The domain
    pub domain: Option<String>,
    /// DNS servers
    pub dns: Vec<Ipv4Addr>,
    /// Questions that get no answer before the first that does
    pub deaf_to: u32,
}

/// The DHCP server with its state
#[derive(Debug)]
pub(super) struct Server {
    knows: Dhcp,
    asked: AtomicU32,
}

impl Server {
    pub(super) const fn new(knows: Dhcp) -> Self {
        Self { knows, asked: AtomicU32::new(0) }
    }

    pub(super) fn answer(&self, octets: &[u8]) -> Option<Vec<u8>> {
        let request = Message::decode(&mut Decoder::new(octets)).ok()?;
        let options = request.opts();
        let informs = options.has_msg_type(MessageType::Inform);
        if request.opcode() != Opcode::BootRequest || !informs {
            return None;
        }
        if self.asked.fetch_add(1, Ordering::Relaxed) < self.knows.deaf_to {
            return None;
        }
        let Some(DhcpOption::ParameterRequestList(wanted)) =
            options.get(OptionCode::ParameterRequestList)
        else {
            return None;
        };
        let (none, hardware) = (Ipv4Addr::UNSPECIFIED, request.chaddr());
        let mut reply =
            Message::new_with_id(request.xid(), request.ciaddr(), none, ROUTER, none, hardware);
        reply.set_opcode(Opcode::BootReply);
        reply.opts_mut().insert(DhcpOption::MessageType(MessageType::Ack));
        reply.opts_mut().insert(DhcpOption::ServerIdentifier(ROUTER));
        for option in self.knows.options() {
            let code = u8::from(OptionCode::from(&option));
            if wanted.iter().any(|wanted| u8::from(*wanted) == code) {
                reply.opts_mut().insert(option);
            }
        }
        reply.to_vec().ok()
    }
}

impl Dhcp {
    fn options(&self) -> Vec<DhcpOption> {
        let mut options = vec![DhcpOption::SubnetMask(NETMASK), DhcpOption::Router(vec![ROUTER])];
        options.extend(self.domain.clone().map(DhcpOption::DomainName));
        if !self.dns.is_empty() {
            options.push(DhcpOption::DomainNameServer(self.dns.clone()));
        }
        if !self.routes.is_empty() {
            let code = if self.microsoft { 249 } else { 121 };
            let routes = self.routes.iter().flat_map(coded).collect();
            options.push(DhcpOption::Unknown(UnknownOption::new(OptionCode::from(code), routes)));
        }
        options
    }
}

/// RFC 3442: prefix length, as many octets of the network as that needs, gateway
fn coded(route: &Route) -> Vec<u8> {
    let significant = usize::from(route.prefix_len).div_ceil(8);
    let network = route.network.octets();
    let network = network.get(..significant).unwrap_or(&network);
    [&[route.prefix_len], network, &route.gateway.octets()].concat()
}
