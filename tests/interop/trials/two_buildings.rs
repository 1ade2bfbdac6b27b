//! The example `two_buildings`, run as the README says.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp_interop::{Building, Example, Lab, Outcome, PASSWORD, Program, USER, trial};
use serde_json::Value;

use crate::buildings::hung_up_cleanly;

const LIMIT: Duration = Duration::from_mins(1);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_example_two_buildings_tells_each_building_in_json", json),
        trial("the_example_two_buildings_tells_each_phase_and_building_in_words", words),
        trial("the_example_two_buildings_fails_with_a_wrong_password", wrong_password),
        trial("the_example_two_buildings_refuses_wrong_arguments", wrong_arguments),
    ]
}

async fn json(lab: &Lab) -> Outcome {
    let journal = lab.journal();
    let buildings = [Building::ONE, Building::TWO, Building::CHATTY];
    let mut command = two_buildings(&buildings, PASSWORD)?;
    command.arg("--json");
    let finished = Program::run(command, LIMIT).await?;
    assert!(finished.status.success(), "{}", finished.printed);
    let objects = finished.objects();
    assert_eq!(objects.len(), buildings.len(), "{}", finished.printed);
    for building in buildings {
        check_object(building, of(&objects, building)?);
        hung_up_cleanly(&journal, building).await?;
    }
    Ok(())
}

/// The object that tells about `building`
fn of(objects: &[Value], building: Building) -> Result<&Value, Failed> {
    let server = building.server().to_string();
    let told = objects.iter().find(|object| {
        object["server"]
            .as_str()
            .is_some_and(|told| told.split(':').next() == Some(server.as_str()))
    });
    told.ok_or_else(|| format!("nothing about {server}").into())
}

fn check_object(building: Building, object: &Value) {
    let number = building.number();
    let fields = [
        "server",
        "inner_address",
        "dns",
        "mtu",
        "connect_ms",
        "round_trips",
        "http_body",
        "knx_name",
        "dns_txt",
        "ping_ms",
        "error",
    ];
    for field in fields {
        assert!(object.get(field).is_some(), "no {field} in {object}");
    }
    let inner: Option<Ipv4Addr> =
        object["inner_address"].as_str().and_then(|told| told.parse().ok());
    assert!(inner.is_some_and(|inner| inner.octets().starts_with(&[192, 168, 1])), "{object}");
    assert!(
        object["dns"].as_array().is_some_and(|dns| dns.contains(&"192.168.1.1".into())),
        "{object}"
    );
    assert!(object["mtu"].as_u64().is_some_and(|mtu| (1000..=1500).contains(&mtu)), "{object}");
    assert!(object["connect_ms"].as_f64().is_some_and(|took| took > 0.0), "{object}");
    assert!(
        object["round_trips"].as_u64().is_some_and(|count| (5..=10).contains(&count)),
        "{object}"
    );
    assert_eq!(
        object["http_body"].as_str().map(str::trim_end),
        Some(format!("building {number}").as_str())
    );
    assert_eq!(object["knx_name"], format!("building-{number}"));
    let building = format!("building-{number}");
    assert!(
        object["dns_txt"] == building || object["dns_txt"] == serde_json::json!([building]),
        "{object}"
    );
    let pings = object["ping_ms"]
        .as_array()
        .map_or(0, |pings| pings.iter().filter(|ping| ping.is_number()).count());
    assert_eq!(pings, 3, "{object}");
    assert!(object["error"].is_null(), "{object}");
}

async fn words(_: &Lab) -> Outcome {
    let finished =
        Program::run(two_buildings(&[Building::ONE, Building::TWO], PASSWORD)?, LIMIT).await?;
    assert!(finished.status.success(), "{}", finished.printed);
    for told in [
        "building 1",
        "building 2",
        "building-1",
        "building-2",
        "10.99.0.11",
        "10.99.0.12",
        "192.168.1.1",
    ] {
        assert!(finished.printed.contains(told), "no {told} in: {}", finished.printed);
    }
    Ok(())
}

async fn wrong_password(_: &Lab) -> Outcome {
    let mut command = two_buildings(&[Building::ONE, Building::TWO], "wrong")?;
    command.arg("--json");
    let finished = Program::run(command, LIMIT).await?;
    assert!(!finished.status.success(), "{}", finished.printed);
    for building in [Building::ONE, Building::TWO] {
        let objects = finished.objects();
        let error = of(&objects, building)?["error"].to_string();
        assert!(error.contains("AuthFailed") && error.contains("691"), "{error}");
    }
    Ok(())
}

async fn wrong_arguments(_: &Lab) -> Outcome {
    let mut command = Example::TwoBuildings.command()?;
    command.arg("--no-such-option");
    let finished = Program::run(command, LIMIT).await?;
    assert_eq!(finished.status.code(), Some(2));
    assert!(
        finished.printed.contains("--no-such-option") && finished.printed.contains("Usage"),
        "{}",
        finished.printed
    );
    Ok(())
}

fn two_buildings(buildings: &[Building], password: &str) -> Result<Command, Failed> {
    let mut command = Example::TwoBuildings.command()?;
    for building in buildings {
        command.args(["--server", &building.server().to_string()]);
    }
    command.args(["--user", USER, "--password", password]);
    Ok(command)
}
