//! The tasks that wait for one thing of one socket

use std::task::Waker;

/// The tasks that wait for one thing of one socket
///
/// Kept under the same lock under which the condition was found false, so no wake-up is lost. A
/// waker's own code runs neither here nor under that lock: wakers are handed out, to be woken or
/// dropped after unlocking.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// The last caller of a `poll_` method, as tokio's sockets keep it
    polled: Option<Waker>,
    /// Futures, each under the key by which it leaves when it is dropped
    listed: Vec<(u32, Waker)>,
    last_key: u32,
}

impl Waiters {
    /// Replaces the caller of a `poll_` method; what comes back is to be dropped after unlocking
    #[must_use]
    pub(crate) fn set_polled(&mut self, waker: &Waker) -> Option<Waker> {
        match &self.polled {
            Some(polled) if polled.will_wake(waker) => None,
            _ => self.polled.replace(waker.clone()),
        }
    }

    /// Lists a future, under its old key if it has one; what comes back is to be dropped later
    #[must_use]
    pub(crate) fn list(&mut self, key: &mut Option<u32>, waker: &Waker) -> Option<Waker> {
        if let Some((_, listed)) = self.listed.iter_mut().find(|(listed, _)| Some(*listed) == *key)
        {
            if listed.will_wake(waker) {
                return None;
            }
            return Some(std::mem::replace(listed, waker.clone()));
        }
        self.last_key = self.last_key.wrapping_add(1);
        *key = Some(self.last_key);
        self.listed.push((self.last_key, waker.clone()));
        None
    }

    /// Takes a future off the list; what comes back is to be dropped after unlocking
    #[must_use]
    pub(crate) fn leave(&mut self, key: u32) -> Option<Waker> {
        let at = self.listed.iter().position(|(listed, _)| *listed == key)?;
        Some(self.listed.swap_remove(at).1)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.polled.is_none() && self.listed.is_empty()
    }

    /// Everyone, to be woken after unlocking
    pub(crate) fn wake(&mut self, into: &mut Vec<Waker>) {
        into.extend(self.polled.take());
        into.extend(self.listed.drain(..).map(|(_, waker)| waker));
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, task::Wake};

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn task() -> Waker {
        Arc::new(Task).into()
    }

    #[test]
    fn a_future_keeps_one_place_and_leaves_it() {
        let (mut waiters, mut key) = (Waiters::default(), None);
        let waker = &task();
        assert!(waiters.list(&mut key, waker).is_none());
        assert!(waiters.list(&mut key, waker).is_none());
        let mut other = None;
        assert!(waiters.list(&mut other, waker).is_none());
        assert_eq!(waiters.listed.len(), 2);
        assert!(waiters.leave(key.unwrap()).is_some());
        assert!(waiters.leave(key.unwrap()).is_none());
        let mut woken = Vec::new();
        waiters.wake(&mut woken);
        assert_eq!(woken.len(), 1);
        assert!(waiters.is_empty());
    }

    #[test]
    fn a_woken_future_that_still_waits_is_listed_anew() {
        let waker = task();
        let (mut waiters, mut key) = (Waiters::default(), None);
        assert!(waiters.list(&mut key, &waker).is_none());
        waiters.wake(&mut Vec::new());
        assert!(waiters.list(&mut key, &waker).is_none());
        assert!(waiters.leave(key.unwrap()).is_some());
    }

    #[test]
    fn the_last_poller_wins() {
        let (mut waiters, waker) = (Waiters::default(), task());
        assert!(waiters.set_polled(&waker).is_none());
        assert!(waiters.set_polled(&waker).is_none(), "the same task again");
        let replaced = waiters.set_polled(&task());
        assert!(replaced.is_some_and(|replaced| replaced.will_wake(&waker)));
        let mut woken = Vec::new();
        waiters.wake(&mut woken);
        assert_eq!(woken.len(), 1);
    }
}
