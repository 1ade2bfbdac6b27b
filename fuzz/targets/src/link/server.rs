//! The server at the other end of a link, which behaves

use std::time::Instant;

use pptp_ppp::{Arrival, Link, Order};

use super::setting::Setting;

/// The server's link
pub(super) struct Server {
    link: Link,
    /// The number of the next frame to it
    sequence: u32,
    /// Frames that it has sent and the client has not got
    held_back: Vec<Vec<u8>>,
}

impl Server {
    pub(super) fn new(setting: &Setting) -> Self {
        let link = Link::server(setting.server(), [2; 32]);
        Self { link, sequence: 0, held_back: Vec::new() }
    }

    pub(super) fn open(&mut self, now: Instant) {
        self.link.open(now);
    }

    pub(super) fn renegotiate(&mut self, now: Instant) {
        self.link.renegotiate(now);
    }

    /// A frame of the client's reaches it
    pub(super) fn hear(&mut self, now: Instant, frame: &mut [u8]) {
        let arrival = Arrival { sequence: self.sequence, order: Order::Ahead };
        self.sequence = self.sequence.wrapping_add(1);
        let _ = self.link.handle_frame(now, arrival, frame);
    }

    /// Its turn; the frames that it sends wait until they are taken
    pub(super) fn turn(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        while self.link.poll_event().is_some() {}
        while let Some(frame) = self.link.poll_frame() {
            if self.held_back.len() < MOST_HELD_BACK {
                self.held_back.push(frame.to_vec());
            }
        }
    }

    /// The next frame for the client
    pub(super) fn next_frame(&mut self) -> Option<Vec<u8>> {
        (!self.held_back.is_empty()).then(|| self.held_back.remove(0))
    }
}

/// Frames that wait
const MOST_HELD_BACK: usize = 64;
