//! The task of an inner socket of a KNX forward

use std::{
    net::{SocketAddr, SocketAddrV4},
    sync::Arc,
};

use pptp_fleet::SiteState;
use pptp_knxnetip::relay::PeerId;
use tokio::{sync::mpsc, time::Instant};

use crate::{
    settings::ForwardSettings,
    way_in::{
        client::Origin, inner_socket::InnerSocket, listener::Listener, reach, refusal::Refusal,
        way::Way,
    },
};

/// The task of an inner socket
///
/// It holds the site's lease: the site is in use while the socket is open. It ends when its queue is closed and empty,
/// so that what was said last is still sent; or when the socket is lost.
pub(super) struct Inner {
    pub(super) listener: Arc<Listener>,
    pub(super) peer: PeerId,
    /// The client whose socket it is; `None` for a question of the relay
    pub(super) client: Option<SocketAddrV4>,
    pub(super) way: Arc<Way>,
    pub(super) queue: mpsc::Receiver<(SocketAddrV4, Vec<u8>)>,
    pub(super) events: mpsc::Sender<(PeerId, Event)>,
}

/// The word of a task to the loop of its forward
#[derive(Debug)]
pub(super) enum Event {
    Opened(Opened),
    NotOpened,
    Received { octets: Vec<u8>, from: SocketAddrV4 },
    Lost,
}

/// A socket that is open
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) local: SocketAddrV4,
    /// The device's control endpoint
    pub(super) device: SocketAddrV4,
    /// The time since which its tunnel is up: no two have the same
    pub(super) tunnel: Option<Instant>,
}

impl Inner {
    /// Runs it; `_held` is given back at its end
    pub(super) async fn run<H>(mut self, _held: H) {
        let way = Arc::clone(&self.way);
        let Way::Forward { site, forward } = &*way else { return };
        let Some((site, facts)) = self.listener.directory.site(site.as_str()) else {
            return self.refuse(&Refusal::NoSuchSite(site.to_string())).await;
        };
        let mut inner = InnerSocket::new(site, facts);
        let opened = tokio::select! {
            biased;
            opened = open(&mut inner, forward) => opened,
            // its client is gone before
            _ = self.queue.recv() => return,
        };
        match opened {
            Ok(opened) => {
                self.tell(Event::Opened(opened)).await;
                self.pass(inner).await;
            }
            Err(refusal) => self.refuse(&refusal).await,
        }
    }

    async fn pass(mut self, mut inner: InnerSocket) {
        loop {
            tokio::select! {
                biased;
                sent = self.queue.recv() => match sent {
                    Some((to, octets)) => self.send(&inner, to, &octets).await,
                    None => return,
                },
                received = inner.receive() => match received {
                    Some((octets, SocketAddr::V4(from))) => {
                        self.tell(Event::Received { octets, from }).await;
                    }
                    Some((_, SocketAddr::V6(_))) => self.listener.counters.drop_datagram(),
                    None => return self.tell(Event::Lost).await,
                },
            }
        }
    }

    async fn send(&self, inner: &InnerSocket, to: SocketAddrV4, octets: &[u8]) {
        if inner.send(octets, SocketAddr::V4(to)).await {
            if self.client.is_some() {
                self.listener.counters.add_sent(octets.len());
            }
        } else {
            self.listener.counters.drop_datagram();
        }
    }

    async fn refuse(self, refusal: &Refusal) {
        if let Some(client) = self.client {
            self.listener.refuse(Origin::Address(client.into()), refusal);
        }
        self.tell(Event::NotOpened).await;
    }

    /// Tells the loop; one that has ended needs to know nothing
    async fn tell(&self, event: Event) {
        let _ = self.events.send((self.peer, event)).await;
    }
}

/// Opens the socket, and looks the device up in the site
async fn open(inner: &mut InnerSocket, forward: &ForwardSettings) -> Result<Opened, Refusal> {
    inner.open().await?;
    let mut device = None;
    if let Some(lease) = inner.lease() {
        let found = reach::addresses(lease, &inner.site, &inner.facts, &forward.target).await?;
        device = found.first().copied();
    }
    let tunnel = match *inner.site.state().borrow() {
        SiteState::Up { since } | SiteState::Renegotiating { since } => Some(since),
        _ => None,
    };
    let opened = inner.local().zip(device);
    let opened = opened.map(|(local, device)| Opened { local, device, tunnel });
    opened.ok_or_else(|| {
        let (site, name) = (inner.site.name().clone(), forward.target.host.to_string());
        Refusal::Name { site, name, error: "no address".to_owned() }
    })
}
