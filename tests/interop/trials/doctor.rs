//! The example `doctor` against what goes wrong in the field: each time it names the layer at fault.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use pptp_interop::{Building, Example, Lab, Nft, Outcome, PASSWORD, Program, USER, trial};
use serde_json::Value;

/// The host of the tests themselves, where no PPTP server is
const HERE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// A connect's 30 s, the search for the largest packet, the target and the hang-up
const LIMIT: Duration = Duration::from_secs(90);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_doctor_finds_a_live_server_well_and_a_knx_device_behind_it", live),
        trial("the_doctor_names_a_name_that_does_not_resolve", no_name),
        trial("the_doctor_names_a_closed_port", closed_port),
        trial("the_doctor_names_a_filtered_port", filtered_port),
        trial("the_doctor_names_a_web_server", web_server),
        trial("the_doctor_names_GRE_lost_on_its_way_in", gre_lost_inbound),
        trial("the_doctor_names_GRE_lost_on_its_way_out", gre_lost_outbound),
        trial("the_doctor_names_a_packet_filter_that_answers_EPERM", gre_forbidden),
        trial("the_doctor_names_a_stateful_packet_filter_without_the_helper", stateful_filter),
        trial("the_doctor_names_a_wrong_password", wrong_password),
        trial("the_doctor_names_a_server_that_authenticates_weakly", weak_authentication),
        trial("the_doctor_names_a_server_that_does_not_encrypt_as_required", weak_encryption),
        trial("the_doctor_finds_the_largest_packet_of_a_path_with_a_hole", black_hole),
        trial("the_doctor_names_a_target_that_is_closed", closed_target),
    ]
}

async fn live(_: &Lab) -> Outcome {
    let diagnosis =
        examine(Building::ONE.server(), PASSWORD, &["--target", "knx:192.168.1.3"]).await?;
    assert_eq!(diagnosis.code, 0, "{diagnosis:?}");
    for (step, wanted) in [
        ("control-connection", "vendor \"linux\""),
        ("authentication", "chosen MS-CHAPv2"),
        ("encryption", "chosen +H+S (128 bits, stateless)"),
        ("largest-packet", "the tunnel's MTU"),
        ("target", "\"building-1\""),
    ] {
        let finding = diagnosis.of(step)?;
        assert_eq!(finding["verdict"], "passed", "{finding}");
        assert!(finding["seen"].as_str().is_some_and(|seen| seen.contains(wanted)), "{finding}");
    }
    Ok(())
}

async fn no_name(_: &Lab) -> Outcome {
    examine("no.such.server.invalid", PASSWORD, &["--timeout", "8"]).await?.names("name", 11)
}

async fn closed_port(_: &Lab) -> Outcome {
    examine(HERE, PASSWORD, &[]).await?.names("tcp", 12)
}

async fn filtered_port(_: &Lab) -> Outcome {
    let _lost = Nft::lose_tcp_from(Building::TWO.server())?;
    examine(Building::TWO.server(), PASSWORD, &["--timeout", "4"]).await?.names("tcp", 12)
}

async fn web_server(_: &Lab) -> Outcome {
    let mut python = Command::new("python3");
    python.args(["-u", "-m", "http.server", "1723", "--bind", &HERE.to_string()]);
    let mut server = Program::start(python)?;
    server.wait_for("Serving HTTP", Duration::from_secs(20)).await?;
    examine(HERE, PASSWORD, &[]).await?.names("control-connection", 13)
}

async fn gre_lost_inbound(_: &Lab) -> Outcome {
    let _lost = Nft::lose_gre_from(Building::TWO.server())?;
    let diagnosis = examine(Building::TWO.server(), PASSWORD, &[]).await?;
    assert!(diagnosis.took < Duration::from_secs(25), "{diagnosis:?}");
    diagnosis.names("gre-in", 15)
}

async fn gre_lost_outbound(_: &Lab) -> Outcome {
    let _lost = Nft::lose_gre_on_the_way_to(Building::TWO.server())?;
    let diagnosis = examine(Building::TWO.server(), PASSWORD, &["--timeout", "15"]).await?;
    assert_eq!(diagnosis.of("gre-in")?["verdict"], "passed", "{diagnosis:?}");
    diagnosis.names("gre-out", 15)
}

async fn gre_forbidden(_: &Lab) -> Outcome {
    let _forbidden = Nft::forbid_gre_to(Building::TWO.server())?;
    let diagnosis = examine(Building::TWO.server(), PASSWORD, &[]).await?;
    let advice = diagnosis.of("gre-out")?["advice"].as_str().unwrap_or_default().to_owned();
    assert!(advice.contains("this machine's own packet filter"), "{advice}");
    diagnosis.names("gre-out", 15)
}

async fn stateful_filter(_: &Lab) -> Outcome {
    let _filter = Nft::let_in_only_established_from(Building::TWO.server())?;
    let diagnosis = examine(Building::TWO.server(), PASSWORD, &[]).await?;
    diagnosis.names("gre-in", 15)
}

async fn wrong_password(_: &Lab) -> Outcome {
    let diagnosis = examine(Building::ONE.server(), "Mellon42", &[]).await?;
    let finding = diagnosis.of("authentication")?;
    assert_eq!(finding["failure"]["codes"][0]["number"], 691, "{finding}");
    assert_eq!(finding["failure"]["retry"], "later");
    diagnosis.names("authentication", 17)
}

async fn weak_authentication(_: &Lab) -> Outcome {
    examine(Building::PAP_PLAIN.server(), PASSWORD, &[]).await?.names("authentication", 17)
}

async fn weak_encryption(_: &Lab) -> Outcome {
    examine(Building::MSCHAP2_PLAIN.server(), PASSWORD, &[]).await?.names("encryption", 18)?;
    examine(Building::MPPE40.server(), PASSWORD, &[]).await?.names("encryption", 18)
}

async fn black_hole(_: &Lab) -> Outcome {
    let _hole = Nft::lose_gre_above(1000, Building::TWO.server())?;
    let diagnosis = examine(Building::TWO.server(), PASSWORD, &[]).await?;
    let finding = diagnosis.of("largest-packet")?;
    let seen = finding["seen"].as_str().unwrap_or_default();
    let found = seen.split(' ').next().and_then(|octets| octets.parse::<u16>().ok());
    // 1000 less IP 20, GRE 12 or 16, PPP 4, MPPE 2 and the inner protocol's 2 or 1
    assert!(found.is_some_and(|octets| (950..=965).contains(&octets)), "{finding}");
    diagnosis.names("largest-packet", 20)
}

async fn closed_target(_: &Lab) -> Outcome {
    let target = ["--target", "tcp:192.168.1.3:81"];
    examine(Building::ONE.server(), PASSWORD, &target).await?.names("target", 21)
}

/// What the doctor printed, and how it ended
#[derive(Debug)]
struct Diagnosis {
    findings: Vec<Value>,
    code: i32,
    took: Duration,
}

impl Diagnosis {
    fn of(&self, step: &str) -> Result<&Value, Failed> {
        let finding = self.findings.iter().find(|finding| finding["step"] == step);
        finding.ok_or_else(|| format!("nothing of {step} was said: {self:?}").into())
    }

    /// This step is the first that failed, says what to do, and the exit code is its layer's.
    fn names(&self, step: &str, code: i32) -> Outcome {
        let failed = self.findings.iter().find(|finding| finding["verdict"] == "failed");
        let failed = failed.ok_or_else(|| format!("nothing failed: {self:?}"))?;
        println!("  after {:.1?}, exit code {}: {}", self.took, self.code, failed["seen"]);
        assert_eq!(failed["step"], step, "{self:?}");
        assert!(failed["advice"].is_string(), "{failed}");
        assert_eq!(self.code, code);
        Ok(())
    }
}

async fn examine(
    server: impl ToString,
    password: &str,
    more: &[&str],
) -> Result<Diagnosis, Failed> {
    let mut command = Example::Doctor.command()?;
    command.args(["--json", "--server", &server.to_string(), "--user", USER]);
    command.args(["--password", password]).args(more);
    let began = Instant::now();
    let finished = Program::run(command, LIMIT).await?;
    let code = finished.status.code().ok_or("it was killed")?;
    Ok(Diagnosis { findings: finished.objects(), code, took: began.elapsed() })
}
