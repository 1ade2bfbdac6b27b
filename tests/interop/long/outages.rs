//! Lines that let nothing through for two minutes: longer than a detector bears by default.

use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp::{Client, Tunnel, config::EchoPolicy, error::Layer};
use pptp_interop::{
    Building, End, Example, Lab, Nft, Outcome, PASSWORD, Program, Recording, Transfer, USER,
    detection, dial, dial_with, get, trial, trial_beside,
};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};

// Where GRE is lost, the path was proven before: until the first echo is answered the control connection
// alone tells whether a server lives.

const OUTAGE: Duration = Duration::from_mins(2);
/// What ends a tunnel whose server is not there any more
const GONE: &str = "the server or the line is gone: dial again";
/// What ends one that the server has ended
const ENDED: &str = "the server ended it";
/// When pppd with its options in the lab, six Echo-Requests ten seconds apart, has ended the link: after
/// the seventh interval, and some seconds for its hang-up; twice that on a busy machine
const PPPD: std::ops::Range<Duration> = Duration::from_secs(49)..Duration::from_secs(160);

pub(crate) fn trials() -> Vec<Trial> {
    use Building as B;
    vec![
        trial("servers_that_stand_still_for_120_s_are_EchoTimeout", pause),
        trial_beside(&[B::ONE], "gre_lost_for_120_s_is_EchoTimeout_although_tcp_passes", gre_lost),
        trial_beside(&[B::TWO], "gre_lost_for_120_s_ends_with_whoever_sees_it_first", both_ends),
        trial_beside(&[B::THREE], "gre_lost_for_120_s_is_survived_by_the_patient", patient),
        trial_beside(&[B::FOUR], "gre_lost_for_120_s_is_redialled_by_the_connector", connector),
        trial_beside(&[B::SMALL_MRU], "gre_from_the_server_lost_for_120_s_is_found", gre_in_lost),
        trial_beside(&[B::CHATTY], "gre_to_the_server_lost_for_120_s_is_found_by_it", gre_out_lost),
        trial_beside(&[B::STATEFUL], "tcp_lost_for_240_s_is_found_although_gre_passes", tcp_lost),
    ]
}

/// The control connection is well, and its echoes are answered: they do not hide that GRE is lost.
async fn gre_lost(lab: &Lab) -> Outcome {
    let building = Building::ONE;
    let _never_ends_by_itself = lab.without_echoes(building).await?;
    let client = Client::new()?;
    let filter = format!("tcp port 1723 and host {}", building.server());
    let recording = Recording::start(&filter).await?;
    let tunnel = dial(&client, building).await?;
    tunnel.reachable().await?;
    let (lost, since) = (Nft::lose_gre_both_ways(building.server())?, Instant::now());
    let within = detection(EchoPolicy::default());
    let end = End::of(&tunnel, since, within.end).await?;
    end.is("EchoTimeout", Layer::Link, GONE, within)?;
    let echoes = recording.stop().await?.fields("pptp.control_message_type == 6", &["ip.src"])?;
    println!("  {} echoes of the control connection were answered meanwhile", echoes.len());
    assert!(!echoes.is_empty(), "no Echo-Reply");
    sleep_until(since + OUTAGE).await;
    drop(lost);
    comes_back(&client, building).await
}

/// pppd hears nothing either, and its patience is about as long: either end may be the first.
async fn both_ends(_: &Lab) -> Outcome {
    let building = Building::TWO;
    let client = Client::new()?;
    let tunnel = dial(&client, building).await?;
    tunnel.reachable().await?;
    let (lost, since) = (Nft::lose_gre_both_ways(building.server())?, Instant::now());
    let within = detection(EchoPolicy::default());
    let end = End::of(&tunnel, since, PPPD.end).await?;
    end.is("EchoTimeout", Layer::Link, GONE, within)
        .or_else(|_| end.is("ConnectionLost", Layer::ControlConnection, ENDED, PPPD))?;
    sleep_until(since + OUTAGE).await;
    drop(lost);
    comes_back(&client, building).await
}

async fn patient(lab: &Lab) -> Outcome {
    let building = Building::THREE;
    let patience = EchoPolicy::DEFAULT.interval(Duration::from_secs(40));
    let _never_ends_by_itself = lab.without_echoes(building).await?;
    let client = Client::new()?;
    let tunnel = dial_with(&client, building, patience).await?;
    // TCP tries again after twice as long each time: after the outage it may wait for as long again
    let limit = OUTAGE * 2;
    let transfer = Transfer::start(&tunnel, building, 2 << 20, limit);
    transfer.has_begun().await?;
    let lost = Nft::lose_gre_both_ways(building.server())?;
    sleep(OUTAGE).await;
    drop(lost);
    transfer.is_whole(limit).await?;
    answers(&tunnel, building).await
}

async fn connector(_: &Lab) -> Outcome {
    let building = Building::FOUR;
    let local = "127.0.0.1:8051";
    let mut command: Command = Example::Connector.command()?;
    command.args(["--user", USER, "--password", PASSWORD]);
    command.args(["--site", &format!("site={}", building.server())]);
    command.args(["--forward", &format!("tcp:{local}=site:{}", building.device(80))]);
    let mut connector = Program::start(command)?;
    connector.wait_for("up as", Duration::from_secs(30)).await?;
    let (lost, since) = (Nft::lose_gre_both_ways(building.server())?, Instant::now());
    connector.wait_for("down: ", PPPD.end).await?;
    sleep_until(since + OUTAGE).await;
    // it learns meanwhile that dialling does not help
    connector.wait_for("GreBlocked", Duration::from_secs(30)).await?;
    drop(lost);
    let expected = format!("building {}\n", building.number()).into_bytes();
    let again = async {
        loop {
            let body = async { get(TcpStream::connect(local).await?, "/").await };
            if body.await.is_ok_and(|body| body == expected) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let answered = timeout(Duration::from_secs(100), again).await;
    println!("  it printed: {}", connector.printed().trim_end().replace('\n', "\n              "));
    Ok(answered?)
}

/// Our own detector: the server hears our Echo-Requests, and its replies are lost.
async fn gre_in_lost(lab: &Lab) -> Outcome {
    let building = Building::SMALL_MRU;
    let _never_ends_by_itself = lab.without_echoes(building).await?;
    let client = Client::new()?;
    let tunnel = dial(&client, building).await?;
    tunnel.reachable().await?;
    let (lost, since) = (Nft::lose_gre_from(building.server())?, Instant::now());
    let within = detection(EchoPolicy::default());
    let end = End::of(&tunnel, since, within.end).await?;
    end.is("EchoTimeout", Layer::Link, GONE, within)?;
    drop(lost);
    comes_back(&client, building).await
}

/// pppd's detector: we go on hearing its Echo-Requests, and our replies are lost.
async fn gre_out_lost(lab: &Lab) -> Outcome {
    let building = Building::CHATTY;
    let (client, journal) = (Client::new()?, lab.journal());
    let tunnel = dial(&client, building).await?;
    let (lost, since) = (Nft::lose_gre_on_the_way_to(building.server())?, Instant::now());
    let end = End::of(&tunnel, since, PPPD.end).await?;
    end.is("TerminatedByPeer", Layer::Link, ENDED, PPPD)?;
    // its last words to us are those of its CCP; "its log says why"
    journal.wait_for(building, "No response to 6 echo-requests", Duration::from_secs(10)).await?;
    drop(lost);
    comes_back(&client, building).await
}

/// Both ends ask after 60 s of silence and give up after 60 more: either may be the first.
async fn tcp_lost(_: &Lab) -> Outcome {
    let building = Building::STATEFUL;
    let client = Client::new()?;
    let tunnel = dial(&client, building).await?;
    let (lost, since) = (Nft::lose_tcp_both_ways(building.server())?, Instant::now());
    let within = Duration::from_secs(59)..Duration::from_mins(4);
    let end = End::of(&tunnel, since, within.end).await?;
    let advice = "a NAT that forgets idle connections needs more echoes";
    end.is("ControlEchoTimeout", Layer::ControlConnection, advice, within.clone())
        .or_else(|_| end.is("TerminatedByPeer", Layer::Link, ENDED, within))?;
    drop(lost);
    comes_back(&client, building).await
}

async fn pause(lab: &Lab) -> Outcome {
    let client = Client::new()?;
    let tunnels = [dial(&client, Building::ONE).await?, dial(&client, Building::TWO).await?];
    let (paused, since) = (lab.pause()?, Instant::now());
    let within = detection(EchoPolicy::default());
    for tunnel in &tunnels {
        let end = End::of(tunnel, since, within.end).await?;
        end.is("EchoTimeout", Layer::Link, GONE, within.clone())?;
    }
    sleep_until(since + OUTAGE).await;
    drop(paused);
    comes_back(&client, Building::ONE).await?;
    comes_back(&client, Building::TWO).await
}

async fn comes_back(client: &Client, building: Building) -> Outcome {
    answers(&dial(client, building).await?, building).await
}

/// The device of `building` tells its number through `tunnel`, which is closed then.
async fn answers(tunnel: &Tunnel, building: Building) -> Result<(), Failed> {
    let body = get(tunnel.tcp_connect(building.device(80)).await?, "/").await?;
    assert_eq!(String::from_utf8(body)?, format!("building {}\n", building.number()));
    tunnel.close().await;
    Ok(())
}
