//! The deadlines of all tunnels of a driver

use std::{collections::HashMap, future::poll_fn, task::Poll, time::Instant};

use tokio_util::time::{DelayQueue, delay_queue};

use crate::driver::tunnel_shared::TunnelShared;

/// One deadline for each tunnel, in one wheel
///
/// A deadline that moves into the future is left where it is: when it strikes, the turn finds
/// nothing to do and sets it anew. So a busy tunnel, whose deadline moves with each packet, does not
/// touch the wheel.
#[derive(Default)]
pub(super) struct Deadlines {
    wheel: DelayQueue<u16>,
    keys: HashMap<u16, (delay_queue::Key, Instant)>,
}

impl Deadlines {
    pub(super) fn set(&mut self, tunnel: &TunnelShared, deadline: Option<Instant>) {
        let (Some(route), Some(deadline)) = (tunnel.route(), deadline) else { return };
        match self.keys.get_mut(&route.call_id) {
            Some((_, struck)) if *struck <= deadline => {}
            Some((key, struck)) => {
                self.wheel.reset_at(key, deadline.into());
                *struck = deadline;
            }
            None => {
                let key = self.wheel.insert_at(route.call_id, deadline.into());
                self.keys.insert(route.call_id, (key, deadline));
            }
        }
    }

    pub(super) fn forget(&mut self, tunnel: &TunnelShared) {
        let key = tunnel.route().and_then(|route| self.keys.remove(&route.call_id));
        if let Some((key, _)) = key {
            self.wheel.remove(&key);
        }
    }

    /// The next Call ID whose deadline has struck
    pub(super) async fn next(&mut self) -> u16 {
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
