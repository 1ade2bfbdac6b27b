//! A server's tunnel: its options, its commands, and the ways in which real servers differ in GRE

use std::time::Instant;

use pptp_gre::Session;

use super::Tunnel;

/// The options of a tunnel that a server answers
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The behavior of the control connection
    pub control: pptp_control::ServerConfig,
    /// The accounts, the addresses and the behavior of PPP
    pub link: pptp_ppp::ServerConfig,
    /// The behavior of GRE
    pub gre: GreBehavior,
}

/// The way in which a server sends its GRE; by default as RFC 2637 §4 has it
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GreBehavior {
    /// The time at which the client's datagrams are acknowledged
    pub acknowledgments: Acknowledgments,
    /// Sequence number of the first datagram; Linux's pptp.ko begins with 1
    pub first_sequence: u32,
    /// True if each PPP control frame goes out twice, each time with a sequence number of its own
    pub repeats_frames: bool,
}

/// The time at which a server acknowledges its client's GRE (RFC 2637 §4.3)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Acknowledgments {
    /// Within 100 ms, with data of its own or without
    #[default]
    Prompt,
    /// Only with data of its own: Linux's pptp.ko
    WithData,
    /// Never
    Never,
}

impl GreBehavior {
    /// Returns a new session that behaves like this
    pub(super) fn session(self, session: Session) -> Session {
        let session = session.starting_at(self.first_sequence);
        match self.acknowledgments {
            Acknowledgments::WithData => session.acknowledging_only_with_data(),
            Acknowledgments::Prompt | Acknowledgments::Never => session,
        }
    }
}

impl Tunnel {
    /// Has the client prove once more who it is (RFC 1994 §4.1); does nothing in a client
    pub fn challenge(&mut self, now: Instant) {
        self.link.challenge(now);
        self.link_events(now);
    }

    /// Switches failures of a server's PPP on and off; does nothing in a client
    pub fn set_faults(&mut self, faults: pptp_ppp::LinkFaults) {
        self.link.set_faults(faults);
    }

    /// Ends the link with an error code of Windows, as RRAS does; does nothing in a client
    pub fn terminate(&mut self, code: pptp_ppp::RasCode) {
        self.link.terminate(code);
    }

    /// Drops an owed acknowledgment, if the server never sends any; called before anything is sent
    pub(super) fn withhold_acknowledgment(&mut self) {
        if self.gre_behavior.acknowledgments == Acknowledgments::Never
            && let Some(session) = &mut self.session
        {
            session.forget_acknowledgment();
        }
    }
}
