//! The state machine of a tunnel, and the rest of it that outlives it

use std::time::{Instant, SystemTime};

use pptp_tunnel::{ConnectTimeline, Peer, Recorder, Tunnel as Machine};

/// The state machine, from the open control connection to the end
#[derive(Default)]
pub(crate) struct Protocol {
    machine: Option<Box<Machine>>,
    /// The answers to questions about a machine that is gone
    remains: Option<Box<Remains>>,
    /// Octets that wait for the control task; bounded by the state machine
    control_out: Vec<u8>,
    /// The wall-clock time at which the connect began
    began: Option<SystemTime>,
}

/// The part of a state machine that can be asked for after its end
struct Remains {
    stats: pptp_tunnel::Stats,
    peer: Option<Peer>,
    peer_call_id: Option<u16>,
    recorder: Recorder,
}

impl Remains {
    fn of(machine: &Machine) -> Self {
        Self {
            stats: machine.stats(),
            peer: machine.peer().cloned(),
            peer_call_id: machine.peer_call_id(),
            recorder: machine.recorder().clone(),
        }
    }
}

impl Protocol {
    /// Starts a machine, of a connect that began at `began`
    pub(crate) fn start(&mut self, machine: Machine, began: Option<SystemTime>) {
        self.began = began;
        self.machine = Some(Box::new(machine));
    }

    pub(crate) fn machine(&self) -> Option<&Machine> {
        self.machine.as_deref()
    }

    pub(crate) fn machine_mut(&mut self) -> Option<&mut Machine> {
        self.machine.as_deref_mut()
    }

    /// Moves the machine's control octets to those that wait; returns true if there were any
    pub(crate) fn poll_control(&mut self, now: Instant) -> bool {
        let Self { machine: Some(machine), control_out, .. } = self else { return false };
        machine.poll_control(now, control_out)
    }

    /// Takes the octets that wait for the control task
    pub(crate) fn take_control_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.control_out)
    }

    /// Drops the machine, because the server is dialled once more; returns its timeline
    pub(crate) fn discard(&mut self) -> Option<ConnectTimeline> {
        self.machine.take().map(|machine| machine.timeline().clone())
    }

    /// Replaces the machine by its remains
    ///
    /// Returns the machine, to be dropped without the lock.
    pub(crate) fn finish(&mut self) -> Option<Box<Machine>> {
        let machine = self.machine.take();
        self.remains = machine.as_ref().map(|machine| Box::new(Remains::of(machine)));
        machine
    }

    pub(crate) fn timeline(&self) -> Option<&ConnectTimeline> {
        self.machine().map(Machine::timeline)
    }

    pub(crate) const fn began(&self) -> Option<SystemTime> {
        self.began
    }

    pub(crate) fn stats(&self) -> Option<pptp_tunnel::Stats> {
        self.machine().map(Machine::stats).or_else(|| self.remains.as_ref().map(|it| it.stats))
    }

    pub(crate) fn peer(&self) -> Option<&Peer> {
        match self.machine() {
            Some(machine) => machine.peer(),
            None => self.remains.as_ref().and_then(|it| it.peer.as_ref()),
        }
    }

    pub(crate) fn peer_call_id(&self) -> Option<u16> {
        match self.machine() {
            Some(machine) => machine.peer_call_id(),
            None => self.remains.as_ref().and_then(|it| it.peer_call_id),
        }
    }

    pub(crate) fn recorder(&self) -> Option<&Recorder> {
        self.machine()
            .map(Machine::recorder)
            .or_else(|| self.remains.as_ref().map(|it| &it.recorder))
    }
}
