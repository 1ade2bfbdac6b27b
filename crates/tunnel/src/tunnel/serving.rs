//! How a tunnel is answered, and what real servers do otherwise in GRE

use pptp_gre::Session;

use super::Tunnel;

/// How a tunnel is answered
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The manners of the control connection
    pub control: pptp_control::ServerConfig,
    /// Accounts, addresses and the manners of PPP
    pub link: pptp_ppp::ServerConfig,
    /// The manners of GRE
    pub gre: GreManners,
}

/// How a server sends its GRE; by default as RFC 2637 §4 has it
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GreManners {
    /// When the client's datagrams are acknowledged
    pub acknowledgments: Acknowledgments,
    /// Sequence number of the first datagram; Linux's pptp.ko begins with 1
    pub first_sequence: u32,
    /// Whether each PPP control frame goes out twice, each time with a sequence number of its own
    pub repeats_frames: bool,
}

/// When a server acknowledges its client's GRE (RFC 2637 §4.3)
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

impl GreManners {
    /// A session that was not used yet, in these manners
    pub(super) fn session(self, session: Session) -> Session {
        let session = session.starting_at(self.first_sequence);
        match self.acknowledgments {
            Acknowledgments::WithData => session.acknowledging_only_with_data(),
            Acknowledgments::Prompt | Acknowledgments::Never => session,
        }
    }
}

impl Tunnel {
    /// Before anything is sent, so that it carries no acknowledgment if there is never to be one
    pub(super) fn withhold_acknowledgment(&mut self) {
        if self.gre_manners.acknowledgments == Acknowledgments::Never
            && let Some(session) = &mut self.session
        {
            session.forget_acknowledgment();
        }
    }
}
