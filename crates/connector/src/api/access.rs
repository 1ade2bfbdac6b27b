//! Who calls, and what it may do

use std::{
    fmt,
    net::{IpAddr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::SystemTime,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use pptp_fleet::SiteName;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tokio::sync::{Semaphore, watch};

use super::{problem::Problem, routes::Route, server::Peer};
use crate::{
    directory::SiteFacts,
    settings::{ApiListener, ApiToken, Clients, Listen, Rights, Role, TargetRule},
};

/// The place where a caller has come in, and the rule by which it is known
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) gate: Gate,
    pub(super) peer: Peer,
    /// The places of answers without an end that is known, of this listener
    pub(super) streams: Arc<Semaphore>,
}

/// The rule by which the callers of a listener are known
#[derive(Debug, Clone)]
pub(super) enum Gate {
    /// The control socket: who may open it may do everything
    Control,
    /// A listener of the configuration, as it is now
    Api { settings: watch::Receiver<Arc<[ApiListener]>>, listen: Listen },
}

/// A caller whose rights are known
#[derive(Debug, Clone)]
pub(super) struct Caller {
    name: String,
    /// Its address, if it has one
    address: Option<SocketAddr>,
    rights: Arc<Rights>,
    pub(super) streams: Arc<Semaphore>,
}

impl Caller {
    /// Returns true if a site is there for the caller
    pub(super) fn has_site(&self, name: &SiteName, facts: &SiteFacts) -> bool {
        self.rights.sites.has(name, &facts.labels)
    }

    /// Returns true if all sites are there for the caller
    pub(super) fn has_all_sites(&self) -> bool {
        self.rights.sites.is_all()
    }

    /// Returns true if the caller may reach a target behind a site
    pub(super) fn may_reach(&self, target: SocketAddrV4) -> bool {
        self.rights.targets.iter().any(|rule| rule.has(*target.ip(), target.port()))
    }

    /// Returns true if the caller may reach some port of a host behind a site
    pub(super) fn may_reach_host(&self, host: std::net::Ipv4Addr) -> bool {
        self.rights.targets.iter().any(|rule| rule.has_host(host))
    }

    /// Returns true if the caller may reach all targets behind its sites
    pub(super) fn may_reach_all(&self) -> bool {
        self.rights.role.includes(Role::Reach) && self.rights.targets.contains(&TargetRule::ALL)
    }

    /// Returns the name without the numbers of a process: `token manager`, `ina`
    pub(super) fn short_name(&self) -> &str {
        self.name.split(" (").next().unwrap_or_default()
    }

    /// Returns the rights
    pub(super) fn rights(&self) -> &Rights {
        &self.rights
    }
}

/// The name for logs and files: `token manager`, `ina (uid 1000)`
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Lets a request in, if it asks for this host; the rights of who calls go with it
///
/// A page in a browser that was led here by a name of its own (DNS rebinding) sends that name.
pub(super) async fn enter(mut request: Request, next: Next) -> Response {
    let Some(entry) = request.extensions().get::<Entry>().cloned() else {
        return Problem::shut_down().into_response();
    };
    let host = request.headers().get(header::HOST);
    let host = host.map(|host| host.to_str().unwrap_or_default());
    if !host.is_some_and(|host| entry.gate.is_host(host)) {
        let (title, detail) = ("Another host", "ask for the host `localhost`: `Host: localhost`");
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "host", title, detail)
            .into_response();
    }
    if let Some(caller) = entry.caller(request.headers()) {
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

/// Lets a caller with the role of a route through, and writes to the log what it did
pub(super) async fn authorize(
    State(route): State<&'static Route>,
    request: Request,
    next: Next,
) -> Response {
    let Some(wanted) = route.role else { return next.run(request).await };
    let Some(caller) = request.extensions().get::<Caller>().cloned() else {
        return unknown(route).into_response();
    };
    if !caller.rights.role.includes(wanted) {
        let role = caller.rights.role;
        let detail = format!("{caller} has the role `{role}`; this wants the role `{wanted}`");
        return forbidden(detail).into_response();
    }
    if route.wants_all_sites && !caller.has_all_sites() {
        let detail = format!("{caller} may see some sites only; this concerns all of them");
        return forbidden(detail).into_response();
    }
    if !route.is_logged() {
        return next.run(request).await;
    }
    let (method, path) = (request.method().clone(), path_of(&request));
    let response = next.run(request).await;
    let from = caller.address.map(|address| format!(" from {address}")).unwrap_or_default();
    tracing::info!("{caller}{from}: {method} {path}: {}", response.status().as_u16());
    response
}

/// A caller may not do it
pub(super) fn forbidden(detail: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", "It is not allowed", detail)
}

/// The path and the query of a request, for the log
fn path_of(request: &Request) -> String {
    let path = request.uri().path_and_query().map_or("", axum::http::uri::PathAndQuery::as_str);
    path.chars().take(MAX_PATH).flat_map(char::escape_default).collect()
}

/// It is not known who calls
fn unknown(route: &Route) -> Response {
    let role = route.role.map_or("read", Role::name);
    let detail = format!(
        "a valid token with the role `{role}` is wanted: `Authorization: Bearer TOKEN`; it may have expired"
    );
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Who calls?", detail);
    let mut response = problem.into_response();
    let challenge = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

impl Entry {
    /// Returns who calls; `None` if that is not known
    fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let (name, rights) = match &self.gate {
            Gate::Control => (self.user(), Rights::all()),
            Gate::Api { settings, listen } => {
                let settings = settings.borrow();
                match settings.iter().find(|it| it.listen() == *listen)? {
                    ApiListener::Unix { rights, .. } => (self.user(), rights.clone()),
                    ApiListener::Tcp { tokens, .. } => {
                        let token = token_of(headers, tokens)?;
                        (format!("token {}", token.name), token.rights.clone())
                    }
                }
            }
        };
        let (rights, streams) = (Arc::new(rights), Arc::clone(&self.streams));
        Some(Caller { name, address: self.peer.address, rights, streams })
    }

    /// Returns the user of the process at the other end
    fn user(&self) -> String {
        let Peer { uid, pid, .. } = self.peer;
        let Some(uid) = uid else { return "somebody".to_owned() };
        let pid = pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
        format!("{} (uid {uid}{pid})", crate::unix::user_name(uid))
    }
}

impl Gate {
    /// Returns true if a client with this address may use the listener
    pub(super) fn may_use(&self, client: Option<IpAddr>) -> bool {
        self.listener(|listener| match listener {
            ApiListener::Tcp { clients, .. } => clients.may_use(client),
            ApiListener::Unix { .. } => Clients::All.may_use(client),
        })
        .unwrap_or(matches!(self, Self::Control))
    }

    /// Returns true if a `Host` header, with or without a port, is this host's
    fn is_host(&self, host: &str) -> bool {
        let of_listener = |listener: &ApiListener| match listener {
            ApiListener::Tcp { hosts, .. } => is_host_of_port(host, hosts),
            ApiListener::Unix { .. } => false,
        };
        is_own_host(host) || self.listener(of_listener).unwrap_or(false)
    }

    fn listener<T>(&self, ask: impl FnOnce(&ApiListener) -> T) -> Option<T> {
        let Self::Api { settings, listen } = self else { return None };
        let settings = settings.borrow();
        settings.iter().find(|it| it.listen() == *listen).map(ask)
    }
}

impl Peer {
    /// A client of a TCP listener
    pub(super) const fn at(address: SocketAddr) -> Self {
        Self { uid: None, pid: None, address: Some(address) }
    }
}

/// Returns true if a `Host` header is that of a program on this machine
fn is_own_host(host: &str) -> bool {
    let name = name_of(host);
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Returns true if a `Host` header is an address, `localhost`, or one of these names of a port of TCP
///
/// Rebinding needs a name: a page that was loaded from an address is our own.
pub(super) fn is_host_of_port(host: &str, names: &[String]) -> bool {
    let name = name_of(host);
    let address = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
    is_own_host(host)
        || address.parse::<IpAddr>().is_ok()
        || names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Returns a host without its port
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Returns the token that a request has, if it is a valid one
///
/// All tokens are compared, each in constant time: the time does not tell which of them exist.
fn token_of<'t>(headers: &HeaderMap, tokens: &'t [ApiToken]) -> Option<&'t ApiToken> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let hash: [u8; 32] = Sha256::digest(token.trim().as_bytes()).into();
    let mut found = NONE;
    for (place, token) in (0_u32..).zip(tokens) {
        let is_it = token
            .sha256
            .iter()
            .fold(Choice::from(0), |found, known| found | known.as_slice().ct_eq(&hash));
        found = u32::conditional_select(&found, &place, is_it);
    }
    let token = tokens.get(usize::try_from(found).ok()?)?;
    let is_over = token.expires.is_some_and(|end| SystemTime::now() >= end);
    (!is_over).then_some(token)
}

/// No place of a token
const NONE: u32 = u32::MAX;

/// The characters of a path in the log
const MAX_PATH: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Selector;

    fn rights(role: Role) -> Rights {
        Rights { role, sites: Selector::all(), targets: vec![TargetRule::ALL] }
    }

    fn token(name: &str, secrets: &[&str], expires: Option<SystemTime>) -> ApiToken {
        let hash = |secret: &&str| Sha256::digest(secret.as_bytes()).into();
        let sha256 = secrets.iter().map(hash).collect();
        ApiToken { name: name.to_owned(), sha256, rights: rights(Role::Read), expires }
    }

    fn found(header: Option<&str>, tokens: &[ApiToken]) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(header::AUTHORIZATION, header.parse().unwrap());
        }
        token_of(&headers, tokens).map(|token| token.name.clone())
    }

    #[test]
    fn a_token_is_known_by_either_of_its_hashes_until_it_expires() {
        let now = SystemTime::now();
        let later = now + std::time::Duration::from_hours(1);
        let tokens = [
            token("one", &["old", "new"], Some(later)),
            token("over", &["over"], Some(now)),
            token("two", &["two"], None),
        ];
        for (header, name) in [
            (Some("Bearer old"), Some("one")),
            (Some("bearer  new"), Some("one")),
            (Some("Bearer two"), Some("two")),
            (Some("Bearer over"), None),
            (Some("Bearer tw"), None),
            (Some("Bearer "), None),
            (Some("Bearer"), None),
            (Some("Basic two"), None),
            (None, None),
        ] {
            assert_eq!(found(header, &tokens).as_deref(), name, "{header:?}");
        }
        assert_eq!(found(Some("Bearer two"), &[]), None);
    }

    fn gate(hosts: &[&str]) -> Gate {
        let address = "10.0.0.1:9090".parse().unwrap();
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let clients = Clients::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
        let listener = ApiListener::Tcp { address, clients, hosts, tokens: Vec::new() };
        let listen = listener.listen();
        let settings = watch::Sender::new(Arc::from(vec![listener])).subscribe();
        Gate::Api { settings, listen }
    }

    #[test]
    fn only_names_of_this_machine_are_the_own_host() {
        for host in ["localhost", "LOCALHOST", "localhost:80", "127.0.0.1", "[::1]:9", "[::1]"] {
            assert!(Gate::Control.is_host(host), "{host}");
            assert!(gate(&[]).is_host(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "localhost:x", "10.0.0.1"] {
            assert!(!Gate::Control.is_host(host), "{host}");
        }
        let gate = gate(&["hub.example.net"]);
        for host in ["10.0.0.1:9090", "[2001:db8::1]", "HUB.example.net", "hub.example.net:443"] {
            assert!(gate.is_host(host), "{host}");
        }
        for host in ["evil.example", "10.0.0.1.evil.example", ""] {
            assert!(!gate.is_host(host), "{host}");
        }
    }

    #[test]
    fn a_client_from_elsewhere_may_not_use_the_port() {
        let gate = gate(&[]);
        assert!(gate.may_use(Some([10, 1, 1, 1].into())));
        assert!(!gate.may_use(Some([192, 168, 1, 1].into())));
        assert!(Gate::Control.may_use(None));
    }
}
