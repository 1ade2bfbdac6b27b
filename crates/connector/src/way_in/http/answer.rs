//! Refusals in the words of HTTP (RFC 9110 §15, RFC 9209)

use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue, PROXY_AUTHENTICATE, RETRY_AFTER},
};

use super::body::ProxyBody;
use crate::way_in::refusal::{ConnectFailure, Refusal};

/// Returns the answer for a refusal: the status, `Proxy-Status`, and the sentence as the body
pub(super) fn response(refusal: &Refusal, has_logins: bool) -> Response<ProxyBody> {
    let (status, error) = code(refusal);
    let mut response = Response::new(ProxyBody::text(format!("{refusal}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    let words = quoted(&refusal.to_string());
    let proxy_status = format!("pptp-connector; error={error}; details=\"{words}\"");
    if let Ok(value) = HeaderValue::from_str(&proxy_status) {
        headers.insert("proxy-status", value);
    }
    if let Some(after) = refusal.retry_after() {
        headers.insert(RETRY_AFTER, after.as_secs().max(1).into());
    }
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        let realm = if has_logins {
            "Basic realm=\"user name = LOGIN or LOGIN+SITE\""
        } else {
            "Basic realm=\"user name = site\""
        };
        headers.insert(PROXY_AUTHENTICATE, HeaderValue::from_static(realm));
    }
    response
}

/// Returns the status, and the type of error of RFC 9209 §2.3
const fn code(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::Protocol(_) | Refusal::Target(_) => {
            (StatusCode::BAD_REQUEST, "http_request_error")
        }
        Refusal::Login | Refusal::NoSite { .. } => {
            (StatusCode::PROXY_AUTHENTICATION_REQUIRED, "http_request_denied")
        }
        Refusal::Client(_) | Refusal::TwoSites { .. } | Refusal::SiteNotAllowed(_) => {
            (StatusCode::FORBIDDEN, "http_request_denied")
        }
        Refusal::TargetNotAllowed { .. } | Refusal::RemoteConfiguration => {
            (StatusCode::FORBIDDEN, "destination_ip_prohibited")
        }
        Refusal::NoSuchSite(_) => (StatusCode::BAD_GATEWAY, "destination_not_found"),
        Refusal::NotUp { .. } => (StatusCode::SERVICE_UNAVAILABLE, "destination_unavailable"),
        Refusal::TooMany(_) => (StatusCode::SERVICE_UNAVAILABLE, "connection_limit_reached"),
        Refusal::Name { .. } => (StatusCode::BAD_GATEWAY, "dns_error"),
        Refusal::Connect { kind, .. } => match kind {
            ConnectFailure::Refused => (StatusCode::BAD_GATEWAY, "connection_refused"),
            ConnectFailure::Unreachable => (StatusCode::BAD_GATEWAY, "destination_ip_unroutable"),
            ConnectFailure::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "connection_timeout"),
            ConnectFailure::TunnelLost => {
                (StatusCode::SERVICE_UNAVAILABLE, "destination_unavailable")
            }
            ConnectFailure::Broken => (StatusCode::BAD_GATEWAY, "http_protocol_error"),
        },
        Refusal::Gone(_) => (StatusCode::BAD_REQUEST, "http_request_error"),
    }
}

/// Returns a text as the inside of a string of RFC 8941 §3.3.3: printable ASCII, with `"` and `\` escaped
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => quoted.push('?'),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_9209_a_refusal_tells_its_type_and_its_sentence() {
        let refusal = Refusal::NoSuchSite("b\"1\\\u{e4}".to_owned());
        let response = response(&refusal, false);
        assert_eq!(response.status(), 502);
        assert_eq!(
            response.headers()["proxy-status"],
            r#"pptp-connector; error=destination_not_found; details="there is no site `b\"1\\?`""#
        );
    }
}
