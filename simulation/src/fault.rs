//! What goes wrong

use pptp_testkit::{
    Deafness, Muteness,
    memory::{Blocked, Impairment},
};
use rand::{RngExt, rngs::StdRng};

use crate::scenario::{impairment, one_of};

/// What goes wrong on the way, or with one of the hosts
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// GRE vanishes, in one direction or both, as a firewall has it
    Block(Blocked),
    /// Nothing passes, GRE and TCP, and neither end is told
    Blackout,
    /// The server's process ends, its kernel closes its connections, and it is started again
    Crash,
    /// The server's host loses its power, and comes back without any memory of its connections
    PowerFailure,
    /// A firewall resets all connections
    Reset,
    /// GRE of more octets than that vanishes
    BlackHole(usize),
    /// The path gets better or worse
    Weather(Impairment),
    /// The client's GRE socket takes nothing
    Stall,
    /// The client's kernel refuses to send to the server
    Refuse,
    /// The server says nothing more in GRE
    Mute,
    /// The server negotiates anew with all
    Renegotiate,
    /// The server hangs up all
    HangUp,
    /// The client's host is suspended: when it goes on, all clocks have advanced
    ClockJump,
    /// The server opens nothing that its clients encrypt any more, until its process is started again
    GoesDeaf(Deafness),
    /// Nothing that the server encrypts comes or opens any more, until its process is started again
    GoesMute(Muteness),
}

impl Fault {
    pub(crate) fn random(rng: &mut StdRng) -> Self {
        let blocked = one_of(rng, &[Blocked::Inbound, Blocked::Outbound, Blocked::Both]);
        let largest = rng.random_range(200..1400);
        let weather = impairment(rng, false);
        one_of(
            rng,
            &[
                Self::Block(blocked),
                Self::Blackout,
                Self::Crash,
                Self::PowerFailure,
                Self::Reset,
                Self::BlackHole(largest),
                Self::Weather(weather),
                Self::Stall,
                Self::Refuse,
                Self::Mute,
                Self::Renegotiate,
                Self::HangUp,
                Self::ClockJump,
            ],
        )
    }

    /// One that breaks one direction inside the tunnels, and nothing else
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

    /// Whether both hosts cannot exchange datagrams or TCP while it lasts
    ///
    /// What loses or damages a part does not count, nor what stops large datagrams: questions are small.
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

    /// Whether it breaks one direction inside the tunnels
    pub(crate) const fn is_inside(self) -> bool {
        matches!(self, Self::GoesDeaf(_) | Self::GoesMute(_))
    }

    /// Whether the calls of before are lost, or are about to be ended by the server
    pub(crate) const fn loses_calls(self) -> bool {
        matches!(self, Self::Crash | Self::PowerFailure | Self::Reset | Self::HangUp)
    }

    /// Whether it takes the server's calls away
    pub(crate) const fn ends_calls(self) -> bool {
        matches!(self, Self::Crash | Self::PowerFailure)
    }

    /// Whether it keeps octets of a control connection from passing, or loses them
    pub(crate) const fn touches_tcp(self) -> bool {
        matches!(self, Self::Blackout | Self::Crash | Self::PowerFailure | Self::Reset)
    }
}
