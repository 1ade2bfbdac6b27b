//! The metrics, and the routes of their own listener

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{Api, daemon, is_own_host, no_method, no_route};
use crate::api::{
    control::Control,
    metrics::{Format, Snapshot, wanted},
    problem::Problem,
    query,
};

/// Makes the routes of the metrics' own listener: they read, and tell nothing else
pub(in crate::api) fn router(control: Arc<dyn Control>) -> Router {
    let api = Arc::new(Api::new(control));
    Router::new()
        .route("/livez", get(daemon::livez))
        .route("/readyz", get(daemon::readyz))
        .route("/metrics", get(metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&api), check))
        .with_state(api)
}

/// The metrics, as the scraper wants to have them
pub(super) async fn metrics(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    query::none(query.as_deref())?;
    let accept = headers.get_all(header::ACCEPT).iter();
    let format = wanted(accept.filter_map(|value| value.to_str().ok()));
    let control = Arc::clone(&api.control);
    let take = async move { Snapshot::take(&*control).await };
    let write = |snapshot: Snapshot, format: Format| snapshot.write(format);
    let answer = api.control.exporter().scrape(format, take, write).await;
    let answer = answer.map_err(|reason| Problem::busy(reason.to_string()))?;
    let kind = [(header::CONTENT_TYPE, format.content_type())];
    Ok((kind, Body::new(answer)).into_response())
}

/// Refuses requests whose `Host` is not a name of this listener
///
/// A page in a browser reaches it by a name of its own at most (DNS rebinding), never by an address.
async fn check(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    let settings = api.control.metrics();
    if !host.is_some_and(|host| is_host(host, &settings.hosts)) {
        let detail =
            "ask for the address of this listener; a name has to be among `hosts` of [metrics]";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Problem::new(status, "host", "Another host", detail).into_response();
    }
    next.run(request).await
}

/// Returns true if a `Host` header is an address, `localhost`, or one of these names
fn is_host(host: &str, names: &[String]) -> bool {
    if is_own_host(host) {
        return true;
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok() || names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_chosen_names_are_hosts_of_the_listener() {
        let names = ["hub.example".to_owned()];
        for host in [
            "10.0.0.1:9464",
            "10.0.0.1",
            "[2001:db8::1]:9464",
            "Hub.Example:9464",
            "localhost:9464",
        ] {
            assert!(is_host(host, &names), "{host}");
        }
        for host in
            ["", "evil.example", "hub.example.evil.example", "10.0.0.1.evil.example:80", "[x]"]
        {
            assert!(!is_host(host, &names), "{host}");
        }
    }
}
