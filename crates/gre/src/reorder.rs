//! A buffer that puts overtaken frames back in order, for payloads that need it

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Limits for putting frames back in order
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reordering {
    /// Frames that may wait for one that is missing; 0 switches it off, and late frames are lost
    pub depth: u16,
    /// The longest time that a frame may wait
    pub max_wait: Duration,
}

impl Default for Reordering {
    /// Returns 64 frames and 300 ms
    fn default() -> Self {
        Self { depth: 64, max_wait: Duration::from_millis(300) }
    }
}

/// The result of placing a frame
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Next in order: it is to be handed up now, and then the frames that [`ReorderBuffer::poll`]
    /// gives
    Next,
    /// Frames are missing before it: it was kept
    Kept,
    /// Behind the frames handed up: late, a duplicate, or passed over because of a forged number.
    /// Only decryption can tell which.
    Passed,
    /// Lost: a frame with this number is there already, or the frame is too long to be kept
    Dropped,
}

/// Frames that wait for others before them (RFC 2637 section 4.3)
///
/// Used for payloads that need order: stateful MPPE, and IP in the clear. Stateless MPPE does not
/// need it, and none of its frames waits here.
///
/// A number is passed over before its frame is known to be genuine. So a forged number may mislead
/// the buffer, but only until the next genuine frame: that one is [`Placed::Passed`], and if it
/// opens, [`ReorderBuffer::continue_after`] continues behind its number.
///
/// Memory: none while frames come in order; at most `depth` frames of 2048 octets.
#[derive(Debug)]
pub struct ReorderBuffer {
    reordering: Reordering,
    /// The number that is handed up next; `None` before the first
    next: Option<u32>,
    /// Frames sorted by their numbers, all ahead of `next`
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    sequence: u32,
    since: Instant,
    /// The frame, or `None` if the frame of this number was handed up at once
    frame: Option<Vec<u8>>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let length = self.frame.as_ref().map(Vec::len);
        write!(f, "Waiting {{ sequence: {}, octets: {length:?} }}", self.sequence)
    }
}

impl ReorderBuffer {
    /// An empty buffer, which continues behind `highest`, the highest number committed
    pub fn new(reordering: Reordering, highest: Option<u32>) -> Self {
        let next = highest.map(|highest| highest.wrapping_add(1));
        Self { reordering, next, waiting: VecDeque::new() }
    }

    /// Takes a frame that must be handed up in order
    pub fn place(&mut self, now: Instant, sequence: u32, frame: &[u8]) -> Placed {
        let distance = self.distance(sequence);
        if distance < 0 {
            return Placed::Passed;
        }
        if distance == 0 || self.reordering.depth == 0 {
            self.next = Some(sequence.wrapping_add(1));
            return Placed::Next;
        }
        if frame.len() > MAX_FRAME_LEN {
            return Placed::Dropped;
        }
        self.keep(now, sequence, Some(frame.to_vec()))
    }

    /// Notes a number whose frame was handed up at once: a control frame, which waits for no other
    pub fn pass(&mut self, now: Instant, sequence: u32) {
        match self.distance(sequence) {
            0 => self.next = Some(sequence.wrapping_add(1)),
            1.. if self.reordering.depth > 0 => _ = self.keep(now, sequence, None),
            _ => {}
        }
    }

    /// The number that is handed up next
    pub const fn next(&self) -> Option<u32> {
        self.next
    }

    /// Returns true if this number is behind the next one
    pub fn is_behind(&self, sequence: u32) -> bool {
        self.distance(sequence) < 0
    }

    /// Continues behind the number of a frame that opened
    ///
    /// Frames that wait with a number behind it are forged or late, and are not handed up any more.
    pub fn continue_after(&mut self, sequence: u32) {
        self.next = Some(sequence.wrapping_add(1));
    }

    /// Continues behind `sequence`, at any distance from the numbers before, and drops all waiting
    /// frames
    pub fn jump(&mut self, sequence: u32) {
        self.next = Some(sequence.wrapping_add(1));
        self.waiting = VecDeque::new();
    }

    /// The next frame that need not wait any longer, with its number
    ///
    /// Because it is the next, because it has waited too long, or because too many wait.
    pub fn poll(&mut self, now: Instant) -> Option<(u32, Vec<u8>)> {
        loop {
            let first = self.waiting.front()?.sequence;
            let distance = self.distance(first);
            if distance > 0 && !self.must_hand_up(now) {
                return None;
            }
            let waiting = self.waiting.pop_front()?;
            if self.waiting.is_empty() {
                self.waiting = VecDeque::new();
            }
            if distance < 0 {
                continue;
            }
            self.next = Some(first.wrapping_add(1));
            if let Some(frame) = waiting.frame {
                return Some((first, frame));
            }
        }
    }

    /// The time at which a frame has waited for `max_wait`
    pub fn poll_timeout(&self) -> Option<Instant> {
        let since = self.waiting.iter().map(|waiting| waiting.since).min()?;
        since.checked_add(self.reordering.max_wait)
    }

    fn must_hand_up(&self, now: Instant) -> bool {
        self.waiting.len() > self.reordering.depth.into()
            || self.poll_timeout().is_none_or(|due| due <= now)
    }

    /// The distance of a number ahead of the next one; 0 if there was no number yet
    ///
    /// Measured from the last number, as [`Session::check`](crate::Session::check) measures: so the
    /// number half of the number space away is behind for both. If it were ahead here, then the
    /// frames that follow would all be behind it.
    fn distance(&self, sequence: u32) -> i32 {
        let Some(next) = self.next else { return 0 };
        let last = next.wrapping_sub(1);
        sequence.wrapping_sub(last).cast_signed().saturating_sub(1)
    }

    fn keep(&mut self, now: Instant, sequence: u32, frame: Option<Vec<u8>>) -> Placed {
        let before = |waiting: &Waiting| waiting.sequence.wrapping_sub(sequence).cast_signed() < 0;
        let place = self.waiting.partition_point(before);
        let is_there = self.waiting.get(place).is_some_and(|it| it.sequence == sequence);
        if is_there || self.waiting.len() > self.reordering.depth.into() {
            return Placed::Dropped;
        }
        self.waiting.insert(place, Waiting { sequence, since: now, frame });
        Placed::Kept
    }
}

/// Octets of the longest frame that is kept: no MTU allows more
const MAX_FRAME_LEN: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[expect(clippy::disallowed_methods, reason = "there is no other way to have an instant")]
    fn epoch() -> Instant {
        Instant::now()
    }

    /// A buffer, and the frames that came out of it
    struct Line {
        buffer: ReorderBuffer,
        now: Instant,
        out: Vec<u32>,
    }

    impl Line {
        fn new(reordering: Reordering) -> Self {
            let buffer = ReorderBuffer::new(reordering, Some(u32::MAX));
            Self { buffer, now: epoch(), out: Vec::new() }
        }

        fn arrive(&mut self, sequence: u32) -> Placed {
            let placed = self.buffer.place(self.now, sequence, &sequence.to_be_bytes());
            if placed == Placed::Next {
                self.out.push(sequence);
            }
            self.drain();
            placed
        }

        fn drain(&mut self) {
            while let Some((sequence, frame)) = self.buffer.poll(self.now) {
                assert_eq!(frame, sequence.to_be_bytes());
                self.out.push(sequence);
            }
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
            self.drain();
        }
    }

    fn line() -> Line {
        Line::new(Reordering::default())
    }

    #[test]
    fn in_order_nothing_waits_and_nothing_is_held() {
        let mut line = line();
        assert!((0..200).all(|sequence| line.arrive(sequence) == Placed::Next));
        assert_eq!(line.buffer.waiting.capacity(), 0);
        assert_eq!((line.out.len(), line.buffer.poll_timeout()), (200, None));
    }

    #[test]
    fn an_overtaken_frame_finds_its_place_and_a_duplicate_none() {
        use Placed::{Dropped, Kept, Next, Passed};
        let mut line = line();
        let arrivals = [0, 2, 3, 2, 1, 1, 3, 4].map(|sequence| line.arrive(sequence));
        assert_eq!(arrivals, [Next, Kept, Kept, Dropped, Next, Passed, Passed, Next]);
        assert_eq!(line.out, [0, 1, 2, 3, 4]);
        assert_eq!(line.buffer.waiting.capacity(), 0, "the memory is given back");
    }

    #[test]
    fn a_lost_frame_is_waited_for_for_300_ms() {
        let mut line = line();
        line.arrive(0);
        line.arrive(2);
        line.wait(100 * MS);
        line.arrive(4);
        line.wait(199 * MS);
        assert_eq!(line.out, [0]);
        assert_eq!(line.buffer.poll_timeout(), Some(line.now + MS));
        line.wait(MS);
        assert_eq!(line.out, [0, 2], "4 has not waited long enough");
        assert_eq!(line.arrive(1), Placed::Passed, "too late now");
        line.wait(100 * MS);
        assert_eq!(line.out, [0, 2, 4]);
    }

    #[test]
    fn no_more_than_64_wait() {
        let mut line = line();
        assert!((1..=64).all(|sequence| line.arrive(sequence) == Placed::Kept));
        assert_eq!(line.out, [], "as many may wait");
        line.arrive(70);
        assert_eq!(line.out, (1..=64).collect::<Vec<_>>());
    }

    #[test]
    fn no_frame_longer_than_2048_octets_is_kept() {
        let mut line = line();
        let placed = [2049, 2048].map(|length| line.buffer.place(line.now, 9, &vec![0; length]));
        assert_eq!(placed, [Placed::Dropped, Placed::Kept]);
    }

    #[test]
    fn without_depth_late_frames_are_lost_and_none_waits() {
        let mut line = Line::new(Reordering { depth: 0, ..Reordering::default() });
        let arrivals = [0, 5, 3, 6].map(|sequence| line.arrive(sequence));
        assert_eq!(arrivals, [Placed::Next, Placed::Next, Placed::Passed, Placed::Next]);
        line.buffer.pass(line.now, 9);
        assert_eq!(line.buffer.poll_timeout(), None);
    }

    #[test]
    fn numbers_of_control_frames_are_not_waited_for() {
        let mut line = line();
        line.arrive(0);
        line.buffer.pass(line.now, 1);
        line.buffer.pass(line.now, 3);
        assert_eq!(line.arrive(2), Placed::Next);
        assert_eq!(line.arrive(4), Placed::Next);
        assert_eq!(line.out, [0, 2, 4]);
    }

    #[test]
    fn what_lies_behind_the_next_number_is_told() {
        let mut line = line();
        line.arrive(0);
        line.arrive(1);
        assert_eq!(line.buffer.next(), Some(2));
        assert_eq!(
            [0, 1, 2, 3].map(|number| line.buffer.is_behind(number)),
            [true, true, false, false]
        );
        line.buffer.continue_after(u32::MAX);
        assert_eq!((line.buffer.next(), line.buffer.is_behind(u32::MAX)), (Some(0), true));
    }

    #[test]
    fn a_forged_number_leads_it_astray_until_the_next_true_frame() {
        let mut line = line();
        line.arrive(0);
        line.arrive(5_000);
        line.wait(300 * MS);
        assert_eq!(line.arrive(1), Placed::Passed);
        line.buffer.continue_after(1);
        assert_eq!((line.arrive(2), line.arrive(4)), (Placed::Next, Placed::Kept));
        assert_eq!(line.arrive(3), Placed::Next);
        assert_eq!(line.out, [0, 5_000, 2, 3, 4]);
    }

    #[test]
    fn a_forged_number_that_the_true_frame_overtook_does_not_lead_it_back() {
        let mut line = line();
        line.arrive(0);
        line.arrive(2);
        line.buffer.continue_after(2);
        line.wait(300 * MS);
        assert_eq!((line.arrive(3), line.out), (Placed::Next, vec![0, 3]));
    }

    #[test]
    fn a_jump_drops_what_waits() {
        let mut line = line();
        line.arrive(0);
        line.arrive(2);
        line.buffer.jump(1_000_000);
        assert_eq!(line.arrive(1_000_001), Placed::Next);
        assert_eq!((line.out, line.buffer.poll_timeout()), (vec![0, 1_000_001], None));
    }
}
