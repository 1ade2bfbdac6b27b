//! What is printed, and what is written

use std::fmt::Write as _;

use super::{
    measure::{Measure, Sample},
    page::HEADING,
    scene::Scene,
};
use crate::measure::median;

/// A line a figure: scene, client, measure, median, unit, and the rounds it is of, separated by tabs
pub fn lines(samples: &[Sample]) -> String {
    let mut lines = String::new();
    for (scene, client) in clients(samples) {
        for measure in Measure::ALL {
            let values = values(samples, scene, &client, measure);
            if values.is_empty() {
                continue;
            }
            let rounds = values.iter().map(|value| number(*value)).collect::<Vec<_>>().join(" ");
            let (scene, name, unit) = (scene.name(), measure.name(), measure.unit());
            let value = number(median(values));
            let _ = writeln!(lines, "{scene}\t{client}\t{name}\t{value}\t{unit}\t{rounds}");
        }
    }
    lines
}

/// The section of PERFORMANCE.md; `machine` says what was measured on
pub fn section(samples: &[Sample], machine: &str) -> String {
    let clients = clients(samples);
    let mut section = format!("{}\n{HEAD}\n{machine}\n", HEADING.trim_start());
    let column = |(scene, client): &(Scene, String)| format!(" {}: {client} |", scene.name());
    let titles: String = clients.iter().map(column).collect();
    let _ = writeln!(section, "| |{titles}\n|---|{}", "---:|".repeat(clients.len()));
    for measure in Measure::ALL {
        let cell = |(scene, client): &(Scene, String)| {
            let values = values(samples, *scene, client, measure);
            format!(" {} |", spread(values).unwrap_or_else(|| "–".into()))
        };
        let cells: String = clients.iter().map(cell).collect();
        let _ = writeln!(section, "| {}, {} |{cells}", measure.title(), measure.unit());
    }
    section + "\n" + &worse(samples) + "\n" + NOTES
}

/// Where the connector is worse than what it stands beside
fn worse(samples: &[Sample]) -> String {
    let mut found = Vec::new();
    for (scene, client) in clients(samples).into_iter().filter(|(_, client)| !is_ours(client)) {
        for measure in Measure::ALL {
            let [ours, theirs] = ["connector", &client]
                .map(|client| median(values(samples, scene, client, measure)));
            if measure.is_worse(ours, theirs) {
                let (title, unit, times) = (measure.title(), measure.unit(), times(ours, theirs));
                let (ours, theirs) = (number(ours), number(theirs));
                found.push(format!(
                    "- {title}: {ours} {unit}, {client} {theirs} ({times:.1} times)\n"
                ));
            }
        }
    }
    if found.is_empty() { NOWHERE.into() } else { format!("{WORSE}\n\n{}", found.concat()) }
}

fn times(a: f64, b: f64) -> f64 {
    a.max(b) / a.min(b)
}

fn is_ours(client: &str) -> bool {
    matches!(client, "connector" | "library")
}

/// Each client of each scene, in the order of their first turns
fn clients(samples: &[Sample]) -> Vec<(Scene, String)> {
    let mut clients = Vec::new();
    for sample in samples {
        let client = (sample.scene, sample.client.clone());
        if !clients.contains(&client) {
            clients.push(client);
        }
    }
    clients
}

fn values(samples: &[Sample], scene: Scene, client: &str, measure: Measure) -> Vec<f64> {
    let is_it = |sample: &&Sample| {
        sample.scene == scene && sample.client == client && sample.measure == measure
    };
    samples.iter().filter(is_it).map(|sample| sample.value).collect()
}

/// The median, and the least and the most; `None` of no values
fn spread(values: Vec<f64>) -> Option<String> {
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let most = values.iter().copied().max_by(f64::total_cmp)?;
    let [least, most] = [least, most].map(number);
    Some(format!("{} ({least}–{most})", number(median(values))))
}

/// With as many digits as mean something
fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

const HEAD: &str = "\
Written by `benches/side-by-side`, and kept by `benches/report`. Medians of three rounds, with the least
and the most; in each round the clients of a scene took turns, and each moved sixteen MiB again and
again for two seconds each way.
";
const WORSE: &str = "Where the connector is worse than what it stands beside:";
const NOWHERE: &str = "The connector is worse than what it stands beside in none of these.\n";
const NOTES: &str = "\
What the figures include:

- **guest**: everything runs in User-Mode-Linux, where a system call costs many times what it does
  natively, and one processor is all there is. All clients connect to the same pptpd, which runs in
  another guest on the same machine. These are figures to compare, not what hardware would give.
- **connector** is `examples/connector.rs`, whose user comes in through a local port. Each octet
  passes the kernel's loopback on the way, which pptp-linux + pppd do not need: they give their user a
  network device. **library** is what the connector is made of, in the program that uses it: no
  loopback, and the user's own work is in its CPU. It is the measuring program started again, so that
  the program's text is shared with that one, and its private memory less than it would be alone.
- **up** is what the program says. pppd at the other end acknowledges the addresses some milliseconds
  before it lets packets through, and whoever sends at once loses the first SYN. The kernel's next
  goes out a second later, ours after a tenth: most of the time between the first two lines.
- **CPU of the client's processes** is without their user, except library's. Much of what pptp-linux +
  pppd do, MPPE above all, is done by the kernel outside their processes, or in their user's. So
  compare the CPU of the whole guest, which has all of that, the user, and the interrupts. The guest's
  clock goes on while the host does something else; each time is the guest's share of what the host
  spent for it.
- **native**: there is no PPTP server of the kernel's to be had here, so the connector's is that of the
  testkit: one thread, with the building in the same process. Behind onetun are boringtun-cli with four
  threads, the kernel's TCP and a device in Python. Both share the processors with their client.
  WireGuard authenticates each packet, and MPPE does not: this compares two programs, not two protocols.
- **private memory** is of one tunnel, all processes of the client together, clean pages (mostly a
  program's text that nobody else runs) and dirty ones. A second tunnel of the connector needs neither
  again but for its sockets' buffers; each further pptp-linux + pppd takes its dirty pages once more.
  **resident at most** counts the pages of shared libraries in each process. onetun takes in what its
  user writes faster than it sends: a whole transfer of sixteen MiB, and more if the user has more.
- Beside other work all rates fall and all times grow, and not evenly. Natively processor times hardly
  change with it; in the guest they do. They are counted in ticks of 10 ms.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Sample> {
        let sample = |client: &str, measure, value| {
            let (scene, client) = (Scene::Guest, client.to_owned());
            Sample { scene, client, measure, value }
        };
        vec![
            sample("connector", Measure::Download, 40.0),
            sample("connector", Measure::Download, 60.0),
            sample("connector", Measure::Download, 50.0),
            sample("connector", Measure::Connect, 1234.0),
            sample("other", Measure::Download, 100.0),
            sample("other", Measure::Connect, 2000.0),
        ]
    }

    #[test]
    fn a_line_has_the_median_and_its_rounds() {
        let lines = lines(&samples());
        assert!(
            lines.contains("guest\tconnector\tdownload\t50.0\tMbit/s\t40.0 60.0 50.0\n"),
            "{lines}"
        );
        assert_eq!(lines.lines().count(), 4);
    }

    #[test]
    fn the_table_has_a_column_for_each_client_and_says_where_ours_is_worse() {
        let section = section(&samples(), "Measured somewhere.");
        assert!(
            section.contains("| | guest: connector | guest: other |\n|---|---:|---:|\n"),
            "{section}"
        );
        assert!(
            section.contains("\n| download, Mbit/s | 50.0 (40.0–60.0) | 100 (100–100) |\n"),
            "{section}"
        );
        assert!(
            section.contains("\n- download: 50.0 Mbit/s, other 100 (2.0 times)\n"),
            "{section}"
        );
        assert!(!section.contains("first octet: "), "{section}");
    }

    #[test]
    fn a_client_that_is_worse_in_nothing_is_told_so() {
        let samples: Vec<_> =
            samples().into_iter().filter(|sample| sample.measure == Measure::Connect).collect();
        assert!(worse(&samples) == NOWHERE);
    }
}
