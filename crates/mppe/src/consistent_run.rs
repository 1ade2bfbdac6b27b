//! A run of frames that cannot be opened, but are consistent with each other

/// A run of frames whose coherency counts move as their sequence numbers do
///
/// After an outage, all frames that arrive form such a run. A single forged frame does not.
#[derive(Debug, Default)]
pub(crate) struct ConsistentRun {
    newest: Option<(u32, u16)>,
    frames: u16,
}

impl ConsistentRun {
    /// Takes a frame into account and returns the length of the run, this frame included
    ///
    /// Returns 0 for a late frame or a duplicate within the run, which neither lengthens nor ends
    /// it.
    pub(crate) fn note(&mut self, sequence: u32, coherency_count: u16) -> u16 {
        let relation = self.newest.map(|newest| relation(newest, (sequence, coherency_count)));
        if relation == Some(Relation::Late) {
            return 0;
        }
        let before = if relation == Some(Relation::Follows) { self.frames } else { 0 };
        self.frames = before.saturating_add(1);
        self.newest = Some((sequence, coherency_count));
        self.frames
    }
}

#[derive(PartialEq, Eq)]
enum Relation {
    Follows,
    Late,
    Contradicts,
}

/// Compares the distances of two frames in sequence numbers and in coherency counts
///
/// Frames in the clear take a sequence number, but no coherency count.
fn relation(newest: (u32, u16), frame: (u32, u16)) -> Relation {
    let (ahead, counts) = distance(newest, frame);
    if (1..=MAX_GAP).contains(&ahead) && (1..=ahead).contains(&counts) {
        return Relation::Follows;
    }
    let (behind, counts) = distance(frame, newest);
    if (0..=MAX_LATE).contains(&behind) && counts <= behind {
        return Relation::Late;
    }
    Relation::Contradicts
}

fn distance(from: (u32, u16), to: (u32, u16)) -> (u32, u32) {
    let counts = to.1.wrapping_sub(from.1) & crate::header::COHERENCY_COUNT;
    (to.0.wrapping_sub(from.0), counts.into())
}

/// The longest gap at which the coherency count still tells something about the sequence number
const MAX_GAP: u32 = 4095;
const MAX_LATE: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(frames: &[(u32, u16)]) -> Vec<u16> {
        let mut run = ConsistentRun::default();
        frames.iter().map(|&(sequence, count)| run.note(sequence, count)).collect()
    }

    #[test]
    fn frames_that_follow_each_other_agree() {
        assert_eq!(notes(&[(9, 4095), (10, 0), (12, 2), (15, 3)]), [1, 2, 3, 4]);
        assert_eq!(notes(&[(u32::MAX, 7), (0, 8)]), [1, 2]);
    }

    #[test]
    fn counts_that_move_faster_than_sequence_numbers_contradict() {
        assert_eq!(notes(&[(9, 1), (10, 3), (11, 4), (12, 4)]), [1, 1, 2, 1]);
        assert_eq!(notes(&[(9, 1), (9 + 4096, 2)]), [1, 1]);
    }

    #[test]
    fn late_frames_and_duplicates_say_nothing() {
        assert_eq!(notes(&[(9, 1), (11, 3), (10, 2), (11, 3), (12, 4)]), [1, 2, 0, 0, 3]);
        assert_eq!(notes(&[(1000, 1000), (1, 1), (2, 2)]), [1, 1, 2]);
    }
}
