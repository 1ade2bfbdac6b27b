//! What a trial changes on the wire, put back when it is dropped.

use std::io;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A table of packet filter rules in the lab's namespace, gone when dropped
#[derive(Debug)]
pub struct Nft {
    family: &'static str,
    table: String,
}

/// Which way a packet goes that is to be lost
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the server
    ToServer,
    /// From the server
    FromServer,
}

/// A route in the lab's namespace, gone when dropped
#[derive(Debug)]
pub struct Route(Vec<String>);

/// A watch over the lab's namespace, gone when dropped: it counts what leaves for a building by another way than a tunnel
///
/// There is a route to 192.168.0.0/16 meanwhile, as in an office that has such a network itself: what goes astray
/// leaves, and is counted on its way.
#[derive(Debug)]
pub struct Watch {
    nft: Nft,
    _route: Route,
}

/// Another VPN that owns the routes of the lab's namespace and carries nothing, gone when dropped
///
/// It has the default route before all others, and a route to all of 192.168.0.0/16. It catches what goes
/// to the servers, too: only a socket that is bound to [`Vpn::OUTER_DEVICE`] reaches them.
#[derive(Debug)]
pub struct Vpn(Vec<Route>);

impl Nft {
    /// GRE from `server` is lost on its way in: what a firewall before the client does.
    pub fn lose_gre_from(server: Ipv4Addr) -> io::Result<Self> {
        Self::load("input", &format!("ip saddr {server} ip protocol gre drop"))
    }

    /// GRE to `server` may not be sent: the kernel refuses the send with EPERM.
    pub fn forbid_gre_to(server: Ipv4Addr) -> io::Result<Self> {
        Self::load("output", &format!("ip daddr {server} ip protocol gre drop"))
    }

    /// TCP from `server` is lost on its way in: what a port looks like that is filtered.
    pub fn lose_tcp_from(server: Ipv4Addr) -> io::Result<Self> {
        Self::load("input", &format!("ip saddr {server} ip protocol tcp drop"))
    }

    /// GRE to `server` is lost on the wire, of which its sender learns nothing.
    pub fn lose_gre_on_the_way_to(server: Ipv4Addr) -> io::Result<Self> {
        let rule = format!("ether type ip ip daddr {server} ip protocol gre drop");
        Self::load_into("bridge", &[("output", rule)])
    }

    /// GRE from `server` in IP packets of more than `octets` is lost: a path that lets no fragments pass.
    pub fn lose_gre_above(octets: u16, server: Ipv4Addr) -> io::Result<Self> {
        let rule = format!("ip saddr {server} ip protocol gre meta length > {octets} drop");
        Self::load("input", &rule)
    }

    /// The first PPP control packet of this protocol and code is lost on the wire, and none after it.
    ///
    /// Behind a GRE header of 12 octets, or of 16 with an acknowledgment; both ends send their control frames with
    /// address and control field. The rate lets one packet a day into the verdict. `lab/lost-packet` has the same rules.
    pub fn lose_first(way: Way, server: Ipv4Addr, protocol: u16, code: u8) -> io::Result<Self> {
        let (hook, end) = match way {
            Way::ToServer => ("output", "daddr"),
            Way::FromServer => ("input", "saddr"),
        };
        let frame = format!("0xff03{protocol:04x}{code:02x}");
        let gre = format!("ether type ip ip {end} {server} ip protocol gre");
        let bare = format!("{gre} @th,0,16 0x3001 @th,96,40 {frame} goto once");
        let acknowledging = format!("{gre} @th,0,16 0x3081 @th,128,40 {frame} goto once");
        let once = "chain once { limit rate 1/day burst 1 packets drop; }";
        let hooked = chain(hook, &format!("{bare}; {acknowledging}"));
        Self::load_table("bridge", &format!("{once}\n{hooked}"))
    }

    /// From `server` only what connection tracking knows is let in, and it has no helper for PPTP.
    pub fn let_in_only_established_from(server: Ipv4Addr) -> io::Result<Self> {
        let rule = format!("ct state established,related accept; ip saddr {server} drop");
        Self::load("input", &rule)
    }

    /// GRE to and from `server` is lost on the wire, of which neither end learns anything.
    pub fn lose_gre_both_ways(server: Ipv4Addr) -> io::Result<Self> {
        Self::lose_both_ways(server, "gre")
    }

    /// TCP to and from `server` is lost on the wire, of which neither end learns anything.
    pub fn lose_tcp_both_ways(server: Ipv4Addr) -> io::Result<Self> {
        Self::lose_both_ways(server, "tcp")
    }

    fn lose_both_ways(server: Ipv4Addr, protocol: &str) -> io::Result<Self> {
        let rule = |end| format!("ether type ip ip {end} {server} ip protocol {protocol} drop");
        Self::load_into("bridge", &[("output", rule("daddr")), ("input", rule("saddr"))])
    }

    fn load(hook: &str, rule: &str) -> io::Result<Self> {
        Self::load_into("ip", &[(hook, rule.to_owned())])
    }

    fn load_into(family: &'static str, rules: &[(&str, String)]) -> io::Result<Self> {
        let chains: Vec<_> = rules.iter().map(|(hook, rule)| chain(hook, rule)).collect();
        Self::load_table(family, &chains.join("\n"))
    }

    fn load_table(family: &'static str, chains: &str) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let table = format!("trial_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = nft.stdin.take() {
            writeln!(stdin, "table {family} {table} {{\n{chains}\n}}")?;
        }
        succeed("nft", nft.wait()?.success())?;
        Ok(Self { family, table })
    }
}

impl Drop for Nft {
    fn drop(&mut self) {
        let _ = Command::new("nft").args(["delete", "table", self.family, &self.table]).status();
    }
}

impl Route {
    /// There is no route to `server` any more: the kernel answers EHOSTUNREACH at once.
    pub fn unreachable(server: Ipv4Addr) -> io::Result<Self> {
        Self::add(&["unreachable", &format!("{server}/32")])
    }

    fn add(route: &[&str]) -> io::Result<Self> {
        ip(&["route", "add"], route)?;
        Ok(Self(route.iter().map(|&word| word.to_owned()).collect()))
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["route", "del"]).args(&self.0).status();
    }
}

impl Watch {
    /// Begin to count datagrams and segments for addresses of buildings, and for multicast groups.
    pub fn start() -> io::Result<Self> {
        let route = Route::add(&["192.168.0.0/16", "dev", Vpn::OUTER_DEVICE])?;
        let building = "ip daddr { 192.168.0.0/16, 224.0.0.0/4 }";
        let rule =
            format!("oifname != \"lo\" {building} meta l4proto {{ tcp, udp }} counter name astray");
        let chains = format!("counter astray {{ }}\n{}", chain("output", &rule));
        Ok(Self { nft: Nft::load_table("ip", &chains)?, _route: route })
    }

    /// The packets so far
    pub fn packets(&self) -> io::Result<u64> {
        let Nft { family, table } = &self.nft;
        let listed =
            Command::new("nft").args(["list", "counter", family, table, "astray"]).output()?;
        succeed("nft list counter", listed.status.success())?;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let packets = text.split_whitespace().skip_while(|word| *word != "packets").nth(1);
        let packets = packets.and_then(|number| number.parse().ok());
        packets.ok_or_else(|| io::Error::other(format!("no counter: {text}")))
    }
}

impl Vpn {
    /// The device that leads out beside this VPN
    pub const OUTER_DEVICE: &str = "br0";
    /// A tun device that no process holds: what is sent to it is lost
    const DEVICE: &str = "vpn0";

    /// Put it up, so that it catches what goes to `servers`.
    pub fn start(servers: &[Ipv4Addr]) -> io::Result<Self> {
        ip(&["tuntap", "add"], &[Self::DEVICE, "mode", "tun"])?;
        let mut vpn = Self(Vec::new());
        ip(&["link", "set"], &[Self::DEVICE, "up"])?;
        vpn.0.push(Route::add(&["blackhole", "default", "metric", "1"])?);
        vpn.0.push(Route::add(&["blackhole", "192.168.0.0/16"])?);
        for server in servers {
            vpn.0.push(Route::add(&[&format!("{server}/32"), "dev", Self::DEVICE])?);
        }
        Ok(vpn)
    }
}

impl Drop for Vpn {
    fn drop(&mut self) {
        self.0.clear(); // while the device of some of the routes is there
        let _ = ip(&["link", "del"], &[Self::DEVICE]);
    }
}

fn ip(command: &[&str], arguments: &[&str]) -> io::Result<()> {
    let done = Command::new("ip").args(command).args(arguments).status()?;
    succeed(&format!("ip {}", command.join(" ")), done.success())
}

/// A chain of filter rules at a hook of the same name
fn chain(hook: &str, rules: &str) -> String {
    format!("chain {hook} {{ type filter hook {hook} priority 0; {rules}; }}")
}

fn succeed(what: &str, success: bool) -> io::Result<()> {
    if success { Ok(()) } else { Err(io::Error::other(format!("{what} failed"))) }
}
