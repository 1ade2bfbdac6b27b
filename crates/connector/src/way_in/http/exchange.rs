//! A request in absolute form, its way to the target and back

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1,
    header::{
        CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
        PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
    },
};
use hyper_util::rt::TokioIo;
use pptp_fleet::{Lease, SiteName};
use tokio_util::task::AbortOnDropHandle;

use super::body::ProxyBody;
use crate::way_in::{
    counters::Counters,
    reach::Reached,
    refusal::{ConnectFailure, Refusal},
};

/// What an answer needs until it has passed: the connection to the target, and the site's lease
pub(super) struct Upstream {
    counters: Arc<Counters>,
    _connection: AbortOnDropHandle<()>,
    _lease: Lease,
}

impl Upstream {
    pub(super) fn count(&self, octets: usize) {
        self.counters.add_received(octets);
    }
}

/// Sends a request to its target on a connection of its own, and returns the head of the answer
///
/// Its body passes as it comes.
pub(super) async fn exchange(
    mut request: Request<Incoming>,
    site: &SiteName,
    reached: Reached,
    (host, path): (&str, &str),
    counters: &Arc<Counters>,
) -> Result<Response<ProxyBody>, Refusal> {
    let Reached { remote, target, lease } = reached;
    let broken = |error: String| Refusal::Connect {
        site: site.clone(),
        target,
        kind: ConnectFailure::Broken,
        error,
    };
    rewrite(&mut request, host, path).map_err(Refusal::Protocol)?;
    let handshake = http1::Builder::new().max_buf_size(MAX_BUFFER).handshake(TokioIo::new(remote));
    let (mut sender, connection) =
        handshake.await.map_err(|error: hyper::Error| broken(told(&error)))?;
    let connection = tokio::spawn(async move {
        // its errors are those of the exchange
        let _ = connection.await;
    });
    let connection = AbortOnDropHandle::new(connection);
    let sent = Arc::clone(counters);
    let request = request.map(|body| {
        body.map_frame(move |frame| {
            sent.add_sent(frame.data_ref().map_or(0, hyper::body::Bytes::len));
            frame
        })
    });
    let response = sender.send_request(request).await.map_err(|error| broken(told(&error)))?;
    look_at_coding(response.headers()).map_err(&broken)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(broken("it has switched the protocol unasked".to_owned()));
    }
    let counters = Arc::clone(counters);
    let upstream = Upstream { counters, _connection: connection, _lease: lease };
    let mut response = response.map(|body| ProxyBody::target(body, upstream));
    clean(response.headers_mut());
    response.headers_mut().append(VIA, HeaderValue::from_static(OUR_NAME));
    Ok(response)
}

/// Makes the proxy's request to the target of a client's request to the proxy
fn rewrite<T>(request: &mut Request<T>, host: &str, path: &str) -> Result<(), String> {
    let path: Uri = path.parse().map_err(|error| format!("the path cannot be sent on: {error}"))?;
    let host = HeaderValue::from_str(host).map_err(|error| error.to_string())?;
    *request.uri_mut() = path;
    let headers = request.headers_mut();
    clean(headers);
    headers.remove(EXPECT);
    headers.insert(HOST, host);
    headers.append(VIA, HeaderValue::from_static(OUR_NAME));
    // each request has a connection of its own
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    *request.version_mut() = hyper::Version::HTTP_11;
    Ok(())
}

/// Refuses a body that is coded in another way than in chunks: only these are taken off
pub(super) fn look_at_coding(headers: &HeaderMap) -> Result<(), String> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    if codings.all(|it| it.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Ok(());
    }
    Err("of transfer codings only `chunked` is passed on".to_owned())
}

/// Removes what concerns one connection alone (RFC 9110 §7.6.1), and a length beside chunks, which means nothing (RFC
/// 9112 §6.3)
fn clean(headers: &mut HeaderMap) {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> = named
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    for name in [
        CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        headers.remove(name);
    }
}

fn told(error: &hyper::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// The name of this proxy in `Via` (RFC 9110 §7.6.3)
const OUR_NAME: &str = "1.1 pptp-connector";

/// Octets of an answer that are read ahead
const MAX_BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_9110_7_6_1_what_concerns_one_connection_goes_no_further() {
        let mut request = Request::builder().uri("http://knx.b17.pptp.internal/a");
        for (name, value) in [
            ("host", "knx.b17.pptp.internal"),
            ("connection", "keep-alive, X-Mine"),
            ("x-mine", "1"),
            ("x-other", "2"),
            ("proxy-authorization", "Basic YjE3Og=="),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("authorization", "Basic abc"),
        ] {
            request = request.header(name, value);
        }
        let mut request = request.body(()).unwrap();
        rewrite(&mut request, "knx", "/a").unwrap();
        let mut headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        headers.sort();
        assert_eq!(
            headers,
            [
                "authorization: Basic abc",
                "connection: close",
                "host: knx",
                "via: 1.1 pptp-connector",
                "x-other: 2",
            ]
        );
        assert_eq!(request.uri(), "/a");
    }
}
