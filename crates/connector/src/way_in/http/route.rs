//! The site and the target of a request to the HTTP proxy, from its head alone

use hyper::{
    Method, Uri,
    header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING, UPGRADE},
    http::uri::Scheme,
};

use super::{basic, exchange};
use crate::{
    settings::ProxySettings,
    way_in::{
        access::Guest,
        names::{self, Destination},
        refusal::Refusal,
    },
};

/// The way of a request
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The site and the target
    pub destination: Destination,
    /// The rest of it
    pub kind: RouteKind,
}

/// The kind of a request
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteKind {
    /// CONNECT: octets pass both ways
    Tunnel,
    /// A request in absolute form
    Exchange {
        /// The value of `Host` for the target: without the site and the suffix
        host: String,
        /// The request's target in origin form
        path: String,
    },
}

/// Returns the way of a request through a proxy
///
/// # Errors
/// It is no request to a proxy, its login is wrong, or it names no site.
pub fn route(
    proxy: &ProxySettings,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Route, Refusal> {
    enter(proxy, method, uri, headers).map(|(_, route)| route)
}

/// Lets a client in by the head of its request, and returns the way of the request
pub(super) fn enter(
    proxy: &ProxySettings,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(Guest, Route), Refusal> {
    let (host, port) = authority(method, uri)?;
    let credentials = basic::credentials(headers);
    let (user, password) = credentials.map_or((None, Vec::new()), |(user, it)| (Some(user), it));
    let guest = Guest::enter(proxy, user.as_deref(), &password)?;
    let destination = names::destination(proxy, guest.site.as_deref(), host, port)?;
    let kind = if method == Method::CONNECT {
        if has_body(headers) {
            return Err(Refusal::Protocol(
                "CONNECT has no body: RFC 9110 section 9.3.6".to_owned(),
            ));
        }
        RouteKind::Tunnel
    } else {
        exchange(&destination, uri, headers)?
    };
    Ok((guest, Route { destination, kind }))
}

/// Returns the host and the port that a request is for
fn authority<'a>(method: &Method, uri: &'a Uri) -> Result<(&'a str, u16), Refusal> {
    let bad = |words: &str| Refusal::Protocol(words.to_owned());
    let Some(authority) = uri.authority() else {
        return Err(bad("this is a proxy: it takes CONNECT, and requests with a whole URL"));
    };
    let port = authority.port().map(|port| port.as_u16());
    let port = match uri.scheme() {
        _ if method == Method::CONNECT => port.ok_or_else(|| bad("CONNECT without a port"))?,
        Some(scheme) if *scheme == Scheme::HTTP => port.unwrap_or(80),
        _ => return Err(bad("of whole URLs only http is taken: for https use CONNECT")),
    };
    // `host:` and a port that is too large are none
    let rest = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, rest)| rest);
    if rest.len() != authority.host().len() && authority.port().is_none() {
        return Err(bad("the port is no number from 1 to 65535"));
    }
    Ok((authority.host(), port))
}

fn has_body(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    headers.contains_key(TRANSFER_ENCODING) || lengths.any(|length| length != "0")
}

fn exchange(
    destination: &Destination,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<RouteKind, Refusal> {
    let upgrades = headers.get_all(UPGRADE).iter().filter_map(|value| value.to_str().ok());
    if upgrades
        .flat_map(|value| value.split(','))
        .any(|it| it.trim().eq_ignore_ascii_case("websocket"))
    {
        let words = "a WebSocket passes through CONNECT only: tell the client to use a tunnel";
        return Err(Refusal::Protocol(words.to_owned()));
    }
    exchange::look_at_coding(headers).map_err(Refusal::Protocol)?;
    let target = &destination.target;
    let host = match uri.port_u16() {
        Some(port) => format!("{}:{port}", target.host),
        None => target.host.to_string(),
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
    Ok(RouteKind::Exchange { host, path })
}

#[cfg(test)]
mod tests {
    use hyper::header::PROXY_AUTHORIZATION;

    use super::*;
    use crate::settings::{Listen, ProxyKind, Selector};

    fn proxy() -> ProxySettings {
        ProxySettings::new(ProxyKind::Http, Listen::Ip(([127, 0, 0, 1], 0).into()))
    }

    fn asked(method: &str, uri: &str, user: Option<&str>) -> Result<Route, Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(user) = user {
            headers.insert(PROXY_AUTHORIZATION, format!("Basic {user}").parse().unwrap());
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        route(&proxy(), &method, &uri.parse().unwrap(), &headers)
    }

    fn told(route: &Route) -> String {
        let Destination { site, target } = &route.destination;
        match &route.kind {
            RouteKind::Tunnel => format!("{site} {target}"),
            RouteKind::Exchange { host, path } => format!("{site} {target} {host} {path}"),
        }
    }

    #[test]
    fn the_head_of_a_request_tells_its_way() {
        let b17 = Some("YjE3Og==");
        for (method, uri, user, wanted) in [
            ("CONNECT", "192.168.1.3:443", b17, "b17 192.168.1.3:443"),
            ("CONNECT", "192.168.1.3.b18.pptp.internal:22", None, "b18 192.168.1.3:22"),
            ("GET", "http://192.168.1.3/", b17, "b17 192.168.1.3:80 192.168.1.3 /"),
            (
                "GET",
                "http://KNX.b18.pptp.internal:8080/a?b=c",
                None,
                "b18 knx:8080 knx:8080 /a?b=c",
            ),
            ("POST", "http://knx.b17.pptp.internal", b17, "b17 knx:80 knx /"),
        ] {
            assert_eq!(told(&asked(method, uri, user).unwrap()), wanted, "{method} {uri}");
        }
    }

    #[test]
    fn what_is_no_request_to_a_proxy_is_refused() {
        let protocol = |method, uri| {
            let refusal = asked(method, uri, Some("YjE3Og==")).unwrap_err();
            assert!(matches!(refusal, Refusal::Protocol(_)), "{method} {uri}: {refusal}");
        };
        protocol("GET", "/");
        protocol("OPTIONS", "*");
        protocol("GET", "https://192.168.1.3/");
        protocol("GET", "ftp://192.168.1.3/");
        protocol("CONNECT", "192.168.1.3");
        protocol("CONNECT", "192.168.1.3:0");
        let refusal = asked("CONNECT", "[fe80::1]:80", Some("YjE3Og==")).unwrap_err();
        assert!(matches!(refusal, Refusal::Target(crate::target::InvalidTarget::Ipv6(_))));
        let refusal = asked("CONNECT", "192.168.1.3:443", None).unwrap_err();
        assert!(matches!(refusal, Refusal::NoSite { .. }));
        let refusal = asked("CONNECT", "x.b18.pptp.internal:443", Some("YjE3Og==")).unwrap_err();
        assert!(matches!(refusal, Refusal::TwoSites { .. }));
    }

    #[test]
    fn a_websocket_in_absolute_form_is_refused_with_the_way_that_works() {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, "WebSocket".parse().unwrap());
        let uri = "http://192.168.1.3/".parse().unwrap();
        let sites = Selector::one("b17".parse().unwrap());
        let proxy = ProxySettings { sites, ..proxy() };
        let refusal = route(&proxy, &Method::GET, &uri, &headers).unwrap_err();
        assert!(refusal.to_string().contains("CONNECT"), "{refusal}");
    }
}
