//! The form of our own endpoint that the device answers to, and the questions that find it out

use std::{
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use super::{
    Relay,
    action::{Action, PeerId},
    connection::later,
    options::Endpoint,
    peer::{Peer, Socket},
};
use crate::{Hpai, Protocol, description_request};

/// The form of our own endpoint towards the device
#[derive(Debug)]
pub(super) enum Reach {
    /// The options say it
    Fixed(Form),
    /// Nobody has asked since the tunnel is up
    Unknown,
    /// The device is being asked
    Asking(Questions),
    /// The device has answered to it
    Known(Form),
    /// It answered to neither, and is not asked again before that time
    Assumed(Instant),
}

/// A form of our own endpoint
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    True,
    Zero,
}

/// The questions to a device, each from a socket of its own: a late answer is not taken for the other's
#[derive(Debug)]
pub(super) struct Questions {
    with_true: PeerId,
    with_zero: Option<PeerId>,
    /// The time until which the latest question may be answered
    until: Instant,
}

impl Reach {
    pub(super) const fn new(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Auto => Self::Unknown,
            Endpoint::True => Self::Fixed(Form::True),
            Endpoint::Zero => Self::Fixed(Form::Zero),
        }
    }

    /// Returns the form; `None` while it is not known
    pub(super) const fn form(&self) -> Option<Form> {
        match self {
            Self::Fixed(form) | Self::Known(form) => Some(*form),
            // most programs do so, and most devices answer to it
            Self::Assumed(_) => Some(Form::True),
            Self::Unknown | Self::Asking(_) => None,
        }
    }

    /// Returns the time at which the next question is due, or the last one's answer is overdue
    pub(super) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Asking(questions) => Some(questions.until),
            _ => None,
        }
    }

    /// Returns the form about which a peer asks
    fn question(&self, peer: PeerId) -> Option<Form> {
        match self {
            Self::Asking(questions) if questions.with_true == peer => Some(Form::True),
            Self::Asking(questions) if questions.with_zero == Some(peer) => Some(Form::Zero),
            _ => None,
        }
    }
}

impl Form {
    /// Returns our endpoint in this form, of the protocol that a client named
    pub(super) const fn write(self, ours: SocketAddrV4, told: Hpai) -> Hpai {
        match (self, told.protocol) {
            (Self::True, Protocol::Udp) => Hpai::udp(ours),
            // the endpoint of TCP is always zero: the connection itself
            (Self::Zero, _) | (_, Protocol::Tcp) => {
                Hpai { protocol: told.protocol, address: Hpai::ROUTE_BACK.address }
            }
        }
    }
}

impl Relay {
    /// Begins to ask the device, unless the form is known or the question under way
    pub(super) fn ask(&mut self, now: Instant) {
        let is_due = match self.reach {
            Reach::Unknown => true,
            Reach::Assumed(until) => until <= now,
            _ => false,
        };
        if is_due {
            let with_true = self.add_peer(Peer::question(now));
            let until = later(now, QUESTION);
            self.reach = Reach::Asking(Questions { with_true, with_zero: None, until });
        }
    }

    /// Sends a question whose socket is open
    pub(super) fn on_question_opened(&mut self, id: PeerId, socket: Socket, now: Instant) {
        let Some(form) = self.reach.question(id) else { return self.close_peer(id) };
        if let Reach::Asking(questions) = &mut self.reach {
            // a socket may have needed some time
            questions.until = later(now, QUESTION);
        }
        let endpoint = form.write(socket.local, Hpai::ROUTE_BACK);
        let octets = description_request(endpoint).to_vec();
        self.actions.push_back(Action::ToDevice { peer: id, to: socket.device, octets });
    }

    /// Takes the answer to a question
    pub(super) fn on_question_answered(&mut self, id: PeerId, now: Instant) {
        if let Some(form) = self.reach.question(id) {
            self.settle(Reach::Known(form), now);
        }
    }

    /// Asks with zeros, or gives up, if it is time
    pub(super) fn on_question_time(&mut self, now: Instant) {
        let has_asked_both = match &self.reach {
            Reach::Asking(questions) if questions.until <= now => questions.with_zero.is_some(),
            _ => return,
        };
        if has_asked_both {
            return self.settle(Reach::Assumed(later(now, PAUSE)), now);
        }
        let zero = self.add_peer(Peer::question(now));
        if let Reach::Asking(questions) = &mut self.reach {
            questions.with_zero = Some(zero);
            questions.until = later(now, QUESTION);
        }
    }

    /// A socket of a question is gone, or could not be had
    pub(super) fn on_question_lost(&mut self, id: PeerId, now: Instant) {
        if self.reach.question(id).is_some() {
            self.settle(Reach::Assumed(later(now, RETRY)), now);
        }
    }

    /// Forgets what the device answered to: another tunnel may have another way
    pub(super) fn forget_reach(&mut self) {
        self.close_questions();
        self.reach = Reach::new(self.options.endpoint);
    }

    /// Ends the questions, and sends what waited for their answer
    fn settle(&mut self, reach: Reach, now: Instant) {
        self.close_questions();
        self.reach = reach;
        let waiting: Vec<_> =
            self.peers.iter().filter(|(_, it)| it.has_waiting()).map(|(id, _)| *id).collect();
        for id in waiting {
            self.send_waiting(id, now);
        }
    }

    fn close_questions(&mut self) {
        if let Reach::Asking(questions) = &self.reach {
            let (with_true, with_zero) = (questions.with_true, questions.with_zero);
            self.close_peer(with_true);
            if let Some(with_zero) = with_zero {
                self.close_peer(with_zero);
            }
        }
    }
}

/// The time in which a question is answered
const QUESTION: Duration = Duration::from_secs(2);

/// The time after which a question is asked again that had no socket
const RETRY: Duration = Duration::from_secs(1);

/// The time after which a device that answered to neither is asked again
const PAUSE: Duration = Duration::from_secs(30);
