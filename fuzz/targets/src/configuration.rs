//! The reader of the connector's configuration

use std::path::Path;

use pptp_connector::{
    configuration::{Configuration, MAX_SHOWN, Severity, Sources},
    settings::Clients,
    way_in::{ListenKey, Way},
};

/// Reads the octets as the files of a configuration, which a form feed separates
///
/// Each problem has a place in its file, and what is read without one can be used: each site can be dialled, no two
/// listeners are in each other's way, and other machines reach none that does not name them.
pub fn target(octets: &[u8]) {
    let read = Configuration::read(sources(octets), Some(20_000));
    for problem in read.problems() {
        assert!(!problem.message.is_empty(), "a problem is told");
        assert!(problem.position(read.sources()).is_some(), "a problem has a place");
    }
    assert!(read.lines().len() <= MAX_SHOWN + 1, "lines have a bound");
    let _shown = read.rendered();
    let again = Configuration::read(read.sources().clone(), Some(20_000));
    assert_eq!(again.problems(), read.problems(), "what is read again is the same");
    if read.is_usable() {
        check_usable(&read);
    }
}

fn check_usable(read: &Configuration) {
    let stopped: Vec<_> = read
        .problems()
        .iter()
        .filter(|problem| problem.severity == Severity::Site)
        .filter_map(|problem| problem.site())
        .collect();
    for (name, site) in &read.settings().sites {
        let is_stopped = stopped.contains(&name);
        assert!(is_stopped || site.dial.check().is_ok(), "{name} can be dialled, or is stopped");
    }
    let ways = Way::all(read.settings());
    let keys: Vec<_> = ways.iter().map(Way::key).collect();
    for (place, key) in keys.iter().enumerate() {
        let is_in_the_way = |other: &ListenKey| !key.is_chosen_by_system() && other.overlaps(key);
        assert!(!keys.iter().skip(place + 1).any(is_in_the_way), "{key} is there twice");
    }
    for way in &ways {
        let is_named = matches!(way.clients(), Clients::Networks(_));
        assert!(way.listen().is_local() || is_named, "{way} says who may use it");
    }
}

fn sources(octets: &[u8]) -> Sources {
    let text = String::from_utf8_lossy(octets);
    let mut files = text.split('\u{c}');
    let main = files.next().unwrap_or_default().to_owned();
    let mut sources = Sources::of_text(Path::new("/etc/connector.toml"), main);
    for file in files.take(3) {
        sources = sources.with_included(Path::new("/etc/sites.d/more.toml"), file.to_owned());
    }
    sources
}
