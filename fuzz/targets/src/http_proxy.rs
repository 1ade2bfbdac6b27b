//! The heads of requests to the HTTP proxy

use hyper::{
    Method, Uri,
    header::{HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION},
};
use pptp_connector::{
    settings::{Listen, Login, ProxyKind, ProxySettings, Selector},
    way_in::{Refusal, Route, RouteKind, route},
};

/// Reads the octets as the head of a request to three proxies: to all sites, to one, and with a login
///
/// A way has a target that can be dialled, and what goes on to the target has neither the site nor a second line in it.
/// A proxy with logins lets nobody in without one. A refusal is one short line: it goes into the log and into a header.
pub fn target(octets: &[u8]) {
    let Some((method, uri, headers)) = head(octets) else { return };
    let listen = Listen::Ip(([127, 0, 0, 1], 8080).into());
    let open = ProxySettings::new(ProxyKind::Http, listen);
    let Ok(site) = "b17".parse() else { return };
    let pinned = ProxySettings { sites: Selector::one(site), ..open.clone() };
    let login = Login { name: "ann".into(), password_sha256: SECRET, sites: Selector::all() };
    let closed = ProxySettings { logins: vec![login], ..open.clone() };
    let way = told(route(&open, &method, &uri, &headers));
    let to_one = told(route(&pinned, &method, &uri, &headers));
    let let_in = told(route(&closed, &method, &uri, &headers));
    for way in [&way, &to_one, &let_in].into_iter().flatten() {
        look(way, &method);
    }
    match (&way, &to_one) {
        (Some(_), _) => assert_eq!(way, to_one, "a site that is named counts for each proxy"),
        (None, Some(to_one)) => assert_eq!(to_one.destination.site, *"b17", "the only one"),
        (None, None) => {}
    }
    let has_login = headers.contains_key(PROXY_AUTHORIZATION);
    assert!(let_in.is_none() || has_login, "nobody is let in without a login");
}

/// Looks at a way
fn look(way: &Route, method: &Method) {
    let target = &way.destination.target;
    assert_ne!(target.port, 0, "a port can be dialled");
    let again = target.to_string().parse();
    assert_eq!(again.as_ref(), Ok(target), "a target is read again as it is printed");
    assert_eq!(way.kind == RouteKind::Tunnel, *method == Method::CONNECT);
    if let RouteKind::Exchange { host, path } = &way.kind {
        let name = target.host.to_string();
        let port = host.strip_prefix(&name).expect("the host of the target alone");
        assert!(port.is_empty() || *port == format!(":{}", target.port), "{host}");
        assert!(HeaderValue::from_str(host).is_ok(), "{host:?} is one line");
        assert!(path.starts_with('/') && HeaderValue::from_str(path).is_ok(), "{path:?}");
        let sent = path.parse::<Uri>().expect("a path can be sent on");
        assert!(sent.authority().is_none(), "{path:?} is no other host");
    }
}

/// Returns the way; else looks at the refusal's text
fn told(way: Result<Route, Refusal>) -> Option<Route> {
    let words = match way {
        Ok(way) => return Some(way),
        Err(refusal) => refusal.to_string(),
    };
    assert!(!words.is_empty() && words.len() <= MAX_REFUSAL, "{} octets", words.len());
    assert!(!words.contains(char::is_control), "{words:?} is one line");
    None
}

/// Reads a head, a line for each field; fields that cannot be one are left out
fn head(octets: &[u8]) -> Option<(Method, Uri, HeaderMap)> {
    let mut lines = octets.split(|octet| *octet == b'\n');
    let mut words = lines.next()?.trim_ascii_end().split(|octet| *octet == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let uri = Uri::try_from(words.next()?).ok()?;
    let field = |line: &[u8]| {
        let colon = line.iter().position(|octet| *octet == b':')?;
        let name = HeaderName::from_bytes(line.get(..colon)?).ok()?;
        let value = line.get(colon.checked_add(1)?..)?.trim_ascii();
        Some((name, HeaderValue::from_bytes(value).ok()?))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(field).take(MAX_FIELDS) {
        headers.append(name, value);
    }
    Some((method, uri, headers))
}

/// The most fields of a head: hyper's bound
const MAX_FIELDS: usize = 100;

/// The longest text of a refusal
const MAX_REFUSAL: usize = 1024;

/// SHA-256 of `secret`
const SECRET: [u8; 32] = [
    0x2B, 0xB8, 0x0D, 0x53, 0x7B, 0x1D, 0xA3, 0xE3, 0x8B, 0xD3, 0x03, 0x61, 0xAA, 0x85, 0x56, 0x86,
    0xBD, 0xE0, 0xEA, 0xCD, 0x71, 0x62, 0xFE, 0xF6, 0xA2, 0x5F, 0xE9, 0x7B, 0xF5, 0x27, 0xA2, 0x5B,
];
