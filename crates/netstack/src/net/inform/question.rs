//! The question: a DHCPINFORM message, and the judgment of what answers it

use std::{io, net::Ipv4Addr};

use dhcproto::{
    Encodable,
    v4::{DhcpOption, HType, Message, MessageType, Opcode, OptionCode, borrowed::Message as View},
};

use super::answer::{DhcpAnswer, read_addresses, read_routes, read_text};

/// A DHCPINFORM message
#[derive(Clone, Copy)]
pub(super) struct Question {
    transaction: u32,
    address: Ipv4Addr,
}

impl Question {
    pub(super) const fn new(transaction: u32, address: Ipv4Addr) -> Self {
        Self { transaction, address }
    }

    /// Composes the message
    pub(super) fn octets(self) -> io::Result<Vec<u8>> {
        let [a, b, c, d] = self.address.octets();
        let none = Ipv4Addr::UNSPECIFIED;
        // PPP has no hardware address: a locally administered one is made of unique numbers
        let hardware = [0x02, 0x00, a, b, c, d];
        let mut message =
            Message::new_with_id(self.transaction, self.address, none, none, none, &hardware);
        message.set_htype(HType::Eth);
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(MessageType::Inform));
        let wanted = WANTED.iter().copied().map(OptionCode::from).collect();
        options.insert(DhcpOption::ParameterRequestList(wanted));
        let mut octets = message.to_vec().map_err(io::Error::other)?;
        // what BOOTP had as its least length (RFC 1542 §2.1), for those who insist on it
        octets.resize(octets.len().max(LEAST), 0);
        Ok(octets)
    }

    /// The answer in a datagram, if it is one to this question
    pub(super) fn read(
        self,
        from: Ipv4Addr,
        octets: &[u8],
        default_route: bool,
    ) -> Option<DhcpAnswer> {
        let message = View::new(octets).ok()?;
        if message.opcode() != Opcode::BootReply || message.xid() != self.transaction {
            return None;
        }
        let mut kind = None;
        let (mut routes, mut routes_of_microsoft) = (None, None);
        let mut answer = DhcpAnswer::of(from);
        for option in message.opts() {
            let data = option.data();
            match u8::from(option.code()) {
                1 => answer.subnet_mask = read_addresses(data).first().copied(),
                3 => answer.routers = read_addresses(data),
                6 => answer.dns = read_addresses(data),
                15 => answer.domain = read_text(data),
                53 => kind = data.first().copied(),
                54 => answer.server = read_addresses(data).first().copied().unwrap_or(from),
                121 => routes = read_routes(data),
                249 => routes_of_microsoft = read_routes(data),
                _ => {}
            }
        }
        answer.take_routes(routes.or(routes_of_microsoft).unwrap_or_default(), default_route);
        (kind == Some(MessageType::Ack.into())).then_some(answer)
    }
}

/// Octets of the shortest message
const LEAST: usize = 300;

/// The options that Windows asks for: servers are known to answer to just this list
const WANTED: [u8; 13] = [1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 121, 249, 252];
