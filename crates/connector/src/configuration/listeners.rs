//! Rules that concern listeners: their addresses, and who can reach them

use std::{collections::BTreeMap, net::SocketAddr, os::unix::ffi::OsStrExt, path::Path};

use super::{
    problem::{Place, Problems},
    reader::Found,
    source::Sources,
};
use crate::{
    settings::{Clients, Listen, ProxySettings},
    way_in::{ListenKey, Way},
};

/// The listeners that were looked at, by their addresses
#[derive(Debug, Default)]
pub(super) struct Listeners {
    /// The exact addresses
    exact: BTreeMap<ListenKey, Place>,
    /// The port of each wildcard, as a key
    wildcards: Vec<(ListenKey, Place)>,
    pub(super) count: usize,
}

impl Listeners {
    /// Looks at a listener; tells of an earlier one in its way, and of rules that it breaks
    pub(super) fn add(
        &mut self,
        way: &Way,
        place: &Place,
        sources: &Sources,
        problems: &mut Problems,
    ) {
        check_reach(way.listen(), way.clients(), place, problems);
        self.add_key(way.key(), place, sources, problems);
    }

    /// Takes a place that is no listener of a file, such as the control socket's
    pub(super) fn reserve(&mut self, key: ListenKey) {
        self.exact.insert(key, Place { file: usize::MAX, span: 0..0, site: None });
    }

    /// Looks at the listener of the metrics, beside the others
    pub(super) fn add_metrics(
        &mut self,
        listen: &Found<SocketAddr>,
        clients: &Clients,
        sources: &Sources,
        problems: &mut Problems,
    ) {
        check_reach(&Listen::Ip(listen.value), clients, &listen.place, problems);
        self.add_key(ListenKey::Tcp(listen.value), &listen.place, sources, problems);
    }

    /// Looks at the place of a listener alone
    pub(super) fn add_key(
        &mut self,
        key: ListenKey,
        place: &Place,
        sources: &Sources,
        problems: &mut Problems,
    ) {
        self.count = self.count.saturating_add(1);
        if let Some(first) = self.in_the_way(&key) {
            let is_shown = !problems.are_many();
            let help = is_shown.then(|| match super::at(first, sources) {
                at if at.is_empty() => "it is the control socket's".to_owned(),
                at => format!("the first is {at}"),
            });
            problems.error(place, format!("{key} is taken by another listener"), help);
            return;
        }
        if key.is_wildcard() {
            self.wildcards.push((key.clone(), place.clone()));
        }
        self.exact.insert(key, place.clone());
    }

    fn in_the_way(&self, key: &ListenKey) -> Option<&Place> {
        // port 0 is another one each time
        if key.is_chosen_by_system() {
            return None;
        }
        if let Some(place) = self.exact.get(key) {
            return Some(place);
        }
        if key.is_wildcard() {
            return self.exact.iter().find(|(it, _)| it.overlaps(key)).map(|(_, place)| place);
        }
        self.wildcards.iter().find(|(it, _)| it.overlaps(key)).map(|(_, place)| place)
    }
}

/// A listener that other machines can reach says which of them may use it, and a proxy asks for a login
fn check_reach(listen: &Listen, clients: &Clients, place: &Place, problems: &mut Problems) {
    if listen.is_local() {
        return;
    }
    if *clients == Clients::All {
        let help = "write which may use it: clients = [\"10.0.0.0/8\"]";
        problems.error(place, "other machines can reach this listener", help.to_owned());
    }
}

/// Tells of a proxy without a login that other machines can reach
pub(super) fn check_login(
    proxy: &ProxySettings,
    is_open: bool,
    place: &Place,
    problems: &mut Problems,
) {
    if proxy.listen.is_local() || is_open || !proxy.logins.is_empty() {
        return;
    }
    let help = "write [[proxy.login]] below it, or insecure_open = true";
    let message = "other machines can use this proxy without a login";
    problems.error(place, message, help.to_owned());
}

fn is_path_of_socket(path: &Path) -> bool {
    let octets = path.as_os_str().as_bytes();
    octets.len() <= MAX_PATH && !octets.contains(&0)
}

/// The octets of a unix socket's path (`sun_path` of Linux, without the zero at its end)
const MAX_PATH: usize = 107;

/// Tells of a unix socket whose path is relative, or cannot be that of a socket
pub(super) fn check_path(listen: &Listen, place: &Place, problems: &mut Problems) {
    if let Listen::Unix(socket) = listen
        && !(socket.path.is_absolute() && is_path_of_socket(&socket.path))
    {
        let message =
            format!("a path that begins with `/`, of {MAX_PATH} octets at most, is wanted");
        problems.error(place, message, None);
    }
}
