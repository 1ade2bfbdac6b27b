//! The options of a tunnel
//!
//! A [`TunnelConfig`] needs a server, a user and a password. All else has a default that is right for most
//! servers; what weakens a tunnel's security has `insecure` in its name.
//!
//! ```
//! use std::time::Duration;
//!
//! use pptp::{TunnelConfig, config::EchoPolicy};
//!
//! let echo = EchoPolicy::DEFAULT.interval(Duration::from_secs(10));
//! let config = TunnelConfig::new("vpn.example.com", r"DOMAIN\testuser", "test123")
//!     .name("building 7")
//!     .echo(echo);
//! ```

mod callbacks;
mod check;
mod security;

use std::{borrow::Cow, net::Ipv4Addr, time::Duration};

#[doc(inline)]
pub use pptp_tunnel::{
    AuthenticationProtocol, EchoPolicy, EncryptionDemand, HashName, KeyStrength, MppeBits,
    PasswordEncoding, StatefulReset,
};
use pptp_tunnel::{ControlQuirks, Password, Quirks, Recognition, Reordering};

#[doc(inline)]
pub use crate::connect::{Credentials, RefusedLogin};
use crate::{Info, connect::login::Callbacks};

/// The options of one tunnel: the server, the login, and all that is asked for
///
/// ```
/// # use std::time::Duration;
/// let config = pptp::TunnelConfig::new("vpn.example.com", "testuser", "test123")
///     .name("building 7")
///     .connect_timeout(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone)]
pub struct TunnelConfig {
    pub(crate) name: Option<String>,
    pub(crate) server: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) callbacks: Callbacks,
    /// The options of the protocol, all but those that each dial sets
    pub(crate) machine: pptp_tunnel::Config,
    /// The host name and the phone number of the caller, which override all other quirks
    pub(crate) own_texts: ControlQuirks,
    /// The quirks that an earlier tunnel to this server learned
    pub(crate) remembered: Quirks,
    /// Of an earlier tunnel: see [`Info`]
    pub(crate) proof_memory: u8,
}

impl TunnelConfig {
    /// A tunnel to `server` (`host` or `host:port`; the port is 1723 by default)
    ///
    /// `user` may carry a Windows domain, `DOMAIN\user`.
    pub fn new(
        server: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        let user: String = user.into();
        Self {
            name: None,
            server: server.into(),
            connect_timeout: Duration::from_secs(30),
            callbacks: Callbacks::default(),
            machine: pptp_tunnel::Config::new(&user, Password::new(password)),
            own_texts: ControlQuirks::NONE,
            remembered: Quirks::NONE,
            proof_memory: 0,
        }
    }

    /// The password, in place of that of [`Self::new`]: for one that is read anew before each connect
    #[must_use]
    pub fn password(mut self, password: Password) -> Self {
        self.machine.link.password = password;
        self
    }

    /// The tunnel's name in logs and errors; the server's name by default
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The time that a connect may take in all, from the name's resolution to the first IP packet; 30 s by default
    ///
    /// The error that ends it tells what each phase took.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The size of the flight recorder, in octets; 1536 by default, 65,536 at most
    ///
    /// The connect, which takes some 950 octets, has three quarters at most, the latest control messages and frames
    /// the rest. It is memory that the tunnel holds while it is up. 0 records nothing.
    #[must_use]
    pub const fn flight_recorder(mut self, octets: usize) -> Self {
        self.machine.recorder = octets;
        self
    }

    /// The largest PPP payload asked of the server, in octets; 1400 by default (RFC 1661 §6.1)
    ///
    /// 1400 leaves room for every outer header on any usual path; the inner MTU is 4 less.
    #[must_use]
    pub const fn mru(mut self, mru: u16) -> Self {
        self.machine.link.mru = mru;
        self
    }

    /// The times after which an idle link is probed with LCP Echo-Requests, and counts as dead
    #[must_use]
    pub const fn echo(mut self, echo: EchoPolicy) -> Self {
        self.machine.link.echo = echo;
        self
    }

    /// The silence after which the control connection is probed with an Echo-Request, and the time for its reply
    /// (RFC 2637 §3.1.4); 60 s and 60 s by default
    ///
    /// Each 1 s to 24 h. A server that does not answer in time ends the tunnel. Shorter times find a
    /// dead server sooner, and cost a message of 16 octets and its reply each time; the control
    /// connection is TCP, so that a line that is down for less than the patience loses nothing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let config = pptp::TunnelConfig::new("vpn.example.com", "testuser", "test123")
    ///     .control_echo(Duration::from_secs(20), Duration::from_secs(10));
    /// ```
    #[must_use]
    pub const fn control_echo(mut self, interval: Duration, patience: Duration) -> Self {
        (self.machine.control.timeouts.echo_idle, self.machine.control.timeouts.echo_reply) =
            (interval, patience);
        self
    }

    /// The inner address to ask for first; the server may assign another (RFC 1332 §3.3)
    #[must_use]
    pub const fn wanted_address(mut self, address: Ipv4Addr) -> Self {
        self.machine.link.addresses.address = address;
        self
    }

    /// Asks the server for DNS servers (RFC 1877); on by default
    #[must_use]
    pub const fn request_dns(mut self, request: bool) -> Self {
        let any = if request { Some(Ipv4Addr::UNSPECIFIED) } else { None };
        self.machine.link.addresses.primary_dns = any;
        self.machine.link.addresses.secondary_dns = any;
        self
    }

    /// Allows or forbids that the server gives another inner address or DNS server to a tunnel
    /// that has been up; forbidden by default
    ///
    /// IPCP is in the clear, and somebody on the path can answer before the server does. So such a change
    /// ends the tunnel with [`LinkFailure::AddressChanged`](crate::error::LinkFailure::AddressChanged), to be dialled
    /// again after half a minute. Where it is allowed, [`State::Up`](crate::State::Up) comes with the new facts.
    #[must_use]
    pub const fn address_may_change(mut self, allow: bool) -> Self {
        self.machine.link.address_may_change = allow;
        self
    }

    /// Asks the server for IPv6 too (RFC 5072); off by default
    ///
    /// A server that has it gives link-local addresses, [`Facts::ipv6`](crate::info::Facts::ipv6), and its
    /// packets pass through [`Tunnel::ip_packets`](crate::Tunnel::ip_packets): the tunnel's own
    /// sockets are IPv4's. A server without IPv6, or one that takes less than 1280 octets, is
    /// used without it.
    #[must_use]
    pub const fn ipv6(mut self, wanted: bool) -> Self {
        self.machine.link.ipv6 = wanted;
        self
    }

    /// Asks the server to leave out of each packet the two or three octets of PPP's header
    /// that say nothing (RFC 1661 §6.5, §6.6); no by default, for some servers err there
    #[must_use]
    pub const fn header_compression(mut self, wanted: bool) -> Self {
        self.machine.link.header_compression = wanted;
        self
    }

    /// Asks for the addresses and DNS servers of an earlier tunnel to this server, and remembers its
    /// quirks
    ///
    /// If the server still agrees, the connect takes one round trip less: it has nothing to change.
    /// Remembered is also whether the server answers the pings that prove the path.
    #[must_use]
    pub fn resuming(mut self, earlier: &Info) -> Self {
        self.machine.link.addresses = earlier.request;
        self.remembered = earlier.quirks().cloned().unwrap_or_default();
        self.proof_memory = earlier.path.proof_memory();
        self
    }

    /// Switches the proof on or off by which a tunnel finds out that packets pass inside it; on by default
    ///
    /// A ping of the server's inner address when the tunnel comes up, and again only when users send
    /// and nothing comes back, or when the server complains. Without it a tunnel whose encryption is
    /// dead stays up until the server says so, and [`Tunnel::reachable`](crate::Tunnel::reachable)
    /// knows nothing.
    #[must_use]
    pub const fn path_proof(mut self, wanted: bool) -> Self {
        self.machine.link.proof.is_enabled = wanted;
        self
    }

    /// The quirks that this server is known to have, from the first message on
    ///
    /// [`client_host_name`](Self::client_host_name) and [`phone_number`](Self::phone_number) go
    /// before it, and it goes before what is recognized or remembered.
    #[must_use]
    pub fn quirks(mut self, quirks: impl Into<Quirks>) -> Self {
        self.machine.quirks = quirks.into();
        self
    }

    /// Adds a kind of server to recognize by its Start-Control-Connection-Reply; it goes before
    /// those that are [known](Recognition::KNOWN)
    ///
    /// A server that should have been spoken to otherwise before that reply is dialled once more:
    /// [`State::Redialling`](crate::State::Redialling) says so.
    #[must_use]
    pub fn recognize(mut self, recognition: Recognition) -> Self {
        let recognitions = &mut self.machine.recognitions;
        let place = recognitions.len().saturating_sub(Recognition::KNOWN.len());
        recognitions.insert(place, recognition);
        self
    }

    /// The host name in our Start-Control-Connection-Request (RFC 2637 §2.1); empty by default
    ///
    /// Some servers choose a group by it.
    #[must_use]
    pub fn client_host_name(mut self, name: impl Into<String>) -> Self {
        self.own_texts.host_name = own_text(name.into());
        self
    }

    /// The phone number in our Outgoing-Call-Request (RFC 2637 §2.7); empty by default
    #[must_use]
    pub fn phone_number(mut self, number: impl Into<String>) -> Self {
        self.own_texts.phone_number = own_text(number.into());
        self
    }

    /// The number of frames that wait for one that was overtaken, and the time; 64 and 300 ms by default
    ///
    /// Only where order counts: with stateful MPPE and in the clear. Stateless MPPE takes late packets
    /// as they come, and none of them waits. With 0 no frame waits, and late ones are lost.
    #[must_use]
    pub const fn reorder_buffer(mut self, depth: u16, max_wait: Duration) -> Self {
        self.machine.reordering = Reordering { depth, max_wait };
        self
    }

    pub(crate) fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.server)
    }
}

/// Returns a text for a quirk; an empty one is the default, and no quirk
fn own_text(text: String) -> Option<Cow<'static, str>> {
    (!text.is_empty()).then_some(text.into())
}
