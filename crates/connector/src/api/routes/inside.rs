//! Pings and connections through a site: `ping`, `tcp`

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension,
    body::Body,
    extract::{Path, RawQuery, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use pptp::{Tunnel, net::TcpStream};
use pptp_fleet::Lease;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};

use super::{Api, stream_place};
use crate::{
    api::{
        access::{Caller, forbidden},
        problem::Problem,
        query::{PingQuery, TcpQuery},
        stall::Stall,
        stream,
        view::PingView,
    },
    directory::SiteFacts,
    target::Host,
};

/// Pings a host of a site; an answer a line
pub(super) async fn ping(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let PingQuery { to, count } = PingQuery::parse(query.as_deref())?;
    let (site, facts) = api.site(&name, &caller)?;
    let place = stream_place(&caller)?;
    let lease = site.tunnel(facts.wait).await.map_err(|error| Problem::not_up(&error))?;
    let found = address(&lease, &facts, &to).await;
    let address = found.map_err(|error| Problem::target(site.name(), format!("{to}: {error}")))?;
    if !caller.may_reach_host(address) {
        return Err(forbidden(format!("{caller} may not reach {address} behind {}", site.name())));
    }
    let (sender, response) = stream::begin("application/x-ndjson", 1, place);
    tokio::spawn(async move {
        let begin = Instant::now();
        for number in 1..=count {
            let line = stream::line(&ping_once(&lease, address, number).await);
            if sender.send(line).await.is_err() {
                return;
            }
            if number < count {
                tokio::select! {
                    () = sender.closed() => return,
                    () = sleep_until(begin + PING_INTERVAL.saturating_mul(number)) => {}
                }
            }
        }
    });
    Ok(response)
}

async fn ping_once(tunnel: &Tunnel, address: Ipv4Addr, number: u32) -> PingView {
    let answer = tunnel.ping(address, PING_TIMEOUT).await;
    let milliseconds = answer.as_ref().ok().map(|trip| trip.as_secs_f64() * 1000.0);
    let error = answer.err().map(|error| match error.kind() {
        io::ErrorKind::TimedOut => format!("no answer within {} s", PING_TIMEOUT.as_secs()),
        _ => error.to_string(),
    });
    PingView { number, address: address.to_string(), milliseconds, error }
}

/// Connects to a target behind a site; octets both ways after the answer 101
pub(super) async fn tcp(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
    mut request: Request,
) -> Result<Response, Problem> {
    let TcpQuery { to } = TcpQuery::parse(query.as_deref())?;
    if !wants_tcp(request.headers()) {
        return Ok(upgrade_required());
    }
    let (site, facts) = api.site(&name, &caller)?;
    let place = api.inside_place()?;
    let lease = site.tunnel(facts.wait).await.map_err(|error| Problem::not_up(&error))?;
    let failed = |error: io::Error| Problem::target(site.name(), format!("{to}: {error}"));
    let address = address(&lease, &facts, &to.host).await.map_err(failed)?;
    // the address that is dialled is asked about, whatever its name
    if !caller.may_reach(SocketAddrV4::new(address, to.port)) {
        let detail = format!("{caller} may not reach {address}:{} behind {}", to.port, site.name());
        return Err(forbidden(detail));
    }
    let remote = lease.tcp_connect((address, to.port)).await.map_err(failed)?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(pass(upgrade, remote, lease, place));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    Ok(response)
}

fn wants_tcp(headers: &HeaderMap) -> bool {
    let has = |name, wanted: &str| {
        let value = headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        value.is_some_and(|value| value.split(',').any(|it| it.trim().eq_ignore_ascii_case(wanted)))
    };
    has(header::UPGRADE, "tcp") && has(header::CONNECTION, "upgrade")
}

fn upgrade_required() -> Response {
    let (title, detail) = ("Upgrade", "ask with `Connection: upgrade` and `Upgrade: tcp`");
    let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade", title, detail);
    let mut response = problem.into_response();
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("tcp"));
    response
}

/// Passes octets both ways until both have ended, or one has failed
async fn pass(
    upgrade: OnUpgrade,
    mut remote: TcpStream,
    lease: Lease,
    place: OwnedSemaphorePermit,
) {
    let Ok(upgraded) = upgrade.await else { return remote.abort() };
    let passed = match upgraded.downcast::<TokioIo<Stall>>() {
        Ok(parts) => {
            // its client may read as slowly as it likes: that is how TCP works
            let mut local = parts.io.into_inner().into_inner();
            match remote.write_all(&parts.read_buf).await {
                Ok(()) => copy(&mut local, &mut remote).await,
                Err(error) => Err(error),
            }
        }
        Err(upgraded) => copy(&mut TokioIo::<Upgraded>::new(upgraded), &mut remote).await,
    };
    if passed.is_err() {
        remote.abort();
    }
    drop((lease, place));
}

async fn copy(
    local: &mut (impl AsyncRead + AsyncWrite + Unpin),
    remote: &mut TcpStream,
) -> io::Result<()> {
    copy_bidirectional(local, remote).await.map(|_| ())
}

/// Returns the first address of a host
async fn address(tunnel: &Tunnel, facts: &SiteFacts, host: &Host) -> io::Result<Ipv4Addr> {
    let addresses = facts.resolve(tunnel, host).await?;
    addresses.first().copied().ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// The time from one ping to the next
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// The time in which an answer has to come
const PING_TIMEOUT: Duration = Duration::from_secs(2);
