//! Lines that let nothing through for a while: shorter than the detector's patience, and longer.

use std::io;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp::{Client, Tunnel, config::EchoPolicy, error::Layer};
use pptp_interop::{
    Building, End, Lab, Nft, Outcome, Transfer, detection, dial_with, trial, trial_beside,
};
use tokio::time::{Instant, sleep};

use crate::dial;
use crate::killed::answers;

/// Dead 11 s after the last frame, and not before the server was unreachable for 8 s
const QUICK: EchoPolicy = EchoPolicy::DEFAULT
    .silence(Duration::from_secs(3))
    .interval(Duration::from_secs(2))
    .unanswered(4);
/// What ends a tunnel whose server is not there any more
const GONE: &str = "the server or the line is gone: dial again";
/// What is moved each way meanwhile
const OCTETS: usize = 2 << 20;
const SHORT: Duration = Duration::from_secs(5);
const LONGER: Duration = Duration::from_secs(20);
/// How long the octets may take once the line is well again, on a busy machine
const LIMIT: Duration = Duration::from_secs(100);

pub(crate) fn trials() -> Vec<Trial> {
    use Building as B;
    vec![
        trial("fault_servers_that_stand_still_are_lost_by_the_impatient_only", pause),
        trial("fault_the_clients_link_down_for_5_s_is_survived", link_down),
        trial_beside(
            &[B::FOUR],
            "fault_gre_from_the_server_lost_for_20_s_is_survived",
            gre_in_lost,
        ),
        trial_beside(
            &[B::SMALL_MRU],
            "fault_gre_to_the_server_lost_for_20_s_is_survived",
            gre_out_lost,
        ),
        trial_beside(&[B::TWO], "fault_gre_lost_both_ways_for_5_s_is_survived", gre_lost),
        trial_beside(
            &[B::TWO],
            "fault_gre_refused_by_the_kernel_for_5_s_is_survived",
            gre_forbidden,
        ),
        trial_beside(&[B::CHATTY], "fault_the_servers_line_down_for_5_s_is_survived", line_down),
        trial_beside(
            &[B::THREE],
            "fault_gre_lost_for_longer_is_EchoTimeout_although_tcp_passes",
            gre_gone,
        ),
    ]
}

/// A transfer to `building` that goes on after `outage`, and arrives whole
async fn survives(building: Building, outage: impl AsyncFnOnce() -> Outcome) -> Outcome {
    let client = Client::new()?;
    let tunnel = dial(&client, building).await?;
    let transfer = begin(&tunnel, building).await?;
    outage().await?;
    transfer.is_whole(LIMIT).await?;
    answers(&tunnel, building).await
}

async fn begin(tunnel: &Tunnel, building: Building) -> Result<Transfer, Failed> {
    let transfer = Transfer::start(tunnel, building, OCTETS, LIMIT);
    transfer.has_begun().await?;
    Ok(transfer)
}

/// What `change` has changed lasts for `duration`
async fn lasts<T>(duration: Duration, change: io::Result<T>) -> Outcome {
    let changed = change?;
    sleep(duration).await;
    drop(changed);
    Ok(())
}

async fn gre_lost(_: &Lab) -> Outcome {
    let server = Building::TWO.server();
    survives(Building::TWO, async || lasts(SHORT, Nft::lose_gre_both_ways(server)).await).await
}

async fn gre_forbidden(_: &Lab) -> Outcome {
    let server = Building::TWO.server();
    survives(Building::TWO, async || lasts(SHORT, Nft::forbid_gre_to(server)).await).await
}

async fn gre_in_lost(_: &Lab) -> Outcome {
    let server = Building::FOUR.server();
    survives(Building::FOUR, async || lasts(LONGER, Nft::lose_gre_from(server)).await).await
}

async fn gre_out_lost(_: &Lab) -> Outcome {
    let server = Building::SMALL_MRU.server();
    let lost = async || lasts(LONGER, Nft::lose_gre_on_the_way_to(server)).await;
    survives(Building::SMALL_MRU, lost).await
}

async fn line_down(lab: &Lab) -> Outcome {
    let building = Building::CHATTY;
    survives(building, async || lasts(SHORT, lab.unplug(building).await).await).await
}

/// No route, no link: the kernel refuses every datagram, and TCP waits.
async fn link_down(_: &Lab) -> Outcome {
    survives(Building::TWO, async || lasts(SHORT, Link::down()).await).await
}

async fn gre_gone(_: &Lab) -> Outcome {
    let building = Building::THREE;
    let client = Client::new()?;
    let tunnel = dial_with(&client, building, QUICK).await?;
    // until the first echo is answered the control connection alone tells whether the server lives
    tunnel.reachable().await?;
    let lost = Nft::lose_gre_both_ways(building.server())?;
    is_found_dead(&tunnel, Instant::now()).await?;
    drop(lost);
    answers(&dial(&client, building).await?, building).await
}

/// One pause, as long as it takes the impatient to give up: the patient bear it.
async fn pause(lab: &Lab) -> Outcome {
    let client = Client::new()?;
    let patient = dial(&client, Building::TWO).await?;
    let impatient = dial_with(&client, Building::THREE, QUICK).await?;
    let transfer = begin(&patient, Building::TWO).await?;
    let (paused, since) = (lab.pause()?, Instant::now());
    is_found_dead(&impatient, since).await?;
    drop(paused);
    transfer.is_whole(LIMIT).await?;
    answers(&patient, Building::TWO).await?;
    answers(&dial(&client, Building::THREE).await?, Building::THREE).await
}

async fn is_found_dead(tunnel: &Tunnel, since: Instant) -> Outcome {
    let within = detection(QUICK);
    let end = End::of(tunnel, since, within.end).await?;
    end.is("EchoTimeout", Layer::Link, GONE, within)
}

/// The lab's link on the client's side, down until this is dropped
struct Link;

impl Link {
    fn down() -> io::Result<Self> {
        let down = Self;
        Self::set("down")?;
        Ok(down)
    }

    fn set(state: &str) -> io::Result<()> {
        let status = Command::new("ip").args(["link", "set", "br0", state]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("ip link set failed")) }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = Self::set("up");
    }
}
