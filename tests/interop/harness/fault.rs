//! What goes wrong on a server's side: processes that are killed, machines that stand still, addresses
//! that go away. All of it is put back when it is dropped.

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::lab::{Building, Lab};

/// A process of a PPTP server on Linux
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// The one that listens on port 1723, and starts one of the next for each connection
    Pptpd,
    /// The one that has a control connection, and carries its GRE
    Pptpctrl,
    /// The one that speaks PPP in that call
    Pppd,
}

/// The guest's whole machine stands still until this is dropped.
#[derive(Debug)]
pub struct Pause(Lab);

/// A building without its line, which is plugged in again when this is dropped
#[derive(Debug)]
pub struct Unplugged(Lab, Building);

/// A building whose server has left its address, which it has again when this is dropped
#[derive(Debug)]
pub struct Moved(Lab, Building);

/// A building whose pppd sends no LCP Echo-Request in calls that begin before this is dropped
#[derive(Debug)]
pub struct WithoutEchoes(Lab, Building);

/// A building whose router drops what a firewall drops, until this is dropped
#[derive(Debug)]
pub(crate) struct Silenced(Lab, Building, Unanswered);

/// What a building's router does not answer
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Pings of any of its addresses
    Pings,
    /// Pings, and packets whose time to live is over
    Proofs,
    /// Packets to [`DEAD_HOST`], which is behind it
    DeadHost,
}

/// An address of each building's network that belongs to no host
pub(crate) const DEAD_HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 77);

/// A building whose pptpd may be killed: it listens again when this is dropped
#[derive(Debug)]
pub struct KillableServer(Lab, Building);

impl Lab {
    /// Stop the whole machine of all servers.
    pub fn pause(&self) -> io::Result<Pause> {
        let paused = Pause(self.clone());
        let status = self.command("pause").status()?;
        if status.success() { Ok(paused) } else { Err(io::Error::other("lab pause failed")) }
    }

    /// Take the line of `building` down, of which its server and its clients learn nothing.
    pub async fn unplug(&self, building: Building) -> io::Result<Unplugged> {
        let unplugged = Unplugged(self.clone(), building);
        self.silently(&format!("ip link set o{} down", building.number())).await?;
        Ok(unplugged)
    }

    /// Take the outer address of `building` away from its server.
    pub async fn move_away(&self, building: Building) -> io::Result<Moved> {
        let moved = Moved(self.clone(), building);
        self.silently(&moved.address("del")).await?;
        Ok(moved)
    }

    /// Let the pppd of `building` never find out by itself that a client is gone.
    pub async fn without_echoes(&self, building: Building) -> io::Result<WithoutEchoes> {
        let changed = WithoutEchoes(self.clone(), building);
        self.silently(&changed.interval(0)).await?;
        Ok(changed)
    }

    /// Silence the router of `building`.
    pub(crate) fn silence(
        &self,
        building: Building,
        unanswered: Unanswered,
    ) -> io::Result<Silenced> {
        let silenced = Silenced(self.clone(), building, unanswered);
        let said = self.sh(&silenced.switch(true))?;
        if said.is_empty() { Ok(silenced) } else { Err(io::Error::other(said)) }
    }

    /// Let the trial kill the pptpd of `building`.
    pub fn killable(&self, building: Building) -> KillableServer {
        KillableServer(self.clone(), building)
    }

    /// A command that has nothing to say unless it fails
    async fn silently(&self, command: &str) -> io::Result<()> {
        let said = self.shell(command).await?;
        if said.is_empty() { Ok(()) } else { Err(io::Error::other(said)) }
    }
}

impl KillableServer {
    /// Kill each of the building's `processes` by a signal that cannot be caught; an error if there is none.
    ///
    /// pptpd, which the lab would start again, stays away.
    pub async fn kill(&self, processes: &[Process]) -> io::Result<()> {
        let Self(lab, building) = self;
        let names: Vec<_> = processes.iter().map(|process| process.name()).collect();
        let number = building.number();
        let stay =
            if processes.contains(&Process::Pptpd) { self.stay_away() } else { "true".into() };
        let chosen = format!(r#"case "$(cat /proc/$p/comm)" in {})"#, names.join("|"));
        let kill = "kill -9 $p && echo killed;; esac";
        let each = format!("{stay}; for p in $(ip netns pids b{number}); do {chosen} {kill}; done");
        if lab.shell(&each).await?.contains("killed") {
            return Ok(());
        }
        Err(io::Error::other(format!("building {number} has no {names:?}")))
    }

    /// Let pptpd come back if it is away, and wait until it listens.
    pub async fn revive(&self) -> io::Result<()> {
        let (lab, back) = (self.0.clone(), self.come_back());
        tokio::task::spawn_blocking(move || revive(&lab, &back)).await.map_err(io::Error::other)?
    }

    fn stay_away(&self) -> String {
        format!("touch /run/b{}/down", self.1.number())
    }

    /// Says so once it listens
    fn come_back(&self) -> String {
        let number = self.1.number();
        let listens = format!("ip netns exec b{number} ss -Hltn 'sport = :1723' | grep -q .");
        format!("rm -f /run/b{number}/down; {listens} && echo listens")
    }
}

fn revive(lab: &Lab, come_back: &str) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !lab.sh(come_back)?.contains("listens") {
        if Instant::now() > deadline {
            return Err(io::Error::other("pptpd does not come back"));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

impl Process {
    const fn name(self) -> &'static str {
        match self {
            Self::Pptpd => "pptpd",
            Self::Pptpctrl => "pptpctrl",
            Self::Pppd => "pppd",
        }
    }
}

impl Moved {
    fn address(&self, verb: &str) -> String {
        let (number, server) = (self.1.number(), self.1.server());
        format!("ip netns exec b{number} ip addr {verb} {server}/24 dev eth0")
    }
}

impl WithoutEchoes {
    fn interval(&self, seconds: u8) -> String {
        let options = format!("/run/b{}/options", self.1.number());
        format!("sed -i 's/^lcp-echo-interval .*/lcp-echo-interval {seconds}/' {options}")
    }

    /// What all profiles have
    const INTERVAL: u8 = 10;
}

impl Silenced {
    /// Prints nothing unless it fails
    ///
    /// A packet to where a blackhole route leads vanishes before its time to live is looked at: the
    /// client's packets of that kind go to 192.0.2.1.
    fn switch(&self, on: bool) -> String {
        let Self(_, building, unanswered) = self;
        let inside = format!("ip netns exec b{}", building.number());
        let verb = if on { "add" } else { "del" };
        let pings = format!("{inside} sysctl -qw net.ipv4.icmp_echo_ignore_all={}", u8::from(on));
        let route = |to: &str| format!("{inside} ip route {verb} blackhole {to}");
        match unanswered {
            Unanswered::Pings => pings,
            Unanswered::Proofs => format!("{pings}; {}", route("192.0.2.1")),
            Unanswered::DeadHost => route(&DEAD_HOST.to_string()),
        }
    }
}

impl Drop for Silenced {
    fn drop(&mut self) {
        self.0.undo(&self.switch(false));
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        let _ = self.0.command("resume").status();
    }
}

impl Drop for Unplugged {
    fn drop(&mut self) {
        self.0.undo(&format!("ip link set o{} up", self.1.number()));
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        self.0.undo(&self.address("add"));
    }
}

impl Drop for WithoutEchoes {
    fn drop(&mut self) {
        self.0.undo(&self.interval(Self::INTERVAL));
    }
}

impl Drop for KillableServer {
    fn drop(&mut self) {
        let _ = revive(&self.0, &self.come_back());
    }
}
