//! The wait of one lookup for a question that others may share

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    dns::question::{Outcome, Question},
    net::handle::Net,
};

/// A caller of a lookup, which waits for the question
///
/// Dropped, it leaves the question to the others; the last one ends it.
pub(super) struct Asker<'n> {
    net: &'n Net,
    question: Arc<Question>,
    key: Option<u32>,
}

impl<'n> Asker<'n> {
    pub(super) const fn new(net: &'n Net, question: Arc<Question>) -> Self {
        Self { net, question, key: None }
    }

    fn leave(&mut self) {
        self.question.unlist(&mut self.key);
    }
}

impl Future for Asker<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Self { net, question, key } = &mut *self;
        // before it is polled: what wakes the future from now on wakes this task
        question.list(key, context.waker());
        let polled = question.poll();
        if polled.is_ready() {
            drop(net.with(|stack| stack.questions.end(question)));
            self.leave();
        }
        polled
    }
}

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        self.leave();
        let left = self.net.with(|stack| stack.questions.leave(&self.question));
        drop(left);
    }
}

#[cfg(test)]
#[path = "asker_tests.rs"]
mod tests;
