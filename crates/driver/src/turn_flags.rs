//! The flags of the turns that a session waits for: they keep it in each queue of the driver just once

use std::sync::atomic::{AtomicBool, Ordering};

/// The flags of the turns that a session waits for
///
/// A change under the session's lock is followed by a mark. A turn first takes the mark back, and then
/// takes the lock. So a mark that finds another one there comes before a turn that sees its change. A
/// test runs all interleavings of that (`loom`).
#[derive(Debug)]
pub struct TurnFlags<F = AtomicBool> {
    /// The session is in the queue of those whose turn may send packets
    can_send: F,
    /// The session is in the queue of those whose turn does not wait for the socket
    timers_due: F,
}

/// A flag that threads share: `AtomicBool`, and a test's
pub trait Flag {
    /// Makes one that is not raised
    fn lowered() -> Self;

    /// Raises it; returns whether it was raised before
    fn raise(&self) -> bool;

    /// Lowers it; returns whether it was raised before
    fn lower(&self) -> bool;

    /// Returns true if it is raised
    fn is_raised(&self) -> bool;
}

impl Flag for AtomicBool {
    fn lowered() -> Self {
        Self::new(false)
    }

    fn raise(&self) -> bool {
        self.swap(true, Ordering::AcqRel)
    }

    fn lower(&self) -> bool {
        self.swap(false, Ordering::AcqRel)
    }

    fn is_raised(&self) -> bool {
        self.load(Ordering::Acquire)
    }
}

impl<F: Flag> Default for TurnFlags<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Flag> TurnFlags<F> {
    /// Makes the flags of a session that waits for no turn
    pub fn new() -> Self {
        Self { can_send: F::lowered(), timers_due: F::lowered() }
    }

    /// Marks the session for a turn with packets; `push` puts it into that queue, unless it is there
    pub(crate) fn mark_can_send(&self, push: impl FnOnce()) {
        if !self.can_send.raise() {
            push();
        }
    }

    /// Marks the session for a turn that does not wait for the socket
    ///
    /// `push` puts it into the queue of those, unless it is there. [`Self::mark_can_send`] has to
    /// follow, since the turn itself may have packets.
    pub(crate) fn mark_timers_due(&self, push: impl FnOnce()) {
        if !self.timers_due.raise() {
            push();
        }
    }

    /// Begins a turn with packets: marks from here on ask for another one
    pub(crate) fn begin_turn(&self) {
        self.can_send.lower();
        self.timers_due.lower();
    }

    /// Begins a turn without packets, unless there was one since [`Self::mark_timers_due`]
    ///
    /// The session stays in the queue of those whose turn may send packets.
    pub(crate) fn begin_timers_turn(&self) -> bool {
        self.timers_due.lower()
    }

    /// Returns true if [`Self::mark_timers_due`] was called since the latest turn
    ///
    /// Then the session's entry in that queue counts.
    pub(crate) fn are_timers_due(&self) -> bool {
        self.timers_due.is_raised()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use loom::{
        sync::{Arc, Mutex, atomic},
        thread,
    };

    use super::*;

    impl Flag for atomic::AtomicBool {
        fn lowered() -> Self {
            Self::new(false)
        }

        fn raise(&self) -> bool {
            self.swap(true, Ordering::AcqRel)
        }

        fn lower(&self) -> bool {
            self.swap(false, Ordering::AcqRel)
        }

        fn is_raised(&self) -> bool {
            self.load(Ordering::Acquire)
        }
    }

    /// One tunnel and a driver's queues, as `DriverShared` and `TunnelShared` have them
    struct Model {
        flags: TurnFlags<atomic::AtomicBool>,
        /// Entries of the tunnel
        can_send: Mutex<VecDeque<()>>,
        timers_due: Mutex<VecDeque<()>>,
        /// The work that waits, under the tunnel's lock
        work: Mutex<u32>,
    }

    impl Model {
        fn new() -> Arc<Self> {
            let queue = || Mutex::new(VecDeque::new());
            let (flags, can_send, timers_due) = (TurnFlags::new(), queue(), queue());
            Arc::new(Self { flags, can_send, timers_due, work: Mutex::new(0) })
        }

        fn add_work(&self) {
            *self.work.lock().unwrap() += 1;
        }

        fn mark_can_send(&self) {
            self.flags.mark_can_send(|| push(&self.can_send, 1));
        }

        fn mark_timers_due(&self) {
            self.flags.mark_timers_due(|| push(&self.timers_due, 2));
            self.mark_can_send();
        }

        /// Makes a turn, if the tunnel waits for one; returns the work done
        fn turn(&self) -> u32 {
            if self.can_send.lock().unwrap().pop_front().is_none() {
                return 0;
            }
            self.flags.begin_turn();
            std::mem::take(&mut *self.work.lock().unwrap())
        }

        /// The end of a round in which the socket took everything
        fn end_of_round(&self) {
            let timers_due = std::mem::take(&mut *self.timers_due.lock().unwrap());
            for () in timers_due {
                if self.flags.are_timers_due() {
                    push(&self.timers_due, 2);
                }
            }
        }

        /// Makes the turns that need no socket; returns the work done
        fn turn_without_packets(&self) -> u32 {
            let mut done = 0;
            while self.timers_due.lock().unwrap().pop_front().is_some() {
                if self.flags.begin_timers_turn() {
                    done += std::mem::take(&mut *self.work.lock().unwrap());
                }
            }
            done
        }
    }

    fn push(queue: &Mutex<VecDeque<()>>, most: usize) {
        let mut queue = queue.lock().unwrap();
        queue.push_back(());
        assert!(queue.len() <= most, "{} entries", queue.len());
    }

    #[test]
    fn no_mark_is_lost_and_none_queues_a_tunnel_twice() {
        loom::model(|| {
            let model = Model::new();
            let marking = [(); 2].map(|()| {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    model.add_work();
                    model.mark_can_send();
                })
            });
            let mut done = model.turn();
            for thread in marking {
                thread.join().unwrap();
            }
            done += model.turn();
            assert_eq!(done, 2);
            assert_eq!(model.turn(), 0);
            assert!(model.can_send.lock().unwrap().is_empty());
        });
    }

    /// After a round in which the socket takes everything comes one in which it takes nothing: work
    /// marked by `mark_timers_due` must not wait for the socket
    #[test]
    fn what_is_due_does_not_wait_for_the_socket() {
        loom::model(|| {
            let model = Model::new();
            model.add_work();
            model.mark_timers_due();
            let marking = {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    model.add_work();
                    model.mark_timers_due();
                })
            };
            let mut done = model.turn();
            model.end_of_round();
            marking.join().unwrap();
            done += model.turn_without_packets();
            assert_eq!(done, 2);
        });
    }
}
