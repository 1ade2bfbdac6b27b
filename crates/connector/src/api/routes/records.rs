//! Flight records and captures

use std::sync::Arc;

use axum::{
    Extension,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use pptp::record::{Capture, CaptureOptions};
use tokio::sync::mpsc;

use super::{Api, stream_place};
use crate::api::{
    access::Caller,
    problem::Problem,
    query::{self, CaptureQuery},
    stream,
};

/// The messages of a site's tunnel, or of the latest one that failed, without secrets
pub(super) async fn flight_record(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    query::none(query.as_deref())?;
    let (site, _) = api.site(&name, &caller)?;
    let record = site.flight_record().ok_or_else(|| {
        let detail = format!(
            "{} was not up yet, and no dial of it has failed: there is no record",
            site.name()
        );
        let problem = Problem::new(StatusCode::NOT_FOUND, "no-record", "No flight record", detail);
        Problem { site: Some(site.name().as_str().into()), ..problem }
    })?;
    Ok(([(header::CONTENT_TYPE, PCAPNG)], record.pcapng()).into_response())
}

/// The packets of a site's tunnel as they pass, in the clear, until the tunnel ends or the client leaves
pub(super) async fn capture(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let CaptureQuery { snap } = CaptureQuery::parse(query.as_deref())?;
    let (site, _) = api.site(&name, &caller)?;
    let place = stream_place(&caller)?;
    let tunnel = site.peek().and_then(|tunnel| tunnel.upgrade()).ok_or_else(|| {
        let state = site.state().borrow().clone();
        Problem::down(site.name(), &state, format!("{} is {state}", site.name()), false)
    })?;
    let options = CaptureOptions::default().buffer(BUFFER);
    let options = snap.into_iter().fold(options, CaptureOptions::snap_length);
    let capture = tunnel.capture_with(options);
    tracing::info!("a capture of {} begins", site.name());
    let (sender, response) = stream::begin(PCAPNG, 1, place);
    tokio::spawn(send_packets(capture, sender));
    Ok(response)
}

/// Sends captured packets; packets beyond [`BUFFER`] are counted and not kept
async fn send_packets(mut capture: Capture, sender: mpsc::Sender<Bytes>) {
    loop {
        let blocks = tokio::select! {
            () = sender.closed() => return,
            blocks = capture.next() => match blocks {
                Some(blocks) => Bytes::copy_from_slice(blocks),
                None => return,
            },
        };
        if sender.send(blocks).await.is_err() {
            return;
        }
    }
}

/// The type of pcapng
const PCAPNG: &str = "application/x-pcapng";

/// The octets of packets that wait for the client
const BUFFER: usize = 256 << 10;
