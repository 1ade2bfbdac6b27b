//! Sockets of the network behind a tunnel, their options and their errors
//!
//! [`Tunnel::tcp_connect`](crate::Tunnel::tcp_connect), [`tcp_listen`](crate::Tunnel::tcp_listen) and
//! [`udp_bind`](crate::Tunnel::udp_bind) make them. They behave as tokio's sockets do, and most of their
//! methods have the same names.
//!
//! ```no_run
//! # async fn example(tunnel: pptp::Tunnel) -> std::io::Result<()> {
//! use std::time::Duration;
//!
//! use pptp::net::{TcpOptions, UdpOptions};
//!
//! // a name is asked for inside the tunnel, of the DNS servers of the remote network
//! let options = TcpOptions::default().keepalive(Some(Duration::from_secs(60)));
//! let plc = tunnel.tcp_connect_with("plc.local:502", options).await?;
//! println!("{} to {}", plc.local_addr()?, plc.peer_addr()?);
//!
//! // a Who-Is of BACnet/IP to every device of the remote network
//! let options = UdpOptions::default().broadcast(true);
//! let bacnet = tunnel.udp_bind_with(47808, options)?;
//! bacnet.send_to(&[0x81, 0x0B, 0, 8, 1, 0, 0x10, 8], ([192, 168, 1, 255], 47808)).await?;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "tower")]
mod http_connector;

#[doc(inline)]
pub use pptp_netstack::{
    AddressError, CongestionControl, DhcpAnswer, DhcpInform, LookupError, OwnedReadHalf,
    OwnedWriteHalf, ReadHalf, ReuniteError, Route, ShutDown, SocketError, TcpListener, TcpOptions,
    TcpStream, ToInnerAddr, UdpOptions, UdpSocket, WriteHalf,
};

#[cfg(feature = "tower")]
pub use self::http_connector::{HttpConnecting, HttpConnector, HttpStream};
