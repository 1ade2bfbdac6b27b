//! Kinds of servers in a building

use pptp_testkit::{Echoes, Faults, Profile, Server, ServerBuilder, ServerOrder};
use rand::rngs::StdRng;

use crate::draw::one_of;

/// Kinds of servers, by the faults that they have from their start on
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// A server without faults
    Ordinary,
    /// accel-ppp on a busy machine: some of its tunnels are deaf from their start, and it reports
    /// that
    SlowStart,
    /// A server that answers no ping of its inner address
    AnswersNoPing,
    /// A server that answers no ping and turns no packet back: its tunnels are never proven
    AnswersNoProof,
    /// A server whose building has no living hosts
    HostsAreDead,
    /// A server that answers no LCP Echo-Request
    AnswersNoEcho,
    /// A server that answers LCP Echo-Requests with the client's Magic-Number
    EchoesOurMagic,
}

impl ServerKind {
    pub(crate) fn random(rng: &mut StdRng) -> Self {
        one_of(
            rng,
            &[
                Self::Ordinary,
                Self::Ordinary,
                Self::Ordinary,
                Self::SlowStart,
                Self::SlowStart,
                Self::AnswersNoPing,
                Self::AnswersNoProof,
                Self::HostsAreDead,
                Self::AnswersNoEcho,
                Self::EchoesOurMagic,
            ],
        )
    }

    /// A server of this kind that behaves like `order`; accel-ppp keeps its own behavior
    pub(crate) fn builder(self, building: u32, order: ServerOrder) -> ServerBuilder {
        let builder = Server::builder(building);
        match self {
            Self::SlowStart => builder.profile(Profile::AccelPppOnBusyMachine),
            _ => builder.order(order),
        }
    }

    pub(crate) fn faults(self) -> Faults {
        Faults {
            ignores_pings: matches!(self, Self::AnswersNoPing | Self::AnswersNoProof),
            hides_expired: self == Self::AnswersNoProof,
            hosts_are_dead: self == Self::HostsAreDead,
            lcp_echoes: match self {
                Self::AnswersNoEcho => Echoes::Unanswered,
                Self::EchoesOurMagic => Echoes::WithPeersMagic,
                _ => Echoes::Answered,
            },
            ..Faults::default()
        }
    }

    /// Returns true if a client can tell a dead line from a dead server by LCP Echo-Requests
    pub(crate) fn answers_echoes(self) -> bool {
        self != Self::AnswersNoEcho
    }
}
