//! The batch calls and the error queue
//!
//! The calls' headers hold pointers and cannot move between threads, while the driver does. So each
//! thread has its own, made once: no call keeps anything in them for the next.

use std::{
    array,
    cell::RefCell,
    io::{self, IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsRawFd, BorrowedFd},
};

use nix::{
    cmsg_space,
    errno::Errno,
    libc::{in_addr, in_pktinfo, sock_extended_err, sockaddr_in},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrIn, recvmmsg,
        recvmsg, sendmmsg,
    },
};
use pptp_gre::enhanced_call_id;

use crate::{BATCH, DeliveryFailure, Outgoing, ReceiveBatch, SendBatch};

struct Headers {
    receiving: MultiHeaders<SockaddrIn>,
    /// Headers of datagrams whose source the kernel chooses
    sending: MultiHeaders<SockaddrIn>,
    /// Headers of datagrams with a source: room for a control message that is not used is an error
    sending_from: MultiHeaders<SockaddrIn>,
    report: Vec<u8>,
}

impl Headers {
    fn new() -> Self {
        Self {
            receiving: MultiHeaders::preallocate(BATCH, None),
            sending: MultiHeaders::preallocate(BATCH, None),
            sending_from: MultiHeaders::preallocate(BATCH, Some(cmsg_space!(in_pktinfo))),
            report: cmsg_space!(sock_extended_err, sockaddr_in),
        }
    }
}

thread_local! {
    static HEADERS: RefCell<Headers> = RefCell::new(Headers::new());
}

/// Takes the datagrams that have arrived into an empty batch; returns how many, discarded ones
/// included
pub(super) fn receive(socket: BorrowedFd<'_>, batch: &mut ReceiveBatch) -> io::Result<usize> {
    let mut lengths = [0; BATCH];
    let count = HEADERS.with_borrow_mut(|headers| {
        let mut slots = batch.slots();
        let mut buffers: [_; BATCH] =
            array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
        let messages = recvmmsg(
            socket.as_raw_fd(),
            &mut headers.receiving,
            buffers.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        )?;
        let received = messages.zip(&mut lengths);
        io::Result::Ok(received.map(|(message, length)| *length = whole(&message)).count())
    })?;
    for (index, length) in lengths.iter().enumerate().take(count) {
        batch.note_ip(index, *length);
    }
    Ok(count)
}

/// A datagram's length, or 0 if it did not fit its slot
fn whole(message: &RecvMsg<'_, '_, SockaddrIn>) -> usize {
    if message.flags.contains(MsgFlags::MSG_TRUNC) { 0 } else { message.bytes }
}

/// Sends the datagrams that go next from one source; returns how many the kernel took
///
/// An error is about the first of them, or about no datagram. `WouldBlock` says that the send buffer is
/// full.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    batch: &SendBatch,
    bound: Option<Ipv4Addr>,
) -> io::Result<usize> {
    let source = batch.next().and_then(|next| next.source).filter(|source| Some(*source) != bound);
    let mut run = batch.run();
    let count = run.len();
    let mut addresses = [None; BATCH];
    let mut places = addresses.iter_mut();
    let payloads: [_; BATCH] = array::from_fn(|_| {
        let Some((outgoing, place)) = run.next().zip(places.next()) else {
            return [IoSlice::new(&[])];
        };
        *place = Some(address(outgoing));
        [IoSlice::new(outgoing.packet.as_slice())]
    });
    let from = in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: in_addr { s_addr: u32::from(source.unwrap_or(UNSPECIFIED)).to_be() },
        ipi_addr: in_addr { s_addr: 0 },
    };
    let from = [ControlMessage::Ipv4PacketInfo(&from)];
    HEADERS.with_borrow_mut(|headers| {
        let (headers, from) = match source {
            Some(_) => (&mut headers.sending_from, from.as_slice()),
            None => (&mut headers.sending, [].as_slice()),
        };
        let sent = sendmmsg(
            socket.as_raw_fd(),
            headers,
            payloads.iter().take(count),
            addresses,
            from,
            MsgFlags::MSG_DONTWAIT,
        );
        match sent {
            // A full send buffer is this to a raw socket, and so is a full queue of the device.
            Err(Errno::ENOBUFS) if !has_room(socket) => Err(io::ErrorKind::WouldBlock.into()),
            sent => Ok(sent?.count()),
        }
    })
}

fn has_room(socket: BorrowedFd<'_>) -> bool {
    let mut sockets = [PollFd::new(socket, PollFlags::POLLOUT)];
    let polled = poll(&mut sockets, PollTimeout::ZERO);
    polled.is_ok()
        && sockets.iter().filter_map(PollFd::revents).any(|room| room.contains(PollFlags::POLLOUT))
}

fn address(outgoing: &Outgoing) -> SockaddrIn {
    SocketAddrV4::new(outgoing.destination, 0).into()
}

/// Takes the next entry of the error queue; the entry is `None` unless it comes from an ICMP
/// message
///
/// Errors that this host itself found were returned when the datagram was sent.
pub(super) fn failure(socket: BorrowedFd<'_>) -> io::Result<Option<DeliveryFailure>> {
    HEADERS.with_borrow_mut(|headers| {
        let mut head = [0; HEAD];
        let mut buffers = [IoSliceMut::new(&mut head)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrIn>(
            socket.as_raw_fd(),
            &mut buffers,
            Some(&mut headers.report),
            flags,
        )?;
        let reported =
            message.cmsgs().into_iter().flatten().find_map(|message| icmp_report(&message));
        let (length, destination) = (message.bytes, message.address);
        let Some(((report, reporter), destination)) = reported.zip(destination) else {
            return Ok(None);
        };
        Ok(Some(DeliveryFailure {
            destination: destination.ip(),
            peer_call_id: head.get(..length).and_then(enhanced_call_id),
            reporter: reporter.map(|address| u32::from_be(address.sin_addr.s_addr).into()),
            icmp: (report.ee_type, report.ee_code),
            error: io::Error::from_raw_os_error(report.ee_errno.cast_signed()),
        }))
    })
}

fn icmp_report(message: &ControlMessageOwned) -> Option<(sock_extended_err, Option<sockaddr_in>)> {
    match message {
        ControlMessageOwned::Ipv4RecvErr(report, reporter) if report.ee_origin == ICMP => {
            Some((*report, *reporter))
        }
        _ => None,
    }
}

const UNSPECIFIED: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

/// Octets read of a datagram that came back: its GRE header
const HEAD: usize = 16;

/// `SO_EE_ORIGIN_ICMP`
const ICMP: u8 = 2;
