//! The settings of a proxy

use pptp_fleet::SiteName;

use super::{
    keys::{LoginKeys, ProxyKeys},
    listeners::check_login,
    problem::{Place, Problems},
    reader::{Found, shorten},
    values::SelectorTerm,
};
use crate::{
    settings::{Clients, Login, ProxyKind, ProxySettings, Selector},
    target::Host,
};

/// Makes the settings of a proxy, with the place of its address; `None` after problems were told
pub(super) fn build(
    proxy: &Found<ProxyKeys>,
    problems: &mut Problems,
) -> Option<(ProxySettings, Place)> {
    let keys = &proxy.value;
    let (kind, listen) = match (&keys.socks, &keys.http) {
        (Some(listen), None) => (ProxyKind::Socks, listen),
        (None, Some(listen)) => (ProxyKind::Http, listen),
        (Some(_), Some(http)) => {
            let help = "write a [[proxy]] for each".to_owned();
            problems.error(&http.place, "a proxy is `socks` or `http`, not both", help);
            return None;
        }
        (None, None) if keys.wrong.iter().any(|it| matches!(*it, "socks" | "http")) => return None,
        (None, None) => {
            let message = "`socks = \"127.0.0.1:1080\"` or `http = …` is missing";
            problems.error(&proxy.place, message, None);
            return None;
        }
    };
    let mut settings = ProxySettings::new(kind, listen.value.clone());
    if let Some(sites) = &keys.sites {
        settings.sites = selector(&sites.value);
    }
    if let Some(targets) = &keys.targets {
        settings.targets.clone_from(&targets.value);
    }
    if let Some(clients) = &keys.clients {
        settings.clients = Clients::Networks(clients.value.clone());
    }
    settings.suffix = suffix(keys, problems).ok()?.unwrap_or(settings.suffix);
    settings.max_clients =
        super::count(keys.connections.as_ref().map(|it| it.value.0), settings.max_clients);
    settings.logins = logins(proxy, problems)?;
    let is_open = keys.insecure_open.as_ref().is_some_and(|it| it.value);
    check_login(&settings, is_open, &proxy.place, problems);
    Some((settings, listen.place.clone()))
}

/// Makes a selector of terms that were checked
pub(super) fn selector(terms: &[SelectorTerm]) -> Selector {
    let terms = Selector::parse(terms.iter().map(|term| &term.0));
    // each was read by the same function; without any, no site is chosen
    terms.unwrap_or_else(|_| Selector::none())
}

/// Returns the end of names, if the proxy has one of its own; an error after a problem was told
fn suffix(keys: &ProxyKeys, problems: &mut Problems) -> Result<Option<String>, Told> {
    let Some(suffix) = &keys.suffix else { return Ok(None) };
    let text = suffix.value.trim_matches('.').to_ascii_lowercase();
    if let Ok(Host::Name(name)) = Host::parse(&text) {
        return Ok(Some(name));
    }
    let message = format!("`{}` is no end of a name", shorten(&suffix.value));
    problems.error(&suffix.place, message, "write pptp.internal".to_owned());
    Err(Told)
}

/// The sign that a problem was told
struct Told;

fn logins(proxy: &Found<ProxyKeys>, problems: &mut Problems) -> Option<Vec<Login>> {
    let Some(all) = &proxy.value.login else { return Some(Vec::new()) };
    let mut logins = Vec::<Login>::new();
    for keys in &all.value {
        let LoginKeys { name: Some(name), sha256: Some(sha256), sites, .. } = &keys.value else {
            if !keys.value.wrong.is_empty() {
                return None;
            }
            let message = "a login wants `name` and `sha256`";
            problems.error(&keys.place, message, None);
            return None;
        };
        if name.value.is_empty() || name.value.contains(['+', ':']) {
            let message = "a name without `+` and `:` is wanted";
            problems.error(&name.place, message, None);
            return None;
        }
        if logins.iter().any(|login| login.name == name.value) {
            let message = format!("the login `{}` is there twice", shorten(&name.value));
            problems.error(&name.place, message, None);
            return None;
        }
        let sites = sites.as_ref().map_or_else(Selector::all, |it| selector(&it.value));
        logins.push(Login { name: name.value.clone(), password_sha256: sha256.value.0, sites });
    }
    Some(logins)
}

/// Tells of sites that a proxy names and that are not there
pub(super) fn check_names(
    proxy: &Found<ProxyKeys>,
    settings: &ProxySettings,
    is_site: impl Fn(&SiteName) -> bool,
    problems: &mut Problems,
) {
    let Some(sites) = &proxy.value.sites else { return };
    for name in settings.sites.names().filter(|name| !is_site(name)) {
        problems.warn(&sites.place, format!("there is no site `{name}`"), None);
    }
}
