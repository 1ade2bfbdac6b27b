//! What a trial changes on the wire, put back when it is dropped.

use std::io;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

/// A table of packet filter rules in the lab's namespace, gone when dropped
#[derive(Debug)]
pub struct Nft(&'static str);

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

    fn load(table: &'static str, hook: &str, rule: &str) -> io::Result<Self> {
        let chain = format!("chain only {{ type filter hook {hook} priority 0; {rule}; }}");
        let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = nft.stdin.take() {
            writeln!(stdin, "table ip {table} {{ {chain}; }}")?;
        }
        succeed("nft", nft.wait()?.success())?;
        Ok(Self(table))
    }
}

impl Drop for Nft {
    fn drop(&mut self) {
        let _ = Command::new("nft").args(["delete", "table", "ip", self.0]).status();
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
