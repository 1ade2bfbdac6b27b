//! The connector, whose site comes back at another address of the same name.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp_interop::{
    Building, Example, Lab, Outcome, PASSWORD, Process, Program, Resolver, USER, get, trial_beside,
};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

const OLD: Building = Building::ONE;
const NEW: Building = Building::TWO;
const NAME: &str = "vpn.building.test";
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8050);
const LIMIT: Duration = Duration::from_secs(40);
const ALL: [Process; 3] = [Process::Pptpd, Process::Pptpctrl, Process::Pppd];

pub(crate) fn trials() -> Vec<Trial> {
    let name = "fault_the_connector_finds_a_site_whose_name_has_another_address";
    vec![trial_beside(&[OLD, NEW], name, follows_the_name)]
}

/// The connector resumes what it had, the address excepted: it is asked for anew at each attempt.
async fn follows_the_name(lab: &Lab) -> Outcome {
    let resolver = Resolver::start(NAME, OLD.server()).await?;
    let mut connector = Program::start(resolver.only_for(&connector()?))?;
    answers(&connector, OLD).await?;
    let server = lab.killable(OLD);
    server.kill(&ALL).await?;
    let _gone = lab.move_away(OLD).await?;
    forget_neighbour(OLD.server())?;
    // the name still leads to where nobody is
    connector.wait_for(&format!("no TCP connection to {}", OLD.server()), LIMIT).await?;
    resolver.point_to(NEW.server())?;
    let since = Instant::now();
    answers(&connector, NEW).await?;
    println!("  at its new address {:.1?} after the name had it", since.elapsed());
    println!("  it printed: {}", connector.printed().trim_end().replace('\n', "\n              "));
    Ok(())
}

fn connector() -> Result<Command, Failed> {
    let mut command = Example::Connector.command()?;
    command.args(["--user", USER, "--password", PASSWORD, "--site", &format!("site={NAME}")]);
    command.args(["--forward", &format!("tcp:{LOCAL}=site:{}", OLD.device(80))]);
    Ok(command)
}

/// Have the kernel find out at once that nobody has `address`, and not when the connect's time is over.
fn forget_neighbour(address: Ipv4Addr) -> std::io::Result<()> {
    let flush = ["neigh", "flush", "dev", "br0", "to", &address.to_string()];
    Command::new("ip").args(flush).status().map(drop)
}

/// Wait until the device of `building` answers through the connector's one site.
async fn answers(connector: &Program, building: Building) -> Outcome {
    let deadline = Instant::now() + LIMIT;
    let expected = format!("building {}\n", building.number()).into_bytes();
    while Instant::now() < deadline {
        let body = async { get(TcpStream::connect(LOCAL).await?, "/").await };
        if matches!(timeout(Duration::from_secs(5), body).await, Ok(Ok(body)) if body == expected) {
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Err(format!("no answer of {expected:?}; the connector printed:\n{}", connector.printed())
        .into())
}
