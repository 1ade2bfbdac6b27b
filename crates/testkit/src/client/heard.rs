//! The messages of a client on the control connection, for the statistics

use pptp_control::{Decoder, Message};

/// The messages that came from a client on the control connection
#[derive(Debug, Default)]
pub(crate) struct Heard {
    decoder: Decoder,
    pub(crate) call_cleared: bool,
    pub(crate) stopped: bool,
    pub(crate) start_requested: bool,
    pub(crate) call_requested: bool,
}

impl Heard {
    /// Notes the messages in these octets; errors are left to the tunnel
    pub(crate) fn listen(&mut self, mut octets: &[u8]) {
        while let Ok(Some(message)) = self.decoder.decode(&mut octets) {
            match message {
                Message::StartControlConnectionRequest(_) => self.start_requested = true,
                Message::OutgoingCallRequest(_) => self.call_requested = true,
                Message::CallClearRequest(_) => self.call_cleared = true,
                Message::StopControlConnectionRequest(_)
                | Message::StopControlConnectionReply(_) => self.stopped = true,
                _ => {}
            }
        }
    }
}
