//! Questions in flight, each shared by all its askers

use std::{
    mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use pptp_packet::{Waiters, Wakers};
use tokio::time::Instant;

use super::{answer::Values, error::Failure};

/// Questions that one stack has in flight at most
///
/// Each holds up to four UDP sockets of some 5 KiB, or a connection of 17 KiB and an answer of 64 KiB.
pub(crate) const MAX_QUESTIONS: usize = 64;

/// The parts by which questions are equal: the name in lower case, as on the wire, and the type
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: Vec<u8>,
    pub(crate) record_type: u16,
}

pub(crate) type Outcome = Result<Arc<Values>, Failure>;

pub(crate) type Asking = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A stack's questions in flight
///
/// Equal questions share one query: many at once would give a forger as many identifiers and ports to hit.
#[derive(Default)]
pub(crate) struct Questions(Vec<Entry>);

struct Entry {
    key: Key,
    question: Arc<Question>,
    /// The number of askers that wait for it
    askers: usize,
    /// The time at which it has ended if it was polled; later askers begin a new question
    ends: Instant,
}

impl Questions {
    /// Joins an equal question that is in flight, or begins one; `None` if there are too many
    pub(crate) fn join(
        &mut self,
        key: Key,
        lasts: Duration,
        begin: impl FnOnce() -> Asking,
    ) -> Option<Arc<Question>> {
        let now = Instant::now();
        let equal = |entry: &&mut Entry| entry.key == key && now < entry.ends;
        if let Some(entry) = self.0.iter_mut().find(equal) {
            entry.askers = entry.askers.saturating_add(1);
            return Some(entry.question.clone());
        }
        if self.0.len() >= MAX_QUESTIONS {
            return None;
        }
        let question = Arc::new(Question::new(begin()));
        // a time beyond the clock's range becomes now: the question is not shared
        let ends = now.checked_add(lasts).unwrap_or(now);
        self.0.push(Entry { key, question: question.clone(), askers: 1, ends });
        Some(question)
    }

    /// Counts one asker less, and takes the question out with the last; the caller drops it after unlocking
    #[must_use]
    pub(crate) fn leave(&mut self, question: &Arc<Question>) -> Option<Arc<Question>> {
        let at = self.0.iter().position(|entry| Arc::ptr_eq(&entry.question, question))?;
        let entry = self.0.get_mut(at)?;
        entry.askers = entry.askers.saturating_sub(1);
        if entry.askers > 0 { None } else { Some(self.take(at)) }
    }

    /// Takes out a question that is answered, so that it is joined no more; the caller drops it after unlocking
    #[must_use]
    pub(crate) fn end(&mut self, question: &Arc<Question>) -> Option<Arc<Question>> {
        let at = self.0.iter().position(|entry| Arc::ptr_eq(&entry.question, question))?;
        Some(self.take(at))
    }

    /// The number of questions in flight
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    fn take(&mut self, at: usize) -> Arc<Question> {
        let entry = self.0.swap_remove(at);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        entry.question
    }
}

/// A question in flight: the future that asks it, which any of its askers polls
pub(crate) struct Question {
    progress: Mutex<Progress>,
    callers: Arc<Callers>,
}

enum Progress {
    Asking(Asking),
    /// An asker is just polling the future
    Polled,
    Ended(Outcome),
}

impl Progress {
    /// Takes the future to be polled; an outcome stays for the other askers.
    ///
    /// One step under the lock: an asker that found [`Progress::Polled`] where the question has ended
    /// would wait for a wake-up that never comes.
    fn take(&mut self) -> Self {
        match mem::replace(self, Self::Polled) {
            Self::Ended(outcome) => {
                *self = Self::Ended(outcome.clone());
                Self::Ended(outcome)
            }
            taken => taken,
        }
    }
}

impl Question {
    fn new(asking: Asking) -> Self {
        Self { progress: Mutex::new(Progress::Asking(asking)), callers: Arc::default() }
    }

    /// Lists a task among those that wait, in the place of its `key`
    pub(crate) fn list(&self, key: &mut Option<u32>, waker: &Waker) {
        // a replaced waker is dropped after the lock, which ends with the next statement
        let mut replaced = Wakers::new();
        lock(&self.callers.waiters).list(key, waker, &mut replaced);
    }

    /// Takes a task off the list
    pub(crate) fn unlist(&self, key: &mut Option<u32>) {
        // a removed waker is dropped after the lock, which ends with the next statement
        let mut removed = Wakers::new();
        lock(&self.callers.waiters).leave(key, &mut removed);
    }

    /// Polls the future, unless another asker is just polling it or it has ended
    pub(crate) fn poll(&self) -> Poll<Outcome> {
        let mut asking = match lock(&self.progress).take() {
            Progress::Asking(asking) => asking,
            // another thread polls it: what wakes it in the meantime wakes this asker as well
            Progress::Polled => return Poll::Pending,
            Progress::Ended(outcome) => return Poll::Ready(outcome),
        };
        self.callers.woken.store(false, Ordering::SeqCst);
        let waker = Waker::from(self.callers.clone());
        let unwinding = Unwinding(self);
        let polled = asking.as_mut().poll(&mut Context::from_waker(&waker));
        mem::forget(unwinding);
        if let Poll::Ready(outcome) = polled {
            *lock(&self.progress) = Progress::Ended(outcome.clone());
            self.callers.wake_all();
            return Poll::Ready(outcome);
        }
        *lock(&self.progress) = Progress::Asking(asking);
        if self.callers.woken.load(Ordering::SeqCst) {
            // an asker that was woken in the meantime found it being polled
            self.callers.wake_all();
        }
        Poll::Pending
    }
}

/// Ends a question whose future panics, so that its other askers do not wait for ever
struct Unwinding<'q>(&'q Question);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        *lock(&self.0.progress) = Progress::Ended(Err(Failure::Panicked));
        self.0.callers.wake_all();
    }
}

/// The tasks that wait for a question; a wake-up of its future wakes each of them
#[derive(Default)]
struct Callers {
    waiters: Mutex<Waiters>,
    /// True if the future was woken since it was polled last
    woken: AtomicBool,
}

impl Callers {
    fn wake_all(&self) {
        self.woken.store(true, Ordering::SeqCst);
        let mut all = Wakers::new();
        lock(&self.waiters).wake(&mut all);
        all.wake_all();
    }
}

impl Wake for Callers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
