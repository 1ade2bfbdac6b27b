//! KNX forwards of `pptp-connector run`: xknx and knxd as they are, and a watch over this machine's own network.

use std::fmt::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp_interop::{Building, DEVICE, Daemon, Lab, Outcome, PASSWORD, Program, USER, Watch, trial};
use tokio::time::{Instant, sleep};

use crate::ways_in::SITES;

/// The port of a site's forward is this and the site's number
const PORT: u16 = 23_671;
const LIMIT: Duration = Duration::from_mins(1);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("two_xknx_without_route_back_write_groups_both_ways_in_two_buildings", both_ways),
        trial("knxd_without_route_back_tunnels_through_a_forward", knxd),
        trial("a_killed_xknx_frees_its_place_in_the_gateway", vanished),
    ]
}

/// A daemon whose two sites are up, with a KNX forward each
async fn connected() -> Result<Daemon, Failed> {
    let mut text = format!("[defaults]\nuser = '{USER}'\npassword = '{PASSWORD}'\n");
    for site in SITES {
        let (number, server) = (site.number(), site.server());
        let _ = write!(
            text,
            "[site.b{number}]\nserver = '{server}'\nhosts = {{ knx = '192.168.1.3' }}\n\
             [[site.b{number}.forward]]\nlisten = '127.0.0.1:{}'\nto = 'knx:knx'\n",
            port(site)
        );
    }
    let daemon = Daemon::start(&text)?;
    for site in SITES {
        daemon.is_up(site, LIMIT).await?;
    }
    Ok(daemon)
}

fn port(site: Building) -> u16 {
    PORT + u16::try_from(site.number()).unwrap_or_default()
}

fn xknx(script: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).env("PYTHONPATH", "/usr/local/lib/pptp-interop");
    command
}

async fn both_ways(_: &Lab) -> Outcome {
    let daemon = connected().await?;
    let watch = Watch::start()?;
    // the watch sees a program that is led past the forward
    UdpSocket::bind("0.0.0.0:0")?.send_to(b"astray", (DEVICE, 3671))?;
    assert_eq!(watch.packets()?, 1);
    let mut command = xknx("knx_pair.py");
    command.args(SITES.map(|site| port(site).to_string()));
    let finished = Program::run(command, LIMIT * 2).await?;
    println!("  {}", finished.printed.trim_end().replace('\n', "\n  "));
    for site in SITES {
        for (program, other) in [(1, 2), (2, 1)] {
            let address = format!("1/{other}/3");
            let heard = [1, 0, 1].map(|value| format!("('{address}', {value})")).join(", ");
            let expected =
                format!("port {} program {program} heard [{heard}] refused 0", port(site));
            assert!(finished.printed.contains(&expected), "{expected}\n{}", finished.printed);
        }
    }
    assert_eq!(watch.packets()?, 1, "something for a building left to the own network");
    for site in SITES {
        until_clients(&daemon, site, 0).await?;
    }
    Ok(())
}

/// knxd as the client, with its own address and port in its frames
async fn knxd(_: &Lab) -> Outcome {
    let daemon = connected().await?;
    let watch = Watch::start()?;
    let socket = std::env::temp_dir().join(format!("pptp-interop-knx-true-{}", std::process::id()));
    let mut command = Command::new("knxd");
    command.args(["-e", "1.1.20", "-E", "1.1.21:2", "-u"]).arg(&socket);
    let gateway = format!("ipt:127.0.0.1:{}", port(SITES[0]));
    command.args(["-f", "9", "-t", "0xffff", "-B", "single", "-b", &gateway]);
    let mut client = Program::start(command)?;
    // a CONNECT_RESPONSE: its eighth octet, behind the channel, is the status
    let connected = client.wait_for("06 10 02 06 00 14 ", LIMIT).await;
    let _ = std::fs::remove_file(&socket);
    connected?;
    let printed = client.printed();
    let response = printed.split("06 10 02 06 00 14 ").nth(1).unwrap_or_default();
    let octets: Vec<_> = response.split_whitespace().take(10).collect();
    // no error, and the data endpoint is the forward: 127.0.0.1 and its port
    let [high, low] = port(SITES[0]).to_be_bytes().map(|octet| format!("{octet:02X}"));
    let expected = ["00", "08", "01", "7F", "00", "00", "01", &high, &low];
    assert_eq!(octets.get(1..), Some(&expected[..]), "{printed}");
    until_clients(&daemon, SITES[0], 1).await?;
    drop(client);
    assert_eq!(watch.packets()?, 0);
    Ok(())
}

/// Its port refuses the next telegram, which the connector takes for its end
async fn vanished(_: &Lab) -> Outcome {
    let daemon = connected().await?;
    let site = SITES[0];
    let mut command = xknx("knx_stay.py");
    let port = port(site).to_string();
    command.args([&port, "stay"]);
    let mut first = Program::start(command)?;
    first.wait_for("connected", LIMIT).await?;
    until_clients(&daemon, site, 1).await?;
    first.kill()?;
    first.finish(Duration::from_secs(10)).await?;
    // another one's telegrams are for all, also for the one that is gone
    let mut command = xknx("knx_stay.py");
    command.args([&port, "write"]);
    let second = Program::run(command, LIMIT).await?;
    assert!(second.printed.contains("connected"), "{}", second.printed);
    until_clients(&daemon, site, 0).await
}

/// Wait until a site's forward has so many clients, as `show` tells them.
async fn until_clients(daemon: &Daemon, site: Building, count: u64) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let view = daemon.view(site).await?;
        let forward = &view["more"]["forwards"][0];
        assert_eq!(forward["kind"], "knx");
        if forward["clients"] == count {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("not {count} clients: {forward}").into());
        }
        sleep(Duration::from_millis(100)).await;
    }
}
