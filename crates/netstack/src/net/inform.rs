//! DHCPINFORM (RFC 2131 §4.4.3): facts of the network, as Windows asks a dial-in server for them

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use dhcproto::{
    Encodable,
    v4::{DhcpOption, HType, Message, MessageType, Opcode, OptionCode, borrowed::Message as View},
};
use tokio::time::timeout;

use super::{handle::Net, udp::UdpSocket};
use crate::{SocketError, Stack, UdpOptions};

/// The settings of [`Net::dhcp_inform`]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DhcpInform {
    /// The number of requests; 2, and at most 10
    pub tries: u8,
    /// The time to wait for an answer to each request; 3 s
    pub wait: Duration,
    /// True if a route to everywhere counts (prefix length 0 or 1, which is how a default route is
    /// overridden); no
    pub default_route: bool,
}

impl Default for DhcpInform {
    fn default() -> Self {
        Self { tries: 2, wait: Duration::from_secs(3), default_route: false }
    }
}

/// The answer of a DHCP server
///
/// It is data only and changes nothing in the stack. DHCP has no authentication: any host in the network
/// can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DhcpAnswer {
    /// The address of the server
    pub server: Ipv4Addr,
    /// Classless static routes (RFC 3442): option 121, or Microsoft's 249 if there is none; at most
    /// [`DhcpAnswer::MAX_ROUTES`]
    pub routes: Vec<Route>,
    /// Routes that were left out: to everywhere, or beyond the limit
    pub routes_ignored: u32,
    /// DNS servers, in their order; at most 8
    pub dns: Vec<Ipv4Addr>,
    /// The domain of unqualified names
    pub domain: Option<String>,
    /// The subnet mask
    pub subnet_mask: Option<Ipv4Addr>,
    /// Routers of the subnet; at most 8. They count only if there are no routes (RFC 3442)
    pub routers: Vec<Ipv4Addr>,
}

impl DhcpAnswer {
    /// Routes kept of an answer
    pub const MAX_ROUTES: usize = 64;
}

/// A classless static route (RFC 3442)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    /// The network it leads to, without host bits
    pub network: Ipv4Addr,
    /// Bits of the network's prefix, 0 to 32
    pub prefix_len: u8,
    /// The router, or 0.0.0.0 for a network that is on the link itself
    pub gateway: Ipv4Addr,
}

impl Net {
    /// Asks the network's DHCP server for routes, DNS servers and the domain: DHCPINFORM
    ///
    /// From port 68 to port 67 of everyone. A network without an answer is no fault: many have no
    /// DHCP server that is asked, or one without a relay agent to it.
    ///
    /// # Errors
    ///
    /// `TimedOut` if no server answers, `AddrInUse` while another asks, or the reason if the stack has
    /// been shut down.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the question and frees its socket.
    pub async fn dhcp_inform(&self, how: DhcpInform) -> io::Result<DhcpAnswer> {
        let options = UdpOptions { receive_buffer: 4096, send_buffer: 1024, broadcast: true };
        let socket =
            self.udp_bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT).into(), options)?;
        let socket = socket.repeats()?;
        let (address, id) = self.with(|stack| (stack.address(), Stack::random(stack)));
        let [_, _, _, _, transaction @ ..] = id.to_be_bytes();
        let question = Question { transaction: u32::from_be_bytes(transaction), address };
        let octets = question.octets()?;
        for _ in 0..how.tries.min(MAX_TRIES) {
            socket.send_to(&octets, SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT)).await?;
            match timeout(how.wait, question.answer(&socket, how.default_route)).await {
                Ok(answer) => return answer,
                Err(_) => self.with(|stack| stack.check_ended())?,
            }
        }
        Err(SocketError::TimedOut.into())
    }
}

/// A DHCPINFORM message
#[derive(Clone, Copy)]
struct Question {
    transaction: u32,
    address: Ipv4Addr,
}

impl Question {
    fn octets(self) -> io::Result<Vec<u8>> {
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

    /// Waits for an answer: whatever else comes is ignored
    async fn answer(self, socket: &UdpSocket, default_route: bool) -> io::Result<DhcpAnswer> {
        let mut buffer = vec![0; 4096];
        loop {
            let (received, from) = socket.recv_from(&mut buffer).await?;
            let octets = buffer.get(..received).unwrap_or_default();
            if from.port() == SERVER_PORT
                && let std::net::IpAddr::V4(from) = from.ip()
                && let Some(answer) = self.read(from, octets, default_route)
            {
                return Ok(answer);
            }
        }
    }

    /// The answer in a datagram, if it is one to this question
    fn read(self, from: Ipv4Addr, octets: &[u8], default_route: bool) -> Option<DhcpAnswer> {
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
                1 => answer.subnet_mask = addresses(data).first().copied(),
                3 => answer.routers = addresses(data),
                6 => answer.dns = addresses(data),
                15 => answer.domain = text(data),
                53 => kind = data.first().copied(),
                54 => answer.server = addresses(data).first().copied().unwrap_or(from),
                121 => routes = read_routes(data),
                249 => routes_of_microsoft = read_routes(data),
                _ => {}
            }
        }
        answer.take_routes(routes.or(routes_of_microsoft).unwrap_or_default(), default_route);
        (kind == Some(MessageType::Ack.into())).then_some(answer)
    }
}

impl DhcpAnswer {
    const fn of(server: Ipv4Addr) -> Self {
        Self {
            server,
            routes: Vec::new(),
            routes_ignored: 0,
            dns: Vec::new(),
            domain: None,
            subnet_mask: None,
            routers: Vec::new(),
        }
    }

    fn take_routes(&mut self, routes: Vec<Route>, default_route: bool) {
        for route in routes {
            let is_to_everywhere = route.prefix_len <= 1;
            if (is_to_everywhere && !default_route) || self.routes.len() >= Self::MAX_ROUTES {
                self.routes_ignored = self.routes_ignored.saturating_add(1);
            } else if !self.routes.contains(&route) {
                self.routes.push(route);
            }
        }
    }
}

/// The routes of RFC 3442, each as prefix length, the octets of the network that it needs, and gateway
///
/// `None` if it is cut off, or a prefix is too long: half of the routes may be worse than none.
fn read_routes(mut data: &[u8]) -> Option<Vec<Route>> {
    let mut routes = Vec::new();
    while let Some((prefix_len, rest)) = data.split_first() {
        let significant = usize::from(prefix_len.checked_add(7)?.checked_div(8)?);
        let (octets, rest) = rest.split_at_checked(significant)?;
        let (gateway, rest) = rest.split_first_chunk::<4>()?;
        let mut network = [0; 4];
        network.get_mut(..significant)?.copy_from_slice(octets);
        let host_bits = u32::MAX.checked_shr((*prefix_len).into()).unwrap_or(0);
        routes.push(Route {
            network: Ipv4Addr::from_bits(u32::from_be_bytes(network) & !host_bits),
            prefix_len: *prefix_len,
            gateway: (*gateway).into(),
        });
        data = rest;
    }
    Some(routes)
}

fn addresses(data: &[u8]) -> Vec<Ipv4Addr> {
    let (addresses, _) = data.as_chunks::<4>();
    addresses.iter().take(MAX_ADDRESSES).copied().map(Ipv4Addr::from).collect()
}

/// A text, without the NUL that some servers send with it
fn text(data: &[u8]) -> Option<String> {
    let end = data.iter().position(|octet| *octet == 0).unwrap_or(data.len());
    let text = String::from_utf8_lossy(data.get(..end)?).into_owned();
    (!text.is_empty()).then_some(text)
}

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
/// Octets of the shortest message
const LEAST: usize = 300;
const MAX_TRIES: u8 = 10;
const MAX_ADDRESSES: usize = 8;
/// The options that Windows asks for: servers are known to answer to just this list
const WANTED: [u8; 13] = [1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 121, 249, 252];

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
    const QUESTION: Question = Question { transaction: 0x1234_5678, address: ADDRESS };

    fn route(network: [u8; 4], prefix_len: u8, gateway: [u8; 4]) -> Route {
        Route { network: network.into(), prefix_len, gateway: gateway.into() }
    }

    /// A reply with these options behind its cookie
    fn reply(options: &[&[u8]]) -> Vec<u8> {
        let mut octets = vec![2, 1, 6, 0, 0x12, 0x34, 0x56, 0x78];
        octets.resize(236, 0);
        octets.extend([99, 130, 83, 99]);
        octets.extend(options.concat());
        octets.push(255);
        octets
    }

    const ACK: &[u8] = &[53, 1, 5];

    fn read(options: &[&[u8]]) -> Option<DhcpAnswer> {
        QUESTION.read(SERVER, &reply(options), false)
    }

    #[test]
    fn the_question_is_rfc_2131s_and_its_list_windows() {
        let octets = QUESTION.octets().unwrap();
        assert_eq!(octets.len(), 300);
        assert_eq!(octets[..8], [1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78], "a request over Ethernet");
        assert_eq!(octets[12..16], ADDRESS.octets(), "ciaddr");
        assert_eq!(octets[16..28], [0; 12], "yiaddr, siaddr, giaddr");
        assert_eq!(octets[28..34], [2, 0, 192, 168, 1, 20], "chaddr");
        assert_eq!(octets[236..240], [99, 130, 83, 99]);
        let options = [
            &[53, 1, 8, 55, 13][..],
            &[1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 121, 249, 252],
            &[255],
        ];
        assert_eq!(octets[240..259], options.concat());
    }

    #[test]
    fn rfc_3442s_examples_are_read() {
        let examples: [(&[u8], Route); 6] = [
            (&[0, 10, 0, 0, 1], route([0; 4], 0, [10, 0, 0, 1])),
            (&[8, 10, 10, 0, 0, 1], route([10, 0, 0, 0], 8, [10, 0, 0, 1])),
            (&[24, 10, 0, 0, 10, 0, 0, 1], route([10, 0, 0, 0], 24, [10, 0, 0, 1])),
            (&[16, 10, 17, 10, 0, 0, 1], route([10, 17, 0, 0], 16, [10, 0, 0, 1])),
            (&[25, 10, 229, 0, 128, 0, 0, 0, 0], route([10, 229, 0, 128], 25, [0; 4])),
            (&[32, 10, 198, 122, 47, 10, 0, 0, 1], route([10, 198, 122, 47], 32, [10, 0, 0, 1])),
        ];
        let all: Vec<u8> = examples.iter().flat_map(|(octets, _)| octets.to_vec()).collect();
        let routes = examples.map(|(_, route)| route);
        assert_eq!(read_routes(&all).as_deref(), Some(&routes[..]));
        let with_host_bits = read_routes(&[12, 10, 0xFF, 0, 0, 0, 0]).unwrap();
        assert_eq!(with_host_bits, [route([10, 240, 0, 0], 12, [0; 4])]);
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_no_list_of_routes() {
        let whole = [24, 10, 0, 0, 10, 0, 0, 1];
        for cut in 1..whole.len() {
            assert_eq!(read_routes(&whole[..cut]), None, "cut at {cut}");
        }
        for prefix_len in 33..=255 {
            assert_eq!(read_routes(&[prefix_len, 1, 2, 3, 4, 5, 6, 7, 8]), None, "{prefix_len}");
        }
    }

    #[test]
    fn everything_that_is_asked_for_is_told() {
        let answer = read(&[
            ACK,
            &[54, 4, 192, 168, 1, 2],
            &[1, 4, 255, 255, 255, 0],
            &[3, 4, 192, 168, 1, 1],
            &[6, 8, 192, 168, 1, 1, 9, 9, 9, 9],
            b"\x0f\x05lan.\0",
            &[121, 8, 24, 10, 1, 2, 192, 168, 1, 9],
            &[249, 6, 8, 10, 192, 168, 1, 9],
        ])
        .unwrap();
        let expected = DhcpAnswer {
            server: Ipv4Addr::new(192, 168, 1, 2),
            routes: vec![route([10, 1, 2, 0], 24, [192, 168, 1, 9])],
            routes_ignored: 0,
            dns: vec![SERVER, Ipv4Addr::new(9, 9, 9, 9)],
            domain: Some("lan.".into()),
            subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
            routers: vec![SERVER],
        };
        assert_eq!(answer, expected);
    }

    #[test]
    fn option_249_counts_if_121_is_missing_or_broken() {
        let of_microsoft = &[249, 6, 8, 10, 192, 168, 1, 9][..];
        for options in [&[ACK, of_microsoft][..], &[ACK, &[121, 2, 24, 10], of_microsoft]] {
            let routes = read(options).unwrap().routes;
            assert_eq!(routes, [route([10, 0, 0, 0], 8, [192, 168, 1, 9])]);
        }
    }

    #[test]
    fn a_default_route_counts_only_where_it_is_wanted() {
        let halves = [121, 17, 0, 10, 0, 0, 1, 1, 0, 10, 0, 0, 1, 1, 128, 10, 0, 0, 1];
        let halves = &halves[..];
        let answer = read(&[ACK, halves]).unwrap();
        assert_eq!((answer.routes.len(), answer.routes_ignored), (0, 3));
        let answer = QUESTION.read(SERVER, &reply(&[ACK, halves]), true).unwrap();
        assert_eq!((answer.routes.len(), answer.routes_ignored), (3, 0));
    }

    #[test]
    fn no_more_than_64_routes_are_kept() {
        // 560 octets do not fit one option: it is split (RFC 3396)
        let all: Vec<u8> = (0..80).flat_map(|n| [16, 10, n, 10, 0, 0, 1]).collect();
        let split: Vec<u8> = all.chunks(255).fold(Vec::new(), |mut split, chunk| {
            split.extend([121, u8::try_from(chunk.len()).unwrap()]);
            split.extend(chunk);
            split
        });
        let answer = read(&[ACK, &split]).unwrap();
        assert_eq!((answer.routes.len(), answer.routes_ignored), (64, 16));
    }

    #[test]
    fn what_does_not_answer_this_question_is_ignored() {
        assert_eq!(read(&[]), None, "no message type");
        assert_eq!(read(&[&[53, 1, 6]]), None, "a DHCPNAK");
        let mut other = reply(&[ACK]);
        other[7] ^= 1;
        assert_eq!(QUESTION.read(SERVER, &other, false), None, "another transaction");
        let mut request = reply(&[ACK]);
        request[0] = 1;
        assert_eq!(QUESTION.read(SERVER, &request, false), None, "a request");
        let whole = reply(&[ACK]);
        for cut in 0..240 {
            assert_eq!(QUESTION.read(SERVER, &whole[..cut], false), None);
        }
    }

    proptest! {
        #[test]
        fn no_answer_panics(options in vec(any::<u8>(), 0..300), everything: bool) {
            let answer = QUESTION.read(SERVER, &reply(&[ACK, &options]), everything);
            if let Some(answer) = answer {
                prop_assert!(answer.routes.len() <= DhcpAnswer::MAX_ROUTES);
                prop_assert!(answer.dns.len() <= MAX_ADDRESSES);
            }
            let _ = QUESTION.read(SERVER, &options, everything);
            let _ = read_routes(&options);
        }
    }
}
