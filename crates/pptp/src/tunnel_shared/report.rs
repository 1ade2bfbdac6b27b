//! The figures and records of a tunnel, also after its end

use std::{sync::atomic::Ordering, time::SystemTime};

use pptp_driver::Session;
use pptp_netstack::Stack;
use pptp_tunnel::{Peer, Recorder};

use super::{RawPort, TunnelShared};
use crate::{
    State, Stats,
    record::{Ends, FlightRecord},
};

impl TunnelShared {
    /// Returns the messages that were kept of the wire
    pub(crate) fn flight_record(&self) -> FlightRecord {
        let state = self.state.with(State::clone).unwrap_or(State::Up);
        let inner = self.lock();
        let recorder = inner.protocol.recorder();
        let ends = self.dialled().map_or(Ends::NONE, |dialled| Ends {
            local: dialled.local.unwrap_or(Ends::NONE.local),
            server: dialled.server,
            call_id: dialled.call_id,
            peer_call_id: inner.protocol.peer_call_id().unwrap_or_default(),
        });
        FlightRecord {
            tunnel: self.name.clone(),
            state,
            ends,
            began: inner.protocol.began().unwrap_or_else(SystemTime::now),
            records: recorder.map(Recorder::records).unwrap_or_default(),
            echoes: recorder.map_or(0, Recorder::echoes),
            forgotten: recorder.map_or(0, Recorder::forgotten),
        }
    }

    /// Returns the counts of all that has passed so far
    pub(crate) fn stats(&self) -> Stats {
        let inner = self.lock();
        Stats {
            tunnel: inner.protocol.stats().unwrap_or_default(),
            stack: inner.packet_users.used_stack().map(Stack::stats),
            ip_dropped: inner.packet_users.raw().map_or(0, RawPort::dropped),
            unsendable: self.unsendable.load(Ordering::Relaxed),
        }
    }

    /// Returns the server's own words about itself
    pub(crate) fn peer(&self) -> Option<Peer> {
        self.lock().protocol.peer().cloned()
    }
}
