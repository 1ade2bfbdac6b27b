//! Faults of the network and the hosts

use pptp_testkit::{
    Deafness, Muteness,
    memory::{Blocked, Impairment},
};
use rand::{RngExt, rngs::StdRng};

use crate::draw::{impairment, one_of};

/// A fault on the way, or of one of the hosts
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// GRE is dropped, in one direction or both, as by a firewall
    Block(Blocked),
    /// GRE and TCP are dropped, and neither end is told
    Blackout,
    /// The server's process ends, its kernel closes its connections, and it is started again
    Crash,
    /// The server's host loses its power, and comes back without any memory of its connections
    PowerFailure,
    /// A firewall resets all connections
    Reset,
    /// GRE of more octets than that is dropped
    BlackHole(usize),
    /// The path gets better or worse
    Impair(Impairment),
    /// The client's GRE socket takes nothing
    Stall,
    /// The client's kernel refuses to send to the server
    Refuse,
    /// The server sends no more GRE
    Mute,
    /// The server negotiates PPP anew with all clients
    Renegotiate,
    /// The server hangs up all clients
    HangUp,
    /// The client's host is suspended: when it goes on, all clocks have advanced
    ClockJump,
    /// The server opens none of its clients' encrypted packets any more, until its process is
    /// started again
    GoesDeaf(Deafness),
    /// Encrypted packets of the server do not come, or do not open, until its process is started
    /// again
    GoesMute(Muteness),
}

impl Fault {
    pub(crate) fn random(rng: &mut StdRng) -> Self {
        let blocked = one_of(rng, &[Blocked::Inbound, Blocked::Outbound, Blocked::Both]);
        let largest = rng.random_range(200..1400);
        let impairment = impairment(rng, false);
        one_of(
            rng,
            &[
                Self::Block(blocked),
                Self::Blackout,
                Self::Crash,
                Self::PowerFailure,
                Self::Reset,
                Self::BlackHole(largest),
                Self::Impair(impairment),
                Self::Stall,
                Self::Refuse,
                Self::Mute,
                Self::Renegotiate,
                Self::HangUp,
                Self::ClockJump,
            ],
        )
    }

    /// A random fault that breaks one direction inside the tunnels, and nothing else
    pub(crate) fn inside(rng: &mut StdRng) -> Self {
        one_of(
            rng,
            &[
                Self::GoesDeaf(Deafness::ResetRequests),
                Self::GoesDeaf(Deafness::RejectsMppe),
                Self::GoesDeaf(Deafness::RejectsRandom),
                Self::GoesDeaf(Deafness::Silent),
                Self::GoesMute(Muteness::Silent),
                Self::GoesMute(Muteness::Garbled),
            ],
        )
    }

    /// Returns true if both hosts cannot exchange datagrams or TCP while it lasts
    ///
    /// Faults that lose or damage only a part do not count. Faults that stop large datagrams do not
    /// count either, because questions are small.
    pub(crate) const fn breaks_the_line(self) -> bool {
        matches!(
            self,
            Self::Block(_)
                | Self::Blackout
                | Self::Crash
                | Self::PowerFailure
                | Self::Stall
                | Self::Refuse
                | Self::Mute
        )
    }

    /// Returns true if it breaks one direction inside the tunnels
    pub(crate) const fn is_inside(self) -> bool {
        matches!(self, Self::GoesDeaf(_) | Self::GoesMute(_))
    }

    /// Returns true if it loses existing calls, or makes the server end them soon
    pub(crate) const fn loses_calls(self) -> bool {
        matches!(self, Self::Crash | Self::PowerFailure | Self::Reset | Self::HangUp)
    }

    /// Returns true if it takes the server's calls away
    pub(crate) const fn ends_calls(self) -> bool {
        matches!(self, Self::Crash | Self::PowerFailure)
    }

    /// Returns true if it delays or loses octets of a control connection
    pub(crate) const fn touches_tcp(self) -> bool {
        matches!(self, Self::Blackout | Self::Crash | Self::PowerFailure | Self::Reset)
    }
}
