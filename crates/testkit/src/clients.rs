//! The clients of one server, and what they share: options, addresses, the building's stacks, statistics

use std::{
    collections::BTreeMap,
    fmt,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pptp_control::OutgoingCallResult;
use pptp_driver::{DriverHandle, DriverShared, Session, now};
use pptp_packet::Counter;
use pptp_ppp::Password;
use pptp_tunnel::{LinkServerConfig, ServerConfig, Tunnel};
use tokio::sync::{Notify, watch};

use crate::{
    Ended, Faults, ROUTER, Stats,
    client::{Call, Client},
    lan::Pool,
    options::{Closes, Options},
    stacks::Stacks,
    writer::Writer,
};

/// The clients of one server from its start to its end, and what they share
pub(crate) struct Clients {
    options: Options,
    /// The address that GRE leaves from
    gre_source: Ipv4Addr,
    /// Keeps the driver running
    driver: Arc<DriverHandle<Client>>,
    span: tracing::Span,
    stacks: Stacks,
    pool: Pool,
    /// By our Call ID; ordered, so that two runs are equal
    by_call: Mutex<BTreeMap<u16, Arc<Client>>>,
    settings: Mutex<Settings>,
    /// Notified if a client has room again for packets of the building
    room: Notify,
    stats: watch::Sender<Stats>,
}

/// Options that the server's owner changes while it runs
#[derive(Debug)]
struct Settings {
    faults: Faults,
    secrets: Vec<(String, Password)>,
}

/// Prints the number of clients only
impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("len", &self.by_call().len()).finish_non_exhaustive()
    }
}

impl Clients {
    /// The clients of a server that starts now
    pub(crate) fn new(
        options: Options,
        address: Ipv4Addr,
        driver: Arc<DriverHandle<Client>>,
        (stacks, pool): (Stacks, Pool),
        stats: watch::Sender<Stats>,
    ) -> Self {
        let settings = Settings { faults: options.faults, secrets: options.secrets.clone() };
        Self {
            gre_source: options.gre_source.unwrap_or(address),
            options,
            driver,
            span: tracing::Span::none(),
            stacks,
            pool,
            by_call: Mutex::new(BTreeMap::new()),
            settings: Mutex::new(settings),
            room: Notify::new(),
            stats,
        }
    }

    /// Takes a client whose control connection was accepted; `None` turns it away
    pub(crate) fn open(self: &Arc<Self>, address: Ipv4Addr, writer: Writer) -> Option<Arc<Client>> {
        let (driver, now) = (self.driver(), now());
        let client = Arc::new(Client::new(Arc::clone(self), address, writer));
        let has_room = self.by_call().len() < MAX_CONNECTIONS;
        let is_open = has_room && self.options.closes != Some(Closes::AtOnce);
        let taken = is_open.then(|| driver.enter(address, &client, now).ok()).flatten();
        let Some(call_id) = taken else {
            self.count(|stats| stats.turned_away.increment());
            return None;
        };
        let inner_address = self.pool.take(call_id);
        let moves = self.options.moves_clients.then(|| self.pool.take(call_id)).flatten();
        let mut config = self.config(inner_address);
        config.link.extras.second_address = moves;
        let tunnel = Tunnel::accept(config, call_id, driver.seed(), now);
        client.begin(Call { call_id, inner_address }, tunnel, self.settings().faults);
        self.by_call().insert(call_id, Arc::clone(&client));
        self.count(|stats| stats.connections_ever.increment());
        self.publish();
        client.mark_timers_due();
        Some(client)
    }

    fn config(&self, inner_address: Option<Ipv4Addr>) -> ServerConfig {
        let options = &self.options;
        let mut control = options.control.clone();
        if inner_address.is_none() {
            control.call_result = OutgoingCallResult::Busy;
        }
        let assigned = inner_address.unwrap_or(Ipv4Addr::UNSPECIFIED);
        let mut link = LinkServerConfig::new(ROUTER, assigned);
        link.name.clone_from(&options.challenge_name);
        link.secrets = self.secrets();
        link.hash_name = options.hash_name;
        link.dns.clone_from(&options.dns);
        if let [only] = *options.dns {
            // as pppd does; to reject the secondary one would cost the client a round trip
            link.dns.push(only);
        }
        link.mru = options.mru;
        link.ipv6 = options.ipv6;
        link.extras = options.extras.clone();
        link.echo = options.echo;
        link.order = options.order;
        link.authentication = options.authentication.clone();
        link.encryption = options.encryption;
        link.encryption_yields = options.encryption_yields;
        ServerConfig { control, link, gre: options.gre }
    }

    /// Returns the accounts that a client may log in with that connects now
    fn secrets(&self) -> Vec<(String, Password)> {
        let mut secrets = self.settings().secrets.clone();
        if self.options.one_session {
            let by_call = self.by_call();
            secrets.retain(|(name, _)| by_call.values().all(|client| !client.is_user(name)));
        }
        secrets
    }

    /// Ends the earlier sessions of a client's account, if the server allows one session only
    pub(crate) fn replace_earlier(&self, newest: &Arc<Client>, user: &str) {
        if !self.options.newest_session {
            return;
        }
        for client in self.all() {
            if client.is_user(user) && !Arc::ptr_eq(&client, newest) {
                client.close();
            }
        }
    }

    /// Gives back what a call had, and notes how it ended, if its tunnel did
    pub(crate) fn remove(&self, call: Call, ended: Option<Ended>) {
        let gone = self.by_call().remove(&call.call_id);
        // it may be the last to hold the client: not under the lock
        drop(gone);
        self.driver().release(call.call_id, now());
        self.pool.give_back_all(call.call_id);
        if let Some(ended) = ended {
            self.count(|stats| stats.note_end(ended));
        }
        self.has_room();
        self.publish();
    }

    /// Returns the client of this call
    pub(crate) fn get(&self, call_id: u16) -> Option<Arc<Client>> {
        self.by_call().get(&call_id).map(Arc::clone)
    }

    /// Returns all clients, in the order of their Call IDs
    pub(crate) fn all(&self) -> Vec<Arc<Client>> {
        self.by_call().values().map(Arc::clone).collect()
    }

    /// Switches failures on and off, for all clients from now on
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.settings().faults = faults;
        for client in self.all() {
            client.set_faults(faults);
        }
    }

    /// Changes the accounts of logins from now on
    pub(crate) fn change_secrets(&self, change: impl FnOnce(&mut Vec<(String, Password)>)) {
        change(&mut self.settings().secrets);
    }

    /// Publishes the statistics that follow from the clients
    pub(crate) fn publish(&self) {
        let by_call = self.by_call();
        let up = by_call.values().filter(|client| client.is_up());
        let up_addresses: Vec<_> = up.clone().filter_map(|client| client.inner_address()).collect();
        self.count(|stats| {
            stats.connections = by_call.len();
            stats.up = up.count();
            stats.up_addresses = up_addresses;
        });
    }

    /// Changes the statistics
    pub(crate) fn count(&self, change: impl FnOnce(&mut Stats)) {
        self.stats.send_modify(change);
    }

    /// Wakes the building, which may wait for a client to have room
    pub(crate) fn has_room(&self) {
        self.room.notify_one();
    }

    /// Waits until a client has room again
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn room(&self) {
        self.room.notified().await;
    }

    pub(crate) fn driver(&self) -> &DriverShared<Client> {
        self.driver.shared()
    }

    pub(crate) const fn span(&self) -> &tracing::Span {
        &self.span
    }

    pub(crate) const fn stacks(&self) -> &Stacks {
        &self.stacks
    }

    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) const fn gre_source(&self) -> Ipv4Addr {
        self.gre_source
    }

    pub(crate) const fn closes(&self) -> Option<Closes> {
        self.options.closes
    }

    /// Returns true if each message of a control connection is written twice
    pub(crate) const fn says_twice(&self) -> bool {
        self.options.says_twice
    }

    fn by_call(&self) -> MutexGuard<'_, BTreeMap<u16, Arc<Client>>> {
        self.by_call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Control connections at a time, at most
const MAX_CONNECTIONS: usize = 1024;
