//! The hosts and the network between them, with their faults

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use pptp::{Client, TunnelConfig};
use pptp_testkit::{
    Deafness, Faults, Nat, Server,
    memory::{Blocked, Host, Impairment, Network},
};
use tokio::time::{advance, sleep};

use crate::{
    Fault, Scenario, ServerKind,
    truth::{Facts, Truth},
};

/// The hosts of one scenario
#[derive(Debug)]
pub(crate) struct World {
    scenario: Scenario,
    /// The client's network, which is the server's too unless a NAT stands between
    pub(crate) near: Network,
    far: Network,
    pub(crate) client: Client,
    /// The server; `None` while it is out of service
    server: Option<Arc<Server>>,
    /// The number of servers so far: each has Call IDs of its own
    servers: u64,
    /// The faults that last
    active: Vec<Fault>,
    /// True at the end, when all faults are over: hosts that were dead live again
    is_calm: bool,
    pub(crate) truth: Truth,
    _nat: Option<Nat>,
}

impl World {
    pub(crate) fn new(scenario: &Scenario) -> io::Result<Self> {
        let path = scenario.path;
        let far = Network::new(scenario.seed);
        let near = if path.nat { Network::new(!scenario.seed) } else { far.clone() };
        for network in [&near, &far] {
            network.trace();
        }
        far.set_latency(path.there);
        let sender = if path.nat { NAT } else { CLIENT };
        far.host(sender).delay(path.back.saturating_sub(path.there));
        far.host(sender).limit_gre(path.rate);
        far.host(SERVER).limit_gre(path.rate);
        let nat = path.nat.then(|| Nat::start(&near, &far, NAT, SERVER)).transpose()?;
        let client =
            Client::builder().memory(near.host(CLIENT)).build().map_err(io::Error::other)?;
        let mut world = Self {
            scenario: scenario.clone(),
            near,
            far,
            client,
            server: None,
            servers: 0,
            active: Vec::new(),
            is_calm: false,
            truth: Truth::new(),
            _nat: nat,
        };
        world.start_server()?;
        world.far.set_impairment(path.impairment);
        Ok(world)
    }

    pub(crate) fn config(&self, connect_timeout: Duration) -> TunnelConfig {
        TunnelConfig::new(SERVER.to_string(), "testuser", "test123")
            .echo(self.scenario.echo)
            .connect_timeout(connect_timeout)
    }

    /// A digest of everything in both networks
    pub(crate) fn digest(&self) -> u64 {
        self.near.digest().rotate_left(1) ^ self.far.digest()
    }

    pub(crate) fn server(&self) -> Option<&Server> {
        self.server.as_deref()
    }

    async fn restart_server(&mut self) -> io::Result<()> {
        // the tasks of the one before are gone then
        sleep(Duration::from_millis(1)).await;
        self.start_server()
    }

    fn start_server(&mut self) -> io::Result<()> {
        if self.server.is_none() {
            // a process that is started again is as it was at first
            self.active.retain(|fault| !fault.is_inside());
            let builder = self.scenario.server.builder(BUILDING, self.scenario.order);
            let builder = builder.faults(self.faults());
            let seed = self.scenario.seed.wrapping_add(self.servers << 32);
            let server = Arc::new(builder.seed(seed).serve_memory(&self.far, SERVER)?);
            self.truth.server_is(&server);
            self.server = Some(server);
            self.servers += 1;
        }
        Ok(())
    }

    fn server_host(&self) -> Host {
        self.far.host(SERVER)
    }

    fn client_host(&self) -> Host {
        self.near.host(CLIENT)
    }

    /// The faults of the server now
    fn faults(&self) -> Faults {
        let mut faults = self.scenario.server.faults();
        faults.hosts_are_dead &= !self.is_calm;
        for fault in &self.active {
            match fault {
                Fault::GoesDeaf(deafness) => faults.deaf = Some(*deafness),
                Fault::GoesMute(muteness) => faults.mute = Some(*muteness),
                _ => {}
            }
        }
        faults
    }

    /// Sets the server's faults of now, and the truth about them
    fn set_faults(&self) {
        let faults = self.faults();
        self.with_server(|server| server.set_faults(faults));
        self.truth.is(Facts {
            line_is_whole: !self.active.iter().any(|fault| fault.breaks_the_line()),
            opens: faults.deaf.is_none() && faults.mute.is_none(),
            complains: faults.deaf.is_some_and(|deafness| deafness != Deafness::Silent),
        });
    }

    /// Begins a fault
    pub(crate) async fn begin(&mut self, fault: Fault, lasts: Duration) {
        self.active.push(fault);
        self.set_faults();
        if fault.loses_calls() {
            self.truth.calls_are_lost();
        }
        self.apply(fault, lasts).await;
        // a busy accel-ppp may be deaf behind a new negotiation, as behind a new dial
        if fault == Fault::Renegotiate && self.scenario.server == ServerKind::SlowStart {
            self.truth.calls_are_lost();
        }
        if matches!(fault, Fault::Renegotiate | Fault::ClockJump) {
            self.truth.disturbed();
        }
    }

    async fn apply(&mut self, fault: Fault, lasts: Duration) {
        match fault {
            Fault::Block(blocked) => self.server_host().block_gre(blocked),
            Fault::Blackout => self.server_host().unplug(),
            Fault::Crash => self.server = None,
            Fault::PowerFailure => {
                self.server_host().unplug();
                self.server_host().forget_connections();
                self.server = None;
            }
            Fault::Reset => self.server_host().reset_connections(),
            Fault::BlackHole(largest) => self.server_host().drop_large_gre(Some(largest)),
            Fault::Impair(impairment) => self.far.set_impairment(impairment),
            Fault::Stall => self.client_host().stall_gre(true),
            Fault::Refuse => self.near.refuse(SERVER, EPERM),
            Fault::Mute => self.with_server(|server| server.mute_gre(true)),
            Fault::Renegotiate => self.with_server(Server::renegotiate_all),
            Fault::HangUp => self.with_server(Server::hang_up_all),
            Fault::ClockJump => advance(lasts).await,
            // by `set_faults`
            Fault::GoesDeaf(_) | Fault::GoesMute(_) => {}
        }
    }

    /// Ends a fault
    pub(crate) async fn end(&mut self, fault: Fault) -> io::Result<()> {
        if let Some(at) = self.active.iter().position(|active| *active == fault) {
            self.active.remove(at);
        }
        self.undo(fault).await?;
        self.set_faults();
        Ok(())
    }

    async fn undo(&mut self, fault: Fault) -> io::Result<()> {
        match fault {
            Fault::Block(_) => self.server_host().block_gre(Blocked::Nothing),
            Fault::Blackout => self.server_host().plug_in(),
            Fault::Crash => self.restart_server().await?,
            Fault::PowerFailure => {
                self.server_host().plug_in();
                self.restart_server().await?;
            }
            Fault::BlackHole(_) => self.server_host().drop_large_gre(None),
            Fault::Impair(_) => self.far.set_impairment(self.scenario.path.impairment),
            Fault::Stall => self.client_host().stall_gre(false),
            Fault::Refuse => self.near.allow(SERVER),
            Fault::Mute => self.with_server(|server| server.mute_gre(false)),
            Fault::Reset
            | Fault::Renegotiate
            | Fault::HangUp
            | Fault::ClockJump
            | Fault::GoesDeaf(_)
            | Fault::GoesMute(_) => {}
        }
        Ok(())
    }

    /// Ends all faults for good
    pub(crate) async fn calm_down(&mut self) -> io::Result<()> {
        self.is_calm = true;
        for timed in self.scenario.faults.clone() {
            self.end(timed.fault).await?;
        }
        self.active.clear();
        self.set_faults();
        self.far.set_impairment(Impairment::default());
        Ok(())
    }

    fn with_server(&self, order: impl FnOnce(&Server)) {
        if let Some(server) = &self.server {
            order(server);
        }
    }
}

pub(crate) const BUILDING: u32 = 7;

pub(crate) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 1);

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// The NAT's address in the server's network
const NAT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);

/// The error of a send that a packet filter refuses
const EPERM: i32 = 1;
