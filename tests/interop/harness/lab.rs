//! The lab: real PPTP servers in a User-Mode-Linux guest, reached over a wire in a namespace.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The user whom every building knows.
pub const USER: &str = "testuser";
/// The password of [`USER`].
pub const PASSWORD: &str = "test123";
/// The device that stands in every building at the same inner address.
pub const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 3);
/// The router of every building, which answers DNS too.
pub const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// A handle to the lab of this run
#[derive(Debug, Clone)]
pub struct Lab {
    script: PathBuf,
    name: String,
}

/// A building of the lab: a real PPTP server with a LAN behind it.
///
/// The numbers are fixed, so that one lab serves all trials: 1 to 4 are what the field has today
/// (MS-CHAPv2, MPPE-128 stateless), the others are each special in one respect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Building(u32);

/// What the lab prints from a certain moment on: the log lines of pppd and pptpd
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
    start: usize,
}

/// A delay or a loss on the line of a building, or both, gone when dropped
#[derive(Debug)]
pub struct Delay(Lab, Building);

impl Lab {
    /// The lab's name if the environment does not give another in `LAB_NAME`: not the script's own
    /// default, so that a lab started by hand stays untouched.
    const NAME: &str = "pptp-interop";
    /// The options of pppd, building by building.
    const PROFILES: [&str; 12] = [
        "mppe128",
        "mppe128",
        "mppe128",
        "mppe128",
        "small-mru",
        "chatty",
        "mppe128-stateful",
        "mschap2-plain",
        "mppe40",
        "pap-plain",
        "chap-md5-plain",
        "mschap1-mppe128",
    ];
    pub(crate) fn new() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/lab");
        let name = std::env::var("LAB_NAME").unwrap_or_else(|_| Self::NAME.to_owned());
        Self { script, name }
    }

    /// Run a shell command in the guest and return what it printed.
    ///
    /// Building i's router is the guest's namespace `b(i)`, its device `d(i)`.
    pub fn sh(&self, command: &str) -> io::Result<String> {
        let output = self.command("sh").arg(command).output()?;
        succeed("lab sh", &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Undo a fault by [`Self::sh`] where no error can be returned, in a `drop`: one is printed.
    pub(crate) fn undo(&self, command: &str) {
        if let Err(error) = self.sh(command) {
            eprintln!("interop tests: a fault stays, because {command:?} did not run: {error}");
        }
    }

    /// [`Self::sh`] on a thread of its own, so that a guest that takes its time holds up nothing else
    pub async fn shell(&self, command: &str) -> io::Result<String> {
        let (lab, command) = (self.clone(), command.to_owned());
        tokio::task::spawn_blocking(move || lab.sh(&command)).await.map_err(io::Error::other)?
    }

    /// Kill the processes that hold the control connections of `building`'s server; an error if there are none.
    pub fn end_connections(&self, building: Building) -> io::Result<()> {
        let number = building.0;
        let of_the_building = format!("for p in $(ip netns pids b{number}); do");
        let kill = r#"[ "$(cat /proc/$p/comm)" = pptpctrl ] && kill -9 $p && echo $p; done"#;
        // on a machine under load the guest's list of processes was once without one whose tunnel was up
        for _ in 0..10 {
            let killed = self.sh(&format!("{of_the_building} {kill}"))?;
            if !killed.trim().is_empty() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(io::Error::other(format!("no connection to building {number}")))
    }

    /// Add `round_trip` to the way to `building` and back until the result is dropped.
    pub fn delay(&self, building: Building, round_trip: Duration) -> io::Result<Delay> {
        self.netem(building, &format!("delay {}us", (round_trip / 2).as_micros()))
    }

    /// Lose `percent` of what goes to `building` and of what comes from it until the result is dropped.
    pub fn lose(&self, building: Building, percent: u8) -> io::Result<Delay> {
        self.netem(building, &format!("loss {percent}%"))
    }

    /// Delay what goes to `building` and what comes from it by `one_way`, and lose `percent` of it, until
    /// the result is dropped.
    pub fn impair(&self, building: Building, one_way: Duration, percent: u8) -> io::Result<Delay> {
        self.netem(building, &format!("delay {}us loss {percent}%", one_way.as_micros()))
    }

    fn netem(&self, building: Building, what: &str) -> io::Result<Delay> {
        let delay = Delay(self.clone(), building);
        let netem = format!("root netem limit 20000 {what}");
        let said = self.sh(&delay.at_both_ends("add", &netem))?;
        if said.is_empty() { Ok(delay) } else { Err(io::Error::other(said)) }
    }

    /// What the lab prints from now on
    pub fn journal(&self) -> Journal {
        let mut journal = Journal { path: self.run_folder().join("guest.log"), start: 0 };
        journal.start = journal.octets().len();
        journal
    }

    /// Start the lab with all its buildings; one left behind by an earlier run is taken down first.
    ///
    /// The guest powers itself off after `life` even if nobody is left to take it down.
    pub(crate) fn up(&self, life: Duration) -> io::Result<()> {
        self.down()?;
        let buildings = Self::PROFILES.len().to_string();
        let life = life.as_secs().to_string();
        let mut command = self.command("up");
        command.args(["-n", &buildings, "-p", &Self::PROFILES.join(","), "-t", &life]);
        succeed("lab up", &command.output()?)
    }

    pub(crate) fn down(&self) -> io::Result<()> {
        succeed("lab down", &self.command("down").output()?)
    }

    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.script);
        command.env("LAB_NAME", &self.name).arg(verb);
        command
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn run_folder(&self) -> PathBuf {
        Path::new("/run").join(&self.name)
    }
}

impl Building {
    /// An ordinary building
    pub const ONE: Self = Self(1);
    /// An ordinary building
    pub const TWO: Self = Self(2);
    /// An ordinary building
    pub const THREE: Self = Self(3);
    /// An ordinary building
    pub const FOUR: Self = Self(4);
    /// Its server asks for an MRU of 576 octets, for no header compression and no magic number.
    pub const SMALL_MRU: Self = Self(5);
    /// Its server asks for everything it can: VJ, BSD and Deflate compression, IPV6CP.
    pub const CHATTY: Self = Self(6);
    /// Its server would accept stateful MPPE.
    pub const STATEFUL: Self = Self(7);
    /// Its server authenticates by MS-CHAPv2 and cannot encrypt.
    pub const MSCHAP2_PLAIN: Self = Self(8);
    /// Its server encrypts with 40 bits at most.
    pub const MPPE40: Self = Self(9);
    /// Its server authenticates by PAP and cannot encrypt.
    pub const PAP_PLAIN: Self = Self(10);
    /// Its server authenticates by CHAP with MD5 and cannot encrypt.
    pub const CHAP_MD5_PLAIN: Self = Self(11);
    /// Its server authenticates by MS-CHAP of version 1.
    pub const MSCHAP1: Self = Self(12);
    /// All buildings
    pub const ALL: [Self; 12] = [
        Self::ONE,
        Self::TWO,
        Self::THREE,
        Self::FOUR,
        Self::SMALL_MRU,
        Self::CHATTY,
        Self::STATEFUL,
        Self::MSCHAP2_PLAIN,
        Self::MPPE40,
        Self::PAP_PLAIN,
        Self::CHAP_MD5_PLAIN,
        Self::MSCHAP1,
    ];
    /// The ordinary buildings
    pub const ORDINARY: [Self; 4] = [Self::ONE, Self::TWO, Self::THREE, Self::FOUR];

    /// The number that tells this building from the others in every answer
    pub fn number(self) -> u32 {
        self.0
    }

    /// The outer address of its PPTP server
    pub fn server(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(Ipv4Addr::new(10, 99, 0, 10).to_bits() + self.0)
    }

    /// A port of the device in it
    pub fn device(self, port: u16) -> SocketAddr {
        SocketAddrV4::new(DEVICE, port).into()
    }

    /// The lines of `journal` that this building's servers wrote, without the building's name
    pub fn lines(self, journal: &Journal) -> Vec<String> {
        let prefix = format!("b{}: ", self.0);
        journal
            .text()
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect()
    }
}

impl Journal {
    /// Everything printed since the journal was opened
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.octets().get(self.start..).unwrap_or_default()).into_owned()
    }

    /// Wait until a line of `building` contains `wanted`; an error after `limit`.
    pub async fn wait_for(
        &self,
        building: Building,
        wanted: &str,
        limit: Duration,
    ) -> io::Result<()> {
        let deadline = Instant::now() + limit;
        while !building.lines(self).iter().any(|line| line.contains(wanted)) {
            if Instant::now() > deadline {
                let number = building.number();
                let told = format!("building {number} did not log {wanted:?} within {limit:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, told));
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// The last lines of it, for the report of a failure
    pub(crate) fn tail(&self, lines: usize) -> String {
        let text = self.text();
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn octets(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap_or_default()
    }
}

impl Delay {
    fn at_both_ends(&self, verb: &str, what: &str) -> String {
        let number = self.1.0;
        let here = format!("tc qdisc {verb} dev o{number} {what}");
        format!("{here}; ip netns exec b{number} tc qdisc {verb} dev eth0 {what}")
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.0.undo(&self.at_both_ends("del", "root"));
    }
}

fn succeed(what: &str, output: &Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{what}: {}\n{said}", output.status)))
}
