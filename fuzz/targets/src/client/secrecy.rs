//! The rule that no IP packet passes in the clear once MPPE is required

use pptp_ppp::frame;

/// The demand for encryption, and the payloads that came in the clear
pub(super) struct Secrecy {
    /// By the policy, or for good once the tunnel was encrypted
    is_required: bool,
    /// Payloads that came in the clear
    clear: Vec<Vec<u8>>,
}

impl Secrecy {
    pub(super) const fn new(is_required: bool) -> Self {
        Self { is_required, clear: Vec::new() }
    }

    pub(super) const fn is_required(&self) -> bool {
        self.is_required
    }

    /// Notes that the tunnel came up
    pub(super) const fn came_up(&mut self, is_encrypted: bool) {
        self.is_required |= is_encrypted;
    }

    /// Notes the packet of a frame that came
    pub(super) fn note(&mut self, protocol: u16, packet: &[u8]) {
        if matches!(protocol, frame::IP | frame::IPV6) && self.clear.len() < MOST_CLEAR {
            self.clear.push(packet.to_vec());
        }
    }

    /// Returns true if this packet came in the clear
    pub(super) fn has_seen(&self, packet: &Vec<u8>) -> bool {
        self.clear.contains(packet)
    }
}

/// Payloads in the clear that are remembered
const MOST_CLEAR: usize = 256;
