//! A UDP socket inside a site that outlives the site's tunnels

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};

use pptp::net::UdpSocket;
use pptp_fleet::{Lease, Site};
use tokio::time::{sleep, timeout};

use super::{datagrams, reach, refusal::Refusal};
use crate::directory::SiteFacts;

/// A UDP socket inside a site
///
/// After a redial it is bound to the same port again, if the inner address is the same: a device that answers to that
/// port finds its client. While it is open, the site is in use.
#[derive(Debug)]
pub(super) struct InnerSocket {
    pub(super) site: Site,
    pub(super) facts: Arc<SiteFacts>,
    open: Option<(UdpSocket, Lease)>,
    /// The inner address and the port that it had
    last: Option<(Ipv4Addr, u16)>,
}

impl InnerSocket {
    pub(super) const fn new(site: Site, facts: Arc<SiteFacts>) -> Self {
        Self { site, facts, open: None, last: None }
    }

    /// Returns true if it can be used now
    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Waits for the site, and binds the socket
    ///
    /// # Errors
    /// The site is not up in time.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn open(&mut self) -> Result<(), Refusal> {
        while self.open.is_none() {
            let lease = reach::lease(&self.site, &self.facts).await?;
            let address = lease.info().inner_address;
            let port = self.last.filter(|(last, _)| *last == address).map_or(0, |(_, port)| port);
            let socket = lease.udp_bind(port).or_else(|_| lease.udp_bind(0));
            match socket.and_then(|socket| Ok((socket.local_addr()?.port(), socket))) {
                Ok((port, socket)) => {
                    self.last = Some((address, port));
                    self.open = Some((socket, lease));
                }
                // the tunnel has just ended, or has no port left
                Err(_) => sleep(PAUSE).await,
            }
        }
        Ok(())
    }

    /// Closes the socket; it may be opened again
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Returns the lease while it is open
    pub(super) fn lease(&self) -> Option<&Lease> {
        self.open.as_ref().map(|(_, lease)| lease)
    }

    /// Returns its own address and port while it is open
    pub(super) fn local(&self) -> Option<SocketAddrV4> {
        let (address, port) = self.last.filter(|_| self.is_open())?;
        Some(SocketAddrV4::new(address, port))
    }

    /// Waits until the site is up
    pub(super) async fn until_up(&self) {
        let mut state = self.site.state();
        if state.wait_for(pptp_fleet::SiteState::is_up).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Receives a datagram of the site; `None` if the tunnel has ended, and the socket with it
    ///
    /// # Cancel safety
    /// No datagram is lost.
    pub(super) async fn receive(&mut self) -> Option<(Vec<u8>, SocketAddr)> {
        loop {
            let (socket, _) = self.open.as_ref()?;
            match datagrams::receive_inner(socket).await {
                Ok(received) => return Some(received),
                // a host said that nobody listens, which concerns one datagram
                Err(error) if is_about_one_datagram(&error) => {}
                Err(_) => self.open = None,
            }
        }
    }

    /// Sends a datagram; false if it was lost
    pub(super) async fn send(&self, datagram: &[u8], target: SocketAddr) -> bool {
        let Some((socket, _)) = &self.open else { return false };
        let sent = timeout(SEND, socket.send_to(datagram, target)).await;
        matches!(sent, Ok(Ok(_)))
    }
}

fn is_about_one_datagram(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// The pause before a site is asked again whose tunnel has just ended
const PAUSE: Duration = Duration::from_millis(100);

/// The time that a datagram waits for room in its tunnel
const SEND: Duration = Duration::from_secs(1);
