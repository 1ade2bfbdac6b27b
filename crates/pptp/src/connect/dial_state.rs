//! The part of a tunnel's state that only its connect needs

use std::net::SocketAddrV4;

use pptp_tunnel::{ConnectTimeline, Peer};

use crate::{TunnelError, connect::dialling::Dialling, known_quirks::KnownQuirks, state::Redial};

/// The state of a connect; boxed, since a tunnel that is up hardly ever has any of it
#[derive(Default)]
pub(crate) struct DialState(Option<Box<State>>);

#[derive(Default)]
struct State {
    /// Until the tunnel is up or over
    dialling: Option<Box<Dialling>>,
    /// True if the end of the present state machine is followed by another dial
    redials: bool,
    /// The reasons for further dials so far: one for each reason and each address
    redialled: Vec<Redial>,
    /// The times of the state machine that was followed by another dial
    timeline: Option<ConnectTimeline>,
}

/// The knowledge that a connect leaves to the tunnel that is up
pub(crate) struct Lesson {
    /// The server that was reached
    pub(crate) server: SocketAddrV4,
    pub(crate) quirks: Option<KnownQuirks>,
    pub(crate) proof_memory: u8,
    pub(crate) proves_path: bool,
}

impl DialState {
    /// Begins to wait for the end of a connect, whose state machine has been started
    pub(crate) fn begin(&mut self, dialling: Box<Dialling>) {
        self.0.get_or_insert_default().dialling = Some(dialling);
    }

    pub(crate) fn is_dialling(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.dialling.is_some())
    }

    /// True if the end of the present state machine is followed by another dial
    pub(crate) fn redials(&self) -> bool {
        self.0.as_ref().is_some_and(|state| state.redials)
    }

    /// The reasons for further dials so far
    pub(crate) fn redialled(&self) -> &[Redial] {
        self.0.as_ref().map_or(&[], |state| &state.redialled)
    }

    /// Decides whether the server is dialled once more after this end, and returns why
    pub(crate) fn redial(&mut self, error: &pptp_tunnel::TunnelError) -> Option<Redial> {
        let state = self.0.as_mut()?;
        let dialling = state.dialling.as_mut()?;
        let why = dialling.again(dialling.server?, error)?;
        state.redials = true;
        state.redialled.push(why.clone());
        Some(why)
    }

    /// Keeps the times of the state machine that has ended
    pub(crate) fn keep_timeline(&mut self, timeline: Option<ConnectTimeline>) {
        self.0.get_or_insert_default().timeline = timeline;
    }

    /// Begins another dial, if one was decided on
    pub(crate) fn take_redial(&mut self) -> Option<(Box<Dialling>, Option<ConnectTimeline>)> {
        let state = self.0.as_mut()?;
        let dialling = state.dialling.take().filter(|_| state.redials)?;
        state.redials = false;
        Some((dialling, state.timeline.take()))
    }

    /// The reason for the end of the connect, with what an earlier dial of it found out
    pub(crate) fn explained(&self, error: pptp_tunnel::TunnelError) -> TunnelError {
        match self.0.as_ref().and_then(|state| state.dialling.as_ref()) {
            Some(dialling) => dialling.explained(error).into(),
            None => error.into(),
        }
    }

    /// Ends the connect, because the tunnel is up; `None` if it was up before
    pub(crate) fn succeed(&mut self, peer: Option<&Peer>) -> Option<Lesson> {
        let dialling = self.0.as_mut().and_then(|state| state.dialling.take())?;
        self.0.take_if(|state| state.redialled.is_empty());
        Some(Lesson {
            server: dialling.server?,
            quirks: dialling.lesson(peer),
            proof_memory: dialling.config.proof_memory.saturating_sub(1),
            proves_path: dialling.config.machine.link.proof.is_enabled,
        })
    }

    /// Ends the connect, because the tunnel is over
    pub(crate) fn end(&mut self) {
        if let Some(state) = &mut self.0 {
            state.dialling = None;
        }
    }
}
