//! Whole tunnels to ordinary servers.

use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use pptp::{Client, Tunnel, TunnelConfig};
use pptp_interop::{
    Building, DEVICE, Lab, Outcome, PASSWORD, ROUTER, download, get, sha256, trial, upload,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{PATIENCE, dial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("two_buildings_with_one_subnet_answer_with_their_own_number", own_number),
        trial("sixteen_mebibytes_each_way_through_both_at_once", sixteen_mebibytes),
        trial("closing_hangs_up_cleanly_in_the_log_of_pppd", closing),
        trial("dropping_the_last_handle_hangs_up_cleanly", dropping),
        trial("a_server_that_ends_fails_every_call_with_the_reason", server_ends),
        trial("connecting_takes_its_round_trips_and_nothing_else", round_trips),
        trial("names_with_a_domain_and_passwords_beyond_ascii", users),
    ]
}

async fn own_number(_: &Lab) -> Outcome {
    let client = Client::new()?;
    let (one, two) = tokio::try_join!(dial(&client, Building::ONE), dial(&client, Building::TWO))?;
    for tunnel in [&one, &two] {
        let info = tunnel.info();
        println!(
            "  {}: {} round trips, {:.0?}",
            tunnel.name(),
            info.round_trips,
            info.connect_time
        );
    }
    tokio::try_join!(ask_everything(Building::ONE, &one), ask_everything(Building::TWO, &two))?;
    tokio::join!(one.close(), two.close());
    Ok(())
}

async fn ask_everything(building: Building, tunnel: &Tunnel) -> Outcome {
    let number = building.number();
    let body = get(tunnel.tcp_connect(building.device(80)).await?, "/").await?;
    assert_eq!(String::from_utf8(body)?, format!("building {number}\n"));
    assert_eq!(tunnel.lookup_txt("whoami.lan").await?, [format!("building-{number}")]);
    assert_eq!(tunnel.lookup_host("knx.lan").await?, [DEVICE]);
    // pppd with one server to give gives it twice
    assert!(tunnel.info().dns.contains(&ROUTER));
    assert_eq!(tunnel.info().peer_address, Some(ROUTER));
    tunnel.ping(ROUTER, PATIENCE).await?;
    tunnel.ping(DEVICE, PATIENCE).await?;
    let echo = tunnel.udp_bind(0)?;
    let said = format!("to building {number}");
    echo.send_to(said.as_bytes(), building.device(7)).await?;
    let mut heard = [0; 64];
    let (length, from) = echo.recv_from(&mut heard).await?;
    assert_eq!((&heard[..length], from), (said.as_bytes(), building.device(7)));
    Ok(())
}

async fn sixteen_mebibytes(_: &Lab) -> Outcome {
    let client = Client::new()?;
    let (one, two) = tokio::try_join!(dial(&client, Building::ONE), dial(&client, Building::TWO))?;
    tokio::try_join!(
        receive(Building::ONE, &one),
        receive(Building::TWO, &two),
        send(Building::ONE, &one),
        send(Building::TWO, &two),
    )?;
    println!("  one at a time:");
    receive(Building::ONE, &one).await?;
    send(Building::ONE, &one).await?;
    tokio::join!(one.close(), two.close());
    Ok(())
}

pub(crate) async fn receive(building: Building, tunnel: &Tunnel) -> Outcome {
    let began = Instant::now();
    let body = get(tunnel.tcp_connect(building.device(80)).await?, "/16M").await?;
    assert_eq!(sha256(&body), sha256(&download(building.number())));
    tell(building, "down", body.len(), began.elapsed());
    Ok(())
}

pub(crate) async fn send(building: Building, tunnel: &Tunnel) -> Outcome {
    let octets = upload(building.number());
    let began = Instant::now();
    let mut sink = tunnel.tcp_connect(building.device(9)).await?;
    sink.write_all(&octets).await?;
    sink.shutdown().await?;
    let mut answer = String::new();
    sink.read_to_string(&mut answer).await?;
    assert_eq!(answer.trim_end(), sha256(&octets));
    tell(building, "up", octets.len(), began.elapsed());
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn tell(building: Building, way: &str, octets: usize, took: Duration) {
    let rate = octets as f64 / took.as_secs_f64() / 1e6;
    println!("  building {} {way}: 16 MiB in {took:.1?}, {rate:.1} MB/s", building.number());
}

async fn closing(lab: &Lab) -> Outcome {
    let journal = lab.journal();
    let client = Client::new()?;
    let tunnel = dial(&client, Building::THREE).await?;
    let began = Instant::now();
    tunnel.close().await;
    assert!(began.elapsed() < Duration::from_secs(2), "closing took {:?}", began.elapsed());
    hung_up_cleanly(&journal, Building::THREE).await
}

async fn dropping(lab: &Lab) -> Outcome {
    let journal = lab.journal();
    let client = Client::new()?;
    let tunnel = dial(&client, Building::FOUR).await?;
    let socket = tunnel.tcp_connect(Building::FOUR.device(7)).await?;
    drop(tunnel);
    assert!(!Building::FOUR.lines(&journal).iter().any(|line| line.contains("TermReq")));
    drop(socket);
    hung_up_cleanly(&journal, Building::FOUR).await
}

/// The server was told at every layer, in the right order, and did not have to find out by itself.
pub(crate) async fn hung_up_cleanly(
    journal: &pptp_interop::Journal,
    building: Building,
) -> Outcome {
    const LIMIT: Duration = Duration::from_secs(10);
    journal.wait_for(building, "control connection finished", LIMIT).await?;
    journal.wait_for(building, "Connection terminated.", LIMIT).await?;
    // one after the other, and waited for: the last lines of an earlier trial may come first
    let wanted = ["rcvd [LCP TermReq", "LCP terminated by peer", "sent [LCP TermAck"];
    let deadline = Instant::now() + LIMIT;
    let lines = loop {
        let lines = building.lines(journal);
        let mut later = lines.iter();
        if wanted.iter().all(|wanted| later.any(|line| line.contains(wanted))) {
            break lines;
        }
        assert!(Instant::now() < deadline, "pppd did not log {wanted:?} in turn: {lines:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    for unclean in ["EOF or bad error", "Peer not responding", "No response to"] {
        assert!(!lines.iter().any(|line| line.contains(unclean)), "{unclean}: {lines:#?}");
    }
    Ok(())
}

async fn server_ends(lab: &Lab) -> Outcome {
    let client = Client::new()?;
    let tunnel = dial(&client, Building::FOUR).await?;
    let mut echo = tunnel.tcp_connect(Building::FOUR.device(7)).await?;
    echo.write_all(b"x").await?;
    assert_eq!(echo.read_u8().await?, b'x');
    lab.end_connections(Building::FOUR)?;
    let reason = tunnel.closed().await;
    let refused =
        echo.read_u8().await.err().ok_or("a socket of a tunnel that is down gave octets")?;
    println!("  {reason}; the socket says: {refused}");
    assert!(tunnel.tcp_connect(Building::FOUR.device(7)).await.is_err());
    Ok(())
}

/// Delay is added on the way, so that what a round trip costs outweighs what the guest costs.
/// Best of three: on a busy machine pppd may take longer to start than our first request waits
async fn round_trips(lab: &Lab) -> Outcome {
    const ROUND_TRIP: Duration = Duration::from_millis(300);
    let _delay = lab.delay(Building::THREE, ROUND_TRIP)?;
    let client = Client::new()?;
    let mut lost = Duration::MAX;
    for _ in 0..3 {
        let tunnel = dial(&client, Building::THREE).await?;
        let info = tunnel.info();
        println!("  {} round trips of {ROUND_TRIP:?} in {:?}", info.round_trips, info.connect_time);
        let wire = ROUND_TRIP * u32::from(info.round_trips);
        assert!(info.connect_time >= wire, "fewer round trips than counted");
        lost = lost.min(info.connect_time.saturating_sub(wire));
        tunnel.close().await;
    }
    assert!(lost < ROUND_TRIP * 2, "{lost:?} were lost beside the round trips");
    Ok(())
}

async fn users(_: &Lab) -> Outcome {
    let client = Client::new()?;
    let server = Building::ONE.server().to_string();
    for (user, password) in [("BUILDING\\testuser", PASSWORD), ("flat", "p@ss wörd")] {
        let connected = client.connect(TunnelConfig::new(server.clone(), user, password)).await;
        let tunnel = connected.map_err(|error| format!("{user}: {error}"))?;
        // Not a ping: for some milliseconds after IPCP pppd drops what comes, and nothing repeats a ping.
        get(tunnel.tcp_connect(Building::ONE.device(80)).await?, "/").await?;
        tunnel.close().await;
    }
    Ok(())
}
