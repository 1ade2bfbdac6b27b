//! The forwards of `pptp-connector run`, used by the programs that the book names.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp_interop::{
    Building, Daemon, Journal, Lab, Outcome, PASSWORD, Program, USER, download, get, sha256, trial,
    upload,
};
use pptp_test_support::knx;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep, timeout};

use crate::buildings::hung_up_cleanly;

const SITES: [Building; 2] = [Building::ONE, Building::TWO];
/// What is forwarded in each site: the device's port, and the local port for the first site; that
/// of the second is one higher.
const HTTP: Forward = Forward { protocol: "tcp", device: 80, local: 8010 };
const IPERF: Forward = Forward { protocol: "tcp", device: 5201, local: 8020 };
const IPERF_UDP: Forward = Forward { protocol: "udp", device: 5201, local: 8020 };
const SINK: Forward = Forward { protocol: "tcp", device: 9, local: 8030 };
const LAST_WORD: Forward = Forward { protocol: "tcp", device: 10, local: 8040 };
const KNX: Forward = Forward { protocol: "udp", device: 3671, local: 3671 };
const FORWARDS: [Forward; 6] = [HTTP, IPERF, IPERF_UDP, SINK, LAST_WORD, KNX];
const LIMIT: Duration = Duration::from_mins(1);

#[derive(Clone, Copy)]
struct Forward {
    protocol: &'static str,
    device: u16,
    local: u16,
}

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("curl_through_the_connector_both_ways", curl),
        trial("iperf3_through_the_connector_both_ways_in_tcp_and_udp", iperf3),
        trial("two_knx_clients_at_once_through_the_connector", knx),
        trial("knxd_tunnels_through_the_connector", knxd),
        trial("half_closed_connections_through_the_connector_both_ways", half_closed),
        trial("the_connector_redials_when_a_site_was_lost", redial),
        trial("a_lost_site_resets_what_the_connector_forwards", broken_download),
        trial("ctrl_c_makes_the_connector_hang_up_cleanly", ctrl_c),
        trial("sigterm_makes_the_connector_hang_up_cleanly", terminated),
        trial("the_connector_refuses_wrong_configurations", wrong_configurations),
    ]
}

async fn curl(_: &Lab) -> Outcome {
    let _connector = connected().await?;
    for site in SITES {
        let url = format!("http://{}", HTTP.local(site));
        let number = site.number();
        assert_eq!(curl_body(&[&format!("{url}/")])?, format!("building {number}\n").as_bytes());
        assert_eq!(sha256(&curl_body(&[&format!("{url}/16M")])?), sha256(&download(number)));
        let file = std::env::temp_dir().join(format!("pptp-interop-upload-{number}"));
        std::fs::write(&file, upload(number))?;
        let answer = curl_body(&["-T", &file.to_string_lossy(), &format!("{url}/upload")]);
        std::fs::remove_file(&file)?;
        assert_eq!(String::from_utf8(answer?)?.trim_end(), sha256(&upload(number)));
    }
    Ok(())
}

fn curl_body(arguments: &[&str]) -> Result<Vec<u8>, Failed> {
    let output =
        Command::new("curl").args(["-sS", "--fail", "-m", "60"]).args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(output.stdout) } else { Err(format!("curl: {said}").into()) }
}

async fn iperf3(_: &Lab) -> Outcome {
    let _connector = connected().await?;
    let udp = ["-u", "-b", "2M", "-l", "1200"];
    for (name, options) in [("tcp", &[][..]), ("udp", &udp)] {
        for way in ["up", "down"] {
            let reverse: &[&str] = if way == "down" { &["-R"] } else { &[] };
            let report = iperf3_report(&[options, reverse].concat()).await?;
            assert!(report["error"].is_null(), "{name} {way}: {}", report["error"]);
            let sum = if name == "udp" { "sum" } else { "sum_received" };
            let rate = report["end"][sum]["bits_per_second"].as_f64().unwrap_or_default() / 1e6;
            println!("  iperf3 {name} {way}: {rate:.1} Mbit/s");
            assert!(rate > 1.0, "{report}");
        }
    }
    Ok(())
}

/// Three seconds of iperf3, which has to be asked again while its server clears up after the last test
///
/// That server refuses whoever comes too early, in three of sixty tests in a row over the loopback
/// alone, and resets the connection with the refusal still on its way.
async fn iperf3_report(options: &[&str]) -> Result<serde_json::Value, Failed> {
    let mut attempts = 0;
    loop {
        let mut command = Command::new("iperf3");
        command.args(["-c", "127.0.0.1", "-t", "3", "--json", "-p", &IPERF.local.to_string()]);
        command.args(options);
        let printed = Program::run(command, LIMIT).await?.printed;
        let report: serde_json::Value = serde_json::from_str(&printed)?;
        attempts += 1;
        let has_begun = report["intervals"].as_array().is_some_and(|them| !them.is_empty());
        if report["error"].is_null() || has_begun || attempts == 3 {
            return Ok(report);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Each local peer has a socket of its own in the tunnel, so each has its own answers.
async fn knx(_: &Lab) -> Outcome {
    let _connector = connected().await?;
    let description = |site| async move {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        describe(&socket, KNX.local(site)).await
    };
    let [one, two] = SITES;
    let names = tokio::try_join!(description(one), description(one), description(two))?;
    assert_eq!(names, ("building-1".to_owned(), "building-1".to_owned(), "building-2".to_owned()));
    Ok(())
}

/// The device's friendly name, asked by a KNXnet/IP `DESCRIPTION_REQUEST` with "route back"
async fn describe(socket: &UdpSocket, server: SocketAddr) -> Result<String, Failed> {
    socket.send_to(&knx::DESCRIPTION_REQUEST, server).await?;
    let mut answer = [0; 512];
    let (length, _) = timeout(Duration::from_secs(10), socket.recv_from(&mut answer)).await??;
    let name = knx::friendly_name(&answer[..length]);
    name.ok_or_else(|| format!("no DESCRIPTION_RESPONSE: {:?}", &answer[..length]).into())
}

/// knxd itself as the client: it opens a tunnelling connection to the building's knxd.
async fn knxd(_: &Lab) -> Outcome {
    let _connector = connected().await?;
    let socket = std::env::temp_dir().join(format!("pptp-interop-knx-{}", std::process::id()));
    let mut command = Command::new("knxd");
    // 0.0.0.0:0 for its own address and port is "route back", the way to talk through forwards and NATs.
    let server = format!("iptn:127.0.0.1:{}:0:0.0.0.0:0", KNX.local);
    command.args(["-e", "1.1.20", "-E", "1.1.21:2", "-u"]).arg(&socket);
    command.args(["-f", "9", "-t", "0xffff", "-B", "single", "-b", &server]);
    let mut client = Program::start(command)?;
    // a CONNECT_RESPONSE: its eighth octet, behind the channel, is the status
    let connected = client.wait_for("06 10 02 06 00 14 ", Duration::from_secs(10)).await;
    let _ = std::fs::remove_file(&socket);
    connected?;
    let printed = client.printed();
    let response = printed.split("06 10 02 06 00 14 ").nth(1).unwrap_or_default();
    assert_eq!(response.split_whitespace().nth(1), Some("00"), "{response}");
    Ok(())
}

async fn half_closed(_: &Lab) -> Outcome {
    let _connector = connected().await?;
    for site in SITES {
        let octets = upload(site.number());
        let mut sink = TcpStream::connect(SINK.local(site)).await?;
        sink.write_all(&octets[..1 << 20]).await?;
        sink.shutdown().await?;
        let mut answer = String::new();
        timeout(LIMIT, sink.read_to_string(&mut answer)).await??;
        assert_eq!(answer.trim_end(), sha256(&octets[..1 << 20]));
        last_word(site, &octets[..1 << 20]).await?;
    }
    Ok(())
}

/// The device closes its half at once, and still hears all that we say afterwards.
async fn last_word(site: Building, octets: &[u8]) -> Outcome {
    let mut stream = TcpStream::connect(LAST_WORD.local(site)).await?;
    let mut greeting = String::new();
    timeout(LIMIT, stream.read_to_string(&mut greeting)).await??;
    assert_eq!(greeting, format!("building {}\n", site.number()));
    stream.write_all(octets).await?;
    stream.shutdown().await?;
    drop(stream);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let heard = get(TcpStream::connect(HTTP.local(site)).await?, "/10").await?;
        if String::from_utf8_lossy(&heard).trim_end() == sha256(octets) {
            return Ok(());
        }
        assert!(Instant::now() < deadline, "the device heard something else");
        sleep(Duration::from_millis(100)).await;
    }
}

async fn redial(lab: &Lab) -> Outcome {
    let connector = connected().await?;
    let printed = connector.program().printed().len();
    lab.end_connections(Building::ONE)?;
    sleep(Duration::from_millis(500)).await;
    answers(&connector, Building::ONE).await?;
    let told = connector.program().printed().split_off(printed);
    println!("  it printed: {}", told.trim_end().replace('\n', "\n              "));
    assert!(told.contains("b1") && !told.contains("b2"), "{told}");
    Ok(())
}

/// A download over HTTP/1.0 ends with its connection: one that broke must not look complete.
async fn broken_download(lab: &Lab) -> Outcome {
    let _connector = connected().await?;
    let mut stream = TcpStream::connect(HTTP.local(Building::ONE)).await?;
    stream.write_all(b"GET /16M HTTP/1.0\r\n\r\n").await?;
    stream.read_exact(&mut vec![0; 64 << 10]).await?;
    lab.end_connections(Building::ONE)?;
    let rest = timeout(LIMIT, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await?;
    let told = rest.map_err(|error| error.kind());
    assert_eq!(told, Err(std::io::ErrorKind::ConnectionReset));
    Ok(())
}

async fn ctrl_c(lab: &Lab) -> Outcome {
    let connector = connected().await?;
    let journal = lab.journal();
    connector.program().interrupt()?;
    hung_up(connector, &journal).await
}

async fn terminated(lab: &Lab) -> Outcome {
    let connector = connected().await?;
    let journal = lab.journal();
    connector.program().terminate()?;
    hung_up(connector, &journal).await
}

async fn hung_up(connector: Daemon, journal: &Journal) -> Outcome {
    let finished = connector.finish(Duration::from_secs(10)).await?;
    assert!(finished.status.success(), "{}: {}", finished.status, finished.printed);
    for site in SITES {
        let told = format!("b{}: down: Closed", site.number());
        assert!(finished.printed.contains(&told), "no {told:?} in: {}", finished.printed);
        hung_up_cleanly(journal, site).await?;
    }
    Ok(())
}

/// Each is refused with its words before anything is dialled: by `run --strict`, and by what reads it beforehand
async fn wrong_configurations(_: &Lab) -> Outcome {
    let of_b1 = |keys: &str| format!("[[site.b1.forward]]\n{keys}\n");
    let run: &[&str] = &["run", "--strict"];
    for (arguments, wrong, told, code) in [
        (run, "[[site.nowhere.forward]]\nto = 'tcp:192.168.1.3:80'\n".into(), "nowhere", 2),
        (run, of_b1("to = 'no target'"), "no target", 2),
        (run, of_b1("to = 'tcp:192.168.1.3:0'"), "tcp:192.168.1.3:0", 2),
        (run, HTTP.table(SITES[0]), "127.0.0.1:8010 is taken", 2),
        (
            run,
            of_b1("to = 'tcp:192.168.1.3:80'\nlisten = '192.0.2.1:80'\nclients = ['192.0.2.0/24']"),
            "192.0.2.1:80",
            1,
        ),
        (run, "[site.b3]\n".into(), "b3", 2),
        (&["check"], of_b1("to = 'no target'"), "no target", 2),
        (
            &["check", "--secrets"],
            "[site.b3]\nserver = '10.99.0.13'\npassword = { file = '/no/such/file' }\n".into(),
            "/no/such/file",
            2,
        ),
    ] {
        let finished = Daemon::run_alone(&(configuration() + &wrong), arguments).await?;
        assert_eq!(finished.status.code(), Some(code), "{wrong:?}: {}", finished.printed);
        // the first line of a daemon that has begun names its control socket
        let has_begun = finished.printed.contains(", control socket ");
        assert!(finished.printed.contains(told) && !has_begun, "{}", finished.printed);
    }
    Ok(())
}

impl Forward {
    fn local(self, site: Building) -> SocketAddr {
        let offset = u16::from(site != Building::ONE);
        (Ipv4Addr::LOCALHOST, self.local + offset).into()
    }

    /// This forward of a site, as its configuration has it
    fn table(self, site: Building) -> String {
        let Self { protocol, device, .. } = self;
        let (number, listen, target) = (site.number(), self.local(site), site.device(device));
        format!("[[site.b{number}.forward]]\nlisten = '{listen}'\nto = '{protocol}:{target}'\n")
    }
}

fn configuration() -> String {
    let mut text = format!("[defaults]\nuser = '{USER}'\npassword = '{PASSWORD}'\n");
    for site in SITES {
        let _ = write!(text, "[site.b{}]\nserver = '{}'\n", site.number(), site.server());
        text.extend(FORWARDS.map(|forward| forward.table(site)));
    }
    text
}

/// A daemon whose sites all answer
async fn connected() -> Result<Daemon, Failed> {
    let connector = Daemon::start(&configuration())?;
    for site in SITES {
        answers(&connector, site).await?;
    }
    Ok(connector)
}

/// Wait until the device of `site` answers through `connector`.
async fn answers(connector: &Daemon, site: Building) -> Outcome {
    let printed = || connector.program().printed();
    answers_at(HTTP.local(site), site).await.map_err(|failed| {
        let told = failed.message().unwrap_or_default();
        format!("{told}; the connector printed:\n{}", printed()).into()
    })
}

/// Wait until the device of `site` answers at a local address.
pub(crate) async fn answers_at(local: SocketAddr, site: Building) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let body = async { get(TcpStream::connect(local).await?, "/").await };
        if let Ok(Ok(body)) = timeout(Duration::from_secs(5), body).await {
            assert_eq!(String::from_utf8(body)?, format!("building {}\n", site.number()));
            return Ok(());
        }
        sleep(Duration::from_millis(100)).await;
    }
    Err(format!("site b{} does not answer", site.number()).into())
}
