//! Answers without an end that is known

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::Response,
};
use hyper::body::Frame;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Begins an answer that is written piece by piece, of which `pieces` wait for the client at most
///
/// The answer ends when the sender is dropped. The sender is closed when the client is gone.
pub(super) fn begin(
    kind: &'static str,
    pieces: usize,
    place: OwnedSemaphorePermit,
) -> (mpsc::Sender<Bytes>, Response) {
    let (sender, receiver) = mpsc::channel(pieces);
    let mut response = Response::new(Body::new(Pieces { receiver, _place: place }));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (sender, response)
}

/// Makes a line of JSON
pub(super) fn line(object: &impl Serialize) -> Bytes {
    // an object of ours has no key that is no text, the one reason for which this fails
    let mut line = serde_json::to_vec(object).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

/// A body of pieces
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    /// The place among the streams, given back with the body
    _place: OwnedSemaphorePermit,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.receiver.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
