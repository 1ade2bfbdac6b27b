//! Datagrams on their way in and out, up to [`BATCH`] at a time

use std::{collections::VecDeque, fmt, net::Ipv4Addr};

use pptp_packet::{Counter, PacketBuf, SLOT, SlotPool};

/// Datagrams of one system call
pub const BATCH: usize = 64;

/// Datagrams that arrived together, in [`BATCH`] slots that are used again and again
pub struct ReceiveBatch {
    octets: Box<[u8]>,
    received: [Option<Received>; BATCH],
    discarded: u64,
}

impl ReceiveBatch {
    /// An empty batch; holds [`BATCH`] × [`SLOT`] octets from now on
    pub fn new() -> Self {
        Self {
            octets: vec![0; BATCH.saturating_mul(SLOT)].into_boxed_slice(),
            received: [None; BATCH],
            discarded: 0,
        }
    }

    /// The datagrams in the order of their arrival, to be opened where they lie
    pub fn datagrams(&mut self) -> impl Iterator<Item = Datagram<'_>> {
        let slots = self.octets.chunks_exact_mut(SLOT);
        slots.zip(&self.received).filter_map(|(slot, received)| {
            let received = received.as_ref()?;
            Some(Datagram {
                source: received.source,
                destination: received.destination,
                gre: slot.get_mut(received.start..received.end)?,
            })
        })
    }

    /// The datagram in slot `index`, which is less than [`BATCH`]; `None` if the slot is empty
    ///
    /// For an owner that goes through a batch in another order than that of arrival.
    pub fn datagram(&mut self, index: usize) -> Option<Datagram<'_>> {
        let received = (*self.received.get(index)?)?;
        let slot = self.octets.chunks_exact_mut(SLOT).nth(index)?;
        Some(Datagram {
            source: received.source,
            destination: received.destination,
            gre: slot.get_mut(received.start..received.end)?,
        })
    }

    /// Datagrams discarded so far: larger than [`SLOT`], or with a broken IP header
    pub const fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Forgets the datagrams
    pub fn clear(&mut self) {
        self.received = [None; BATCH];
    }

    /// The slots, to be filled
    pub(crate) fn slots(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.octets.chunks_exact_mut(SLOT)
    }

    /// Notes that a whole IP packet of `len` octets was put into slot `index`
    pub(crate) fn note_ip(&mut self, index: usize, len: usize) {
        let packet = self.octets.chunks_exact(SLOT).nth(index).and_then(|slot| slot.get(..len));
        match packet.and_then(Received::in_ip_packet) {
            Some(received) => self.note(index, received),
            None => self.discarded.increment(),
        }
    }

    /// Puts a datagram into slot `index`; discards one that is larger than it
    pub fn put(&mut self, index: usize, source: Ipv4Addr, destination: Ipv4Addr, gre: &[u8]) {
        let slot = self.octets.chunks_exact_mut(SLOT).nth(index);
        match slot.and_then(|slot| slot.get_mut(..gre.len())) {
            Some(room) => {
                room.copy_from_slice(gre);
                self.note(index, Received { source, destination, start: 0, end: gre.len() });
            }
            None => self.discarded.increment(),
        }
    }

    fn note(&mut self, index: usize, received: Received) {
        if let Some(place) = self.received.get_mut(index) {
            *place = Some(received);
        }
    }
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

/// Prints numbers only, because datagrams may be confidential
impl fmt::Debug for ReceiveBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveBatch")
            .field("received", &self.received.iter().flatten().count())
            .field("discarded", &self.discarded)
            .finish_non_exhaustive()
    }
}

/// A GRE datagram that arrived, without its IP header
pub struct Datagram<'a> {
    /// The source address of its IP header
    pub source: Ipv4Addr,
    /// The destination address of its IP header, which is one of this host's
    pub destination: Ipv4Addr,
    /// Its octets from the GRE header on
    pub gre: &'a mut [u8],
}

/// Prints the length only, because the datagram may be confidential
impl fmt::Debug for Datagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("source", &self.source)
            .field("destination", &self.destination)
            .field("len", &self.gre.len())
            .finish_non_exhaustive()
    }
}

/// The place of a datagram in its slot, and its addresses
#[derive(Clone, Copy)]
struct Received {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    start: usize,
    end: usize,
}

impl Received {
    /// Reads the IPv4 header (RFC 791 §3.1), whose length varies with its options
    fn in_ip_packet(packet: &[u8]) -> Option<Self> {
        let (header, _) = packet.split_first_chunk::<20>()?;
        let [first, _, length_high, length_low, _, _, _, _, _, protocol, _, _, addresses @ ..] =
            *header;
        let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
        let start = usize::from(first & 0x0F).saturating_mul(4);
        let end = usize::from(u16::from_be_bytes([length_high, length_low]));
        let sound =
            first >> 4 == 4 && protocol == 47 && start >= 20 && start <= end && end <= packet.len();
        sound.then_some(Self {
            source: Ipv4Addr::new(s0, s1, s2, s3),
            destination: Ipv4Addr::new(d0, d1, d2, d3),
            start,
            end,
        })
    }
}

/// A GRE datagram to be sent
#[derive(Debug)]
pub struct Outgoing {
    /// Its octets from the GRE header on
    pub packet: PacketBuf,
    /// The address it goes to
    pub destination: Ipv4Addr,
    /// The local address it leaves from: that of the tunnel's control connection
    ///
    /// `None` leaves the choice to the socket's bound address or the route.
    pub source: Option<Ipv4Addr>,
    /// The sender's own mark; a failure is reported under it
    pub tag: u32,
}

/// Datagrams waiting to be sent, in order, and the slots they are composed in
///
/// The number of slots bounds the queue: with none free nothing more is to be composed.
#[derive(Debug)]
pub struct SendBatch {
    waiting: VecDeque<Outgoing>,
    slots: SlotPool,
}

impl SendBatch {
    /// An empty batch that holds at most `most` datagrams; [`BATCH`] of them go in one system call
    pub const fn new(most: usize) -> Self {
        Self { waiting: VecDeque::new(), slots: SlotPool::new(most) }
    }

    /// A slot to compose a datagram in, or `None` while all are waiting
    pub fn take_slot(&mut self) -> Option<PacketBuf> {
        self.slots.take()
    }

    /// Gives a slot back that was not needed after all
    pub fn put_back(&mut self, slot: PacketBuf) {
        self.slots.put(slot);
    }

    /// Appends a datagram, composed in a slot from [`SendBatch::take_slot`]
    pub fn push(&mut self, outgoing: Outgoing) {
        self.waiting.push_back(outgoing);
    }

    /// Returns true if [`SendBatch::take_slot`] would give a slot
    pub fn has_room(&self) -> bool {
        self.slots.has_room()
    }

    /// The number of slots that [`SendBatch::take_slot`] would give now
    pub fn room(&self) -> usize {
        self.slots.room()
    }

    /// Makes new slots for those that a panic between taking and pushing has lost
    pub fn replace_lost_slots(&mut self) {
        self.slots.replace_lost(self.waiting.len());
    }

    /// Datagrams waiting
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns true if nothing is waiting
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The datagram to go next
    pub fn next(&self) -> Option<&Outgoing> {
        self.waiting.front()
    }

    /// The datagrams to go next that leave from the same address, at most [`BATCH`]
    pub(crate) fn run(&self) -> impl ExactSizeIterator<Item = &Outgoing> {
        let source = self.next().and_then(|outgoing| outgoing.source);
        let ahead = self.waiting.iter().take(BATCH);
        let len = ahead.take_while(|outgoing| outgoing.source == source).count();
        self.waiting.iter().take(len)
    }

    /// Frees the slots of the first `count` datagrams
    pub fn remove(&mut self, count: usize) {
        for outgoing in self.waiting.drain(..count.min(self.waiting.len())) {
            self.slots.put(outgoing.packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(batch: &mut SendBatch, source: Option<Ipv4Addr>, tag: u32) -> Outgoing {
        let packet = batch.take_slot().unwrap();
        Outgoing { packet, destination: Ipv4Addr::LOCALHOST, source, tag }
    }

    fn tags<'a>(run: impl Iterator<Item = &'a Outgoing>) -> Vec<u32> {
        run.map(|outgoing| outgoing.tag).collect()
    }

    #[test]
    fn a_run_keeps_the_order_and_ends_where_the_source_changes() {
        let mut batch = SendBatch::new(8);
        let (a, b) = (Some(Ipv4Addr::new(10, 0, 0, 1)), Some(Ipv4Addr::new(10, 0, 0, 2)));
        for (tag, source) in (0..).zip([a, a, b, a, None]) {
            let outgoing = outgoing(&mut batch, source, tag);
            batch.push(outgoing);
        }
        let mut runs = Vec::new();
        while !batch.is_empty() {
            runs.push(tags(batch.run()));
            let sent = batch.run().len();
            batch.remove(sent);
        }
        assert_eq!(runs, [vec![0, 1], vec![2], vec![3], vec![4]]);
    }

    #[test]
    fn what_a_partial_send_left_goes_first_next_time() {
        let mut batch = SendBatch::new(72);
        for tag in 0..72 {
            let outgoing = outgoing(&mut batch, None, tag);
            batch.push(outgoing);
        }
        assert_eq!(batch.run().len(), BATCH, "one system call takes no more");
        batch.remove(3);
        assert_eq!(batch.next().unwrap().tag, 3);
        assert_eq!(tags(batch.run()), (3..67).collect::<Vec<_>>());
    }

    #[test]
    fn room_is_bounded_and_comes_back_with_what_was_sent() {
        let mut batch = SendBatch::new(2);
        for tag in 0..2 {
            let outgoing = outgoing(&mut batch, None, tag);
            batch.push(outgoing);
        }
        assert!(!batch.has_room());
        assert!(batch.take_slot().is_none());
        batch.remove(1);
        assert!(batch.has_room());
        let slot = batch.take_slot().unwrap();
        assert!(!batch.has_room());
        batch.put_back(slot);
        assert!(batch.has_room());
    }

    fn ip_packet(options: u8, payload: &[u8]) -> Vec<u8> {
        let header = 20 + options;
        let mut packet = vec![0; usize::from(header)];
        packet[0] = 0x40 | (header / 4);
        packet[3] = header + u8::try_from(payload.len()).unwrap();
        packet[9] = 47;
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        packet[16..20].copy_from_slice(&[10, 0, 0, 2]);
        packet.extend_from_slice(payload);
        packet
    }

    fn receive(packet: &[u8]) -> (Vec<Vec<u8>>, u64) {
        let mut batch = ReceiveBatch::new();
        batch.slots().next().unwrap()[..packet.len()].copy_from_slice(packet);
        batch.note_ip(0, packet.len());
        let discarded = batch.discarded();
        (batch.datagrams().map(|datagram| datagram.gre.to_vec()).collect(), discarded)
    }

    #[test]
    fn the_ip_header_is_stripped_with_its_options() {
        assert_eq!(receive(&ip_packet(0, b"abcd")), (vec![b"abcd".to_vec()], 0));
        assert_eq!(receive(&ip_packet(40, b"abcd")), (vec![b"abcd".to_vec()], 0));
        let mut padded = ip_packet(0, b"abcd");
        padded.extend_from_slice(b"trailer");
        assert_eq!(receive(&padded), (vec![b"abcd".to_vec()], 0), "the total length counts");
    }

    #[test]
    fn a_broken_ip_header_is_discarded_and_counted() {
        for (at, octet) in [(0, 0x65), (0, 0x44), (0, 0x4F), (2, 0xFF), (9, 6)] {
            let mut packet = ip_packet(0, b"abcd");
            packet[at] = octet;
            assert_eq!(receive(&packet), (vec![], 1), "octet {at} = {octet:#x}");
        }
        assert_eq!(receive(&ip_packet(0, b"")[..19]), (vec![], 1));
    }

    #[test]
    fn addresses_are_those_of_the_ip_header() {
        let mut batch = ReceiveBatch::new();
        let packet = ip_packet(4, b"x");
        batch.slots().next().unwrap()[..packet.len()].copy_from_slice(&packet);
        batch.note_ip(0, packet.len());
        let datagram = batch.datagrams().next().unwrap();
        assert_eq!(datagram.source, Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(datagram.destination, Ipv4Addr::new(10, 0, 0, 2));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_octets_never_panic(packet in proptest::collection::vec(0_u8.., 0..80)) {
            let (datagrams, discarded) = receive(&packet);
            proptest::prop_assert_eq!(datagrams.len() as u64 + discarded, 1);
        }
    }
}
