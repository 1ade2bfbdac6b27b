//! The flight recorder and captures, as Wireshark's dissectors see them.

use libtest_mimic::Trial;
use pptp::{Client, TunnelConfig, record::FlightRecord};
use pptp_interop::{Building, Capture, DEVICE, Lab, Outcome, Recording, USER, get, trial};
use tokio::io::AsyncReadExt;

use crate::{config, dial};

/// Severities in Wireshark: what is a warning or worse
const WARNINGS: &str = "_ws.expert.severity >= 0x00600000";
/// What the recorder keeps of PPP
const FRAMES: &str = "(lcp || chap || ccp || ipcp) && !(lcp && ppp.code >= 9 && ppp.code <= 11)";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("tshark_dissects_the_record_of_a_connect_as_the_wire_had_it", connect),
        trial("the_record_of_a_wrong_password_holds_nothing_of_the_response", wrong_password),
        trial("tshark_reads_HTTP_in_a_capture_of_the_inside", inside),
    ]
}

/// The frames on record have the addresses, Call IDs, sequence numbers and order that tcpdump saw.
async fn connect(_: &Lab) -> Outcome {
    let server = Building::THREE.server();
    let wire = Recording::start(&format!("host {server}")).await?;
    let client = Client::new()?;
    let tunnel = dial(&client, Building::THREE).await?;
    get(tunnel.tcp_connect(Building::THREE.device(80)).await?, "/").await?;
    let record = tunnel.flight_record();
    let wire = wire.stop().await?;
    tunnel.close().await;
    let recorded = dissected(&record)?;
    let messages = recorded.fields("pptp", &["tcp.port", "pptp.control_message_type"])?;
    let types: Vec<_> = messages.iter().map(|message| message[1].as_str()).collect();
    println!("  control messages on record: {}", types.join(" "));
    assert_eq!(types[..4], ["1", "2", "7", "8"]);
    assert_eq!(messages, wire.fields("pptp", &["tcp.port", "pptp.control_message_type"])?);
    let fields = ["ip.src", "ip.dst", "gre.key.call_id", "gre.sequence_number", "frame.protocols"];
    let [recorded, wire] = [recorded.fields(FRAMES, &fields)?, wire.fields(FRAMES, &fields)?];
    println!("  {} PPP frames on record, {} on the wire", recorded.len(), wire.len());
    for protocol in ["lcp", "chap", "ccp", "ipcp"] {
        assert!(recorded.iter().any(|frame| frame[4].ends_with(protocol)), "{recorded:?}");
    }
    let of = |frames: &[Vec<String>], from: &str| {
        let sent = frames.iter().filter(|frame| frame[0] == from).map(|frame| {
            let protocol = frame[4].rsplit(':').next().unwrap_or_default().to_owned();
            (frame[1..4].to_vec(), protocol)
        });
        sent.collect::<Vec<_>>()
    };
    for from in [server.to_string(), recorded[0][0].clone(), recorded[0][1].clone()] {
        assert_eq!(of(&recorded, &from), of(&wire, &from));
    }
    Ok(())
}

/// A record as a file that tshark finds nothing wrong with
fn dissected(record: &FlightRecord) -> Result<Capture, libtest_mimic::Failed> {
    let capture = Capture::of(&record.pcapng())?;
    let wrong = format!("_ws.malformed || ({WARNINGS})");
    let wrong = capture.fields(&wrong, &["frame.number", "_ws.expert.message"])?;
    assert!(wrong.is_empty(), "{wrong:?}");
    Ok(capture)
}

async fn wrong_password(_: &Lab) -> Outcome {
    let server = Building::FOUR.server();
    let wire = Recording::start(&format!("host {server}")).await?;
    let client = Client::new()?;
    let mut connecting =
        client.connect(TunnelConfig::new(server.to_string(), USER, "Mellon42").name("b4"));
    let error = (&mut connecting).await.err().ok_or("a tunnel came up")?;
    let record = connecting.flight_record();
    client.wait_idle().await;
    let wire = wire.stop().await?;
    let seen = wire.fields("chap.code == 2", &["chap.value"])?;
    let response = octets(&seen.first().ok_or("no Response on the wire")?[0]);
    assert_eq!(response.len(), 49, "a Response of MS-CHAPv2");
    let (challenge, proof) = (&response[..16], &response[24..48]);
    let file = record.pcapng();
    let utf_16: Vec<u8> = "Mellon42".bytes().flat_map(|octet| [octet, 0]).collect();
    for secret in [challenge, proof, b"Mellon42", &utf_16] {
        let parts = secret.windows(8);
        assert!(parts.clone().count() > 0);
        for part in parts {
            assert!(!file.windows(8).any(|some| some == part), "{part:02x?} is on record");
        }
    }
    let recorded = dissected(&record)?;
    let told = recorded.fields("chap", &["chap.code", "frame.comment"])?;
    println!("  CHAP on record: {told:?}");
    let codes: Vec<_> = told.iter().map(|frame| frame[0].as_str()).collect();
    assert_eq!(codes, ["1", "2", "4"]);
    assert!(told[1][1].contains("secret") && told[2].len() < 2 || told[2][1].is_empty());
    let comment = String::from_utf8_lossy(&file).into_owned();
    assert!(comment.contains(&error.to_string()), "the file tells the failure");
    Ok(())
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().filter_map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

async fn inside(_: &Lab) -> Outcome {
    let client = Client::new()?;
    let tunnel = client.connect(config(Building::ONE)).await?;
    let mut capture = tunnel.capture();
    let reading = tokio::spawn(async move {
        let mut file = Vec::new();
        capture.read_to_end(&mut file).await.map(|_| file)
    });
    get(tunnel.tcp_connect(Building::ONE.device(80)).await?, "/").await?;
    get(tunnel.tcp_connect(Building::ONE.device(80)).await?, "/16M").await?;
    tunnel.close().await;
    let file = reading.await??;
    let (address, passed) = (tunnel.info().inner_address, tunnel.stats().tunnel);
    let capture = Capture::of(&file)?;
    let wrong = capture.fields("_ws.malformed", &["frame.number", "_ws.expert.message"])?;
    assert!(wrong.is_empty(), "{wrong:?}");
    let way = ["ip.src", "frame.packet_flags_direction"];
    // On a busy machine either end may send such a segment again before its ACK is there (RFC 8985
    // §7, tail loss probe); tshark then reads the same message twice.
    let mut asked = capture.fields("http.request.uri == \"/\"", &way)?;
    asked.dedup();
    assert_eq!(asked, [[address.to_string(), "0x00000002".into()]]);
    let mut answered =
        capture.fields("http.response.code == 200 && http.content_length < 100", &way)?;
    answered.dedup();
    assert_eq!(answered, [[DEVICE.to_string(), "0x00000001".into()]]);
    assert!(file.windows(11).any(|some| some == b"building 1\n"));
    let packets = capture.fields("ip", &["frame.number"])?.len();
    println!("  {packets} packets, {} octets of pcapng", file.len());
    assert_eq!(packets as u64, passed.ip_received + passed.ip_sent, "all that passed");
    Ok(())
}
