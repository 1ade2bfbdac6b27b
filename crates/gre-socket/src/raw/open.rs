//! The opening of the raw socket, and its options

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
    path::PathBuf,
};

use nix::sys::socket::{GetSockOpt, SetSockOpt, getsockopt, setsockopt, sockopt};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use socket2::{Domain, SockFilter, Socket, Type};

use crate::{OpenError, Shard, SocketOptions};

/// Opens a raw socket of protocol 47
pub(super) fn open() -> Result<Socket, OpenError> {
    Socket::new(Domain::IPV4, Type::RAW, Some(GRE.into())).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => OpenError::MissingCapability { program: program() },
        _ => OpenError::Refused(error),
    })
}

/// Makes sure that a socket from elsewhere is a raw socket of protocol 47
pub(super) fn check(socket: &Socket) -> Result<(), OpenError> {
    let raw_gre = socket.domain().is_ok_and(|domain| domain == Domain::IPV4)
        && socket.r#type().is_ok_and(|r#type| r#type == Type::RAW)
        && socket.protocol().is_ok_and(|protocol| protocol == Some(GRE.into()));
    if raw_gre { Ok(()) } else { Err(OpenError::NotRawGre) }
}

/// Opens a raw socket of protocol 47 to be taken over later, with everything set that needs privileges
///
/// It receives nothing until then.
pub(super) fn open_for_later(options: &SocketOptions) -> Result<OwnedFd, OpenError> {
    let socket = open()?;
    prepare_with(&socket, &DROP_ALL, options)?;
    Ok(socket.into())
}

/// Sets all options of the socket
pub(super) fn prepare(socket: &Socket, options: &SocketOptions) -> Result<(), OpenError> {
    prepare_with(socket, &filter(options.shard), options)
}

fn prepare_with(
    socket: &Socket,
    filter: &[SockFilter],
    options: &SocketOptions,
) -> Result<(), OpenError> {
    let failed = |option| move |source| OpenError::Option { option, source };
    // First, so that nothing else arrives meanwhile.
    socket.attach_filter(filter).map_err(failed("SO_ATTACH_FILTER"))?;
    socket.set_nonblocking(true).map_err(failed("O_NONBLOCK"))?;
    socket.set_header_included_v4(false).map_err(failed("IP_HDRINCL"))?;
    // A raw socket sends with Don't Fragment otherwise.
    set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT)
        .map_err(|error| failed("IP_MTU_DISCOVER")(error.into()))?;
    // Without it a socket that is not connected receives no ICMP errors.
    setsockopt(socket, sockopt::Ipv4RecvErr, &true)
        .map_err(|error| failed("IP_RECVERR")(error.into()))?;
    set_buffers(socket, options.receive_buffer)?;
    if let Some(mark) = options.fwmark
        && socket.mark().ok() != Some(mark)
    {
        socket.set_mark(mark).map_err(failed("SO_MARK"))?;
    }
    if let Some(device) = &options.device {
        bind_device(socket, device)?;
    }
    if let Some(address) = options.local_address {
        socket
            .bind(&SocketAddrV4::new(address, 0).into())
            .map_err(|source| OpenError::LocalAddress { address, source })?;
    }
    Ok(())
}

/// The address the socket is bound to
pub(super) fn local_address(socket: &Socket) -> Option<Ipv4Addr> {
    let address = *socket.local_addr().ok()?.as_socket_ipv4()?.ip();
    (!address.is_unspecified()).then_some(address)
}

/// The receive buffer the kernel granted, in octets; it reports twice that, for its own bookkeeping
pub(super) fn receive_buffer(socket: &Socket) -> usize {
    socket.recv_buffer_size().unwrap_or_default() / 2
}

/// Asks for the buffers: past the system's limit, and up to it where that is not permitted
fn set_buffers(socket: &Socket, receive_buffer: usize) -> Result<(), OpenError> {
    let failed =
        |option| move |error: nix::Error| OpenError::Option { option, source: error.into() };
    let receive_buffer = receive_buffer.min(MAX_RECEIVE_BUFFER);
    setsockopt(socket, sockopt::RcvBufForce, &receive_buffer)
        .or_else(|_| enlarge(socket, sockopt::RcvBuf, sockopt::RcvBuf, receive_buffer))
        .map_err(failed("SO_RCVBUF"))?;
    setsockopt(socket, sockopt::SndBufForce, &SEND_BUFFER)
        .or_else(|_| enlarge(socket, sockopt::SndBuf, sockopt::SndBuf, SEND_BUFFER))
        .map_err(failed("SO_SNDBUF"))
}

/// Enlarges a buffer within the system's limit, and leaves one that is larger already
///
/// The process that handed the socket over may have had more rights, and the kernel makes a buffer smaller,
/// too. So the size is tried on another socket first.
fn enlarge(
    socket: &Socket,
    set: impl SetSockOpt<Val = usize>,
    get: impl GetSockOpt<Val = usize>,
    size: usize,
) -> nix::Result<()> {
    let has = getsockopt(socket, get)?;
    let scratch = Socket::new(Domain::IPV4, Type::DGRAM, None)
        .map_err(|error| error.raw_os_error().map_or(nix::Error::EINVAL, nix::Error::from_raw))?;
    setsockopt(&scratch, set.clone(), &size)?;
    if getsockopt(&scratch, get)? > has {
        setsockopt(socket, set, &size)?;
    }
    Ok(())
}

fn bind_device(socket: &Socket, device: &str) -> Result<(), OpenError> {
    let bound = socket.device().ok().flatten();
    if bound.is_some_and(|bound| bound == device.as_bytes()) {
        return Ok(());
    }
    socket
        .bind_device(Some(device.as_bytes()))
        .map_err(|source| OpenError::Device { device: device.to_owned(), source })
}

/// Passes GRE version 1 with a key (RFC 2637 §4.1) for the calls of a shard, and drops every other
/// datagram in the kernel
///
/// The program sees the IP header first, whose length varies with its options.
fn filter(shard: Shard) -> [SockFilter; 12] {
    const LOAD_HEADER_LENGTH: u16 = 0xB1; // ldx 4*([k]&0xf)
    const LOAD_HALF_BEHIND_HEADER: u16 = 0x48; // ldh [x + k]
    const AND: u16 = 0x54; // and #k
    const MODULO: u16 = 0x94; // mod #k
    const JUMP_IF_EQUAL: u16 = 0x15; // jeq #k, true, false
    [
        SockFilter::new(LOAD_HEADER_LENGTH, 0, 0, 0),
        SockFilter::new(LOAD_HALF_BEHIND_HEADER, 0, 0, 0),
        SockFilter::new(AND, 0, 0, 0xEF7F), // all but the S and A bits
        SockFilter::new(JUMP_IF_EQUAL, 0, 7, 0x2001),
        SockFilter::new(LOAD_HALF_BEHIND_HEADER, 0, 0, 2),
        SockFilter::new(JUMP_IF_EQUAL, 0, 5, 0x880B),
        SockFilter::new(LOAD_HALF_BEHIND_HEADER, 0, 0, 6), // the Call ID
        // a call that was asked for with Call ID 0 may be in any shard
        SockFilter::new(JUMP_IF_EQUAL, 2, 0, 0),
        SockFilter::new(MODULO, 0, 0, shard.modulus()),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, shard.residue()),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

const RETURN: u16 = 0x06; // ret #k

fn program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "PROGRAM".into())
}

/// The largest receive buffer: the kernel doubles a C `int`, and grants its minimum on overflow
const MAX_RECEIVE_BUFFER: usize = (i32::MAX / 2).cast_unsigned() as usize;

/// Octets asked for the send buffer
///
/// Datagrams to a neighbour whose link layer address does not answer count against it until the
/// kernel gives up, up to 208 KiB each for seconds; a larger one only lengthens the queue that all
/// tunnels wait in.
const SEND_BUFFER: usize = 1 << 20;

/// IP protocol 47
const GRE: i32 = 47;

/// Drops every datagram
const DROP_ALL: [SockFilter; 1] = [SockFilter::new(RETURN, 0, 0, 0)];

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn the_more_is_asked_for_the_more_is_granted() {
        // a socket that needs no capability: the option is the same
        let granted = |octets| {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
            set_buffers(&socket, octets).unwrap();
            receive_buffer(&socket)
        };
        let ordinary = granted(64 << 10);
        assert!(ordinary >= 64 << 10, "{ordinary}");
        for octets in [MAX_RECEIVE_BUFFER, 1 << 31, usize::MAX / 2, usize::MAX] {
            assert!(granted(octets) >= ordinary, "{octets}: {}", granted(octets));
        }
    }

    #[test]
    fn a_buffer_that_is_large_already_is_not_made_smaller() {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        enlarge(&socket, sockopt::RcvBuf, sockopt::RcvBuf, 100 << 10).unwrap();
        let had = receive_buffer(&socket);
        assert!(had >= 100 << 10, "{had}");
        enlarge(&socket, sockopt::RcvBuf, sockopt::RcvBuf, 50 << 10).unwrap();
        assert_eq!(receive_buffer(&socket), had);
        enlarge(&socket, sockopt::RcvBuf, sockopt::RcvBuf, 150 << 10).unwrap();
        assert!(receive_buffer(&socket) > had);
    }

    #[test]
    fn messages_end_with_the_kernels_words() {
        const ENODEV: i32 = 19;
        let source = || io::Error::from_raw_os_error(ENODEV);
        let errors = [
            OpenError::Refused(source()),
            OpenError::LocalAddress { address: Ipv4Addr::LOCALHOST, source: source() },
            OpenError::Device { device: "nosuch0".into(), source: source() },
            OpenError::Option { option: "SO_MARK", source: source() },
            OpenError::Runtime(source()),
        ];
        for error in errors {
            assert!(error.to_string().ends_with(": No such device (os error 19)"), "{error}");
            assert!(error.source().is_some(), "{error}");
        }
    }
}
