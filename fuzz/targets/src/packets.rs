//! Packets in memory that is there before they are, so that [`Heap`](crate::heap::Heap) does not count it

use pptp_packet::Egress;

/// Where a machine's datagrams go: a bounded number of them, in one piece of memory
#[derive(Debug)]
pub struct Packets {
    octets: Vec<u8>,
    ends: Vec<usize>,
    /// Composed although there was no room
    pub dropped: usize,
}

impl Packets {
    /// Room for `most` packets of 2 KiB
    pub fn new(most: usize) -> Self {
        let (octets, ends) = (Vec::with_capacity(most << 11), Vec::with_capacity(most));
        Self { octets, ends, dropped: 0 }
    }

    /// The packets, oldest first
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.octets[start..*end])
    }

    /// Makes room
    pub fn clear(&mut self) {
        self.octets.clear();
        self.ends.clear();
    }

    /// Appends a packet, or drops it if there is no room
    pub fn push(&mut self, packet: &[u8]) {
        self.compose(packet.len(), |octets| octets.copy_from_slice(packet));
    }
}

impl Egress for Packets {
    fn has_room(&self) -> bool {
        self.ends.len() < self.ends.capacity()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let start = self.octets.len();
        let fits = self.has_room() && self.octets.capacity() - start >= len;
        self.octets.resize(start + len, 0);
        let filled = fill(&mut self.octets[start..]);
        if fits {
            self.ends.push(self.octets.len());
        } else {
            self.octets.truncate(start);
            self.dropped += 1;
        }
        filled
    }
}

/// An IPv4 packet of UDP to be recognized by its number, `len` octets with a right header checksum
pub fn ip(number: u16, len: usize) -> Vec<u8> {
    let len = len.clamp(28, 1400);
    let mut packet = vec![0x5A; len];
    let [high, low] = u16::try_from(len).unwrap_or_default().to_be_bytes();
    let [upper, lower] = number.to_be_bytes();
    packet[..20].copy_from_slice(&[
        0x45, 0, high, low, upper, lower, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    let checksum = checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// The Internet checksum (RFC 1071)
pub fn checksum(octets: &[u8]) -> u16 {
    let words = octets
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_dropped_and_counted() {
        let mut packets = Packets::new(2);
        for packet in [&b"one"[..], b"two", b"three"] {
            packets.push(packet);
        }
        assert_eq!(packets.iter().collect::<Vec<_>>(), [&b"one"[..], b"two"]);
        assert_eq!(packets.dropped, 1);
    }

    #[test]
    fn a_packet_is_one_that_mppe_believes() {
        assert!(pptp_mppe::is_plausible_ipv4(&ip(7, 100)));
    }
}
