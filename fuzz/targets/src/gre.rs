//! GRE: the header, a call's sequence numbers, and the buffer that puts frames back in order

use std::{collections::BTreeSet, time::Instant};

use arbitrary::{Arbitrary, Unstructured};
use pptp_gre::{Discard, Header, Placed, ReorderBuffer, Reordering, Requirement, Session, Verdict};
use pptp_packet::PacketBuf;

use crate::{
    heap::Heap,
    script::{Script, Writer, centiseconds, epoch, long},
};

/// Frames that the buffer may hold by default, and one that is being taken out
const MOST_WAITING: isize = 65;
/// Octets of a frame that waits, with its place in a queue that has doubled
const PER_FRAME: isize = 2048 + 2 * 64;
const MOST_STEPS: usize = 512;

/// What happens to a call's GRE
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// Any datagram, and whether its payload is believed
    Datagram(bool, &'a [u8]),
    /// A datagram of the call so far from the highest number, with an acknowledgment so far from what
    /// was sent, and so many octets
    Frame {
        /// From the highest number on
        ahead: i16,
        /// From the number of datagrams sent on
        acknowledgment: i8,
        /// What of its payload is believed
        fate: Fate,
        /// Octets
        length: u16,
    },
    /// We send so many
    Seal(u8),
    /// Hundredths of a second
    Wait(u16),
}

/// What becomes of a payload
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Damaged, or forged
    Refused,
    /// A well-formed control frame, which waits for no other
    Accepted,
    /// MPPE has opened it: it needs its place
    Decrypted,
}

impl<'a> Arbitrary<'a> for Step<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let kind: u8 = u.arbitrary()?;
        Ok(match kind % 8 {
            0 => Self::Datagram(kind & 8 != 0, long(u)?),
            1 => Self::Seal(u.arbitrary()?),
            2 => Self::Wait(u.arbitrary()?),
            _ => Self::Frame {
                ahead: u.arbitrary()?,
                acknowledgment: u.arbitrary()?,
                fate: [Fate::Refused, Fate::Accepted, Fate::Decrypted][usize::from(kind / 8 % 3)],
                length: u.arbitrary::<u16>()? % 2100,
            },
        })
    }
}

impl Step<'_> {
    /// A datagram as a step of a seed
    pub fn datagram(writer: &mut Writer, datagram: &[u8]) {
        writer.raw(&[8]).long(datagram);
    }

    /// A frame that MPPE opens, so far ahead and so long
    pub fn frame(writer: &mut Writer, ahead: i16, length: u16) {
        writer.raw(&[3 | 2 << 3]).raw(&ahead.to_le_bytes()).raw(&[0]).raw(&length.to_le_bytes());
    }
}

/// A script of datagrams in both directions
///
/// Holds: a header comes to the same octets again, and its payload lies within the datagram. No
/// number is committed twice while it is among the latest 64; a number that was not committed is
/// never acknowledged. The buffer hands up each number once, in order, and holds no more than its
/// depth; each deadline lies ahead.
pub fn target(data: &[u8]) {
    let mut call = Call::new(epoch());
    for step in Script::new(data).steps(MOST_STEPS) {
        call.take(&step);
        call.settle();
    }
    call.drain();
}

struct Call {
    session: Session,
    buffer: ReorderBuffer,
    heap: Heap,
    now: Instant,
    sent: u32,
    /// Committed since the numbers were last counted anew
    committed: BTreeSet<u32>,
    /// All that were ever committed
    ever: BTreeSet<u32>,
    /// Handed up last
    handed: Option<u32>,
}

impl Call {
    fn new(now: Instant) -> Self {
        Self {
            session: Session::new(7, 64, now),
            buffer: ReorderBuffer::new(Reordering::default(), None),
            heap: Heap::new(),
            now,
            sent: 0,
            committed: BTreeSet::new(),
            ever: BTreeSet::new(),
            handed: None,
        }
    }

    fn take(&mut self, step: &Step<'_>) {
        match *step {
            Step::Datagram(accepted, datagram) => {
                let fate = if accepted { Fate::Decrypted } else { Fate::Refused };
                self.datagram(fate, datagram);
            }
            Step::Frame { ahead, acknowledgment, fate, length } => {
                let highest = self.session.highest().unwrap_or(u32::MAX);
                let acknowledged = self.sent.wrapping_add_signed(acknowledgment.into());
                let header = Header {
                    call_id: 1,
                    sequence: Some(highest.wrapping_add_signed(ahead.into())),
                    acknowledgment: Some(acknowledged),
                };
                let payload = vec![0x5A; length.into()];
                self.datagram(fate, &[header.emit(length).as_slice(), &payload].concat());
            }
            Step::Seal(count) => (0..count % 64).for_each(|_| self.seal()),
            Step::Wait(time) => self.now += centiseconds(time),
        }
    }

    fn datagram(&mut self, fate: Fate, datagram: &[u8]) {
        let Ok((header, payload)) = Header::parse(datagram) else { return };
        let payload = datagram.get(payload).expect("a payload within the datagram");
        let length = u16::try_from(payload.len()).expect("a payload of a datagram");
        let again = [header.emit(length).as_slice(), payload].concat();
        let (parsed, range) = Header::parse(&again).expect("what was emitted");
        assert_eq!((parsed, &again[range]), (header, payload));
        if let Some(acknowledgment) = header.acknowledgment {
            self.session.handle_acknowledgment(self.now, acknowledgment);
        }
        match self.session.check(&header) {
            Ok(verdict) => self.judge(fate, verdict, payload),
            Err(discard) => self.discarded(discard, &header),
        }
    }

    fn discarded(&self, discard: Discard, header: &Header) {
        match discard {
            Discard::Unsequenced => assert_eq!(header.sequence, None),
            Discard::Duplicate => {
                let sequence = header.sequence.expect("a number");
                assert!(self.committed.contains(&sequence), "a duplicate of nothing");
            }
            _ => {}
        }
    }

    /// Commits a verdict as the tunnel does, if its payload is worth that
    fn judge(&mut self, fate: Fate, verdict: Verdict, payload: &[u8]) {
        let sequence = verdict.sequence;
        let behind = self.session.highest().map(|highest| highest.wrapping_sub(sequence));
        let is_recent = behind.is_some_and(|behind| behind < 64);
        assert!(!is_recent || !self.committed.contains(&sequence), "committed twice");
        let is_enough = match fate {
            Fate::Refused => false,
            Fate::Accepted => verdict.requirement == Requirement::AcceptedPayload,
            Fate::Decrypted => true,
        };
        if !is_enough {
            return;
        }
        if verdict.is_new_base() {
            self.committed.clear();
            self.handed = None;
            self.heap.within(|| self.buffer.jump(sequence.wrapping_sub(1)));
        }
        self.session.commit(self.now, verdict);
        self.committed.insert(sequence);
        self.ever.insert(sequence);
        if fate == Fate::Accepted {
            return self.heap.within(|| self.buffer.pass(self.now, sequence));
        }
        match self.heap.within(|| self.buffer.place(self.now, sequence, payload)) {
            Placed::Next => self.hand_up(sequence),
            Placed::Kept => assert!(payload.len() <= 2048, "kept although it is too long"),
            Placed::Passed => assert!(self.buffer.is_behind(sequence), "passed over too early"),
            Placed::Dropped => {}
        }
    }

    /// Numbers only go up from one new base to the next
    fn hand_up(&mut self, sequence: u32) {
        if let Some(last) = self.handed.replace(sequence) {
            let ahead = sequence.wrapping_sub(last).cast_signed();
            assert!(ahead > 0, "{sequence} handed up after {last}");
        }
    }

    fn seal(&mut self) {
        let mut packet = PacketBuf::new();
        packet.reset(10);
        self.session.seal(self.now, &mut packet);
        let (header, payload) = Header::parse(packet.as_slice()).expect("our own datagram");
        assert_eq!((header.sequence, payload.len()), (Some(self.sent), 10));
        self.acknowledges(header.acknowledgment);
        self.sent = self.sent.wrapping_add(1);
    }

    fn acknowledges(&self, acknowledgment: Option<u32>) {
        assert!(acknowledgment.is_none_or(|it| self.ever.contains(&it)), "{acknowledgment:?}");
    }

    /// A turn: the buffer first, then the timers, then what is owed
    fn settle(&mut self) {
        while let Some(sequence) = self.heap.within(|| self.buffer.poll(self.now).map(|it| it.0)) {
            self.hand_up(sequence);
        }
        self.heap.assert_at_most(MOST_WAITING * PER_FRAME);
        assert!(self.buffer.poll_timeout().is_none_or(|at| at > self.now), "a frame is due");
        self.session.handle_timeout(self.now);
        if let Some(datagram) = self.session.poll_acknowledgment(self.now) {
            let (header, _) = Header::parse(&datagram).expect("our own datagram");
            assert_eq!(header.sequence, None);
            self.acknowledges(header.acknowledgment);
        }
        let timeout = self.session.poll_timeout();
        assert!(timeout.is_none_or(|(at, _)| at > self.now), "still due: {timeout:?}");
        let pause = self.session.may_send(self.now);
        assert!(pause.is_none_or(|until| until > self.now), "a pause that is over");
    }

    /// In the end everything that waited has been handed up
    fn drain(&mut self) {
        while let Some(at) = self.buffer.poll_timeout() {
            self.now = at;
            self.settle();
        }
        self.heap.assert_at_most(0);
    }
}
