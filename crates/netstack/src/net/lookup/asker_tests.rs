//! Askers of one question, in every order that several threads could take
#![expect(clippy::disallowed_methods, reason = "wakers of the tests' own, with no lock held")]

use std::{
    mem,
    net::Ipv4Addr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
    time::Duration,
};

use super::*;
use crate::{
    Local, LocalLink, StackConfig,
    dns::{
        error::Failure,
        question::{Asking, Key},
    },
};

/// Counts how often it is woken
#[derive(Default)]
struct Task(AtomicUsize);

impl Task {
    fn woken(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn stack() -> (Net, LocalLink) {
    Local::new(StackConfig::new(Ipv4Addr::new(192, 168, 1, 234), 1400, 1))
}

fn poll(asker: &mut Asker<'_>, task: &Arc<Task>) -> Poll<Outcome> {
    Pin::new(asker).poll(&mut Context::from_waker(&Waker::from(task.clone())))
}

fn join(net: &Net, asking: impl Future<Output = Outcome> + Send + 'static) -> Asker<'_> {
    let key = Key { name: b"\x03www\0".to_vec(), record_type: 1 };
    let begin = || -> Asking { Box::pin(asking) };
    let question = net.with(|stack| stack.questions.join(key, Duration::from_secs(6), begin));
    Asker::new(net, question.unwrap())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn in_flight(net: &Net) -> usize {
    net.with(|stack| stack.questions.len())
}

/// The instructions of the test to the future under test
#[derive(Default)]
struct Told {
    waker: Option<Waker>,
    outcome: Option<Outcome>,
}

/// A future that ends when the test says so
async fn told(told: Arc<Mutex<Told>>) -> Outcome {
    std::future::poll_fn(|cx| {
        let mut told = lock(&told);
        told.waker = Some(cx.waker().clone());
        told.outcome.take().map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// A future that is never polled, because the question is in flight already
fn never() -> impl Future<Output = Outcome> {
    std::future::poll_fn(|_| unreachable!("a second question"))
}

#[tokio::test(start_paused = true)]
async fn what_wakes_the_question_wakes_all_and_any_of_them_goes_on() {
    let ((net, _link), state) = (stack(), Arc::<Mutex<Told>>::default());
    let (first, second) = (Arc::<Task>::default(), Arc::<Task>::default());
    let mut one = join(&net, told(state.clone()));
    let mut other = join(&net, never());
    assert_eq!(in_flight(&net), 1);
    assert!(poll(&mut one, &first).is_pending() && poll(&mut other, &second).is_pending());
    lock(&state).outcome = Some(Err(Failure::NoServer));
    let waker = lock(&state).waker.take().unwrap();
    waker.wake();
    assert_eq!((first.woken(), second.woken()), (1, 1));
    // the first is woken and never polled again
    drop(one);
    assert!(matches!(poll(&mut other, &second), Poll::Ready(Err(Failure::NoServer))));
    assert_eq!(in_flight(&net), 0);
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_comes_while_another_polls_is_woken_afterwards() {
    let (net, _link) = stack();
    let (first, second) = (Arc::<Task>::default(), Arc::<Task>::default());
    // what another thread does while this one is within the future
    let meanwhile = Arc::<Mutex<Option<Box<dyn FnOnce() + Send>>>>::default();
    let asking = {
        let meanwhile = meanwhile.clone();
        std::future::poll_fn(move |cx| match lock(&meanwhile).take() {
            Some(meanwhile) => {
                cx.waker().wake_by_ref();
                meanwhile();
                Poll::Pending
            }
            None => Poll::Ready(Err(Failure::NoServer)),
        })
    };
    let mut one = join(&net, asking);
    let question = one.question.clone();
    let found = Arc::<Mutex<Option<bool>>>::default();
    {
        let (found, second, question) = (found.clone(), second.clone(), question.clone());
        *lock(&meanwhile) = Some(Box::new(move || {
            // as the poll of an asker does, which cannot be borrowed into here
            let waker = Waker::from(second);
            question.list(&mut None, &waker);
            *lock(&found) = Some(question.poll().is_pending());
        }));
    }
    assert!(poll(&mut one, &first).is_pending());
    assert_eq!(*lock(&found), Some(true), "it was being polled");
    assert!(second.woken() >= 1, "it is not forgotten");
    assert!(first.woken() >= 1);
    assert!(matches!(question.poll(), Poll::Ready(Err(Failure::NoServer))));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_panics_ends_for_the_others() {
    let (net, _link) = stack();
    let (first, second) = (Arc::<Task>::default(), Arc::<Task>::default());
    let ready = Arc::new(AtomicBool::new(false));
    let asking = {
        let ready = ready.clone();
        std::future::poll_fn(move |_| {
            assert!(!ready.load(Ordering::SeqCst), "as a fault of ours would");
            Poll::Pending
        })
    };
    let mut one = join(&net, asking);
    let mut other = join(&net, never());
    assert!(poll(&mut one, &first).is_pending() && poll(&mut other, &second).is_pending());
    ready.store(true, Ordering::SeqCst);
    let panicked = catch_unwind(AssertUnwindSafe(|| poll(&mut one, &first)));
    assert!(panicked.is_err());
    assert_eq!(second.woken(), 1);
    drop(one);
    assert!(matches!(poll(&mut other, &second), Poll::Ready(Err(Failure::Panicked))));
    assert_eq!(in_flight(&net), 0);
}

/// A waker whose drop and whose wake use the same stack and the same question
struct Owner(Net);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        assert!(in_flight(&self.0) <= 1);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        drop(join(&self.0, never()));
    }
}

#[tokio::test(start_paused = true)]
async fn wakers_are_dropped_outside_every_lock() {
    let ((net, _link), state) = (stack(), Arc::<Mutex<Told>>::default());
    let mut one = join(&net, told(state.clone()));
    for _ in 0..3 {
        // the waker of the poll before is replaced, and is the last that holds its owner
        let waker = Waker::from(Arc::new(Owner(net.clone())));
        assert!(Pin::new(&mut one).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    let waker = lock(&state).waker.take().unwrap();
    waker.wake();
    let waker = Waker::from(Arc::new(Owner(net.clone())));
    assert!(Pin::new(&mut one).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    drop(join(&net, never()));
    assert_eq!(in_flight(&net), 1);
}

/// A thread that sleeps until it is woken
#[derive(Default)]
struct Sleeper {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Sleeper {
    fn sleep(&self) {
        let asleep = |woken: &mut bool| !mem::take(woken);
        let limit = Duration::from_secs(20);
        let slept = self.changed.wait_timeout_while(lock(&self.woken), limit, asleep);
        assert!(!slept.unwrap().1.timed_out(), "a wake-up is lost");
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        *lock(&self.woken) = true;
        self.changed.notify_one();
    }
}

#[tokio::test]
async fn threads_that_ask_the_same_all_hear_the_answer() {
    for _ in 0..100 {
        let ((net, _link), state) = (stack(), Arc::<Mutex<Told>>::default());
        let mut askers = vec![join(&net, told(state.clone()))];
        askers.extend((0..7).map(|_| join(&net, never())));
        std::thread::scope(|scope| {
            for (number, mut asker) in askers.into_iter().enumerate() {
                scope.spawn(move || {
                    let sleeper = Arc::<Sleeper>::default();
                    let waker = Waker::from(sleeper.clone());
                    let mut context = Context::from_waker(&waker);
                    for polls in 0.. {
                        if Pin::new(&mut asker).poll(&mut context).is_ready() {
                            break;
                        }
                        sleeper.sleep();
                        // some go when they are woken, as an asker whose time is over does
                        if number % 3 == 0 && polls == number {
                            break;
                        }
                    }
                });
            }
            for number in 0..20 {
                let mut told = lock(&state);
                if number == 19 {
                    told.outcome = Some(Err(Failure::NoServer));
                }
                let waker = told.waker.clone();
                drop(told);
                waker.into_iter().for_each(Waker::wake);
                std::thread::yield_now();
            }
        });
        assert_eq!(in_flight(&net), 0);
    }
}
