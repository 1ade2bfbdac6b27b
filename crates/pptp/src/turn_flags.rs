//! Which turns a tunnel waits for: what keeps it in the driver's queues once, and never out of them

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a tunnel waits for a turn
///
/// Whoever has changed something under the tunnel's lock marks it afterwards; a turn begins by taking
/// the mark back, and takes the lock then. So a mark that finds another one there comes before a turn
/// that sees its change. A test runs all interleavings of that (`loom`).
#[derive(Debug)]
pub(crate) struct TurnFlags<F = AtomicBool> {
    /// In the ready queue already
    queued: F,
    /// Something is to be told that does not wait for the socket
    due: F,
}

/// A flag that threads share: `AtomicBool`, and a test's
pub(crate) trait Flag {
    fn lowered() -> Self;

    /// Raises it, and tells whether it was raised before
    fn raise(&self) -> bool;

    /// Lowers it, and tells whether it was raised before
    fn lower(&self) -> bool;

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

impl<F: Flag> TurnFlags<F> {
    pub(crate) fn new() -> Self {
        Self { queued: F::lowered(), due: F::lowered() }
    }

    /// Marks the tunnel; `push` puts it into the ready queue, unless it is there
    pub(crate) fn mark_ready(&self, push: impl FnOnce()) {
        if !self.queued.raise() {
            push();
        }
    }

    /// Marks the tunnel for a turn that does not wait for the socket; `push` puts it into the queue of
    /// those, unless it is there. [`Self::mark_ready`] is to follow
    pub(crate) fn mark_due(&self, push: impl FnOnce()) {
        if !self.due.raise() {
            push();
        }
    }

    /// From here on marks ask for another turn
    pub(crate) fn begin_turn(&self) {
        self.queued.lower();
        self.due.lower();
    }

    /// Begins a turn without packets, unless there was one since [`Self::mark_due`]; the tunnel stays
    /// in the ready queue
    pub(crate) fn begin_due_turn(&self) -> bool {
        self.due.lower()
    }

    /// Whether the tunnel was marked as due since its latest turn: its entry in that queue counts
    pub(crate) fn is_due(&self) -> bool {
        self.due.is_raised()
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

    /// One tunnel and a driver's queues, as `DriverShared` and `Shared` have them
    struct Model {
        flags: TurnFlags<atomic::AtomicBool>,
        /// Entries of the tunnel
        ready: Mutex<VecDeque<()>>,
        due: Mutex<VecDeque<()>>,
        /// What there is to do, under the tunnel's lock
        work: Mutex<u32>,
    }

    impl Model {
        fn new() -> Arc<Self> {
            let queue = || Mutex::new(VecDeque::new());
            let (flags, ready, due) = (TurnFlags::new(), queue(), queue());
            Arc::new(Self { flags, ready, due, work: Mutex::new(0) })
        }

        fn add_work(&self) {
            *self.work.lock().unwrap() += 1;
        }

        fn mark_ready(&self) {
            self.flags.mark_ready(|| push(&self.ready, 1));
        }

        fn mark_due(&self) {
            self.flags.mark_due(|| push(&self.due, 2));
            self.mark_ready();
        }

        /// A turn of the driver's, if the tunnel is ready; returns the work done
        fn turn(&self) -> u32 {
            if self.ready.lock().unwrap().pop_front().is_none() {
                return 0;
            }
            self.flags.begin_turn();
            std::mem::take(&mut *self.work.lock().unwrap())
        }

        /// The end of a round in which the socket took everything
        fn end_of_round(&self) {
            let due = std::mem::take(&mut *self.due.lock().unwrap());
            for () in due {
                if self.flags.is_due() {
                    push(&self.due, 2);
                }
            }
        }

        /// What is done while the socket takes nothing
        fn turn_without_packets(&self) -> u32 {
            let mut done = 0;
            while self.due.lock().unwrap().pop_front().is_some() {
                if self.flags.begin_due_turn() {
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
                    model.mark_ready();
                })
            });
            let mut done = model.turn();
            for thread in marking {
                thread.join().unwrap();
            }
            done += model.turn();
            assert_eq!(done, 2);
            assert_eq!(model.turn(), 0);
            assert!(model.ready.lock().unwrap().is_empty());
        });
    }

    /// A round passes, and then the socket takes nothing: what was marked as due must not wait for it
    #[test]
    fn what_is_due_does_not_wait_for_the_socket() {
        loom::model(|| {
            let model = Model::new();
            model.add_work();
            model.mark_due();
            let marking = {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    model.add_work();
                    model.mark_due();
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
