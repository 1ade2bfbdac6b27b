//! A client of a path: its tunnel, stack and socket

use std::{
    io,
    net::SocketAddrV4,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Instant,
};

use pptp_netstack::{Net, Owner, Stack, StackConfig, TcpOptions, TcpStream};
use pptp_packet::{Egress, PacketBuf, Wakers};
use pptp_tunnel::{Event, NotNow, Tunnel};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::SendQueue;

/// A client's end of a tunnel, with the stack in it, as the driver of `pptp` keeps it
#[derive(Clone, Debug)]
pub struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// A socket asks for a turn, which it gets in any case here
    ready: AtomicBool,
}

#[derive(Debug)]
struct Inner {
    machine: Box<Tunnel>,
    stack: Option<Box<Stack>>,
    control: Vec<u8>,
}

impl Client {
    /// A tunnel that is still to be negotiated
    pub fn new(machine: Tunnel) -> Self {
        let inner = Inner { machine: Box::new(machine), stack: None, control: Vec::new() };
        Self(Arc::new(Shared { inner: Mutex::new(inner), ready: AtomicBool::new(false) }))
    }

    /// The first half of a turn, step by step that of `pptp`: takes datagrams in
    pub fn inputs(&self, now: Instant, datagrams: &mut [PacketBuf], send: &mut SendQueue) {
        let mut guard = self.0.lock();
        let Inner { machine, stack, .. } = &mut *guard;
        machine.handle_timeout(now);
        for datagram in datagrams {
            let Some(packet) = machine.handle_gre(now, datagram.as_mut_slice()) else { continue };
            if let Some(stack) = stack {
                stack.ingress(now, packet, &mut Uplink { machine, send, now });
            }
        }
        if let Some(stack) = stack {
            stack.drain_wakers(&mut send.wakers);
        }
        drop(guard);
        send.wakers.wake_all();
    }

    /// The second half, once the sockets' tasks have had their turn: lets everything out
    pub fn outputs(&self, now: Instant, send: &mut SendQueue) {
        let mut guard = self.0.lock();
        let Inner { machine, stack, control } = &mut *guard;
        machine.handle_timeout(now);
        while let Some(event) = machine.poll_event() {
            if let Event::Up(facts) = event {
                let config = StackConfig::new(facts.inner_address, facts.mtu.into(), 1);
                *stack = Some(Box::new(Stack::new(config, now)));
            }
        }
        machine.poll_frames(now, send);
        if let Some(stack) = stack {
            stack.egress(now, &mut Uplink { machine, send, now });
            let _deadline = stack.poll_timeout(now);
            stack.drain_wakers(&mut send.wakers);
            stack.take_ready();
            let _more = machine.may_send(now);
        }
        machine.poll_gre(now, send);
        machine.poll_control(now, control);
        let _deadline = machine.poll_timeout();
        drop(guard);
        send.wakers.wake_all();
    }

    /// Takes octets of the control connection, and hands out those to be written
    pub fn exchange_control(&self, now: Instant, octets: &[u8]) -> Vec<u8> {
        let mut inner = self.0.lock();
        if !octets.is_empty() {
            inner.machine.handle_control(now, octets);
        }
        std::mem::take(&mut inner.control)
    }

    /// Whether IP packets pass
    pub fn is_up(&self) -> bool {
        self.0.lock().stack.is_some()
    }

    /// Octets of the largest IP packet
    pub fn mtu(&self) -> usize {
        self.0.lock().stack.as_ref().map_or(0, |stack| stack.mtu())
    }

    /// Opens a TCP connection; it is complete once its future is
    pub fn connect(
        &self,
        to: SocketAddrV4,
        options: TcpOptions,
    ) -> impl Future<Output = io::Result<TcpStream>> + use<> {
        let net = Net::new(Arc::clone(&self.0) as Arc<dyn Owner>);
        async move { net.tcp_connect(to, options).await }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no turn has panicked")
    }
}

impl Owner for Shared {
    fn with_stack(&self, f: &mut dyn FnMut(&mut Stack)) {
        let mut wakers = Wakers::new();
        let mut ready = false;
        if let Some(stack) = &mut self.lock().stack {
            f(stack);
            stack.drain_wakers(&mut wakers);
            ready = stack.take_ready();
        }
        wakers.wake_all();
        if ready {
            self.ready.swap(true, Ordering::AcqRel);
        }
    }
}

/// IP packets of the stack, sealed
struct Uplink<'a> {
    machine: &'a mut Tunnel,
    send: &'a mut SendQueue,
    now: Instant,
}

impl Egress for Uplink<'_> {
    fn has_room(&self) -> bool {
        self.send.has_room() && self.machine.may_send(self.now).is_ok()
    }

    fn compose<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut packet = self.send.take_slot();
        let filled = fill(packet.reset(len));
        if self.machine.may_send(self.now) != Err(NotNow::NotUp) {
            self.machine.seal(self.now, &mut packet);
            self.send.push(packet);
        }
        filled
    }
}

/// The task of one socket: reads and writes when it is woken
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    task: Arc<Task>,
    waker: Waker,
}

#[derive(Debug)]
struct Task(AtomicBool);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Socket {
    /// A task that has not been polled yet
    pub fn new(stream: TcpStream) -> Self {
        let task = Arc::new(Task(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&task));
        Self { stream, task, waker }
    }

    /// Reads what there is, if the task was woken; how many octets that were
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut count = 0;
        if self.take_woken() {
            loop {
                let mut octets = ReadBuf::new(buffer);
                let mut context = Context::from_waker(&self.waker);
                match Pin::new(&mut self.stream).poll_read(&mut context, &mut octets) {
                    Poll::Ready(read) => read.expect("a connection that lasts"),
                    Poll::Pending => break,
                }
                count += octets.filled().len();
            }
        }
        count
    }

    /// Writes until there is no room, if the task was woken; how many octets that were
    pub fn write(&mut self, octets: &[u8]) -> usize {
        let mut count = 0;
        if self.take_woken() {
            let mut context = Context::from_waker(&self.waker);
            while let Poll::Ready(written) =
                Pin::new(&mut self.stream).poll_write(&mut context, octets)
            {
                count += written.expect("a connection that lasts");
            }
        }
        count
    }

    fn take_woken(&self) -> bool {
        self.task.0.swap(false, Ordering::AcqRel)
    }
}

/// Runs a future, with turns in between until it is complete
pub fn complete<F: Future>(future: F, mut turn: impl FnMut()) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        turn();
    }
    panic!("not complete after 100 turns");
}
