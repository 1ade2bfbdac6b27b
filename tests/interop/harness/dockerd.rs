//! A real dockerd in a building, which is reached by TLS alone.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::certificates::Certificates;
use crate::lab::{Building, DEVICE, Lab};

/// Debian's dockerd on a building's device, gone when dropped
///
/// The device has a second address for it, to which the building's router has a route. No other
/// building knows this address. It wants a certificate of its clients.
#[derive(Debug)]
pub struct Dockerd {
    lab: Lab,
    building: Building,
}

impl Dockerd {
    /// The address that its certificate has to name
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 99, 100);
    /// Its place
    pub const PLACE: SocketAddrV4 = SocketAddrV4::new(Self::ADDRESS, 2376);
    /// Eight times what it takes in the guest on two busy cores
    const START: Duration = Duration::from_mins(2);

    /// Start it in `building`, and wait until it listens.
    pub async fn start(
        lab: &Lab,
        building: Building,
        certificates: &Certificates,
    ) -> io::Result<Self> {
        let dockerd = Self { lab: lab.clone(), building };
        let said = lab.shell(&dockerd.commands(certificates)).await?;
        if !said.is_empty() {
            return Err(io::Error::other(said));
        }
        dockerd.listens().await.map(|()| dockerd)
    }

    /// The commands that give the device its address and start the program
    ///
    /// `ip netns exec` would hide what is mounted on /sys. The folders that it writes to are in
    /// memory, since the guest sees the host's disk read-only; what it mounts is gone with it.
    /// `setsid -f`: the guest's shell waits for what is its child.
    fn commands(&self, certificates: &Certificates) -> String {
        let (number, folder) = (self.building.number(), self.folder());
        let [certificate, key] = certificates.service();
        let shown = |path: &Path| path.display().to_string();
        let [ca, certificate, key] =
            [&certificates.authority(), &certificate, &key].map(|p| shown(p));
        let tls = format!("--tlsverify --tlscacert {ca} --tlscert {certificate} --tlskey {key}");
        let network = format!("-H tcp://{} --bridge none --iptables=false", Self::PLACE);
        let root = format!("--data-root {folder}/data --exec-root {folder}/exec");
        let dockerd =
            format!("dockerd {network} {tls} {root} --storage-driver vfs --pidfile {folder}/pid");
        let mounts = "mount -t tmpfs none /etc/docker; mount -t cgroup2 none /sys/fs/cgroup";
        [
            format!("ip netns exec d{number} ip addr add {}/32 dev lo", Self::ADDRESS),
            format!("ip netns exec b{number} ip route add {} via {DEVICE}", Self::ADDRESS),
            format!("mkdir {folder}"),
            format!(
                "setsid -f nsenter --net=/run/netns/d{number} unshare --mount \
                 sh -c '{mounts}; exec {dockerd}' </dev/null >{folder}/log 2>&1"
            ),
        ]
        .join("\n")
    }

    async fn listens(&self) -> io::Result<()> {
        let log = format!("{}/log", self.folder());
        let wanted = format!("grep 'API listen on {}' {log}", Self::PLACE);
        let deadline = Instant::now() + Self::START;
        while self.lab.shell(&wanted).await?.is_empty() {
            if Instant::now() > deadline {
                let told = self.lab.shell(&format!("tail -n 20 {log}")).await?;
                return Err(io::Error::other(format!("dockerd does not listen:\n{told}")));
            }
            sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    fn folder(&self) -> String {
        format!("/run/dockerd-{}", self.building.number())
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let (number, folder) = (self.building.number(), self.folder());
        // its containerd ends with it, also if it is killed
        let end = format!(
            "p=$(cat {folder}/pid) && kill $p && \
             for i in $(seq 100); do [ -e /proc/$p ] || break; sleep 0.1; done; \
             [ -n \"$p\" ] && [ -e /proc/$p ] && kill -9 $p; rm -rf {folder}"
        );
        let route = format!("ip netns exec b{number} ip route del {}", Self::ADDRESS);
        let address = format!("ip netns exec d{number} ip addr del {}/32 dev lo", Self::ADDRESS);
        self.lab.undo(&[end, route, address].join("\n"));
    }
}
