//! What a trial changes on the wire, put back when it is dropped.

use std::io;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

/// A table of packet filter rules in the lab's namespace, gone when dropped
#[derive(Debug)]
pub struct Nft {
    family: &'static str,
    table: &'static str,
}

/// A route in the lab's namespace, gone when dropped
#[derive(Debug)]
pub struct Route(Vec<String>);

impl Nft {
    /// GRE from `server` is lost on its way in: what a firewall before the client does.
    pub fn lose_gre_from(server: Ipv4Addr) -> io::Result<Self> {
        Self::load("gre_lost", "input", &format!("ip saddr {server} ip protocol gre drop"))
    }

    /// GRE to `server` may not be sent: the kernel refuses the send with EPERM.
    pub fn forbid_gre_to(server: Ipv4Addr) -> io::Result<Self> {
        Self::load("gre_forbidden", "output", &format!("ip daddr {server} ip protocol gre drop"))
    }

    /// TCP from `server` is lost on its way in: what a port looks like that is filtered.
    pub fn lose_tcp_from(server: Ipv4Addr) -> io::Result<Self> {
        Self::load("tcp_lost", "input", &format!("ip saddr {server} ip protocol tcp drop"))
    }

    /// GRE to `server` is lost on the wire, of which its sender learns nothing.
    pub fn lose_gre_on_the_way_to(server: Ipv4Addr) -> io::Result<Self> {
        let rule = format!("ether type ip ip daddr {server} ip protocol gre drop");
        Self::load_into("bridge", "gre_lost_outside", "output", &rule)
    }

    /// GRE from `server` in IP packets of more than `octets` is lost: a path that lets no fragments pass.
    pub fn lose_gre_above(octets: u16, server: Ipv4Addr) -> io::Result<Self> {
        let rule = format!("ip saddr {server} ip protocol gre meta length > {octets} drop");
        Self::load("gre_too_large", "input", &rule)
    }

    /// From `server` only what connection tracking knows is let in, and it has no helper for PPTP.
    pub fn let_in_only_established_from(server: Ipv4Addr) -> io::Result<Self> {
        let rule = format!("ct state established,related accept; ip saddr {server} drop");
        Self::load("established_only", "input", &rule)
    }

    fn load(table: &'static str, hook: &str, rule: &str) -> io::Result<Self> {
        Self::load_into("ip", table, hook, rule)
    }

    fn load_into(
        family: &'static str,
        table: &'static str,
        hook: &str,
        rule: &str,
    ) -> io::Result<Self> {
        let chain = format!("chain only {{ type filter hook {hook} priority 0; {rule}; }}");
        let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = nft.stdin.take() {
            writeln!(stdin, "table {family} {table} {{ {chain}; }}")?;
        }
        succeed("nft", nft.wait()?.success())?;
        Ok(Self { family, table })
    }
}

impl Drop for Nft {
    fn drop(&mut self) {
        let _ = Command::new("nft").args(["delete", "table", self.family, self.table]).status();
    }
}

impl Route {
    /// There is no route to `server` any more: the kernel answers EHOSTUNREACH at once.
    pub fn unreachable(server: Ipv4Addr) -> io::Result<Self> {
        let route = vec!["unreachable".to_owned(), format!("{server}/32")];
        let added = Command::new("ip").args(["route", "add"]).args(&route).status()?;
        succeed("ip route add", added.success())?;
        Ok(Self(route))
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["route", "del"]).args(&self.0).status();
    }
}

fn succeed(what: &str, success: bool) -> io::Result<()> {
    if success { Ok(()) } else { Err(io::Error::other(format!("{what} failed"))) }
}
