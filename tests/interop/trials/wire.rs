//! A session as Wireshark's dissectors see it.

use std::time::Duration;

use libtest_mimic::Trial;
use pptp::Client;
use pptp_interop::{Building, Capture, DEVICE, Lab, Outcome, Recording, get, trial};

use crate::{PATIENCE, dial};

/// Severities in Wireshark: what is a warning or worse
const WARNINGS: &str = "_ws.expert.severity >= 0x00600000";

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("tshark_finds_nothing_malformed_and_every_message_of_a_session", session)]
}

async fn session(_: &Lab) -> Outcome {
    let server = Building::ONE.server();
    let recording = Recording::start(&format!("host {server}")).await?;
    let client = Client::new()?;
    let tunnel = dial(&client, Building::ONE).await?;
    get(tunnel.tcp_connect(Building::ONE.device(80)).await?, "/16M").await?;
    tunnel.ping(DEVICE, PATIENCE).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    tunnel.close().await;
    let capture = recording.stop().await?;
    check_form(&capture, &format!("ip.src != {server}"))?;
    check_messages(&capture)?;
    check_sequence_numbers(&capture, &format!("ip.src != {server}"))
}

fn check_form(capture: &Capture, ours: &str) -> Outcome {
    let malformed = capture.fields("_ws.malformed", &["frame.number", "_ws.malformed"])?;
    assert!(malformed.is_empty(), "malformed: {malformed:?}");
    let warnings = capture
        .fields(&format!("{ours} && {WARNINGS}"), &["frame.number", "_ws.expert.message"])?;
    println!("  {} expert warnings in what we sent", warnings.len());
    assert!(warnings.is_empty(), "{warnings:?}");
    Ok(())
}

/// The whole life of a control connection and its call, in the RFC's message types
fn check_messages(capture: &Capture) -> Outcome {
    let messages = capture.fields("pptp", &["pptp.control_message_type"])?;
    let messages: Vec<_> = messages.iter().flatten().flat_map(|types| types.split(',')).collect();
    println!("  control messages: {}", messages.join(" "));
    let without_link_info: Vec<_> =
        messages.into_iter().filter(|message| *message != "15").collect();
    // pptpd answers the Call-Clear-Request by the end of the TCP connection
    assert_eq!(without_link_info, ["1", "2", "7", "8", "12"]);
    Ok(())
}

/// Each datagram that we sent with a payload has the number after the one before, from 0 or 1 on.
fn check_sequence_numbers(capture: &Capture, ours: &str) -> Outcome {
    let numbers = capture
        .fields(&format!("{ours} && gre.flags.sequence_number == 1"), &["gre.sequence_number"])?;
    let numbers: Vec<u32> =
        numbers.iter().flatten().map(|number| number.parse()).collect::<Result<_, _>>()?;
    assert!(numbers.len() > 100, "only {} datagrams", numbers.len());
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "gaps or repeats: {numbers:?}");
    Ok(())
}
