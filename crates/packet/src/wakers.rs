//! Wakers of tasks, which are kept under a lock, and woken and dropped outside it
//!
//! A waker is foreign code: it may panic, block, or call back into the state behind the lock. So
//! wakers wait in [`Waiters`] under the lock, leave it in a [`Wakers`], and are woken or dropped
//! after unlocking.

use std::{
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
};

/// Wakers that were taken from under a lock, to be woken or dropped after unlocking
///
/// It must be declared before the lock is taken. Then it is dropped after unlocking even if the
/// code in between returns early or panics. Dropping it wakes and drops the remaining wakers.
#[derive(Default)]
pub struct Wakers {
    woken: Vec<Waker>,
    dropped: Vec<Waker>,
}

impl Wakers {
    /// An empty collection, without memory on the heap
    pub const fn new() -> Self {
        Self { woken: Vec::new(), dropped: Vec::new() }
    }

    /// Keeps wakers to be woken
    pub fn wake_later(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.woken.extend(wakers);
    }

    /// Keeps wakers to be dropped: their tasks wait no longer, or with another waker
    pub fn drop_later(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.dropped.extend(wakers);
    }

    /// Moves everything from `other`, whose memory is used again where that is possible
    #[inline]
    pub fn append(&mut self, other: &mut Self) {
        append(&mut self.woken, &mut other.woken);
        append(&mut self.dropped, &mut other.dropped);
    }

    /// Returns true if there is no waker to wake or to drop
    pub const fn is_empty(&self) -> bool {
        self.woken.is_empty() && self.dropped.is_empty()
    }

    /// Wakes and drops all of them, each on its own, and returns how many panicked
    ///
    /// A waker that panics loses its own wake-up, and has no effect on others. The caller must hold
    /// no lock. The memory is kept.
    #[inline]
    pub fn wake_all(&mut self) -> usize {
        // most turns wake no task
        if self.is_empty() { 0 } else { self.wake_each() }
    }

    fn wake_each(&mut self) -> usize {
        let woken = self.woken.drain(..).map(|waker| panics(|| waker.wake()));
        let mut panicked = woken.filter(|panicked| *panicked).count();
        for waker in self.dropped.drain(..) {
            panicked = panicked.saturating_add(usize::from(panics(|| drop(waker))));
        }
        panicked
    }
}

impl Drop for Wakers {
    #[inline]
    fn drop(&mut self) {
        self.wake_all();
    }
}

impl fmt::Debug for Wakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { woken, dropped } = self;
        write!(f, "Wakers({} to wake, {} to drop)", woken.len(), dropped.len())
    }
}

/// Runs foreign code and returns true if it panicked
///
/// Used for calls that wake tasks themselves, such as those of tokio's channels. The caller must
/// hold no lock.
pub fn panics(f: impl FnOnce()) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { return false };
    // the payload of the panic is foreign code too
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
    true
}

fn append(into: &mut Vec<Waker>, from: &mut Vec<Waker>) {
    if from.is_empty() {
        // its memory stays for the next call that has something
    } else if into.is_empty() {
        mem::swap(into, from);
    } else {
        into.append(from);
    }
}

/// The tasks that wait for one thing
///
/// Kept under the same lock under which the condition was found false, so that no wake-up is lost.
/// Of a waker's own code only its `clone` runs in here, which may panic: then nothing has changed. It
/// must not come back to the same lock.
#[derive(Default)]
pub struct Waiters {
    /// The last caller of a `poll_` method, as tokio's sockets keep it
    polled: Option<Waker>,
    /// Futures, each under the key by which it leaves when it is dropped
    listed: Vec<(u32, Waker)>,
    last_key: u32,
}

impl Waiters {
    /// An empty collection, without memory on the heap
    pub const fn new() -> Self {
        Self { polled: None, listed: Vec::new(), last_key: 0 }
    }

    /// Keeps the caller of a `poll_` method in the place of the one before
    pub fn set_polled(&mut self, waker: &Waker, replaced: &mut Wakers) {
        if self.polled.as_ref().is_none_or(|polled| !polled.will_wake(waker)) {
            replaced.drop_later(self.polled.replace(waker.clone()));
        }
    }

    /// Lists a future, in its old place if it has one under `key`
    pub fn list(&mut self, key: &mut Option<u32>, waker: &Waker, replaced: &mut Wakers) {
        let mut listed = self.listed.iter_mut();
        match listed.find(|(listed, _)| Some(*listed) == *key).map(|(_, waker)| waker) {
            Some(listed) if listed.will_wake(waker) => {}
            Some(listed) => {
                let replacement = waker.clone();
                replaced.drop_later([mem::replace(listed, replacement)]);
            }
            None => {
                let waker = waker.clone();
                self.last_key = self.last_key.wrapping_add(1);
                *key = Some(self.last_key);
                self.listed.push((self.last_key, waker));
            }
        }
    }

    /// Takes a future off the list, if it is still there
    pub fn leave(&mut self, key: &mut Option<u32>, left: &mut Wakers) {
        let Some(key) = key.take() else { return };
        if let Some(at) = self.listed.iter().position(|(listed, _)| *listed == key) {
            left.drop_later([self.listed.swap_remove(at).1]);
        }
    }

    /// Returns true if no task waits
    pub const fn is_empty(&self) -> bool {
        self.polled.is_none() && self.listed.is_empty()
    }

    /// Hands out all tasks, to be woken
    pub fn wake(&mut self, into: &mut Wakers) {
        into.wake_later(self.polled.take());
        into.wake_later(self.listed.drain(..).map(|(_, waker)| waker));
    }

    /// Hands out all tasks to be dropped, because nothing will wake them any more
    pub fn forget(&mut self, into: &mut Wakers) {
        into.drop_later(self.polled.take());
        into.drop_later(self.listed.drain(..).map(|(_, waker)| waker));
    }
}

/// Drops the tasks one by one, in case one panics; the owner must see to it that no lock is held
impl Drop for Waiters {
    fn drop(&mut self) {
        self.forget(&mut Wakers::new());
    }
}

impl fmt::Debug for Waiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Waiters({})", self.listed.len().saturating_add(self.polled.iter().len()))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::panic_any,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Panics when it is woken and when it is dropped, and once more when its panic is dropped
    struct Panics;

    struct PanicsToo;

    impl Drop for PanicsToo {
        fn drop(&mut self) {
            panic!("the payload of a panic");
        }
    }

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            mem::forget(self);
            panic_any(PanicsToo);
        }
    }

    impl Drop for Panics {
        fn drop(&mut self) {
            panic_any(PanicsToo);
        }
    }

    fn task() -> Waker {
        Arc::new(Task::default()).into()
    }

    fn panicking() -> Waker {
        Arc::new(Panics).into()
    }

    #[test]
    fn a_waker_that_panics_costs_nobody_else_a_wake() {
        let task = Arc::new(Task::default());
        let mut wakers = Wakers::new();
        let all = [task.clone().into(), panicking(), task.clone().into(), panicking()];
        wakers.wake_later(all);
        wakers.drop_later([panicking(), task.clone().into()]);
        assert_eq!(wakers.wake_all(), 3);
        assert_eq!(task.0.load(Ordering::Relaxed), 2);
        assert_eq!(Arc::strong_count(&task), 1);
        assert!(wakers.is_empty());
        assert_eq!(wakers.wake_all(), 0);
    }

    #[test]
    fn what_is_forgotten_in_wakers_is_woken_all_the_same() {
        let task = Arc::new(Task::default());
        let mut wakers = Wakers::new();
        wakers.wake_later([task.clone().into()]);
        let mut outer = Wakers::new();
        outer.append(&mut wakers);
        drop(wakers);
        assert_eq!(task.0.load(Ordering::Relaxed), 0);
        drop(outer);
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn memory_goes_round_between_two_that_take_turns() {
        let (mut inner, mut outer) = (Wakers::new(), Wakers::new());
        inner.wake_later([task()]);
        outer.append(&mut inner);
        outer.wake_all();
        let memory = outer.woken.as_ptr();
        outer.append(&mut inner);
        assert_eq!(outer.woken.as_ptr(), memory, "an empty one takes no memory away");
        inner.wake_later([task()]);
        outer.append(&mut inner);
        inner.wake_later([task()]);
        assert_eq!(inner.woken.as_ptr(), memory);
    }

    #[test]
    fn a_future_keeps_one_place_and_leaves_it() {
        let (mut waiters, mut gone, mut key) = (Waiters::new(), Wakers::new(), None);
        let waker = &task();
        waiters.list(&mut key, waker, &mut gone);
        waiters.list(&mut key, waker, &mut gone);
        let mut other = None;
        waiters.list(&mut other, waker, &mut gone);
        assert_eq!(waiters.listed.len(), 2);
        assert!(gone.is_empty());
        let mut once_more = key;
        waiters.leave(&mut key, &mut gone);
        assert_eq!((key, gone.dropped.len()), (None, 1));
        waiters.leave(&mut once_more, &mut gone);
        assert_eq!(gone.dropped.len(), 1, "nobody is there under that key");
        waiters.wake(&mut gone);
        assert_eq!(gone.woken.len(), 1);
        assert!(waiters.is_empty());
    }

    #[test]
    fn a_future_that_moves_to_another_task_has_its_old_one_handed_out() {
        let (mut waiters, mut gone, mut key) = (Waiters::new(), Wakers::new(), None);
        let (first, second) = (task(), task());
        waiters.list(&mut key, &first, &mut gone);
        waiters.list(&mut key, &second, &mut gone);
        assert!(gone.dropped.iter().any(|waker| waker.will_wake(&first)));
        waiters.wake(&mut gone);
        assert!(gone.woken.iter().all(|waker| waker.will_wake(&second)));
    }

    #[test]
    fn a_woken_future_that_still_waits_is_listed_anew() {
        let (mut waiters, mut gone, mut key) = (Waiters::new(), Wakers::new(), None);
        let waker = task();
        waiters.list(&mut key, &waker, &mut gone);
        waiters.wake(&mut gone);
        waiters.list(&mut key, &waker, &mut gone);
        waiters.leave(&mut key, &mut gone);
        assert_eq!(gone.dropped.len(), 1);
    }

    #[test]
    fn the_last_poller_wins() {
        let (mut waiters, mut gone, waker) = (Waiters::new(), Wakers::new(), task());
        waiters.set_polled(&waker, &mut gone);
        waiters.set_polled(&waker, &mut gone);
        assert!(gone.is_empty(), "the same task again");
        waiters.set_polled(&task(), &mut gone);
        assert!(gone.dropped.iter().all(|replaced| replaced.will_wake(&waker)));
        assert_eq!(gone.dropped.len(), 1);
        waiters.wake(&mut gone);
        assert_eq!(gone.woken.len(), 1);
    }

    #[test]
    fn tasks_that_are_forgotten_are_not_woken() {
        let (mut waiters, mut gone) = (Waiters::new(), Wakers::new());
        waiters.set_polled(&task(), &mut gone);
        waiters.list(&mut None, &task(), &mut gone);
        waiters.forget(&mut gone);
        assert_eq!((gone.woken.len(), gone.dropped.len()), (0, 2));
        assert!(waiters.is_empty());
    }
}
