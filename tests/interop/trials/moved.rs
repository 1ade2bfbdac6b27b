//! Connections whose ends go elsewhere, and one that somebody on the way resets.

use std::io;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp::{Client, config::EchoPolicy, error::Layer};
use pptp_interop::{Building, End, Lab, Outcome, Recording, detection, dial_with, trial_beside};
use tokio::time::Instant;

use crate::dial;
use crate::killed::answers;

pub(crate) fn trials() -> Vec<Trial> {
    use Building as B;
    vec![
        trial_beside(
            &[B::THREE],
            "fault_a_control_connection_that_is_reset_is_ConnectionLost",
            reset,
        ),
        trial_beside(
            &[B::CHATTY],
            "fault_an_own_address_that_is_gone_is_EchoTimeout",
            address_gone,
        ),
    ]
}

/// A box on the way resets the control connection, at both ends as most do.
async fn reset(lab: &Lab) -> Outcome {
    let building = Building::THREE;
    let client = Client::new()?;
    let recording =
        Recording::start(&format!("tcp port 1723 and host {}", building.server())).await?;
    let tunnel = dial(&client, building).await?;
    let capture = recording.stop().await?;
    let fields =
        ["ip.src", "tcp.srcport", "ip.dst", "tcp.dstport", "tcp.ack_raw", "tcp.seq_raw", "tcp.len"];
    let packets = capture.fields("tcp", &fields)?;
    let last = packets.last().ok_or("nothing was recorded")?;
    // Python takes seconds to start in a busy guest
    let said = lab.shell(&Reset::read(last)?.command()).await?;
    let end = End::of(&tunnel, Instant::now(), AT_ONCE).await;
    let end = end.map_err(|failed| format!("{failed:?}: {said}"))?;
    let advice = "dial again; its log says why";
    end.is("ConnectionLost", Layer::ControlConnection, advice, Duration::ZERO..AT_ONCE)?;
    answers(&dial(&client, building).await?, building).await
}

/// The address from which the tunnel goes out is taken from this machine: DHCP gave another one.
async fn address_gone(_: &Lab) -> Outcome {
    let building = Building::CHATTY;
    let policy = EchoPolicy::DEFAULT
        .silence(Duration::from_secs(3))
        .interval(Duration::from_secs(2))
        .unanswered(4);
    let client = Client::new()?;
    let address = OwnAddress::add(building.server())?;
    let tunnel = dial_with(&client, building, policy).await?;
    let since = Instant::now();
    drop(address);
    let within = detection(policy);
    let end = End::of(&tunnel, since, within.end).await?;
    end.is("EchoTimeout", Layer::Link, "the server or the line is gone: dial again", within)?;
    assert!(tunnel.stats().unsendable > 0, "the kernel refuses what has no source address");
    answers(&dial(&client, building).await?, building).await
}

/// What a segment with RST needs to be believed at both ends (RFC 5961 §3)
struct Reset {
    from: (Ipv4Addr, u16),
    to: (Ipv4Addr, u16),
    sequence: u32,
    acknowledgment: u32,
}

impl Reset {
    /// The next segments after this one: of its sender, and of its receiver
    fn read(packet: &[String]) -> Result<Self, Failed> {
        let [from, from_port, to, to_port, acknowledgment, sequence, length] = packet else {
            return Err(format!("not a segment: {packet:?}").into());
        };
        let sequence = sequence.parse::<u32>()?.wrapping_add(length.parse()?);
        Ok(Self {
            from: (from.parse()?, from_port.parse()?),
            to: (to.parse()?, to_port.parse()?),
            sequence,
            acknowledgment: acknowledgment.parse()?,
        })
    }

    /// What the guest has to run, which stands on the way: it sends both, each in the name of the other end
    fn command(&self) -> String {
        let Self { from, to, sequence, acknowledgment } = self;
        let there = format!("{} {} {} {} {sequence}", from.0, from.1, to.0, to.1);
        let back = format!("{} {} {} {} {acknowledgment}", to.0, to.1, from.0, from.1);
        format!("python3 -c '{SEND_RESETS}' {back} {there}")
    }
}

/// Sends a TCP segment with RST for each five arguments: source, port, destination, port, sequence number
const SEND_RESETS: &str = r#"
import socket, struct, sys
wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
words = sys.argv[1:]
while words:
    source, port, target, to, sequence = words[:5]; words = words[5:]
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    segment = lambda check: struct.pack("!HHIIHHHH", int(port), int(to), int(sequence), 0, 0x5004, 0, check, 0)
    covered = ends + struct.pack("!HH", 6, 20) + segment(0)
    total = sum(struct.unpack("!%dH" % (len(covered) // 2), covered))
    total = (total & 0xFFFF) + (total >> 16)
    check = 0xFFFF & ~((total & 0xFFFF) + (total >> 16))
    header = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + ends
    wire.sendto(header + segment(check), (target, 0))
"#;

/// A second address of this machine, the source of all that goes to a server, until this is dropped
struct OwnAddress(Ipv4Addr);

impl OwnAddress {
    const ADDRESS: &str = "10.99.0.77";

    fn add(server: Ipv4Addr) -> io::Result<Self> {
        let own = Self(server);
        ip(&format!("addr add {}/24 dev br0", Self::ADDRESS))?;
        ip(&format!("route add {server}/32 dev br0 src {}", Self::ADDRESS))?;
        Ok(own)
    }
}

impl Drop for OwnAddress {
    fn drop(&mut self) {
        // the route goes with its source address where the kernel sees to that
        let _ = ip(&format!("route del {}/32", self.0));
        let _ = ip(&format!("addr del {}/24 dev br0", Self::ADDRESS));
    }
}

fn ip(arguments: &str) -> io::Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(io::Error::other(said)) }
}

/// A reset ends a connection at once; the rest is for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(4);
