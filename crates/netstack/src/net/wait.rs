//! The wait of a task for a socket

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use super::handle::Net;
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
        if self.key.is_some() {
            let Self { net, waiting, key, .. } = self;
            net.with(|stack| stack.leave(*waiting, key));
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
        net.with(|stack| {
            let result = attempt(stack);
            if result.is_ready() {
                stack.leave(*waiting, key);
            } else {
                stack.list(*waiting, key, context.waker());
            }
            result
        })
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
    net.with(|stack| {
        let result = attempt(stack);
        if result.is_pending() {
            stack.set_polled(waiting, context.waker());
        }
        result
    })
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
