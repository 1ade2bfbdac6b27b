//! A packet in a slot, with headroom

/// Octets kept free in front of an IP packet
///
/// GRE 16 + PPP address and control 2 + protocol 00FD 2 + MPPE header 2 + inner protocol 2.
pub const HEADROOM: usize = 24;

/// Octets of a slot: the headroom, and any IP packet that fits an Ethernet frame
pub const SLOT: usize = 2048;

/// A packet in a slot, with room in front of it
pub struct PacketBuf {
    octets: Box<[u8]>,
    start: usize,
    end: usize,
    wipe: bool,
}

impl PacketBuf {
    /// An empty slot of [`SLOT`] octets
    pub fn new() -> Self {
        Self {
            octets: vec![0; SLOT].into_boxed_slice(),
            start: HEADROOM,
            end: HEADROOM,
            wipe: false,
        }
    }

    /// Starts a new packet of `len` octets behind the headroom and lends it out to be filled
    ///
    /// The octets of the packet before it are still there. A packet larger than the slot makes the
    /// slot grow: that allocates, and does not happen while MTUs are those of Ethernet.
    pub fn reset(&mut self, len: usize) -> &mut [u8] {
        let end = HEADROOM.saturating_add(len);
        if end > self.octets.len() {
            self.octets = vec![0; end].into_boxed_slice();
        }
        self.start = HEADROOM;
        self.end = end;
        self.as_mut_slice()
    }

    /// Zeroes the packet when its slot goes back to its [`SlotPool`](crate::SlotPool), because it
    /// may hold a password
    pub const fn wipe_after_use(&mut self) {
        self.wipe = true;
    }

    /// Zeroes the packet if [`PacketBuf::wipe_after_use`] was called
    pub(crate) fn wipe_if_asked(&mut self) {
        if std::mem::take(&mut self.wipe) {
            self.as_mut_slice().fill(0);
        }
    }

    /// All octets of the slot
    #[cfg(test)]
    pub(crate) const fn slot(&self) -> &[u8] {
        &self.octets
    }

    /// Grows the packet by `count` octets in front and lends these out to be filled
    ///
    /// `None`, and the packet as it was, if the headroom is used up.
    pub fn prepend(&mut self, count: usize) -> Option<&mut [u8]> {
        self.start = self.start.checked_sub(count)?;
        self.as_mut_slice().get_mut(..count)
    }

    /// Grows the packet by the octets of `front`, in front
    ///
    /// False, and the packet as it was, if the headroom is used up.
    pub fn prepend_slice(&mut self, front: &[u8]) -> bool {
        self.prepend(front.len()).is_some_and(|room| {
            room.copy_from_slice(front);
            true
        })
    }

    /// The packet
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(self.start..self.end).unwrap_or_default()
    }

    /// The packet
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Octets of the packet
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Returns true if the packet has no octets
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for PacketBuf {
    fn default() -> Self {
        Self::new()
    }
}

/// Prints the length only, because the octets may be confidential
impl std::fmt::Debug for PacketBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketBuf").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_go_in_front_until_the_headroom_is_used_up() {
        let mut packet = PacketBuf::new();
        packet.reset(3).copy_from_slice(b"abc");
        assert!(packet.prepend_slice(b"12"));
        assert_eq!(packet.as_slice(), b"12abc");
        assert!(packet.prepend(HEADROOM - 2).is_some());
        assert_eq!(packet.len(), HEADROOM + 3);
        assert!(!packet.prepend_slice(b"x"));
        assert_eq!(packet.len(), HEADROOM + 3, "a refused header leaves the packet as it was");
    }

    #[test]
    fn a_slot_starts_anew_and_grows_when_it_must() {
        let mut packet = PacketBuf::new();
        packet.reset(4000).fill(7);
        assert_eq!(packet.len(), 4000);
        packet.reset(1);
        assert_eq!(packet.as_slice(), [7]);
    }

    #[test]
    fn a_packet_prints_its_length_and_none_of_its_octets() {
        let mut packet = PacketBuf::default();
        assert!(packet.is_empty());
        packet.reset(6).copy_from_slice(b"secret");
        assert!(!packet.is_empty());
        assert_eq!(format!("{packet:?}"), "PacketBuf { len: 6, .. }");
    }
}
