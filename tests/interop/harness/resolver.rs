//! A name server of a trial's own, and programs that ask no other.

use std::fs;
use std::io;
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::program::Program;

/// A name server in the lab's namespace that knows one name, until it is dropped
#[derive(Debug)]
pub struct Resolver {
    dnsmasq: Program,
    name: &'static str,
    folder: PathBuf,
}

impl Resolver {
    /// Answer for `name` with `address`, which may be cached by nobody.
    pub async fn start(name: &'static str, address: Ipv4Addr) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("pptp-interop-dns-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("resolv.conf"), format!("nameserver {HERE}\n"))?;
        fs::write(folder.join("hosts"), format!("{address} {name}\n"))?;
        let mut command = Command::new("dnsmasq");
        command.args(["--keep-in-foreground", "--log-facility=-", "--no-hosts", "--no-resolv"]);
        command.args(["--conf-file=/dev/null", "--user=root", "--pid-file=", "--bind-interfaces"]);
        command.arg(format!("--listen-address={HERE}"));
        command.arg(format!("--addn-hosts={}", folder.join("hosts").display()));
        let mut dnsmasq = Program::start(command)?;
        dnsmasq.wait_for("read ", Duration::from_secs(10)).await?;
        Ok(Self { dnsmasq, name, folder })
    }

    /// Answer with another address from now on.
    pub fn point_to(&self, address: Ipv4Addr) -> io::Result<()> {
        // dnsmasq reads it only when told to
        let mut hosts = fs::File::create(self.folder.join("hosts"))?;
        writeln!(hosts, "{address} {}", self.name)?;
        self.dnsmasq.signal(Signal::SIGHUP)
    }

    /// `command` in a mount namespace of its own, in which this is the only source of names.
    pub fn only_for(&self, command: &Command) -> Command {
        let mut alone = Command::new("unshare");
        let script = r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#;
        alone.args(["--mount", "sh", "-c", script]).arg(self.folder.join("resolv.conf"));
        alone.arg(command.get_program()).args(command.get_args());
        alone
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The host of the tests themselves, as the buildings see it
const HERE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
