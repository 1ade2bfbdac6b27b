//! The clients' socket of a KNX forward, of the kernel

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::AsRawFd,
};

use nix::{
    cmsg_space,
    errno::Errno,
    libc::{in_addr, in_pktinfo, sock_extended_err, sockaddr_in},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
        sockopt,
    },
};
use tokio::{io::Interest, net::UdpSocket};

use super::datagrams::{KnxDatagrams, Received};

impl KnxDatagrams for UdpSocket {
    fn tell(&self, begins: bool) -> io::Result<()> {
        setsockopt(self, sockopt::Ipv4PacketInfo, &begins)?;
        // without it nothing is said about a port that refuses, since the socket is not connected
        setsockopt(self, sockopt::Ipv4RecvErr, &begins)?;
        Ok(())
    }

    async fn receive_told(&self) -> io::Result<Received> {
        loop {
            // an entry of the error queue makes a socket ready for neither reading nor writing
            self.ready(Interest::READABLE | Interest::ERROR).await?;
            // each by itself: `try_io` takes no two at a time, and clears what it is asked for
            for (interest, receive) in RECEIVERS {
                match self.try_io(interest, || receive(self)) {
                    Ok(Some(received)) => return Ok(received),
                    Ok(None) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    fn send_from(&self, octets: &[u8], client: SocketAddrV4, from: Ipv4Addr) -> io::Result<()> {
        let send = || self.try_io(Interest::WRITABLE, || send(self, octets, client, from));
        match send() {
            // another client's port has refused, which the next call tells, whatever it is
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => send(),
            sent => sent,
        }
    }
}

/// Takes the next entry of the error queue; `None`: it is about something else than a refusal
fn refused(socket: &UdpSocket) -> io::Result<Option<Received>> {
    let mut control = cmsg_space!(sock_extended_err, sockaddr_in, in_pktinfo);
    let mut head = [0; 1];
    let mut buffers = [IoSliceMut::new(&mut head)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut buffers, Some(&mut control), flags)?;
    let is_refusal = message.cmsgs()?.any(|message| {
        matches!(message, ControlMessageOwned::Ipv4RecvErr(report, _) if report.ee_errno == REFUSED)
    });
    let client = message.address.filter(|_| is_refusal).map(SocketAddrV4::from);
    Ok(client.map(|client| Received::Refused(client.into())))
}

/// Takes the next datagram; `None`: there was a pending error, which its entry in the queue tells
fn datagram(socket: &UdpSocket) -> io::Result<Option<Received>> {
    let mut control = cmsg_space!(in_pktinfo);
    let mut octets = [0; MAX_FRAME];
    let mut buffers = [IoSliceMut::new(&mut octets)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let received =
        recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut buffers, Some(&mut control), flags);
    let message = match received {
        Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => return Ok(None),
        received => received?,
    };
    let to = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)))
        }
        _ => None,
    });
    let (count, client) = (message.bytes, message.address);
    let octets = octets.get(..count).unwrap_or_default().to_vec();
    Ok(client.map(|client| {
        let client = SocketAddr::V4(SocketAddrV4::from(client));
        Received::Datagram { octets, client, to }
    }))
}

fn send(socket: &UdpSocket, octets: &[u8], client: SocketAddrV4, from: Ipv4Addr) -> io::Result<()> {
    let info = in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: in_addr { s_addr: u32::from(from).to_be() },
        ipi_addr: in_addr { s_addr: 0 },
    };
    let control = [ControlMessage::Ipv4PacketInfo(&info)];
    let (octets, client) = ([IoSlice::new(octets)], SockaddrIn::from(client));
    let flags = MsgFlags::MSG_DONTWAIT;
    sendmsg(socket.as_raw_fd(), &octets, &control, flags, Some(&client))?;
    Ok(())
}

type Receiver = fn(&UdpSocket) -> io::Result<Option<Received>>;

const RECEIVERS: [(Interest, Receiver); 2] =
    [(Interest::ERROR, refused), (Interest::READABLE, datagram)];

const REFUSED: u32 = Errno::ECONNREFUSED as u32;

/// Octets of a frame; a longer one is cut off, and so is none. The longest of the standard are below 1 KiB
const MAX_FRAME: usize = 4096;
