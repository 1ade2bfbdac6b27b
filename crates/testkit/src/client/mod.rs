//! One client of a server, as the server's driver, its control connection and the building share it
//!
//! | module | content |
//! |---|---|
//! | `state` | the part that the lock guards: the tunnel, and what the server does with its packets |
//! | `outbound` | the packets of the building that wait for the client |
//! | `heard` | the client's messages on the control connection |

mod heard;
mod outbound;
mod state;

use std::{
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use pptp_driver::{CallEnds, DriverShared, Session, TurnFlags, now};
use pptp_packet::Counter;
use pptp_tunnel::{RasCode, Tunnel};

use self::{
    outbound::Outbound,
    state::{ClientState, News},
};
use crate::{Faults, LoggedIn, clients::Clients, fragment::fragments, writer::Writer};

/// One client, from the moment its control connection was accepted
pub(crate) struct Client {
    clients: Arc<Clients>,
    /// Its outer address
    address: Ipv4Addr,
    call: OnceLock<Call>,
    turns: TurnFlags,
    outbound: Arc<Outbound>,
    /// The name with which it logged in, once it has been up
    user: OnceLock<Box<str>>,
    /// The way to write; `None` once the client has let too many octets pile up, or is gone
    writer: Mutex<Option<Writer>>,
    state: Mutex<ClientState>,
}

/// The Call ID of a client, and its address in the building if one was free
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) call_id: u16,
    pub(crate) inner_address: Option<Ipv4Addr>,
}

impl Client {
    pub(crate) fn new(clients: Arc<Clients>, address: Ipv4Addr, writer: Writer) -> Self {
        let outbound = Arc::<Outbound>::default();
        let state = ClientState::new(Arc::clone(&clients), Arc::clone(&outbound), address);
        Self {
            clients,
            address,
            call: OnceLock::new(),
            turns: TurnFlags::new(),
            outbound,
            user: OnceLock::new(),
            writer: Mutex::new(Some(writer)),
            state: Mutex::new(state),
        }
    }

    /// Begins the call; to be called once, before [`Session::mark_timers_due`]
    pub(crate) fn begin(&self, call: Call, tunnel: Tunnel, faults: Faults) {
        self.lock().begin(call.inner_address, tunnel, faults);
        // it is called once
        let _ = self.call.set(call);
    }

    /// Takes octets of the control connection
    pub(crate) fn handle_control(self: &Arc<Self>, octets: &[u8]) {
        let closes = self.lock().handle_control(now(), octets);
        if closes {
            self.close_connection();
        }
        self.mark_timers_due();
    }

    /// Takes the end of the control connection
    pub(crate) fn handle_control_eof(self: &Arc<Self>) {
        self.with_tunnel(|tunnel| tunnel.handle_control_eof(now()));
    }

    /// Hangs up
    pub(crate) fn close(self: &Arc<Self>) {
        self.with_tunnel(|tunnel| tunnel.close(now()));
    }

    /// Negotiates PPP anew
    pub(crate) fn renegotiate(self: &Arc<Self>) {
        self.with_tunnel(|tunnel| tunnel.renegotiate(now()));
    }

    /// Challenges the client once more
    pub(crate) fn challenge(self: &Arc<Self>) {
        self.with_tunnel(|tunnel| tunnel.challenge(now()));
    }

    /// Ends the link with an error code of Windows
    pub(crate) fn terminate(self: &Arc<Self>, code: RasCode) {
        self.lock().terminate(code);
        self.mark_timers_due();
    }

    /// Switches failures on and off
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.lock().set_faults(faults);
    }

    /// Sends an IP packet of the building, in fragments if it is too large; false if it cannot be sent
    pub(crate) fn send(self: &Arc<Self>, packet: Vec<u8>) -> bool {
        let is_sent = match fragments(&packet, self.outbound.mtu()) {
            Some(fragments) => fragments.into_iter().all(|fragment| self.outbound.push(fragment)),
            None => self.outbound.push(packet),
        };
        self.mark_can_send();
        is_sent
    }

    /// Sends an IP packet for everyone, which is not cut; false if it cannot be sent
    pub(crate) fn send_whole(self: &Arc<Self>, packet: Vec<u8>) -> bool {
        let is_sent = self.outbound.push(packet);
        self.mark_can_send();
        is_sent
    }

    /// Returns true if the building has to wait before it sends more to this client
    pub(crate) fn is_full(&self) -> bool {
        self.outbound.is_full()
    }

    pub(crate) fn is_up(&self) -> bool {
        self.outbound.is_up()
    }

    pub(crate) fn inner_address(&self) -> Option<Ipv4Addr> {
        self.call.get()?.inner_address
    }

    /// Returns who it is, once it has logged in
    pub(crate) fn logged_in(&self) -> Option<LoggedIn> {
        let user = self.user.get()?.to_string();
        Some(LoggedIn { user, client: self.address, inner_address: self.inner_address() })
    }

    /// Returns true if it logged in with this name
    pub(crate) fn is_user(&self, name: &str) -> bool {
        self.user.get().is_some_and(|user| **user == *name)
    }

    fn with_tunnel(self: &Arc<Self>, f: impl FnOnce(&mut Tunnel)) {
        self.lock().with_tunnel(f);
        self.mark_timers_due();
    }

    /// Writes what the tunnel has for the control connection
    fn write_control(self: &Arc<Self>) {
        let (octets, closes) = self.lock().take_control_out();
        let is_written = self.writer().as_ref().is_none_or(|writer| writer.write(octets));
        // closed, or the tunnel's last moments would be spent reading on
        if closes || !is_written {
            self.close_connection();
        }
    }

    fn close_connection(self: &Arc<Self>) {
        self.close_writer();
        self.handle_control_eof();
    }

    fn close_writer(&self) {
        let writer = self.writer().take();
        drop(writer);
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the call, and gives back what it has
    fn leave(&self) {
        let ended = self.lock().end();
        self.outbound.down();
        self.outbound.clear();
        self.close_writer();
        if let Some(call) = self.call.get() {
            self.clients.remove(*call, ended);
        }
    }
}

impl Session for Client {
    type Guarded = ClientState;

    fn lock(&self) -> MutexGuard<'_, ClientState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> Option<CallEnds> {
        let call_id = self.call.get()?.call_id;
        Some(CallEnds { peer: self.address, local: Some(self.clients.gre_source()), call_id })
    }

    fn turns(&self) -> &TurnFlags {
        &self.turns
    }

    fn span(&self) -> &tracing::Span {
        self.clients.span()
    }

    fn driver(&self) -> &DriverShared<Self> {
        self.clients.driver()
    }

    fn follow(self: &Arc<Self>, news: News, wakes_control: bool) {
        if wakes_control {
            self.write_control();
        }
        if let Some(user) = news.user {
            // the same each time
            let _ = self.user.set(user);
        }
        if news.came_up {
            self.clients.count(|stats| stats.up_ever.increment());
            if let Some(user) = self.user.get() {
                self.clients.replace_earlier(self, user);
            }
        }
        if news.changed {
            self.clients.publish();
        }
    }

    fn finish(&self) {
        self.leave();
    }

    /// A panic here is a fault of the server that no test may overlook: it ends the driver
    #[expect(clippy::panic, reason = "a test is to fail")]
    fn panicked(&self, message: String) {
        panic!("a turn of a server panicked: {message}");
    }

    fn driver_gone(&self) {
        self.leave();
    }

    fn not_sent(&self, error: &io::Error) {
        tracing::debug!(%error, "a GRE datagram was not sent");
        self.clients.count(|stats| stats.unsendable.increment());
    }
}
