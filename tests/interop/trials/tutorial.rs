//! The example `connector`, the library's tutorial: that it works as its page says.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp_interop::{Building, Example, Lab, Outcome, PASSWORD, Program, USER, trial};

use crate::buildings::hung_up_cleanly;
use crate::connector::answers_at;

const SITES: [Building; 2] = [Building::ONE, Building::TWO];
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_example_connector_forwards_to_two_sites_and_hangs_up_cleanly", forwards),
        trial("the_example_connector_refuses_wrong_arguments", wrong_arguments),
    ]
}

async fn forwards(lab: &Lab) -> Outcome {
    let connector = Program::start(command()?)?;
    for site in SITES {
        answers_at(local(site), site).await.map_err(|failed| {
            let told = failed.message().unwrap_or_default();
            Failed::from(format!("{told}; the example printed:\n{}", connector.printed()))
        })?;
    }
    let journal = lab.journal();
    connector.interrupt()?;
    let finished = connector.finish(LIMIT).await?;
    assert!(finished.status.success(), "{}: {}", finished.status, finished.printed);
    for site in SITES {
        let told = format!("b{}: down: Closed", site.number());
        assert!(finished.printed.contains(&told), "no {told:?} in: {}", finished.printed);
        hung_up_cleanly(&journal, site).await?;
    }
    Ok(())
}

async fn wrong_arguments(_: &Lab) -> Outcome {
    let device = SITES[0].device(80);
    let forward_to_nowhere = format!("tcp:127.0.0.1:1=nowhere:{device}");
    let to_port_0 = format!("tcp:127.0.0.1:1=b1:{}", SITES[0].device(0));
    let twice = argument(SITES[0]);
    let not_to_be_bound = format!("tcp:192.0.2.1:80=b1:{device}");
    for (wrong, told) in [
        (["--forward", &forward_to_nowhere], forward_to_nowhere.as_str()),
        (["--forward", "no forward"], "no forward"),
        (["--forward", &to_port_0], &to_port_0),
        (["--forward", &twice], &twice),
        (["--forward", &not_to_be_bound], &not_to_be_bound),
        (["--site", "b3"], "b3"),
        (["--password-file", "/no/such/file"], "/no/such/file"),
    ] {
        let mut command = command()?;
        command.args(wrong);
        let finished = Program::run(command, LIMIT).await?;
        assert_eq!(finished.status.code(), Some(2), "{wrong:?}: {}", finished.printed);
        let dialled = finished.printed.contains("connecting");
        assert!(finished.printed.contains(told) && !dialled, "{}", finished.printed);
    }
    Ok(())
}

fn local(site: Building) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, if site == SITES[0] { 8010 } else { 8011 }).into()
}

fn argument(site: Building) -> String {
    format!("tcp:{}=b{}:{}", local(site), site.number(), site.device(80))
}

fn command() -> Result<Command, Failed> {
    let mut command = Example::Connector.command()?;
    command.args(["--user", USER, "--password", PASSWORD]);
    for site in SITES {
        command.args(["--site", &format!("b{}={}", site.number(), site.server())]);
        command.args(["--forward", &argument(site)]);
    }
    Ok(command)
}
