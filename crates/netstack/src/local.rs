//! A host without a carrier, whose packets are exchanged by hand

use std::{
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use pptp_packet::{Egress, VecEgress, Wakers};
use tokio::{sync::Notify, time};

use crate::{Net, Owner, Stack, StackConfig, Stats};

/// An owner of a stack without any carrier, for tests and for the hosts of a simulated network
pub struct Local {
    inner: Mutex<Inner>,
    /// Notified if a turn is due or the deadline has changed
    due: Notify,
}

/// The packets of a [`Local`], in and out
///
/// Its holder drives the stack: he gives packets for the host to [`LocalLink::handle_ip`], waits with
/// [`LocalLink::ready`] until a turn is due, and takes it with [`LocalLink::turn`].
#[derive(Debug)]
pub struct LocalLink {
    local: Arc<Local>,
}

struct Inner {
    stack: Stack,
    /// The packets that the stack answered at once; they leave with the next turn
    replies: VecEgress,
    deadline: Option<Instant>,
    /// True if more packets wait than the last turn had room for
    more: bool,
}

impl Local {
    /// A host, by its sockets and by its packets
    #[expect(clippy::new_ret_no_self, reason = "it is of use only as these two")]
    pub fn new(config: StackConfig) -> (Net, LocalLink) {
        let stack = Stack::new(config, time::Instant::now().into_std());
        let replies = VecEgress::new(MAX_REPLIES);
        let inner = Inner { stack, replies, deadline: None, more: false };
        let local = Arc::new(Self { inner: Mutex::new(inner), due: Notify::new() });
        (Net::new(local.clone()), LocalLink { local })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        let mut wakers = Wakers::new();
        let mut inner = self.lock();
        let result = f(&mut inner);
        inner.stack.drain_wakers(&mut wakers);
        let ready = inner.stack.take_ready();
        drop(inner);
        if ready {
            self.due.notify_one();
        }
        wakers.wake_all();
        result
    }
}

impl Owner for Local {
    fn with_stack(&self, f: &mut dyn FnMut(&mut Stack)) {
        self.with(|inner| f(&mut inner.stack));
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.lock().stack.address();
        write!(f, "Local({address})")
    }
}

impl LocalLink {
    /// Takes in a packet; a turn is due then
    ///
    /// Packets that the stack answers at once wait for that turn, up to 64 of them.
    pub fn handle_ip(&self, now: Instant, packet: &[u8]) {
        self.local.with(|inner| inner.stack.ingress(now, packet, &mut inner.replies));
        self.local.due.notify_one();
    }

    /// Waits until a turn is due
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ready(&self) {
        let (more, deadline) = {
            let inner = self.local.lock();
            (inner.more, inner.deadline)
        };
        if more {
            return;
        }
        match deadline {
            Some(at) => {
                // both an expired deadline and a call on a socket make a turn due
                let _ = time::timeout_at(at.into(), self.local.due.notified()).await;
            }
            None => self.local.due.notified().await,
        }
    }

    /// Composes what the host has to send, as far as `out` has room
    pub fn turn(&self, now: Instant, out: &mut impl Egress) {
        self.local.with(|inner| {
            inner.pass_replies(out);
            inner.more = inner.stack.egress(now, out) || !inner.replies.packets.is_empty();
            inner.deadline = inner.stack.poll_timeout(now);
            // the turn has also done the work that it made ready itself
            inner.stack.take_ready();
        });
    }

    /// Runs `f` on the stack, as one of its sockets would
    pub fn with_stack<R>(&self, f: impl FnOnce(&mut Stack) -> R) -> R {
        self.local.with(|inner| f(&mut inner.stack))
    }

    /// The counters of the stack
    pub fn stats(&self) -> Stats {
        self.local.lock().stack.stats()
    }
}

/// Shuts the stack down: the calls of its sockets fail with `NotConnected`
impl Drop for LocalLink {
    fn drop(&mut self) {
        let gone = Arc::new(LinkGone);
        self.local.with(|inner| inner.stack.shut_down(gone, io::ErrorKind::NotConnected));
    }
}

/// The reason of the shutdown: the [`LocalLink`] was dropped
#[derive(Debug, thiserror::Error)]
#[error("the host's link is gone")]
struct LinkGone;

impl Inner {
    fn pass_replies(&mut self, out: &mut impl Egress) {
        let mut passed = 0_usize;
        while out.has_room()
            && let Some(packet) = self.replies.packets.get(passed)
        {
            out.compose(packet.len(), |octets| octets.copy_from_slice(packet));
            passed = passed.saturating_add(1);
        }
        self.replies.packets.drain(..passed);
    }
}

/// Replies kept until the next turn
const MAX_REPLIES: usize = 64;
