//! The settings of a site

use std::{collections::BTreeMap, net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use pptp::{
    config::{EchoPolicy, PasswordEncoding},
    error::Failure,
};
use pptp_fleet::{Connect, SiteConfig, SiteName};

use super::{
    bounds,
    builder::owner,
    forward,
    keys::SiteKeys,
    layers::EffectiveSite,
    loopback::Address,
    problem::{Place, Problems},
    reader::Found,
    secret::Sealer,
    site_secret::secret,
    source::{Origin, Sources},
    values::{ConnectWord, EncodingWord, host_name},
};
use crate::{
    seal::{Bound, KeyPlace, Sealed},
    settings::{ApiBounds, Insecure, SiteSettings},
};

/// What sites are made with
pub(super) struct Means<'m> {
    pub(super) sources: &'m Sources,
    /// The place of the key of sealed passwords
    pub(super) key: KeyPlace,
    /// The bounds of sites that are made through the control interface
    pub(super) bounds: ApiBounds,
    /// The sealer of their passwords
    pub(super) sealer: Option<&'m Sealer>,
}

/// A site that was read, with what is looked at beside the other sites
pub(super) struct BuiltSite {
    pub(super) settings: SiteSettings,
    /// Its password, if it was sealed now
    pub(super) sealed: Option<Sealed>,
    /// The places of its forwards' `listen`, in the order of the forwards
    pub(super) listens: Vec<Place>,
}

/// Makes the settings of a site; `None` after problems were told
pub(super) fn build(
    name: &SiteName,
    site: &EffectiveSite,
    address: &Address<'_>,
    means: &Means<'_>,
    problems: &mut Problems,
) -> Option<BuiltSite> {
    let keys = &site.keys;
    if site.origin != Origin::File {
        bounds::check(site, &means.bounds, problems);
    }
    // each of them is looked at, so that all problems are told at once
    let dial = dial(name, site, means, problems);
    let hosts = hosts(keys, problems);
    let forwards = forward::forwards(name, keys, address, problems);
    let (dial, sealed) = dial?;
    let mut settings = SiteSettings::new(dial);
    settings.owner = owner(site.origin);
    settings.labels = Arc::new(value(keys.labels.as_ref()).unwrap_or_default());
    settings.hosts = Arc::new(hosts?);
    if let Some(wait) = &keys.wait {
        settings.wait = wait.value.0;
    }
    settings.address = address.value();
    let (forwards, listens) = forwards?.into_iter().unzip();
    settings.forwards = forwards;
    Some(BuiltSite { settings, sealed, listens })
}

fn value<T: Clone>(found: Option<&Found<T>>) -> Option<T> {
    found.map(|found| found.value.clone())
}

/// Makes the part of a site that the fleet has
fn dial(
    name: &SiteName,
    site: &EffectiveSite,
    means: &Means<'_>,
    problems: &mut Problems,
) -> Option<(SiteConfig, Option<Sealed>)> {
    let keys = &site.keys;
    let (Some(server), Some(user), Some(password)) = (&keys.server, &keys.user, &keys.password)
    else {
        tell_missing(site, problems);
        return None;
    };
    let insecure = value(keys.insecure.as_ref()).unwrap_or_default();
    let bound = Bound::new(name, &server.value, &user.value, insecure);
    let (secret, sealed) = secret(name, (password, &bound), site.origin, means, problems)?;
    let config = SiteConfig::new(&server.value, &user.value, secret)
        .connect(connect(keys))
        .enabled(value(keys.enabled.as_ref()).unwrap_or(true))
        .share_login(value(keys.share_login.as_ref()).unwrap_or(false));
    let config = match value(keys.probe.as_ref()) {
        Some(probe) => config.probe(probe),
        None => config,
    };
    let config = options(config, keys);
    match config.check() {
        Ok(()) => Some((config, sealed)),
        Err(failure) => {
            let (place, message) = refused(site, &failure);
            problems.error(place, message, None);
            None
        }
    }
}

/// Tells which of the keys that each site needs are missing
fn tell_missing(site: &EffectiveSite, problems: &mut Problems) {
    let keys = &site.keys;
    let needed = [
        ("server", keys.server.is_some()),
        ("user", keys.user.is_some()),
        ("password", keys.password.is_some()),
    ];
    // one that could not be read has a problem of its own
    let missing =
        needed.into_iter().filter(|(key, is_there)| !is_there && !keys.wrong.contains(key));
    let missing: Vec<_> = missing.map(|(key, _)| format!("`{key}`")).collect();
    if !missing.is_empty() {
        let message = format!("missing: {}", missing.join(", "));
        let help = "write it here, in its template, or in [defaults]";
        problems.error(&site.place, message, help.to_owned());
    }
}

fn connect(keys: &SiteKeys) -> Connect {
    match value(keys.connect.as_ref()) {
        None | Some(ConnectWord::Always) => Connect::Always,
        Some(ConnectWord::Manual) => Connect::Manual,
        Some(ConnectWord::OnDemand) => {
            let idle = value(keys.idle.as_ref()).map_or(DEFAULT_IDLE, |idle| idle.0);
            Connect::OnDemand { idle }
        }
    }
}

/// Adds the options of the tunnel, each by its name, so that a change of it can be told
fn options(mut config: SiteConfig, keys: &SiteKeys) -> SiteConfig {
    for weaker in value(keys.insecure.as_ref()).unwrap_or_default() {
        config = config.option(weaker.name(), "agreed", |tunnel| weaker.apply(tunnel));
    }
    if let Some(mru) = value(keys.mru.as_ref()).and_then(|it| u16::try_from(it.0).ok()) {
        config = config.option("mru", mru.to_string(), |tunnel| tunnel.mru(mru));
    }
    if let Some(dead_after) = value(keys.dead_after.as_ref()) {
        let (text, time) = (format!("{:?}", dead_after.0), dead_after.0);
        config = config.option("dead_after", text, |tunnel| detect(tunnel, time));
    }
    if let Some(timeout) = value(keys.connect_timeout.as_ref()) {
        let text = format!("{:?}", timeout.0);
        config = config.option("connect_timeout", text, |it| it.connect_timeout(timeout.0));
    }
    if let Some(address) = value(keys.inner_address.as_ref()) {
        let text = address.to_string();
        config = config.option("inner_address", text, |it| it.wanted_address(address));
    }
    if let Some(name) = value(keys.client_host_name.as_ref()) {
        config = config.option("client_host_name", &name, |it| it.client_host_name(&name));
    }
    if let Some(number) = value(keys.phone_number.as_ref()) {
        config = config.option("phone_number", &number, |it| it.phone_number(&number));
    }
    if let Some(word) = value(keys.password_encoding.as_ref()) {
        let encoding = match word {
            EncodingWord::Utf16 => PasswordEncoding::Utf16,
            EncodingWord::WidenedOctets => PasswordEncoding::WidenedOctets,
            EncodingWord::WidenedUtf8 => PasswordEncoding::WidenedUtf8,
        };
        let text = format!("{word:?}");
        config = config.option("password_encoding", text, |it| it.password_encoding(encoding));
    }
    switches(config, keys)
}

fn switches(mut config: SiteConfig, keys: &SiteKeys) -> SiteConfig {
    if let Some(wanted) = value(keys.request_dns.as_ref()) {
        config = config.option("request_dns", wanted.to_string(), |it| it.request_dns(wanted));
    }
    if let Some(wanted) = value(keys.header_compression.as_ref()) {
        let text = wanted.to_string();
        config = config.option("header_compression", text, |it| it.header_compression(wanted));
    }
    if let Some(wanted) = value(keys.path_proof.as_ref()) {
        config = config.option("path_proof", wanted.to_string(), |it| it.path_proof(wanted));
    }
    config
}

/// Sets the echoes of PPP and of the control connection so that a dead server is found within this time
///
/// PPP: 3/7 of silence, then four Echo-Requests, one each 1/7. The control connection: half of silence, half for the
/// reply. With 70 s PPP has the library's own times.
fn detect(tunnel: pptp::TunnelConfig, time: Duration) -> pptp::TunnelConfig {
    let seventh = time.checked_div(7).unwrap_or(time);
    let echo =
        EchoPolicy::DEFAULT.silence(seventh.saturating_mul(3)).interval(seventh).unanswered(4);
    let half = time.checked_div(2).unwrap_or(time);
    tunnel.echo(echo).control_echo(half, half)
}

/// The place of the key that a refused option comes of, and the reason
fn refused<'s>(site: &'s EffectiveSite, failure: &Failure) -> (&'s Place, String) {
    let keys = &site.keys;
    let Failure::InvalidOption { option, wanted } = failure else {
        let place = keys.server.as_ref().map_or(&site.place, |it| &it.place);
        return (place, failure.to_string());
    };
    let insecure = keys.insecure.as_ref().map(|it| &it.place);
    let place = match *option {
        "user" => keys.user.as_ref().map(|it| &it.place),
        "client_host_name" => keys.client_host_name.as_ref().map(|it| &it.place),
        "phone_number" => keys.phone_number.as_ref().map(|it| &it.place),
        option if option.starts_with("insecure_") => insecure,
        _ => None,
    };
    let message = match *option {
        "insecure_pap" if !has_no_encryption(keys) => no_keys(Insecure::Pap),
        "insecure_chap_md5" if !has_no_encryption(keys) => no_keys(Insecure::ChapMd5),
        option => format!("`{option}` wants {wanted}"),
    };
    (place.unwrap_or(&site.place), message)
}

fn has_no_encryption(keys: &SiteKeys) -> bool {
    keys.insecure.as_ref().is_some_and(|it| it.value.contains(&Insecure::NoEncryption))
}

fn no_keys(weaker: Insecure) -> String {
    let (name, other) = (weaker.name(), Insecure::NoEncryption.name());
    format!("\"{name}\" leaves no keys for encryption: it wants \"{other}\" too")
}

fn hosts(keys: &SiteKeys, problems: &mut Problems) -> Option<BTreeMap<String, Ipv4Addr>> {
    let Some(hosts) = &keys.hosts else { return Some(BTreeMap::new()) };
    let mut named = BTreeMap::new();
    for (name, address) in &hosts.value {
        match host_name(name) {
            Ok(name) => _ = named.insert(name, *address),
            Err(message) => {
                problems.error(&hosts.place, message, None);
                return None;
            }
        }
    }
    Some(named)
}

impl Sources {
    /// The one who has written a text
    pub(super) fn origin(&self, file: usize) -> Origin {
        self.files.get(file).map_or(Origin::File, |source| source.origin)
    }

    /// The folder of a file, by which the paths in it are meant
    pub(super) fn folder(&self, file: usize) -> &Path {
        let path = self.files.get(file).map(|source| source.path.as_path());
        path.and_then(Path::parent).unwrap_or_else(|| Path::new(""))
    }
}

/// The time without a client after which an on-demand site is hung up
const DEFAULT_IDLE: Duration = Duration::from_mins(10);
