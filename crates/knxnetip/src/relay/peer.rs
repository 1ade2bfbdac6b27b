//! A client that has an inner socket

use std::{collections::VecDeque, net::SocketAddrV4, time::Instant};

use super::{
    caller::Caller,
    connection::{ANSWER, SILENCE, later},
};

/// A client that has an inner socket, or a question of the relay's own
#[derive(Debug)]
pub(super) struct Peer {
    /// The client and the place of its answers; `None` for a question of the relay's own
    client: Option<(SocketAddrV4, Caller)>,
    socket: Option<Socket>,
    /// Frames that wait for the socket, or for the form of our endpoint
    waiting: VecDeque<Waiting>,
    /// Wishes for connections that are not answered yet
    wishes: VecDeque<Wish>,
    last: Instant,
}

/// An inner socket
#[derive(Debug, Clone, Copy)]
pub(super) struct Socket {
    /// Its own address and port
    pub(super) local: SocketAddrV4,
    /// The device's control endpoint
    pub(super) device: SocketAddrV4,
}

/// A frame that waits
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) octets: Vec<u8>,
    pub(super) from: SocketAddrV4,
    pub(super) via: SocketAddrV4,
}

/// A wish for a connection
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) caller: Caller,
    /// The client's data endpoint
    pub(super) data: SocketAddrV4,
    /// True if the client is gone meanwhile
    pub(super) is_gone: bool,
    since: Instant,
}

impl Peer {
    pub(super) const fn client_at(client: SocketAddrV4, caller: Caller, now: Instant) -> Self {
        let client = Some((client, caller));
        Self { client, socket: None, waiting: VecDeque::new(), wishes: VecDeque::new(), last: now }
    }

    pub(super) const fn question(now: Instant) -> Self {
        Self {
            client: None,
            socket: None,
            waiting: VecDeque::new(),
            wishes: VecDeque::new(),
            last: now,
        }
    }

    /// Takes note of a frame, and of the place where its answers are wanted, if it names one
    pub(super) fn on_frame(&mut self, caller: Option<Caller>, now: Instant) {
        self.last = now;
        if let (Some((_, old)), Some(new)) = (&mut self.client, caller) {
            *old = new;
        }
    }

    pub(super) fn open(&mut self, socket: Socket) {
        self.socket = Some(socket);
    }

    /// Keeps a frame until it can be sent; false if there is no room
    pub(super) fn wait(&mut self, frame: Waiting) -> bool {
        let octets = self.waiting.iter().map(|it| it.octets.len());
        let octets: usize = octets.fold(frame.octets.len(), usize::saturating_add);
        let has_room = self.waiting.len() < MAX_WAITING && octets <= MAX_WAITING_OCTETS;
        if has_room {
            self.waiting.push_back(frame);
        }
        has_room
    }

    /// Takes the frames that wait
    pub(super) fn take_waiting(&mut self) -> VecDeque<Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// Takes note of a wish for a connection; one that is repeated stays one
    pub(super) fn wish(&mut self, caller: Caller, data: SocketAddrV4, now: Instant) {
        self.wishes.retain(|it| (it.caller, it.data) != (caller, data));
        while self.wishes.len() >= MAX_WISHES {
            self.wishes.pop_front();
        }
        self.wishes.push_back(Wish { caller, data, is_gone: false, since: now });
    }

    /// Takes the wish to which an answer has come
    pub(super) fn take_wish(&mut self) -> Option<Wish> {
        self.wishes.pop_front()
    }

    /// Takes note that nobody is at an endpoint any more; returns the frames that are dropped therefore
    pub(super) fn on_gone(&mut self, endpoint: SocketAddrV4) -> usize {
        for wish in &mut self.wishes {
            wish.is_gone |= wish.caller.control == endpoint || wish.data == endpoint;
        }
        if self.client() == Some(endpoint) { self.take_waiting().len() } else { 0 }
    }

    /// Takes note that its client may not go on; returns the frames that are dropped therefore
    pub(super) fn abandon(&mut self) -> usize {
        for wish in &mut self.wishes {
            wish.is_gone = true;
        }
        self.take_waiting().len()
    }

    /// Forgets wishes that are answered too late
    pub(super) fn forget_old_wishes(&mut self, now: Instant) -> bool {
        let before = self.wishes.len();
        self.wishes.retain(|it| later(it.since, ANSWER) > now);
        self.wishes.len() < before
    }

    /// Returns true if its client was silent for too long
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        self.client.is_some() && later(self.last, SILENCE) <= now
    }

    /// Returns the time at which something is to be done, beside what its connections need
    pub(super) fn deadline(&self, has_connection: bool) -> Option<Instant> {
        let wish = self.wishes.iter().map(|it| later(it.since, ANSWER)).min();
        let silence = (self.client.is_some() && !has_connection).then(|| later(self.last, SILENCE));
        // as long as an answer is awaited, silence does not end it
        wish.or(silence)
    }

    pub(super) fn has_nothing_under_way(&self) -> bool {
        self.client.is_some() && self.wishes.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn client(&self) -> Option<SocketAddrV4> {
        self.client.map(|(client, _)| client)
    }

    pub(super) fn caller(&self) -> Option<Caller> {
        self.client.map(|(_, caller)| caller)
    }

    pub(super) const fn socket(&self) -> Option<Socket> {
        self.socket
    }

    /// The time of its latest frame
    pub(super) const fn last(&self) -> Instant {
        self.last
    }
}

/// Frames of a client that wait
const MAX_WAITING: usize = 16;

/// Octets of a client that wait
const MAX_WAITING_OCTETS: usize = 16 << 10;

/// Wishes of a client that are not answered yet
const MAX_WISHES: usize = 4;
