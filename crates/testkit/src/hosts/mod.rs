//! Hosts behind the server: the services of the router and of the device
//!
//! | module | content |
//! |---|---|
//! | `dns`, `dhcp` | the servers of the router: names, and DHCPINFORM |
//! | `http` | the web server of the device, for the pages of a building |
//! | `echo` | the echo service (RFC 862) |
//! | `sink` | a service that takes octets and answers their SHA-256 |
//! | `source` | a service that sends as many octets as it is asked for |
//! | `knx` | the device's KNXnet/IP: search, description, tunnelling |

mod dhcp;
mod dns;
mod echo;
mod http;
mod knx;
mod sink;
mod source;

use std::{
    future::Future,
    io,
    net::{SocketAddr, SocketAddrV4},
    sync::Arc,
};

use pptp_netstack::{Net, TcpOptions, TcpStream, UdpOptions, UdpSocket};
use tokio::sync::Semaphore;

pub(crate) use self::knx::Gateway;
pub use self::{
    dhcp::Dhcp,
    knx::{KnxEndpoints, KnxGateway, KnxState},
};
use crate::{DEVICE, ROUTER, tasks::Tasks};

/// Starts all services of a building
pub(crate) fn start(
    building: u32,
    dhcp: Option<Dhcp>,
    gateway: &Arc<Gateway>,
    net: &Net,
    tasks: &Tasks,
) -> io::Result<()> {
    let on_device = |port| SocketAddrV4::new(DEVICE, port);
    let host = Host { net, tasks };
    host.serve_tcp(on_device(80), move |stream| http::serve(building, stream))?;
    host.serve_tcp(on_device(7), echo::serve)?;
    host.serve_tcp(on_device(9), sink::serve)?;
    host.serve_tcp(on_device(19), move |stream| source::serve(building, stream))?;
    host.serve_udp(on_device(7), |datagram, from| Some((datagram.to_vec(), from)))?;
    host.serve_udp(on_device(9), |datagram, from| Some((sink::answer(datagram), from)))?;
    host.serve_udp(on_device(19), move |question, from| {
        Some((source::answer(building, question)?, from))
    })?;
    knx::start(&host, gateway)?;
    let dns = SocketAddrV4::new(ROUTER, dns::PORT);
    host.serve_tcp(dns, move |stream| dns::serve(building, stream))?;
    host.serve_udp(dns, move |query, from| Some((dns::answer_udp(building, query)?, from)))?;
    if let Some(dhcp) = dhcp {
        let server = dhcp::Server::new(dhcp);
        let address = SocketAddrV4::new(ROUTER, dhcp::PORT);
        host.serve_udp(address, move |request, from| Some((server.answer(request)?, from)))?;
    }
    Ok(())
}

struct Host<'a> {
    net: &'a Net,
    tasks: &'a Tasks,
}

impl Host<'_> {
    /// Serves each connection in a task of its own
    fn serve_tcp<S>(
        &self,
        address: SocketAddrV4,
        serve: impl Fn(TcpStream) -> S + Send + 'static,
    ) -> io::Result<()>
    where
        S: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = self.net.tcp_listen(address.into(), BACKLOG, TcpOptions::default())?;
        let (tasks, places) = (self.tasks.clone(), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
        self.tasks.spawn(async move {
            while let Ok(place) = Arc::clone(&places).acquire_owned().await {
                let Ok((stream, client)) = listener.accept().await else { return };
                let serving = serve(stream);
                tasks.spawn(async move {
                    let _place = place;
                    if let Err(error) = serving.await {
                        tracing::debug!(%address, %client, %error, "a connection broke");
                    }
                });
            }
        });
        Ok(())
    }

    /// Answers each datagram with the payload and the destination that `answer` gives
    fn serve_udp(
        &self,
        address: SocketAddrV4,
        answer: impl Fn(&[u8], SocketAddrV4) -> Option<(Vec<u8>, SocketAddrV4)> + Send + 'static,
    ) -> io::Result<Arc<UdpSocket>> {
        let bound = Arc::new(self.net.udp_bind(address.into(), UdpOptions::default())?);
        let socket = Arc::clone(&bound);
        self.tasks.spawn(async move {
            let mut buffer = vec![0; MAX_DATAGRAM_LEN];
            // an unconnected socket fails only with its stack
            while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
                let SocketAddr::V4(from) = from else { continue };
                let datagram = buffer.get(..count).unwrap_or_default();
                if let Some((octets, to)) = answer(datagram, from) {
                    // lost, as datagrams may be
                    let _ = socket.send_to(&octets, to).await;
                }
            }
        });
        Ok(bound)
    }
}

/// The most connections of a service that may wait to be accepted
const BACKLOG: usize = 64;

/// Connections of a service at a time; more wait in the backlog
const MAX_CONNECTIONS: usize = 1024;

/// The largest UDP datagram there is
const MAX_DATAGRAM_LEN: usize = 65_535;
