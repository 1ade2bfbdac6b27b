//! UDP ASSOCIATE: datagrams to and from any targets of a site (RFC 1928 §7)

use std::net::{SocketAddr, SocketAddrV4};

use pptp_socks5::{Datagram, Host, Reply, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::answer;
use crate::{
    settings::{ProxyKind, ProxySettings},
    way_in::{
        access::{self, Grant, Guest},
        client::{Client, ClientStream, Origin},
        datagrams::Datagrams,
        inner_socket::InnerSocket,
        listener::Listener,
        names,
        pass::Passage,
        refusal::Refusal,
        way::Way,
    },
};

/// Relays datagrams of a client until its TCP connection ends
pub(super) async fn serve<S: ClientStream>(
    listener: &Listener,
    mut passage: Passage<S>,
    proxy: &ProxySettings,
    guest: &Guest,
    target: &Target,
) {
    let origin = passage.client.origin();
    let opened = passage.wait_for(open(listener, proxy, guest, target)).await;
    let (inner, grant) = match opened.unwrap_or_else(|| Err(Refusal::Gone("its site".to_owned()))) {
        Ok(opened) => opened,
        Err(refusal) => return answer::refuse(listener, passage, origin, &refusal).await,
    };
    let relay = passage.client.stream().bind_datagrams().await;
    let relay = relay.and_then(|relay| Ok((relay.local_address()?, relay)));
    let (bound, socket) = match relay {
        Ok(relay) => relay,
        Err(error) => {
            let words = format!("no UDP socket for the client: {error}");
            listener.refuse(origin, &Refusal::Protocol(words));
            return answer::say(passage, Some(Reply::CommandNotSupported)).await;
        }
    };
    if passage.client.write_all(&Reply::Succeeded(bound).emit()).await.is_err() {
        return;
    }
    let relay = Relay { listener, socket, inner, origin, client: None };
    let holds = |proxy: &ProxySettings| grant.holds(proxy, &listener.directory);
    tokio::select! {
        biased;
        () = until_end(&mut passage.client) => {}
        () = listener.until_proxy_forbids(origin, ProxyKind::Socks, holds) => return,
        () = relay.run() => return,
    }
    passage.finish().await;
}

async fn open(
    listener: &Listener,
    proxy: &ProxySettings,
    guest: &Guest,
    target: &Target,
) -> Result<(InnerSocket, Grant), Refusal> {
    let site_of_host = match &target.host {
        Host::Name(name) => names::split(name, &proxy.suffix).1,
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    };
    let site = names::site(proxy, guest.site.as_deref(), site_of_host)?;
    let (site, facts, grant) = guest.site(proxy, &listener.directory, &site)?;
    let mut inner = InnerSocket::new(site, facts);
    inner.open().await?;
    Ok((inner, grant))
}

/// Waits until the client has closed its TCP connection; octets on it mean nothing
async fn until_end<S: ClientStream>(client: &mut Client<S>) {
    let mut octets = [0; 64];
    while let Ok(1..) = client.read(&mut octets).await {}
}

/// The datagrams of one association
struct Relay<'a, D> {
    listener: &'a Listener,
    socket: D,
    inner: InnerSocket,
    origin: Origin,
    /// The address of the client's first datagram, which is the only one from then on: other users share its machine
    client: Option<SocketAddr>,
}

impl<D: Datagrams> Relay<'_, D> {
    async fn run(mut self) {
        loop {
            if !self.inner.is_open() && self.inner.open().await.is_err() {
                self.wait_for_site().await;
                continue;
            }
            tokio::select! {
                received = self.socket.receive() => match received {
                    Ok((datagram, from)) => self.send_to_site(&datagram, from).await,
                    Err(_) => return,
                },
                // `None`: the tunnel has ended, and the next round opens another socket
                received = self.inner.receive() => if let Some((datagram, from)) = received {
                    self.send_to_client(&datagram, from);
                },
            }
        }
    }

    /// Drops datagrams until the site is up or may be asked for again
    async fn wait_for_site(&self) {
        tokio::select! {
            () = self.inner.until_up() => {}
            _ = self.socket.receive() => self.listener.counters.drop_datagram(),
        }
    }

    async fn send_to_site(&mut self, datagram: &[u8], from: SocketAddr) {
        let is_client = match self.client {
            Some(client) => client == from,
            None => self.origin.ip().is_some_and(|ip| ip == from.ip().to_canonical()),
        };
        let parsed = Datagram::read(datagram).ok().filter(|datagram| datagram.fragment == 0);
        let Some(parsed) = parsed.filter(|_| is_client) else {
            return self.listener.counters.drop_datagram();
        };
        self.client = Some(from);
        let target = match parsed.target.host {
            Host::Ipv4(address) => SocketAddrV4::new(address, parsed.target.port),
            // a name may be one of another site, and an answer could not be told from others
            Host::Ipv6(_) | Host::Name(_) => return self.listener.counters.drop_datagram(),
        };
        if self.may_reach(target) && self.inner.send(parsed.payload, target.into()).await {
            self.listener.counters.add_sent(parsed.payload.len());
        } else {
            self.listener.counters.drop_datagram();
        }
    }

    fn send_to_client(&self, payload: &[u8], from: SocketAddr) {
        let SocketAddr::V4(source) = from else { return };
        let client = self.client.filter(|_| self.may_reach(source));
        let datagram = Datagram { fragment: 0, target: from.into(), payload }.emit();
        let sent = client.map(|client| self.socket.try_send_to(&datagram, client));
        if let Some(Ok(_)) = sent {
            self.listener.counters.add_received(payload.len());
        } else {
            self.listener.counters.drop_datagram();
        }
    }

    fn may_reach(&self, target: SocketAddrV4) -> bool {
        match &*self.listener.way() {
            Way::Proxy(proxy) => access::may_reach(proxy, target),
            Way::Forward { .. } => false,
        }
    }
}
