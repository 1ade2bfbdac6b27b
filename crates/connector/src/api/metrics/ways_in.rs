//! The samples of the ways in

use super::{catalogue::ways_in, family::Family, site::Rows, text::Text};
use crate::api::control::ListenerStatus;

/// Writes the samples of listeners: those of proxies, and those of the forwards of sites with series of their own
pub(super) fn write(listeners: &[ListenerStatus], rows: &Rows<'_>, text: &mut Text) {
    let is_shown = |it: &&ListenerStatus| {
        it.target.is_none() || it.site.as_ref().is_some_and(|site| rows.shows(site))
    };
    let places: Vec<_> = listeners.iter().filter(is_shown).map(Labelled::new).collect();
    let write = |family: Family, text: &mut Text, value: fn(&ListenerStatus) -> u64| {
        let mut samples = text.family(family);
        for place in &places {
            samples.add(&place.labels(), value(place.status));
        }
    };
    write(ways_in::CONNECTIONS, text, |it| it.clients as u64);
    write(ways_in::MAX_CONNECTIONS, text, |it| it.counts.max_clients as u64);
    write(ways_in::ACCEPTED, text, |it| it.counts.accepted);
    let mut samples = text.family(ways_in::REFUSED);
    for place in &places {
        let [listener, kind, site] = place.labels();
        for (reason, count) in &place.status.counts.refused {
            samples.add(&[listener, kind, site, ("reason", reason)], *count);
        }
    }
    let mut samples = text.family(ways_in::BYTES);
    for place in &places {
        let ([listener, kind, site], (sent, received)) =
            (place.labels(), place.status.counts.octets);
        samples.add(&[listener, kind, site, ("direction", "sent")], sent);
        samples.add(&[listener, kind, site, ("direction", "received")], received);
    }
    write(ways_in::DROPPED, text, |it| it.counts.datagrams_dropped);
}

/// A listener with the text of its place
struct Labelled<'l> {
    status: &'l ListenerStatus,
    listener: String,
}

impl<'l> Labelled<'l> {
    fn new(status: &'l ListenerStatus) -> Self {
        Self { listener: status.listen.to_string(), status }
    }

    fn labels(&self) -> [(&str, &str); 3] {
        let site = self.status.site.as_ref().map_or("", |site| site.as_str());
        [("listener", &self.listener), ("kind", &self.status.kind), ("site", site)]
    }
}
