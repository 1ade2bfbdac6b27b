//! One task's wait for one socket

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use super::Net;
use crate::{Stack, stack::Waiting};

/// Tries something under the lock until it is ready
///
/// The condition is checked and the task listed under the same lock, so no wake-up is lost. When
/// the future is dropped, the task leaves the list.
pub(super) struct Wait<'a, F> {
    net: &'a Net,
    waiting: Waiting,
    attempt: F,
    key: Option<u32>,
}

impl<'a, F> Wait<'a, F> {
    pub(super) const fn new<R>(net: &'a Net, waiting: Waiting, attempt: F) -> Self
    where
        F: FnMut(&mut Stack) -> Poll<io::Result<R>>,
    {
        Self { net, waiting, attempt, key: None }
    }

    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            let waiting = self.waiting;
            drop(self.net.with(|stack| stack.waiters(waiting)?.leave(key)));
        }
    }
}

impl<F, R> Future for Wait<'_, F>
where
    F: FnMut(&mut Stack) -> Poll<io::Result<R>> + Unpin,
{
    type Output = io::Result<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { net, waiting, attempt, key } = &mut *self;
        let (result, _replaced) = net.with(|stack| {
            let result = attempt(stack);
            if result.is_ready() {
                let waiters = stack.waiters(*waiting);
                return (result, waiters.and_then(|it| it.leave(key.take()?)));
            }
            let waiters = stack.waiters(*waiting);
            (result, waiters.and_then(|waiters| waiters.list(key, context.waker())))
        });
        result
    }
}

impl<F> Drop for Wait<'_, F> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Tries something once under the lock, for a `poll_` method
///
/// The task that polled last is the one that is woken.
pub(super) fn poll<R>(
    net: &Net,
    waiting: Waiting,
    context: &Context<'_>,
    attempt: impl FnOnce(&mut Stack) -> Poll<io::Result<R>>,
) -> Poll<io::Result<R>> {
    let (result, _replaced) = net.with(|stack| {
        let result = attempt(stack);
        let waiters = if result.is_pending() { stack.waiters(waiting) } else { None };
        (result, waiters.and_then(|waiters| waiters.set_polled(context.waker())))
    });
    result
}

/// Tries something once under the lock; `WouldBlock` if it is not ready
pub(super) fn attempt<R>(
    net: &Net,
    attempt: impl FnOnce(&mut Stack) -> Poll<io::Result<R>>,
) -> io::Result<R> {
    match net.with(attempt) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
