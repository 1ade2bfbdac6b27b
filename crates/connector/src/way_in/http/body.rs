//! The bodies of the proxy's answers

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use super::{exchange::Upstream, stream::Clock};

/// The body of an answer of the proxy: a text of its own, or what comes from the target
pub(super) struct ProxyBody {
    kind: Kind,
    /// Told when the answer has ended
    clock: Option<Arc<Clock>>,
}

enum Kind {
    Text(Option<Bytes>),
    Target { body: Incoming, upstream: Box<Upstream> },
}

impl ProxyBody {
    /// Makes a body of a text
    pub(super) fn text(text: String) -> Self {
        Self {
            kind: Kind::Text(Some(text.into()).filter(|text: &Bytes| !text.is_empty())),
            clock: None,
        }
    }

    /// Makes a body of what comes from a target
    pub(super) fn target(body: Incoming, upstream: Upstream) -> Self {
        Self { kind: Kind::Target { body, upstream: Box::new(upstream) }, clock: None }
    }

    /// Tells the clock when the body has ended
    pub(super) fn with_clock(mut self, clock: Arc<Clock>) -> Self {
        self.clock = Some(clock);
        self
    }
}

impl Body for ProxyBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        match &mut this.kind {
            Kind::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Kind::Target { body, upstream } => {
                let polled = Pin::new(body).poll_frame(cx);
                match &polled {
                    Poll::Ready(Some(Ok(frame))) => {
                        upstream.count(frame.data_ref().map_or(0, Bytes::len));
                    }
                    Poll::Ready(Some(Err(_))) => {
                        // the client must not take what it has for all
                        this.clock.iter().for_each(|clock| clock.set_broken());
                    }
                    _ => {}
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Text(text) => text.is_none(),
            Kind::Target { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Target { body, .. } => body.size_hint(),
        }
    }
}

impl Drop for ProxyBody {
    fn drop(&mut self) {
        self.clock.iter().for_each(|clock| clock.set_idle());
    }
}
