//! Frames of the next phase that overtook the last frame of this one
//!
//! The peer does not send them again before its restart timer of 3 s.

use pptp_packet::Redacted;

/// The frames that came too early and wait for their phase
#[derive(Debug, Default)]
pub(super) struct EarlyFrames {
    /// Boxed, since hardly any link has some
    #[expect(clippy::box_collection, reason = "16 octets less in each idle link")]
    frames: Option<Box<Vec<EarlyFrame>>>,
}

/// A control frame that came too early
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EarlyFrame {
    pub(super) protocol: u16,
    pub(super) information: Redacted<Box<[u8]>>,
}

impl EarlyFrames {
    /// Keeps a frame if there is room, it is not too long, and it is not kept already
    pub(super) fn keep(&mut self, protocol: u16, information: &[u8]) {
        if information.len() > MAX_LEN {
            return;
        }
        let kept = self.frames.get_or_insert_default();
        let frame = EarlyFrame { protocol, information: Redacted(information.into()) };
        if kept.len() < MAX_FRAMES && !kept.contains(&frame) {
            kept.push(frame);
        }
    }

    /// Forgets all frames
    pub(super) fn clear(&mut self) {
        self.frames = None;
    }

    /// Takes all frames, in the order in which they came, if the protocol of one of them is admitted
    pub(super) fn take_if(&mut self, is_admitted: impl Fn(u16) -> bool) -> Vec<EarlyFrame> {
        let is_time =
            |kept: &mut Box<Vec<EarlyFrame>>| kept.iter().any(|frame| is_admitted(frame.protocol));
        self.frames.take_if(is_time).map(|kept| *kept).unwrap_or_default()
    }
}

/// Frames that are kept: the requests of CCP, IPCP and IPV6CP come together
const MAX_FRAMES: usize = 3;
/// Octets of the longest frame that is kept
const MAX_LEN: usize = 256;
