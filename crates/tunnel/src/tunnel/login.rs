//! The owner's part in the authentication

use std::time::Instant;

use pptp_ppp::{Password, Question};

use super::Tunnel;
use crate::Event;

impl Tunnel {
    /// Answers [`Question::NewPassword`]: see [`Link::change_password`](pptp_ppp::Link::change_password)
    ///
    /// [`Question::NewPassword`]: pptp_ppp::Question::NewPassword
    pub fn change_password(&mut self, now: Instant, new: Password) {
        self.answered(now);
        self.link.change_password(now, new);
        self.link_events(now);
    }

    /// Answers [`Question::OtherCredentials`]: see [`Link::log_in_as`](pptp_ppp::Link::log_in_as)
    ///
    /// [`Question::OtherCredentials`]: pptp_ppp::Question::OtherCredentials
    pub fn log_in_as(&mut self, now: Instant, user: String, password: Password) {
        self.answered(now);
        self.link.log_in_as(now, user, password);
        self.link_events(now);
    }

    /// Leaves a question about the login without an answer: the tunnel ends with the server's refusal
    ///
    /// Does nothing without a question.
    pub fn give_up_login(&mut self, now: Instant) {
        self.link.give_up(now);
        self.link_events(now);
    }

    /// The owner's time to think is not the connect's
    fn answered(&mut self, now: Instant) {
        if let Some(deadline) = &mut self.connect_deadline {
            deadline.resume(now);
        }
    }

    pub(super) fn ask(&mut self, now: Instant, question: Question) {
        if let Some(deadline) = &mut self.connect_deadline {
            deadline.pause(now);
        }
        self.events.push_back(Event::Ask(question));
    }
}
