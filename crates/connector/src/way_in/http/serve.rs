//! A client of the HTTP proxy, from its first octet on

use std::{
    convert::Infallible,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::{
    Request, Response,
    body::Incoming,
    header::PROXY_AUTHORIZATION,
    server::conn::http1,
    service::service_fn,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;

use super::{
    answer,
    body::ProxyBody,
    exchange,
    route::{self, RouteKind},
    stream::{Clock, HttpStream},
};
use crate::{
    settings::{ProxyKind, ProxySettings},
    way_in::{
        access::{self, Grant},
        client::{Client, ClientStream, Origin},
        listener::Listener,
        pass::Passage,
        reach::{self, Reached},
        refusal::{Reason, Refusal},
        way::Way,
    },
};

/// Serves a client of an HTTP proxy until it ends
pub(in crate::way_in) async fn serve<S: ClientStream>(listener: &Arc<Listener>, client: Client<S>) {
    let origin = client.origin();
    let clock = Arc::new(Clock::new());
    let session = Session {
        listener: Arc::clone(listener),
        origin,
        clock: Arc::clone(&clock),
        shared: Arc::default(),
    };
    let stream = TokioIo::new(HttpStream::new(client.into_stream(), Arc::clone(&clock)));
    let service = service_fn(|request| session.clone().answer(request));
    let connection = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .header_read_timeout(None)
        .serve_connection(stream, service)
        .with_upgrades();
    let holds = |proxy: &ProxySettings| session.holds(proxy);
    {
        // dropped behind the select, so that its stream sees what the clock was told
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                clock.set_ended();
                if let Err(error) = ended {
                    tracing::debug!("{origin}: {error}");
                }
            }
            has_begun = clock.until_late() => {
                clock.set_ended();
                if has_begun {
                    let words = "no whole head of a request within 10 s".to_owned();
                    listener.refuse(origin, &Refusal::Protocol(words));
                }
                return;
            }
            () = listener.until_proxy_forbids(origin, ProxyKind::Http, holds) => return,
        }
    }
    let opened = session.shared().opened.take();
    if let Some(opened) = opened {
        pass::<S>(&session, opened).await;
    }
}

/// Passes the octets of a CONNECT, with the stream taken back out of hyper
async fn pass<S: ClientStream>(session: &Session, opened: Opened) {
    let Opened { upgrade, reached, grant } = opened;
    let parts = upgrade
        .await
        .ok()
        .and_then(|upgraded: Upgraded| upgraded.downcast::<TokioIo<HttpStream<S>>>().ok());
    let Some(parts) = parts else { return };
    let Some(stream) = parts.io.into_inner().into_stream() else { return };
    let (listener, origin) = (&session.listener, session.origin);
    let passage = Passage::new(Client::with_ahead(stream, origin, parts.read_buf.to_vec()));
    let holds = |proxy: &ProxySettings| grant.holds(proxy, &listener.directory);
    let stop = listener.until_proxy_forbids(origin, ProxyKind::Http, holds);
    if let Err(error) = passage.run(reached.remote, &listener.counters, None, stop).await {
        tracing::debug!("the connection of {origin} to {} broke: {error}", reached.target);
    }
    drop(reached.lease);
}

/// A client's connection
#[derive(Clone)]
struct Session {
    listener: Arc<Listener>,
    origin: Origin,
    clock: Arc<Clock>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// The right of the request that is answered, or was the last
    grant: Option<Grant>,
    /// The connection that a CONNECT has opened
    opened: Option<Opened>,
}

struct Opened {
    upgrade: OnUpgrade,
    reached: Reached,
    grant: Grant,
}

impl Session {
    async fn answer(self, request: Request<Incoming>) -> Result<Response<ProxyBody>, Infallible> {
        self.clock.set_busy();
        let has_login = request.headers().contains_key(PROXY_AUTHORIZATION);
        let way = self.listener.way();
        let (answered, has_logins) = match &*way {
            Way::Proxy(proxy) if proxy.kind == ProxyKind::Http => {
                (self.pass_on(request, proxy).await, !proxy.logins.is_empty())
            }
            _ => (Err(Refusal::Protocol("this is no HTTP proxy any more".to_owned())), false),
        };
        let response = answered.unwrap_or_else(|refusal| {
            let is_login = matches!(refusal.reason(), Reason::Login | Reason::NoSite);
            // a browser asks without a login first
            if has_login || !is_login {
                self.listener.refuse(self.origin, &refusal);
            }
            answer::response(&refusal, has_logins)
        });
        Ok(response.map(|body| body.with_clock(Arc::clone(&self.clock))))
    }

    async fn pass_on(
        &self,
        mut request: Request<Incoming>,
        proxy: &ProxySettings,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let (guest, route) =
            route::enter(proxy, request.method(), request.uri(), request.headers())?;
        let name = &route.destination.site;
        let (site, facts, grant) = guest.site(proxy, &self.listener.directory, name)?;
        let may_reach = |target| access::may_reach(proxy, target);
        let target = &route.destination.target;
        let reached = reach::connect(&site, &facts, target, may_reach).await?;
        let grant = grant.to(reached.target);
        self.shared().grant = Some(grant.clone());
        // a reload while the target was connected has looked at the right of the request before
        let holds = |proxy: &ProxySettings| grant.holds(proxy, &self.listener.directory);
        if !self.listener.proxy_allows(self.origin, ProxyKind::Http, holds) {
            return Err(Refusal::SiteNotAllowed(name.clone()));
        }
        match route.kind {
            RouteKind::Tunnel => {
                let upgrade = hyper::upgrade::on(&mut request);
                self.shared().opened = Some(Opened { upgrade, reached, grant });
                Ok(Response::new(ProxyBody::text(String::new())))
            }
            RouteKind::Exchange { host, path } => {
                let counters = &self.listener.counters;
                exchange::exchange(request, name, reached, (&host, &path), counters).await
            }
        }
    }

    /// Returns true if the right of the request that is answered would be given again
    fn holds(&self, proxy: &ProxySettings) -> bool {
        let grant = self.shared().grant.clone();
        grant.is_none_or(|grant| grant.holds(proxy, &self.listener.directory))
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Octets of the head of a request
const MAX_HEAD: usize = 8 << 10;
