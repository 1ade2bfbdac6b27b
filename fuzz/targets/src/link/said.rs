//! The latest frames of the client, from which a script makes new ones

/// The latest frames of the client
pub(super) struct Said {
    /// The number of the protocol that is fuzzed
    protocol: [u8; 2],
    frames: Vec<Vec<u8>>,
}

impl Said {
    pub(super) fn new(protocol: u16) -> Self {
        Self { protocol: protocol.to_be_bytes(), frames: Vec::with_capacity(MOST_SAID) }
    }

    pub(super) fn push(&mut self, frame: Vec<u8>) {
        if self.frames.len() == MOST_SAID {
            self.frames.remove(0);
        }
        self.frames.push(frame);
    }

    /// Gives a packet the identifier of the client's latest packet of the protocol
    pub(super) fn lend_id(&self, packet: &mut [u8]) {
        let ours = self.latest().and_then(|said| said.get(5));
        if let (Some(ours), Some(id)) = (ours, packet.get_mut(1)) {
            *id = *ours;
        }
    }

    /// The client's latest packet of the protocol, with this code and with octets of it changed
    pub(super) fn changed(&self, code: u8, changes: &[u8]) -> Option<Vec<u8>> {
        let mut answer = self.latest()?.clone();
        answer[4] = code;
        for change in changes.chunks_exact(2) {
            let at = 8 + usize::from(change[0]);
            if let Some(octet) = answer.get_mut(at) {
                *octet ^= change[1];
            }
        }
        Some(answer)
    }

    fn latest(&self) -> Option<&Vec<u8>> {
        self.frames.iter().rev().find(|said| said.get(2..4) == Some(&self.protocol[..]))
    }
}

/// Frames that are remembered
const MOST_SAID: usize = 64;
