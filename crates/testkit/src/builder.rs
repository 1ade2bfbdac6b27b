//! The options of a server, as its owner sets them

use std::{io, net::Ipv4Addr};

use pptp_control::AfterCallClear;
use pptp_memory_net as memory;
use pptp_ppp::{
    EchoPolicy, Extras, HashName, Password, ServerAuthentication, ServerEncryption, ServerOrder,
};
use pptp_tunnel::{Acknowledgments, GreBehavior};

use crate::{
    Closes, Control, Dhcp, Faults, KnxGateway, ROUTER, Server,
    ground::Ground,
    lan::{MAX_ADDRESSES, MTU},
    options::Options,
};

/// The options of a [`Server`]
#[derive(Debug, Clone)]
pub struct ServerBuilder {
    pub(crate) options: Options,
}

impl ServerBuilder {
    pub(crate) fn new(building: u32) -> Self {
        let options = Options {
            building,
            seed: building.into(),
            secrets: Vec::new(),
            hash_name: HashName::default(),
            control: Control::default(),
            order: ServerOrder::Pppd,
            authentication: ServerAuthentication::default(),
            encryption: ServerEncryption::Mppe128,
            encryption_yields: false,
            echo: EchoPolicy::default(),
            mru: DEFAULT_MRU,
            dns: vec![ROUTER],
            sessions: MAX_ADDRESSES,
            mute_gre: false,
            faults: Faults::default(),
            dhcp: None,
            knx: KnxGateway::default(),
            ipv6: false,
            extras: Extras::default(),
            moves_clients: false,
            challenge_name: "pptpd".to_owned(),
            gre: GreBehavior::default(),
            says_twice: false,
            closes: None,
            gre_source: None,
            gre_checksums: false,
            one_session: false,
            newest_session: false,
        };
        Self { options }.order(ServerOrder::Pppd)
    }

    /// Adds an account; without any, there is `testuser` with the password `test123`
    #[must_use]
    pub fn secret(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.options.secrets.push((user.into(), Password::new(password)));
        self
    }

    /// Sets the real server that is copied: the order of its PPP messages, and its control
    /// connection
    ///
    /// pptpd's by default. To have another control connection with it, call [`Self::control`]
    /// afterwards.
    #[must_use]
    pub fn order(mut self, order: ServerOrder) -> Self {
        self.options.order = order;
        self.options.control = control_of(order);
        self
    }

    /// Sets the server's values and behavior on the control connection (RFC 2637 §2)
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.options.control = control;
        self
    }

    /// Sets how clients must prove their identity; MS-CHAPv2 by default
    #[must_use]
    pub fn authentication(mut self, authentication: ServerAuthentication) -> Self {
        self.options.authentication = authentication;
        self
    }

    /// Sets the server's encryption (RFC 3078); by default it requires 128 bit, stateless
    #[must_use]
    pub const fn encryption(mut self, encryption: ServerEncryption) -> Self {
        self.options.encryption = encryption;
        self
    }

    /// Sets if the server accepts another kind of MPPE that the client asks for; by default it does
    /// not
    #[must_use]
    pub const fn encryption_yields(mut self, yields: bool) -> Self {
        self.options.encryption_yields = yields;
        self
    }

    /// Sets the part of `DOMAIN\user` that the server hashes (RFC 2759 §4); `user` by default
    #[must_use]
    pub const fn hash_name(mut self, hash_name: HashName) -> Self {
        self.options.hash_name = hash_name;
        self
    }

    /// Sets when the server probes an idle client with LCP Echo-Requests, and when it gives up
    #[must_use]
    pub const fn echo(mut self, echo: EchoPolicy) -> Self {
        self.options.echo = echo;
        self
    }

    /// Sets the Maximum-Receive-Unit that the server asks for (RFC 1661 §6.1), in octets; 1400 by default
    #[must_use]
    pub const fn mru(mut self, mru: u16) -> Self {
        self.options.mru = mru;
        self
    }

    /// Sets the DNS servers given to a client that asks, at most two (RFC 1877); 192.168.1.1 by default
    #[must_use]
    pub fn dns(mut self, dns: impl Into<Vec<Ipv4Addr>>) -> Self {
        self.options.dns = dns.into();
        self
    }

    /// Sets the number of clients that get an address, at most 200, which is the default; further
    /// calls are refused as busy (RFC 2637 §2.8)
    #[must_use]
    pub fn sessions(mut self, most: usize) -> Self {
        self.options.sessions = most.min(MAX_ADDRESSES);
        self
    }

    /// Makes the server never send GRE, as behind a firewall that drops it
    ///
    /// [`Server::mute_gre`] changes it later.
    #[must_use]
    pub const fn mute_gre(mut self, mute: bool) -> Self {
        self.options.mute_gre = mute;
        self
    }

    /// Sets the server's faults from its start on; none by default
    ///
    /// [`Server::set_faults`] changes it later.
    #[must_use]
    pub const fn faults(mut self, faults: Faults) -> Self {
        self.options.faults = faults;
        self
    }

    /// Gives the building a DHCP server, which answers DHCPINFORM (RFC 2131 §4.3.5); none by default
    #[must_use]
    pub fn dhcp(mut self, dhcp: Dhcp) -> Self {
        self.options.dhcp = Some(dhcp);
        self
    }

    /// Sets the way of the building's KNXnet/IP gateway; that of most gateways by default
    #[must_use]
    pub fn knx(mut self, gateway: KnxGateway) -> Self {
        self.options.knx = gateway;
        self
    }

    /// Sets if the server offers IPv6 to a client that asks (RFC 5072); no by default
    ///
    /// It has a link-local address and answers IPv6 echo requests. The building has no IPv6.
    #[must_use]
    pub const fn ipv6(mut self, has: bool) -> Self {
        self.options.ipv6 = has;
        self
    }

    /// Sets options and messages of the server that a link does not need; none by default
    #[must_use]
    pub fn extras(mut self, extras: Extras) -> Self {
        self.options.extras = extras;
        self
    }

    /// Makes the server refuse a login (error 691) while an earlier session of the account lives
    ///
    /// As RADIUS servers and accel-ppp do that allow one session an account. A session whose client has vanished lives
    /// until the server's echoes find that out: see [`Self::echo`].
    #[must_use]
    pub const fn one_session(mut self) -> Self {
        self.options.one_session = true;
        self
    }

    /// Makes the server end an account's earlier session when another comes up
    ///
    /// As accel-ppp does with `single-session=replace`.
    #[must_use]
    pub const fn newest_session(mut self) -> Self {
        self.options.newest_session = true;
        self
    }

    /// Makes the server give a client another address when PPP is negotiated anew
    #[must_use]
    pub const fn moves_clients(mut self) -> Self {
        self.options.moves_clients = true;
        self
    }

    /// Makes the server never acknowledge a GRE datagram (RFC 2637 §4.3)
    #[must_use]
    pub const fn never_acknowledges(self) -> Self {
        self.acknowledgments(Acknowledgments::Never)
    }

    /// Sets when the server acknowledges its clients' GRE (RFC 2637 §4.3); promptly by default
    #[must_use]
    pub const fn acknowledgments(mut self, acknowledgments: Acknowledgments) -> Self {
        self.options.gre.acknowledgments = acknowledgments;
        self
    }

    /// Sets the sequence number of the server's first GRE datagram (RFC 2637 §4.1); 0 by default
    #[must_use]
    pub const fn first_sequence(mut self, first: u32) -> Self {
        self.options.gre.first_sequence = first;
        self
    }

    /// Makes the server send everything twice: each message of the control connection, each PPP
    /// control frame with a sequence number of its own, and each GRE datagram with the same number
    ///
    /// So a PPP control frame comes four times.
    #[must_use]
    pub const fn says_twice(mut self) -> Self {
        self.options.says_twice = true;
        self.options.gre.repeats_frames = true;
        self
    }

    /// Makes the server close each control connection at this moment
    #[must_use]
    pub const fn closes(mut self, closes: Closes) -> Self {
        self.options.closes = Some(closes);
        self
    }

    /// Makes the server send its GRE from another address, as a router with two lines may
    ///
    /// In memory any address will do; on real sockets it has to be one of this host's.
    #[must_use]
    pub const fn gre_source(mut self, address: Ipv4Addr) -> Self {
        self.options.gre_source = Some(address);
        self
    }

    /// Makes the server's GRE carry a checksum (RFC 1701), which RFC 2637 §4.1 does not have
    #[must_use]
    pub const fn gre_checksums(mut self) -> Self {
        self.options.gre_checksums = true;
        self
    }

    /// Sets the server's own name in its CHAP Challenges (RFC 1994 §4.1); `pptpd` by default
    #[must_use]
    pub fn challenge_name(mut self, name: impl Into<String>) -> Self {
        self.options.challenge_name = name.into();
        self
    }

    /// Sets the seed of challenges, Magic-Numbers, Call IDs and ports; the building's number by
    /// default
    ///
    /// So two runs are equal. The secrets of a server of the testkit can be computed from the seed:
    /// such a server protects nothing.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Starts the server on a host of a network in memory, within the current tokio runtime
    ///
    /// # Errors
    /// `AddrInUse` if the host has a server already.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn serve_memory(self, network: &memory::Network, address: Ipv4Addr) -> io::Result<Server> {
        if let Some(source) = self.options.gre_source {
            network.host(address).add_source(source);
        }
        Server::start(self.finished(), Ground::Memory(network.clone()), address)
    }

    /// Starts the server on real sockets: TCP port 1723 and raw GRE, both bound to `address`
    ///
    /// Needs `CAP_NET_RAW`. Any address of this host will do, 127.0.0.0/8 included, so that several
    /// servers run on one host.
    ///
    /// # Errors
    /// `AddrInUse`, `AddrNotAvailable`; a missing capability, with the command that grants it.
    #[expect(clippy::unused_async, reason = "it has to be called within a runtime")]
    pub async fn serve(self, address: Ipv4Addr) -> io::Result<Server> {
        Server::start(self.finished(), Ground::Kernel, address)
    }

    fn finished(self) -> Options {
        let mut options = self.options;
        if options.secrets.is_empty() {
            options.secrets.push((USER.to_owned(), Password::new(PASSWORD)));
        }
        options
    }
}

/// The control connections of the servers that are known best
fn control_of(order: ServerOrder) -> Control {
    match order {
        ServerOrder::Pppd => Control {
            host_name: "local".to_owned(),
            vendor: "linux".to_owned(),
            framing_capabilities: 0,
            bearer_capabilities: 0,
            after_call_clear: AfterCallClear::CloseConnection,
            ..Control::default()
        },
        ServerOrder::AccelPpp => Control {
            host_name: "local".to_owned(),
            vendor: "accel-ppp".to_owned(),
            after_call_clear: AfterCallClear::NotifyWithPeerCallId,
            ..Control::default()
        },
        ServerOrder::Rras => Control {
            vendor: "Microsoft".to_owned(),
            max_channels: 0,
            after_call_clear: AfterCallClear::Notify,
            ..Control::default()
        },
    }
}

const DEFAULT_MRU: u16 = 1400;
const _: () =
    assert!(DEFAULT_MRU as usize <= MTU, "the building's network takes what a tunnel gives");

const USER: &str = "testuser";
const PASSWORD: &str = "test123";
