//! The times at which connections want their next turns

use crate::shared::{
    table::Id,
    time::{NEVER, Time},
};

/// The time at which each connection wants its next turn, by its number
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    times: Vec<Time>,
}

impl Deadlines {
    /// Sets the time of a connection; returns the time before the change
    pub(super) fn set(&mut self, id: Id, at: Time) -> Time {
        let index = usize::try_from(id).unwrap_or(usize::MAX);
        if at != NEVER && self.times.len() <= index {
            self.times.resize(index.saturating_add(1), NEVER);
        }
        self.times.get_mut(index).map_or(NEVER, |time| std::mem::replace(time, at))
    }

    /// Frees the memory; no connection wants a turn
    pub(super) fn clear(&mut self) {
        self.times = Vec::new();
    }

    /// The earliest of the times
    pub(super) fn next(&self) -> Time {
        self.times.iter().copied().min().unwrap_or(NEVER)
    }

    /// The connections whose time has come
    pub(super) fn due(&self, now: Time) -> impl Iterator<Item = Id> {
        (0..).zip(&self.times).filter(move |(_, time)| **time <= now).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_kept_until_it_is_set_anew() {
        let mut deadlines = Deadlines::default();
        assert_eq!((deadlines.next(), deadlines.set(2, NEVER)), (NEVER, NEVER));
        assert_eq!(deadlines.times.capacity(), 0, "a connection without a time takes no memory");
        assert_eq!(deadlines.set(2, 70), NEVER);
        assert_eq!(deadlines.set(0, 80), NEVER);
        assert_eq!(deadlines.next(), 70);
        let due = |deadlines: &Deadlines, now| deadlines.due(now).collect::<Vec<_>>();
        assert_eq!([due(&deadlines, 69), due(&deadlines, 79)], [vec![], vec![2]]);
        assert_eq!(due(&deadlines, 80), [0, 2]);
        assert_eq!(deadlines.set(2, NEVER), 70);
        assert_eq!((deadlines.next(), due(&deadlines, 80)), (80, vec![0]));
        deadlines.clear();
        assert_eq!((deadlines.next(), deadlines.times.capacity()), (NEVER, 0));
    }
}
