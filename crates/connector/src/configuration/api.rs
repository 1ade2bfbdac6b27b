//! The settings of the control interface's further listeners, and the bounds of what it may make

use std::path::PathBuf;

use super::{
    access_values::RoleWord,
    keys::{ApiKeys, ApiSitesKeys, TokenKeys},
    problem::{Place, Problems},
    proxy::selector,
    reader::{Found, shorten},
    values::SelectorTerm,
};
use crate::settings::{
    ApiBounds, ApiListener, ApiToken, Clients, Rights, Selector, TargetRule, UnixSocket,
};

/// Makes the settings of a listener, with its place; `None` after problems were told
pub(super) fn build(
    keys: &Found<ApiKeys>,
    problems: &mut Problems,
) -> Option<(ApiListener, Place)> {
    match (&keys.value.unix, &keys.value.listen) {
        (Some(path), None) => {
            Some((unix(&keys.value, path, &keys.place, problems)?, path.place.clone()))
        }
        (None, Some(listen)) => Some((tcp(keys, problems)?, listen.place.clone())),
        (Some(_), Some(listen)) => {
            let help = "write an [[api]] for each".to_owned();
            problems.error(&listen.place, "an [[api]] has `unix` or `listen`, not both", help);
            None
        }
        (None, None) => {
            if !keys.value.wrong.iter().any(|it| matches!(*it, "unix" | "listen")) {
                let message = "`unix = \"/run/…\"` or `listen = \"127.0.0.1:9090\"` is missing";
                problems.error(&keys.place, message, None);
            }
            None
        }
    }
}

/// Makes the bounds of what may be made through the control interface
pub(super) fn bounds(keys: Option<&Found<ApiSitesKeys>>) -> ApiBounds {
    let mut bounds = ApiBounds::default();
    let Some(ApiSitesKeys { listen, insecure, servers, .. }) = keys.map(|it| &it.value) else {
        return bounds;
    };
    if let Some(listen) = listen {
        bounds.listen.clone_from(&listen.value);
    }
    if let Some(insecure) = insecure {
        bounds.insecure = insecure.value;
    }
    if let Some(servers) = servers {
        bounds.servers.clone_from(&servers.value);
    }
    bounds
}

fn unix(
    keys: &ApiKeys,
    path: &Found<String>,
    whole: &Place,
    problems: &mut Problems,
) -> Option<ApiListener> {
    let of_tcp = [
        ("clients", keys.clients.as_ref().map(|it| &it.place)),
        ("hosts", keys.hosts.as_ref().map(|it| &it.place)),
        ("insecure_plaintext", keys.insecure_plaintext.as_ref().map(|it| &it.place)),
        ("token", keys.token.as_ref().map(|it| &it.place)),
    ];
    refuse(&of_tcp, "belongs to an [[api]] with `listen`", problems)?;
    let rights = rights(
        (keys.role.as_ref(), keys.sites.as_ref(), keys.targets.as_ref(), &keys.wrong),
        whole,
        problems,
    )?;
    let mut socket = UnixSocket::private(PathBuf::from(&path.value));
    if let Some(mode) = &keys.mode {
        socket.mode = mode.value.0;
    }
    socket.group = keys.group.as_ref().map(|group| group.value.clone());
    Some(ApiListener::Unix { socket, rights })
}

fn tcp(found: &Found<ApiKeys>, problems: &mut Problems) -> Option<ApiListener> {
    let keys = &found.value;
    let of_unix = [
        ("mode", keys.mode.as_ref().map(|it| &it.place)),
        ("group", keys.group.as_ref().map(|it| &it.place)),
    ];
    refuse(&of_unix, "belongs to an [[api]] with `unix`", problems)?;
    let of_token = [
        ("role", keys.role.as_ref().map(|it| &it.place)),
        ("sites", keys.sites.as_ref().map(|it| &it.place)),
        ("targets", keys.targets.as_ref().map(|it| &it.place)),
    ];
    refuse(&of_token, "of an [[api]] with `listen` belongs into its [[api.token]]", problems)?;
    let listen = keys.listen.as_ref()?;
    if !listen.value.ip().is_loopback() {
        let is_agreed = keys.insecure_plaintext.as_ref().is_some_and(|it| it.value);
        if !is_agreed || keys.clients.is_none() {
            let message = "tokens and answers would cross the network in the clear";
            let help = "listen on 127.0.0.1 behind ssh, WireGuard or a TLS proxy; or write \
                        insecure_plaintext = true and clients = [\"10.0.0.0/8\"]";
            problems.error(&listen.place, message, help.to_owned());
        }
    }
    let tokens = tokens(found, problems)?;
    let clients = keys.clients.as_ref();
    Some(ApiListener::Tcp {
        address: listen.value,
        clients: clients.map_or(Clients::All, |it| Clients::Networks(it.value.clone())),
        hosts: keys.hosts.as_ref().map(|it| it.value.clone()).unwrap_or_default(),
        tokens,
    })
}

fn tokens(found: &Found<ApiKeys>, problems: &mut Problems) -> Option<Vec<ApiToken>> {
    let all = found.value.token.as_ref().map(|it| it.value.as_slice()).unwrap_or_default();
    if all.is_empty() && !found.value.wrong.contains(&"token") {
        let help = "`pptp-connector token NAME` makes a token and prints the lines".to_owned();
        problems.error(&found.place, "nobody could use it: [[api.token]] is missing", help);
        return None;
    }
    let mut tokens = Vec::<ApiToken>::new();
    for token in all {
        let token = build_token(token, problems)?;
        if tokens.iter().any(|other| other.name == token.name) {
            let message = format!("the token `{}` is there twice", shorten(&token.name));
            problems.error(&found.place, message, "two hashes: sha256 = [\"…\", \"…\"]".to_owned());
            return None;
        }
        tokens.push(token);
    }
    Some(tokens)
}

fn build_token(found: &Found<TokenKeys>, problems: &mut Problems) -> Option<ApiToken> {
    let keys = &found.value;
    let rights = rights(
        (keys.role.as_ref(), keys.sites.as_ref(), keys.targets.as_ref(), &keys.wrong),
        &found.place,
        problems,
    )?;
    let (Some(name), Some(sha256)) = (&keys.name, &keys.sha256) else {
        if keys.wrong.is_empty() {
            problems.error(&found.place, "a token wants `name`, `sha256` and `role`", None);
        }
        return None;
    };
    // it goes into the log, one line each
    let is_one = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    if name.value.is_empty() || name.value.len() > MAX_NAME || !name.value.chars().all(is_one) {
        let message =
            format!("a name of letters, digits, `.`, `_` and `-` is wanted, {MAX_NAME} at most");
        problems.error(&name.place, message, None);
        return None;
    }
    Some(ApiToken {
        name: name.value.clone(),
        sha256: sha256.value.0.clone(),
        rights,
        expires: keys.expires.as_ref().map(|it| it.value.0),
    })
}

/// The keys of which rights are made, and those that could not be read
type RightKeys<'k> = (
    Option<&'k Found<RoleWord>>,
    Option<&'k Found<Vec<SelectorTerm>>>,
    Option<&'k Found<Vec<TargetRule>>>,
    &'k [&'static str],
);

fn rights(
    (role, sites, targets, wrong): RightKeys<'_>,
    whole: &Place,
    problems: &mut Problems,
) -> Option<Rights> {
    // a right that could not be read is none, and not the default, which is all
    if wrong.iter().any(|it| matches!(*it, "role" | "sites" | "targets")) {
        return None;
    }
    let Some(role) = role else {
        let help = "role = \"read\", \"operate\", \"reach\" or \"admin\"".to_owned();
        problems.error(whole, "`role` is missing", help);
        return None;
    };
    Some(Rights {
        role: role.value.0,
        sites: sites.map_or_else(Selector::all, |it| selector(&it.value)),
        targets: targets.map_or_else(|| vec![TargetRule::ALL], |it| it.value.clone()),
    })
}

/// Tells of keys that belong elsewhere; `None` if there is one
fn refuse(keys: &[(&str, Option<&Place>)], reason: &str, problems: &mut Problems) -> Option<()> {
    let mut is_right = Some(());
    for (key, place) in keys {
        if let Some(place) = place {
            problems.error(place, format!("`{key}` {reason}"), None);
            is_right = None;
        }
    }
    is_right
}

/// The characters of a token's name
const MAX_NAME: usize = 64;
