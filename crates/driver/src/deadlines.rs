//! The deadlines of all sessions of a driver

use std::{collections::HashMap, future::poll_fn, task::Poll, time::Instant};

use tokio_util::time::{DelayQueue, delay_queue};

/// One deadline for each session, in one wheel
///
/// A deadline that moves into the future is left where it is: when it strikes, the turn finds
/// nothing to do and sets it anew. So a busy session, whose deadline moves with each packet, does not
/// touch the wheel.
#[derive(Default)]
pub(crate) struct Deadlines {
    wheel: DelayQueue<u16>,
    keys: HashMap<u16, (delay_queue::Key, Instant)>,
}

impl Deadlines {
    pub(crate) fn set(&mut self, call_id: u16, deadline: Instant) {
        match self.keys.get_mut(&call_id) {
            Some((_, struck)) if *struck <= deadline => {}
            Some((key, struck)) => {
                self.wheel.reset_at(key, deadline.into());
                *struck = deadline;
            }
            None => {
                let key = self.wheel.insert_at(call_id, deadline.into());
                self.keys.insert(call_id, (key, deadline));
            }
        }
    }

    pub(crate) fn forget(&mut self, call_id: u16) {
        if let Some((key, _)) = self.keys.remove(&call_id) {
            self.wheel.remove(&key);
        }
    }

    /// Returns the next Call ID whose deadline has struck
    pub(crate) async fn next(&mut self) -> u16 {
        let call_id = poll_fn(|cx| match self.wheel.poll_expired(cx) {
            Poll::Ready(Some(expired)) => Poll::Ready(expired.into_inner()),
            // an empty wheel is woken by the next insertion's own turn of the loop
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        })
        .await;
        self.keys.remove(&call_id);
        call_id
    }
}
