//! MPPE: a sender, a line that loses, doubles, delays and damages, and a decryptor that is not to be led astray

mod ends;
mod step;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use pptp_mppe::{
    Arrival, Decryptor, Encryptor, KeyStrength, Order, StatefulDecryptor, StatefulEncryptor,
    StatefulReset, Stats,
};

use self::ends::Ends;
pub use self::step::{Pick, Step};
use crate::{
    heap::Heap,
    packets,
    script::{Script, centiseconds, epoch},
};

/// Octets of 256 kept keys, and of 768 ahead
const MOST_STATELESS: isize = (10 + 12) << 10;
/// RC4's state
const MOST_STATEFUL: isize = 1200;
/// Key changes each second, and what is saved up of them
const PER_SECOND: u64 = 4096;
const SAVED: u64 = 32 * PER_SECOND;
/// What a frame may cost beyond: those that agree have four for free; one is the undisturbed path
const PER_FRAME: u64 = 5;
/// A key is forgotten so long after its last use
const LIFETIME: Duration = Duration::from_secs(2);
const MOST_STEPS: usize = 256;

/// A stateless session: an octet for the strength, 16 of the start key, then a script
///
/// A script that has cost 2000 key changes is over, unless the bit 40 of the first octet wants it to go on:
/// most are quick then, and some go to the end of what may be spent.
///
/// Holds: what opens of a sealed frame is its packet; no frame opens twice; what does not open is as it
/// was. Keys, memory and work are within their caps, and all memory is given back when time has passed.
pub fn stateless(data: &[u8]) {
    let mut script = Script::new(data);
    let first = script.octet();
    let (strength, key) = (strength(first), script.array());
    let ends =
        Ends::Stateless(Encryptor::stateless(&key, strength), Decryptor::stateless(&key, strength));
    run(script, ends, first & DEEP != 0);
}

/// A stateful session: as [`stateless`], the highest bit of the first octet says whose resets
///
/// Holds as for [`stateless`]; a reset is asked for at most once a second.
pub fn stateful(data: &[u8]) {
    let mut script = Script::new(data);
    let first = script.octet();
    let reset = if first & 0x80 == 0 { StatefulReset::Linux } else { StatefulReset::Rfc };
    let (strength, key) = (strength(first), script.array());
    let sender = StatefulEncryptor::new(&key, strength, reset);
    let receiver = StatefulDecryptor::new(&key, strength, reset);
    run(script, Ends::Stateful(sender, receiver), first & DEEP != 0);
}

fn strength(octet: u8) -> KeyStrength {
    [KeyStrength::Bits128, KeyStrength::Bits56, KeyStrength::Bits40][usize::from(octet & 0x3F) % 3]
}

fn run(mut script: Script<'_>, ends: Ends, is_deep: bool) {
    let mut line = Line::new(ends, epoch());
    if !is_deep {
        line.may_lose = MOST_LOST / 8;
    }
    for step in script.steps(MOST_STEPS) {
        line.take(&step);
        line.settle();
        if line.is_over {
            return;
        }
        if !is_deep && line.ends.stats().rekeys > ENOUGH {
            break;
        }
    }
    line.forget();
}

/// A frame under way
struct Sealed {
    sequence: u32,
    frame: Vec<u8>,
    packet: Vec<u8>,
}

struct Line {
    ends: Ends,
    heap: Heap,
    start: Instant,
    now: Instant,
    /// Frames sealed
    sealed: u32,
    /// Frames that may still be lost: each costs a key
    may_lose: u16,
    /// Frames that came in
    arrived: u64,
    /// The latest of those that were sealed and not lost
    latest: Vec<Sealed>,
    /// How often a frame was opened, by the sender's number
    opened: BTreeMap<u32, u32>,
    /// The highest number that was committed
    highest: Option<u32>,
    is_over: bool,
}

impl Line {
    fn new(ends: Ends, now: Instant) -> Self {
        Self {
            ends,
            heap: Heap::new(),
            start: now,
            now,
            sealed: 0,
            may_lose: MOST_LOST,
            arrived: 0,
            latest: Vec::new(),
            opened: BTreeMap::new(),
            highest: None,
            is_over: false,
        }
    }

    fn take(&mut self, step: &Step<'_>) {
        match *step {
            Step::Seal(count, length) => (0..=count % 64).for_each(|_| self.seal(length)),
            Step::Lose(count) => self.lose(count),
            Step::Deliver(pick) => self.deliver(pick, |_| false),
            Step::Damage(pick, at, octet) => self.deliver(pick, |frame| {
                let at = usize::from(at) % frame.len();
                frame[at] ^= octet;
                octet != 0
            }),
            Step::Raw(sequence, frame) => {
                let mut frame = frame.to_vec();
                self.open(sequence, &mut frame);
            }
            Step::Wait(time) => self.now += centiseconds(time),
            Step::Reset => self.reset(),
        }
    }

    fn seal(&mut self, length: u16) {
        let number = u16::try_from(self.sealed & 0xFFFF).unwrap_or_default();
        let packet = packets::ip(number, usize::from(length) % 200);
        let mut inner = [&[0x00, 0x21], packet.as_slice()].concat();
        let header = self.ends.seal(&mut inner);
        let frame = [header.as_slice(), &inner].concat();
        if self.latest.len() == KEPT {
            self.latest.remove(0);
        }
        self.latest.push(Sealed { sequence: self.sealed, frame, packet });
        self.sealed += 1;
    }

    fn lose(&mut self, count: u16) {
        for _ in 0..count.min(self.may_lose) {
            self.ends.seal(&mut [0x00, 0x21]);
            self.sealed += 1;
            self.may_lose -= 1;
        }
    }

    fn deliver(&mut self, pick: Pick, change: impl FnOnce(&mut [u8]) -> bool) {
        let Some(place) = self.latest.len().checked_sub(1 + usize::from(pick.age) % KEPT) else {
            return;
        };
        let Sealed { sequence, frame, packet } = &self.latest[place];
        let (sequence, mut frame, packet) = (*sequence, frame.clone(), packet.clone());
        let is_damaged = change(&mut frame);
        let shifted = sequence.wrapping_add_signed(pick.shift.into());
        let opened = self.open(shifted, &mut frame);
        if let Some(opened) = opened.filter(|_| !is_damaged) {
            assert_eq!(opened, packet, "another packet than was sealed");
            let times = self.opened.entry(sequence).or_default();
            *times += 1;
            assert_eq!(*times, 1, "opened twice");
        }
    }

    /// Opens a frame as the carrier hands it over
    fn open(&mut self, sequence: u32, frame: &mut [u8]) -> Option<Vec<u8>> {
        let before = frame.to_vec();
        let ahead = self.highest.map(|highest| sequence.wrapping_sub(highest).cast_signed());
        let order = if ahead.is_none_or(|it| it > 0) { Order::Ahead } else { Order::Behind };
        let (ends, now) = (&mut self.ends, self.now);
        let arrival = Arrival { sequence, order };
        let result = self.heap.within(|| ends.open(now, arrival, frame).map(|it| it.protocol));
        self.arrived += 1;
        match result {
            Ok(protocol) => {
                assert!(matches!(protocol, 0x0021 | 0x0057), "protocol {protocol:04x}");
                if order == Order::Ahead {
                    self.highest = Some(sequence);
                }
                Some(frame[frame.len() - payload_len(&frame[2..])..].to_vec())
            }
            Err(discard) => {
                assert_eq!(frame, before, "{discard:?}, and the octets are not as they were");
                self.is_over = discard.is_fatal();
                None
            }
        }
    }

    fn reset(&mut self) {
        if let Ends::Stateful(sender, receiver) = &mut self.ends
            && receiver.poll_reset_request(self.now)
        {
            sender.handle_reset_request();
        }
    }

    /// What holds after whatever came in
    fn settle(&mut self) {
        let seconds = self.now.duration_since(self.start).as_secs() + 1;
        let stats = *self.ends.stats();
        let budget = SAVED + PER_SECOND * seconds + PER_FRAME * self.arrived;
        // what a frame that opened has cost is given back
        let earned = u64::from(self.sealed) + stats.opened;
        assert!(stats.rekeys <= budget + earned, "{} key changes of {budget}", stats.rekeys);
        match &mut self.ends {
            Ends::Stateless(_, receiver) => {
                let now = self.now;
                self.heap.within(|| receiver.handle_timeout(now));
                assert!(receiver.poll_timeout().is_none_or(|at| at > now), "keys are due");
                assert!(receiver.stats().kept_keys <= 256, "{} kept keys", stats.kept_keys);
                self.heap.assert_at_most(MOST_STATELESS);
            }
            Ends::Stateful(..) => {
                let most = u32::try_from(seconds).unwrap_or(u32::MAX);
                assert!(stats.reset_requests <= most + 1 + stats_of_gaps(&stats), "resets");
                self.heap.assert_at_most(MOST_STATEFUL);
            }
        }
    }

    /// Two seconds later nothing is left but what opens the next frame
    fn forget(&mut self) {
        let Ends::Stateless(_, receiver) = &mut self.ends else { return };
        let later = self.now + LIFETIME;
        self.heap.within(|| receiver.handle_timeout(later));
        assert_eq!((receiver.stats().kept_keys, receiver.poll_timeout()), (0, None));
        self.heap.assert_at_most(0);
    }
}

/// Frames under way
const KEPT: usize = 64;
/// The bit of the first octet for a script that may cost all there is
const DEEP: u8 = 0x40;
/// Key changes of a script without it
const ENOUGH: u64 = 2000;
/// Once around the coherency count, and a little more
const MOST_LOST: u16 = 5000;

/// Each gap that a frame has closed may have asked at once
fn stats_of_gaps(stats: &Stats) -> u32 {
    u32::try_from(stats.opened).unwrap_or(u32::MAX)
}

/// Octets of the packet behind the protocol field, which is one octet if that is odd
fn payload_len(inner: &[u8]) -> usize {
    inner.len() - if inner[0] & 1 == 1 { 1 } else { 2 }
}
