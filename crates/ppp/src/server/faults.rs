//! Failures of a server's data path that can be switched while its link is up

use crate::{
    context::Context,
    wire::{
        frame,
        packet::{Code, Packet},
    },
};

/// Failures of a server, each of them switched while the link is up
///
/// None of them by default. LCP goes on as usual, but for [`LinkFaults::echoes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkFaults {
    /// The answer to encrypted packets of the client, if the server opens none of them
    pub deaf: Option<Deafness>,
    /// True if the server corrupts its encrypted packets, so that the client cannot open them
    pub corrupts: bool,
    /// The answer to the client's LCP Echo-Requests
    pub echoes: Echoes,
}

/// The answer of a server to a packet that it cannot open; one answer for each packet
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deafness {
    /// A CCP Reset-Request: pppd, whose kernel refused the packet
    ResetRequests,
    /// An LCP Protocol-Reject of 0x00FD: accel-ppp, whose kernel has no decryptor
    RejectsMppe,
    /// An LCP Protocol-Reject of a random protocol: a server whose keys are others
    RejectsRandom,
    /// No answer at all
    Silent,
}

/// The answer of a server to LCP Echo-Requests (RFC 1661 §5.8)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Echoes {
    /// An Echo-Reply with the server's own Magic-Number
    #[default]
    Answered,
    /// An Echo-Reply with the client's Magic-Number, as a looped line would give
    WithPeersMagic,
    /// No answer at all
    Unanswered,
}

impl Echoes {
    /// The Magic-Number of the answer to a request with this data; `None`: there is no answer
    pub(super) fn magic(self, own: [u8; 4], request: &[u8]) -> Option<[u8; 4]> {
        match self {
            Self::Answered => Some(own),
            Self::WithPeersMagic => Some(request.first_chunk().copied().unwrap_or(own)),
            Self::Unanswered => None,
        }
    }
}

impl Deafness {
    /// Answers one packet that was not opened; `id` is the identifier of the answer
    pub(super) fn answer(self, id: u8, information: &[u8], context: &mut Context) {
        let rejected = match self {
            Self::Silent => return,
            Self::ResetRequests => {
                let code = Code::ResetRequest.into();
                return context.send(frame::CCP, &Packet { code, id, data: &[] });
            }
            Self::RejectsMppe => frame::MPPE,
            // the low octet of a protocol is odd, the high one even (RFC 1661 §2)
            Self::RejectsRandom => u16::from_be_bytes(context.random.draw()) & 0xFEFF | 1,
        };
        let information = information.get(..MAX_REJECTED).unwrap_or(information);
        let data = [&rejected.to_be_bytes(), information].concat();
        let code = Code::ProtocolReject.into();
        context.send(frame::LCP, &Packet { code, id, data: &data });
    }
}

/// Octets of a packet that go back in a Protocol-Reject: below any MRU
const MAX_REJECTED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_reply_has_the_magic_number_that_was_chosen() {
        let (own, request) = ([1, 2, 3, 4], [5, 6, 7, 8, 9]);
        assert_eq!(Echoes::Answered.magic(own, &request), Some(own));
        assert_eq!(Echoes::WithPeersMagic.magic(own, &request), Some([5, 6, 7, 8]));
        assert_eq!(Echoes::Unanswered.magic(own, &request), None);
    }
}
