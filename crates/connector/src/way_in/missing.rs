//! Forwards whose address is not to be had yet, and the times at which they are tried again

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{key::Key, table::Failed, way::Way};

/// The forwards whose address is not to be had yet
///
/// There are no more of them than forwards are configured.
#[derive(Debug, Default)]
pub(super) struct Missing(BTreeMap<Key, Entry>);

/// A forward that is tried again
#[derive(Debug)]
struct Entry {
    way: Way,
    error: String,
    pause: Duration,
    next: Instant,
}

impl Missing {
    /// Takes the forwards that are missing now: those that were before go on with their pauses, others are forgotten
    pub(super) fn replace(&mut self, missing: BTreeMap<Key, (Way, String)>) {
        let mut before = std::mem::take(&mut self.0);
        for (key, (way, error)) in missing {
            let entry = match before.remove(&key) {
                Some(entry) => Entry { way, error, ..entry },
                None => {
                    Entry { way, error, pause: FIRST_PAUSE, next: Instant::now() + FIRST_PAUSE }
                }
            };
            self.0.insert(key, entry);
        }
    }

    /// Returns the forwards whose time has come
    pub(super) fn due(&self, now: Instant) -> Vec<(Key, Way)> {
        let due = self.0.iter().filter(|(_, entry)| entry.next <= now);
        due.map(|(key, entry)| (key.clone(), entry.way.clone())).collect()
    }

    /// Notes that a forward could not be had again
    pub(super) fn failed(&mut self, key: &Key, error: String, now: Instant) {
        if let Some(entry) = self.0.get_mut(key) {
            entry.error = error;
            entry.pause = entry.pause.saturating_mul(2).min(MAX_PAUSE);
            entry.next = now + entry.pause;
        }
    }

    /// Notes that a forward is there
    pub(super) fn opened(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Returns true if a forward is missing
    pub(super) fn has(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }

    /// Returns all of them with their reasons
    pub(super) fn all(&self) -> impl Iterator<Item = (&Way, &str)> {
        self.0.values().map(|entry| (&entry.way, entry.error.as_str()))
    }

    /// Returns all of them as failures
    pub(super) fn failures(&self) -> impl Iterator<Item = Failed> {
        self.all().map(|(way, error)| Failed { is_tried_again: true, ..Failed::new(way, error) })
    }
}

/// The time before the first repetition
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// The longest time between two attempts
const MAX_PAUSE: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::{
        settings::{Clients, ForwardSettings, Listen, Protocol},
        target::Target,
    };

    fn forward(port: u16) -> Way {
        let target: Target = "192.168.1.3:80".parse().unwrap();
        let forward = ForwardSettings {
            listen: Listen::Ip(SocketAddr::from(([127, 0, 0, 1], port))),
            clients: Clients::All,
            target,
            protocol: Protocol::TCP,
            max_clients: 1,
        };
        Way::Forward { site: "b1".parse().unwrap(), forward }
    }

    fn missing(ports: &[u16]) -> BTreeMap<Key, (Way, String)> {
        let entry = |port: &u16| {
            let way = forward(*port);
            (Key::named(&way.key()), (way, "taken".to_owned()))
        };
        ports.iter().map(entry).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_pauses_double_up_to_a_minute_and_go_on_over_a_reload() {
        let start = Instant::now();
        let mut table = Missing::default();
        table.replace(missing(&[80]));
        let mut tried = Vec::new();
        for second in 0..200 {
            let now = start + Duration::from_secs(second);
            for (key, _) in table.due(now) {
                tried.push(second);
                table.failed(&key, "still".to_owned(), now);
            }
            if second == 15 {
                table.replace(missing(&[80]));
            }
        }
        assert_eq!(tried, [10, 30, 70, 130, 190]);
        let [(key, _)] = table.due(start + Duration::from_mins(10)).try_into().unwrap();
        table.opened(&key);
        assert!(!table.has(&key) && table.failures().next().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_wanted_any_more_is_forgotten() {
        let mut table = Missing::default();
        table.replace(missing(&[80, 81]));
        table.replace(missing(&[81, 82]));
        let told: Vec<_> = table.failures().map(|failed| failed.key.to_string()).collect();
        assert_eq!(told, ["tcp 127.0.0.1:81", "tcp 127.0.0.1:82"]);
        assert!(table.failures().all(|failed| failed.is_tried_again && failed.site.is_some()));
    }
}
