//! All metrics, and the table of them in the book

pub(super) mod client;
pub(super) mod daemon;
pub(super) mod fleet;
pub(super) mod process;
pub(super) mod site;
pub(super) mod ways_in;

use std::fmt::Write;

use super::family::Family;

/// All metrics in the order of a scrape, in groups with their titles
pub(super) const GROUPS: [(&str, &[Family]); 6] = [
    ("The daemon", &daemon::ALL),
    ("All sites together", &fleet::ALL),
    ("Each site", &site::ALL),
    ("The ways in", &ways_in::ALL),
    ("The sockets that all tunnels share", &client::ALL),
    ("The process", &process::ALL),
];

/// Returns the reference of the metrics in Markdown: a table for each group
pub fn reference() -> String {
    let mut text = String::new();
    for (title, families) in GROUPS {
        // writing to a text cannot fail
        let _ = write!(
            text,
            "### {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
        );
        for family in families {
            let labels = family.labels.iter().map(|label| format!("`{label}`"));
            let labels = labels.collect::<Vec<_>>().join(", ");
            let (name, kind) = (family.sample_name(), family.kind.name());
            let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {} |", family.help);
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::api::metrics::family::Kind;

    fn all() -> impl Iterator<Item = &'static Family> {
        GROUPS.iter().flat_map(|(_, families)| families.iter())
    }

    fn is_name(name: &str) -> bool {
        let octets = name.as_bytes();
        !name.starts_with('_')
            && octets.first().is_some_and(u8::is_ascii_lowercase)
            && octets.iter().all(|it| it.is_ascii_lowercase() || *it == b'_')
    }

    #[test]
    fn each_metric_has_a_name_a_help_and_labels_of_its_own() {
        let (mut names, mut helps) = (BTreeSet::new(), BTreeSet::new());
        for family in all() {
            let name = family.name;
            assert!(names.insert(name), "{name} is there twice");
            // a name that begins another's must not make two samples of one name
            assert!(
                names.insert(Box::leak(family.sample_name().into_boxed_str()))
                    || family.suffix().is_empty()
            );
            assert!(
                is_name(name) && (name.starts_with("pptp_") || name.starts_with("process_")),
                "{name}"
            );
            assert!(
                !["_total", "_info", "_count", "_sum", "_bucket"]
                    .iter()
                    .any(|end| name.ends_with(end)),
                "{name}"
            );
            let help = family.help;
            assert!(
                help.ends_with('.') && !help.contains(['\\', '\n', '"', '|']),
                "{name}: {help}"
            );
            assert!(helps.insert((family.labels, help)), "{name}: another has the same help");
            let labels: BTreeSet<_> = family.labels.iter().collect();
            assert_eq!(labels.len(), family.labels.len(), "{name}");
            assert!(family.labels.iter().all(|label| is_name(label) && *label != "le"), "{name}");
            assert!(family.kind != Kind::Info || !family.labels.is_empty(), "{name}");
        }
        assert!(names.len() > 60);
    }

    #[test]
    fn times_and_octets_have_their_unit_at_the_end() {
        for family in all() {
            let has_word = ["seconds", "bytes"].iter().any(|unit| family.name.contains(unit));
            assert_eq!(family.unit().is_some(), has_word, "{}", family.name);
        }
    }
}
