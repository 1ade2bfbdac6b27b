//! The settings of the metrics

use super::{
    keys::MetricsKeys,
    listeners::Listeners,
    problem::Problems,
    reader::{Found, shorten},
    source::Sources,
    values::MetricsSitesWord,
};
use crate::{
    settings::{Clients, MetricsSettings, MetricsSites},
    target::Host,
};

/// Makes the settings of the metrics; tells of what is wrong among them
pub(super) fn build(
    keys: Option<&Found<MetricsKeys>>,
    listeners: &mut Listeners,
    sources: &Sources,
    problems: &mut Problems,
) -> MetricsSettings {
    let mut settings = MetricsSettings::default();
    let Some(keys) = keys.map(|it| &it.value) else { return settings };
    if let Some(clients) = &keys.clients {
        settings.clients = Clients::Networks(clients.value.clone());
    }
    settings.hosts = hosts(keys, problems);
    settings.sites = match keys.sites.as_ref().map(|it| it.value) {
        None | Some(MetricsSitesWord::All) => MetricsSites::All,
        Some(MetricsSitesWord::Problems) => MetricsSites::Problems,
        Some(MetricsSitesWord::None) => MetricsSites::None,
    };
    settings.labels = labels(keys, problems);
    match &keys.listen {
        Some(listen) => {
            settings.listen = Some(listen.value);
            // one whose `clients` could not be read has a problem already
            if !keys.wrong.contains(&"clients") {
                listeners.add_metrics(listen, &settings.clients, sources, problems);
            }
        }
        None if keys.wrong.contains(&"listen") => {}
        None => warn_without_listener(keys, problems),
    }
    settings
}

/// Warns of keys that have no effect without a listener
fn warn_without_listener(keys: &MetricsKeys, problems: &mut Problems) {
    let places =
        [keys.clients.as_ref().map(|it| &it.place), keys.hosts.as_ref().map(|it| &it.place)];
    for place in places.into_iter().flatten() {
        let help = "write listen = \"127.0.0.1:9464\"".to_owned();
        problems.warn(place, "without `listen` this has no effect", help);
    }
}

/// Returns the names of the listener, in lower case
fn hosts(keys: &MetricsKeys, problems: &mut Problems) -> Vec<String> {
    let Some(hosts) = &keys.hosts else { return Vec::new() };
    let mut names = Vec::new();
    for host in &hosts.value {
        match Host::parse(host) {
            Ok(Host::Name(name)) => names.push(name),
            Ok(Host::Address(_)) => {
                let message = format!("`{host}` is an address, which needs no entry here");
                problems.warn(&hosts.place, message, None);
            }
            Err(_) => {
                let message = format!("`{}` is no name of a host", shorten(host));
                problems.error(&hosts.place, message, None);
            }
        }
    }
    names
}

fn labels(keys: &MetricsKeys, problems: &mut Problems) -> Vec<String> {
    let mut labels = Vec::<String>::new();
    for label in keys.labels.iter().flat_map(|all| &all.value) {
        if labels.contains(&label.value.0) {
            let message = format!("the label `{}` is there twice", shorten(&label.value.0));
            problems.error(&label.place, message, None);
        } else {
            labels.push(label.value.0.clone());
        }
    }
    labels
}
