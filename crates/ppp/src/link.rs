//! The link: one type for both roles

use std::{fmt, time::Instant};

use pptp_mppe::Arrival;
use pptp_mschap::Password;
use pptp_packet::PacketBuf;
use zeroize::Zeroizing;

#[cfg(feature = "server")]
use crate::server::config::ServerConfig;
use crate::{
    authentication,
    client::{self, Client},
    config::{ClientConfig, quirks::Quirks},
    context::stats::Stats,
    events::{Event, Phase, Received, Timer},
    failure::Failure,
    liveness::path_monitor::Reachability,
    machine::Machine,
};

/// One PPP link, from the first Configure-Request to the last Terminate-Ack
///
/// Inputs are [`Link::handle_frame`] and [`Link::handle_timeout`]; after any of them, and after a
/// command, the owner asks [`Link::poll_event`], [`Link::poll_frame`] and [`Link::poll_proof`] until all
/// are empty, and [`Link::poll_timeout`] once.
pub struct Link(Inner);

/// The machine in either role; a build without the server has none of its code
#[cfg_attr(
    feature = "server",
    expect(
        clippy::large_enum_variant,
        reason = "a client pays neither for the larger server nor for a box"
    )
)]
enum Inner {
    Client(Machine<Client>),
    #[cfg(feature = "server")]
    Server(Box<Machine<crate::server::Server>>),
}

macro_rules! each {
    ($inner:expr, $machine:ident => $call:expr) => {
        match $inner {
            Inner::Client($machine) => $call,
            #[cfg(feature = "server")]
            Inner::Server($machine) => $call,
        }
    };
}

macro_rules! in_client {
    ($inner:expr, $machine:ident => $call:expr) => {
        match $inner {
            Inner::Client($machine) => $call,
            #[cfg(feature = "server")]
            Inner::Server(_) => {}
        }
    };
}

#[cfg(all(test, feature = "server"))]
impl Link {
    /// Returns the `Debug` output of the machine's parts, which [`Link`]'s own leaves out
    pub(crate) fn details(&self) -> String {
        each!(&self.0, machine => machine.details())
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each!(&self.0, machine => write!(f, "Link({machine:?})"))
    }
}

impl Link {
    /// The client's link: it authenticates itself and is given an address
    ///
    /// All randomness (Magic-Numbers, challenges) comes from `seed`: it has to be fresh and secret.
    pub fn client(config: ClientConfig, seed: [u8; 32]) -> Self {
        Self(Inner::Client(client::machine(config, seed)))
    }

    /// The server's link: it authenticates the client and assigns its address
    #[cfg(feature = "server")]
    pub fn server(config: ServerConfig, seed: [u8; 32]) -> Self {
        Self(Inner::Server(Box::new(crate::server::machine(config, seed))))
    }

    /// Opens the link over a carrier that is up: sends LCP's Configure-Request at once
    pub fn open(&mut self, now: Instant) {
        each!(&mut self.0, machine => machine.open(now));
    }

    /// Ends the link: sends a Terminate-Request; [`Event::Closed`] follows within 2 s
    ///
    /// Does nothing if the link has ended already.
    pub fn close(&mut self, now: Instant) {
        each!(&mut self.0, machine => machine.close(now));
    }

    /// Negotiates everything anew, from LCP on: new authentication, new keys (RFC 1661 §4.3, restart option)
    ///
    /// Does nothing while LCP is not open.
    pub fn renegotiate(&mut self, now: Instant) {
        each!(&mut self.0, machine => machine.renegotiate(now));
    }

    /// Asks the peer for a sign of life now, since it may be gone: with the next [`Self::handle_timeout`]
    ///
    /// Four LCP Echo-Requests in 9 s, unless the peer is heard; 3 s later it is dead. [`EchoPolicy`](crate::EchoPolicy)
    /// has the number, and shorter times. Does nothing before LCP is open, and where echoes are switched off.
    pub fn check_peer(&mut self, now: Instant) {
        each!(&mut self.0, machine => machine.check_peer(now));
    }

    /// Asks the client to prove once more who it is, while the link is up (RFC 1994 §4.1)
    ///
    /// Does nothing in a client, before the first proof, and with PAP.
    #[cfg(feature = "server")]
    pub fn challenge(&mut self, now: Instant) {
        if let Inner::Server(machine) = &mut self.0 {
            machine.challenge(now);
        }
    }

    /// Switches failures of a server on and off
    ///
    /// Does nothing in a client.
    #[cfg(feature = "server")]
    pub fn set_faults(&mut self, faults: crate::LinkFaults) {
        if let Inner::Server(machine) = &mut self.0 {
            machine.set_faults(faults);
        }
    }

    /// Ends the link with an error code of Windows, as RRAS does; does nothing in a client
    #[cfg(feature = "server")]
    pub fn terminate(&mut self, code: crate::failure::ras::RasCode) {
        if let Inner::Server(machine) = &mut self.0 {
            machine.terminate(code);
        }
    }

    /// Puts the peer's quirks into the configuration, for an owner who learns only on the way who the peer is
    ///
    /// Does nothing in a server.
    pub fn apply(&mut self, quirks: Quirks) {
        in_client!(&mut self.0, machine => machine.lcp.options.apply(quirks));
    }

    /// Answers [`Question::NewPassword`]: the server is told to change the password, and the link goes on
    ///
    /// Does nothing without that question. The link ends with the server's refusal if `new` is the
    /// expired password itself, or has more than 256 UTF-16 units (RFC 2759 §8.10).
    ///
    /// [`Question::NewPassword`]: crate::Question::NewPassword
    pub fn change_password(&mut self, now: Instant, new: Password) {
        in_client!(&mut self.0, machine => machine.reply(now, |client, context| client.change_password(now, new, context)));
    }

    /// Answers [`Question::OtherCredentials`]: logs in anew, on the same link
    ///
    /// Does nothing without that question. The link ends with the server's refusal if both are those
    /// that it refused.
    ///
    /// [`Question::OtherCredentials`]: crate::Question::OtherCredentials
    pub fn log_in_as(&mut self, now: Instant, user: String, password: Password) {
        in_client!(&mut self.0, machine => machine.reply(now, |client, context| client.log_in_as(now, user, password, context)));
    }

    /// Leaves an open question without an answer: the link ends with the server's refusal
    ///
    /// Does nothing without a question.
    pub fn give_up(&mut self, now: Instant) {
        in_client!(&mut self.0, machine => machine.reply(now, authentication::ClientAuthentication::give_up));
    }

    /// Takes one PPP frame as it was in the carrier, and opens it in place
    ///
    /// `arrival` tells where the carrier's sequence number stands: MPPE needs it for late frames,
    /// and control frames that come twice are found by it.
    pub fn handle_frame<'p>(
        &mut self,
        now: Instant,
        arrival: Arrival,
        frame: &'p mut [u8],
    ) -> Received<'p> {
        each!(&mut self.0, machine => machine.handle_frame(now, arrival, frame))
    }

    /// Tells that the peer has ended the carrier's call: the reason it gave on the link, if one waits for
    /// its confirmation, counts now
    ///
    /// [`Event::Down`] follows if there was one; nothing else happens.
    pub fn peer_hung_up(&mut self, now: Instant) {
        each!(&mut self.0, machine => machine.peer_hung_up(now));
    }

    /// Performs all that is due at `now`; a call that is too early changes nothing
    pub fn handle_timeout(&mut self, now: Instant) {
        each!(&mut self.0, machine => machine.handle_timeout(now));
    }

    /// Turns an inner IP packet into a PPP frame, in its headroom
    ///
    /// Only while [`Link::is_up`]: otherwise the packet is left as it was, and false comes back.
    /// The frames must go out in the order in which they were sealed.
    pub fn seal(&mut self, packet: &mut PacketBuf) -> bool {
        each!(&mut self.0, machine => machine.seal(packet))
    }

    /// Notes that a packet of a user was sealed and leaves
    ///
    /// If it [wants an answer](crate::wants_answer), nothing coming back is then a silence.
    pub fn note_sent(&mut self, now: Instant, wants_answer: bool) {
        each!(&mut self.0, machine => machine.note_sent(now, wants_answer));
    }

    /// Notes that the carrier's own signalling was heard
    ///
    /// A peer that has never answered an LCP Echo-Request is not dead for that as long as its carrier
    /// is alive.
    pub fn note_carrier_alive(&mut self, now: Instant) {
        each!(&mut self.0, machine => machine.note_carrier_alive(now));
    }

    /// The time at which anything of the peer came in last
    pub fn last_heard(&self) -> Option<Instant> {
        each!(&self.0, machine => machine.last_heard())
    }

    /// Returns true if packets pass inside the link, as far as is known
    pub fn reachability(&self) -> Reachability {
        each!(&self.0, machine => machine.reachability())
    }

    /// The next packet that proves the data path, as a sealed frame
    ///
    /// Asked after [`Link::poll_frame`]. It counts as sealed: it must go out in its order.
    pub fn poll_proof(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        each!(&mut self.0, machine => machine.poll_proof().map(Zeroizing::new))
    }

    /// The next control frame to send, complete with address and control field
    ///
    /// Zeroed when it is dropped, since a PAP request has the password in it.
    pub fn poll_frame(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        each!(&mut self.0, machine => machine.poll_frame())
    }

    /// The next event
    pub fn poll_event(&mut self) -> Option<Event> {
        each!(&mut self.0, machine => machine.poll_event())
    }

    /// The time at which [`Link::handle_timeout`] wants to be called, and the reason
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        each!(&self.0, machine => machine.poll_timeout())
    }

    /// Returns true if IP packets pass
    pub fn is_up(&self) -> bool {
        each!(&self.0, machine => machine.is_up())
    }

    /// The phase of the link
    pub fn phase(&self) -> Phase {
        each!(&self.0, machine => machine.phase())
    }

    /// Round trips of the negotiation so far
    ///
    /// Counted by cause: each request remembers how many had passed when it was sent, and its
    /// answer makes it one more. Without loss this is the time it took divided by the round-trip
    /// time.
    pub fn round_trips(&self) -> u16 {
        each!(&self.0, machine => machine.round_trips())
    }

    /// Returns the reason that the peer has to hang up now, if it was refused something before
    pub fn disagreement(&self) -> Option<Failure> {
        each!(&self.0, machine => machine.disagreement())
    }

    /// The counters of the link
    pub fn stats(&self) -> Stats {
        each!(&self.0, machine => machine.stats())
    }

    /// The counters of the decryptor, once there is one
    pub fn decryptor_stats(&self) -> Option<&pptp_mppe::Stats> {
        each!(&self.0, machine => machine.decryptor_stats())
    }
}
