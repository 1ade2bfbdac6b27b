//! Deadlines

use std::time::Instant;

use super::{Relay, connection::Connection, ends::add};

impl Relay {
    /// Does what is due: ends silent connections and clients, repeats, and asks again
    pub fn handle_timeout(&mut self, now: Instant) {
        for channel in self.channels(|it| it.is_silent(now)) {
            self.release(channel, now);
        }
        self.repeat(now);
        for channel in self.channels(|it| it.is_over(now)) {
            self.forget_connection(channel);
        }
        self.on_question_time(now);
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for id in peers {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            let is_unanswered = peer.forget_old_wishes(now);
            let is_silent = peer.is_silent(now);
            if is_silent {
                // what has waited for so long is of no use
                self.counters.no_room = add(self.counters.no_room, peer.take_waiting().len());
            }
            if is_silent || is_unanswered {
                self.close_if_unused(id);
            }
        }
    }

    /// Returns the time at which [`Self::handle_timeout`] is due; `None` while nothing is under way
    pub fn poll_timeout(&self) -> Option<Instant> {
        let connections = self.connections.values().map(Connection::deadline);
        let peers = self.peers.iter().filter_map(|(id, peer)| {
            peer.deadline(self.connections.values().any(|it| it.peer() == *id))
        });
        connections.chain(peers).chain(self.reach.deadline()).min()
    }

    /// Tells the device again that clients are gone
    fn repeat(&mut self, now: Instant) {
        let mut due = Vec::new();
        for (channel, connection) in &mut self.connections {
            if connection.repeats(now) {
                due.push((connection.peer(), *channel));
            }
        }
        for (peer, channel) in due {
            self.disconnect(peer, channel);
        }
    }
}
