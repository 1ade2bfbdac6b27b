//! A TCP/IP stack with sockets of every kind open, fed with whatever comes out of a tunnel

mod addresses;
mod forge;
mod step;
mod users;

use std::{future::poll_fn, task::Poll, time::Duration};

use pptp_netstack::{Local, LocalLink, Net, StackConfig};
use tokio::{
    runtime::Builder,
    task::yield_now,
    time::{Instant, advance},
};

pub(crate) use self::addresses::ADDRESS;
pub use self::step::{Step, composed};
use self::{
    addresses::{MTU, PEER, SECOND_ADDRESS},
    forge::Seen,
    users::User,
};
use crate::{
    heap::Heap,
    packets::Packets,
    script::{Script, centiseconds},
};

/// Packets that a turn has room for; what is said at once beyond is dropped
const ROOM: usize = 64;
/// Turns at one moment until all is said
const MOST_TURNS: usize = 64;
const MOST_STEPS: usize = 128;
/// Connections that a listener has, beside one of each other user: a backlog of four, and eight that
/// were accepted
const MOST_CONNECTIONS: usize = 12;
/// Octets of a connection: its buffers of 4 KiB each way, and 1.5 KiB
const PER_CONNECTION: isize = (8 << 10) + 1536;
/// Octets of everything else: the tasks that use the sockets, a UDP socket of 4 KiB each way for each
/// of three, and the answers to 64 packets
const MOST_OTHER: isize = 256 << 10;
/// Octets of datagrams that are not whole: four of 65,535, and what is known of them
const MOST_REASSEMBLED: isize = 260 << 10;
/// After which nothing of a closed socket is left: what was written may be flushed for a minute, and a
/// connection stays in TIME-WAIT for another
const LINGER: Duration = Duration::from_mins(5);
/// What an idle stack keeps: the ends of 128 connections, and tables that have grown
const MOST_IDLE: isize = 24 << 10;

/// IP packets from inside, to a stack whose sockets are all in use
///
/// Holds: what the stack sends is IPv4 of ours with right checksums, no longer than the MTU, and no more
/// in one turn than there is room for; each turn settles what was due; memory is within its cap, and the
/// sockets' is given back when they are dropped.
pub fn target(data: &[u8]) {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O").block_on(run(Script::new(data)));
}

async fn run(mut script: Script<'_>) {
    let users = script.octet();
    let mut world = World::new(users).await;
    for step in script.steps(MOST_STEPS) {
        world.take(&step).await;
        world.turn().await;
    }
    world.end().await;
}

struct World {
    net: Net,
    link: LocalLink,
    heap: Heap,
    users: Vec<User>,
    seen: Seen,
    out: Packets,
    /// What the stack held before any socket was open
    idle: isize,
    /// Users that were ever started; a connection that one of them dropped may be flushed for a minute
    started: usize,
}

impl World {
    async fn new(users: u8) -> Self {
        let mut heap = Heap::new();
        let (net, link) = heap.within(|| {
            let config = StackConfig::new(ADDRESS, MTU, 1);
            Local::new(StackConfig { dns: vec![PEER], prefix_len: 24, ..config })
        });
        let idle = heap.octets();
        let users = heap.within(|| users::all(&net, users));
        let out = Packets::new(ROOM);
        let (seen, started) = (Seen::default(), users.len());
        let mut world = Self { net, link, heap, users, seen, out, idle, started };
        world.turn().await;
        world
    }

    async fn take(&mut self, step: &Step<'_>) {
        match *step {
            Step::Wait(time) => self.pass(centiseconds(time)).await,
            Step::Use(which) => {
                let users = self.heap.within(|| users::all(&self.net, which));
                if self.users.len() < MOST_USERS {
                    self.started += users.len();
                    self.heap.within(|| self.users.extend(users));
                } else {
                    self.heap.within(|| drop(users));
                }
            }
            Step::Drop(which) => {
                let left = self.users.len().max(1);
                if let Some(user) = self.users.get_mut(usize::from(which) % left) {
                    self.heap.within(|| *user = Box::pin(async {}));
                }
            }
            Step::Reconfigure(is_second, mtu) => self.reconfigure(is_second, mtu.into()),
            _ => {
                if let Some(packet) = self.seen.packet(step) {
                    self.hear(&packet);
                }
            }
        }
    }

    fn reconfigure(&mut self, is_second: bool, mtu: usize) {
        let address = if is_second { SECOND_ADDRESS } else { ADDRESS };
        let (link, now) = (&self.link, Instant::now().into_std());
        self.seen.mtu = mtu.clamp(68, MTU);
        let mtu = self.seen.mtu;
        self.heap.within(|| {
            link.with_stack(|stack| stack.reconfigure(now, address, mtu, vec![PEER]));
        });
    }

    fn hear(&mut self, packet: &[u8]) {
        let (link, now) = (&self.link, Instant::now().into_std());
        self.heap.within(|| link.handle_ip(now, packet));
    }

    async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        for _ in 0..MOST_TURNS {
            let now = Instant::now();
            let next = self.deadline().map(Instant::from_std).filter(|at| *at < end);
            let Some(next) = next else { break };
            advance(next.saturating_duration_since(now)).await;
            self.turn().await;
        }
        advance(end.saturating_duration_since(Instant::now())).await;
    }

    fn deadline(&self) -> Option<std::time::Instant> {
        let now = Instant::now().into_std();
        self.link.with_stack(|stack| stack.poll_timeout(now))
    }

    /// Lets the users and the stack do all that is due
    async fn turn(&mut self) {
        for count in 0.. {
            assert!(count < MOST_TURNS, "a stack that is busy for ever");
            self.poll_users().await;
            self.out.clear();
            let (link, out, now) = (&self.link, &mut self.out, Instant::now().into_std());
            self.heap.within(|| link.turn(now, out));
            assert_eq!(self.out.dropped, 0, "composed without room");
            let mut is_any = false;
            for packet in self.out.iter() {
                self.seen.note(packet);
                is_any = true;
            }
            let is_due = self.deadline().is_some_and(|at| at <= now);
            if !is_any && !is_due {
                break;
            }
        }
        self.check();
    }

    /// Each of them as far as it gets
    async fn poll_users(&mut self) {
        yield_now().await;
        let (heap, users) = (&mut self.heap, &mut self.users);
        poll_fn(|cx| {
            heap.within(|| users.retain_mut(|user| user.as_mut().poll(cx).is_pending()));
            Poll::Ready(())
        })
        .await;
    }

    fn check(&self) {
        let stats = self.link.stats();
        let connections = stats.connections;
        assert!(connections <= MOST_CONNECTIONS + self.started, "{connections} connections");
        let connections = isize::try_from(connections).unwrap_or(isize::MAX);
        let others = MOST_OTHER + MOST_REASSEMBLED;
        self.heap.assert_at_most(others + PER_CONNECTION * connections);
    }

    /// The users are gone: in the end so is all that was theirs
    async fn end(&mut self) {
        self.heap.within(|| drop(std::mem::take(&mut self.users)));
        self.turn().await;
        for _ in 0..MOST_ROUNDS {
            self.pass(LINGER / 4).await;
            self.turn().await;
        }
        let stats = self.link.stats();
        assert!(self.link.with_stack(|stack| stack.is_idle()), "not idle: {stats:?}");
        assert_eq!((stats.connections, stats.udp_sockets), (0, 0));
        let kept = self.heap.octets() - self.idle;
        assert!(kept <= MOST_IDLE, "{kept} octets are left of sockets that are closed");
    }
}

/// Tasks at a time
const MOST_USERS: usize = 16;
const MOST_ROUNDS: usize = 16;
