//! The flight record: the messages of a tunnel that were kept, as a pcapng file

use std::{
    fmt::{self, Write as _},
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, SystemTime},
};

use pptp_tunnel::Record;

use super::pcapng::{self, Direction, Interface, Packet};
use crate::{
    State,
    state::{StateName, short},
};

mod wire;

use wire::Wire;

/// The flight recorder's content: the messages on the wire during the connect, and lately
///
/// Control messages and PPP frames that are not encrypted, with their times. Passwords and what answers
/// a challenge were never recorded: they are zeros. If a server was dialled more than once for one connect, this is
/// of the last time.
///
/// ```no_run
/// # fn example(tunnel: &pptp::Tunnel) -> std::io::Result<()> {
/// let record = tunnel.flight_record();
/// println!("{} messages", record.records().len());
/// std::fs::write("connect.pcapng", record.pcapng())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FlightRecord {
    pub(crate) tunnel: String,
    pub(crate) state: State,
    pub(crate) ends: Ends,
    /// The time from which the records' times count
    pub(crate) began: SystemTime,
    pub(crate) records: Vec<Record>,
    pub(crate) echoes: u64,
    pub(crate) forgotten: u64,
}

impl fmt::Debug for FlightRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, state) = (short(&self.tunnel), StateName::of(&self.state));
        let records = self.records.len();
        write!(f, "FlightRecord {{ name: {name:?}, state: {state:?}, records: {records} }}")
    }
}

/// The two ends of a tunnel's datagrams
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddrV4,
    pub(crate) server: SocketAddrV4,
    /// In the GRE that we got
    pub(crate) call_id: u16,
    /// In the GRE that we sent
    pub(crate) peer_call_id: u16,
}

impl FlightRecord {
    /// Returns the records, oldest first
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Returns the start of the connect, from which the records' times count
    pub const fn began(&self) -> SystemTime {
        self.began
    }

    /// Echo-Requests and Echo-Replies, of the control connection and of LCP, which are counted only
    pub const fn echoes(&self) -> u64 {
        self.echoes
    }

    /// Records that made room for later ones, or found none
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The state of the tunnel when this was taken
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// A file for Wireshark, in pcapng
    ///
    /// Each control message is a TCP segment between the real addresses and ports, each PPP frame a GRE datagram
    /// with its real Call ID and sequence number. What was not recorded is made up, and the file says so: TCP's
    /// numbers count the octets in the file, and GRE's acknowledgments are left out. The name, the state with
    /// the failure, and the counters are the comment of the file; what a packet lacks is the comment of that packet.
    pub fn pcapng(&self) -> Vec<u8> {
        let mut file = Vec::new();
        pcapng::section(&mut file, &self.comment());
        let address = Some(*self.ends.local.ip()).filter(|address| !address.is_unspecified());
        Interface { name: &self.tunnel, address, snap_length: 0 }.write(&mut file);
        let began = self.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut wire = Wire::new(self.ends);
        for record in &self.records {
            wire.take(record, |datagram| datagram.write(&mut file, began));
        }
        wire.finish(|datagram| datagram.write(&mut file, began));
        file
    }

    /// The content of the file, in words for people
    fn comment(&self) -> String {
        let mut comment = format!("flight record of the tunnel {}", self.tunnel);
        let _ = match &self.state {
            State::Connecting { phase } => write!(comment, "\nstate: connecting, {phase}"),
            State::Redialling { .. } => write!(comment, "\nstate: dialling once more"),
            State::Up => write!(comment, "\nstate: up"),
            State::Renegotiating => write!(comment, "\nstate: renegotiating"),
            State::Down { reason } => {
                write!(comment, "\nstate: down: {reason}\ntimes: {}", reason.timeline)
            }
        };
        if self.ends.server.port() != 0 {
            let Ends { local, server, .. } = self.ends;
            let _ = write!(comment, "\nfrom {} to the server {server}", local.ip());
        }
        let Self { echoes, forgotten, .. } = self;
        let _ = write!(comment, "\nechoes, counted only: {echoes}\nrecords forgotten: {forgotten}");
        comment + MADE_UP
    }
}

/// The parts of a file that are not as they were on the wire
const MADE_UP: &str = "\nmade up: IPv4 and TCP headers but for addresses and ports; GRE acknowledgments are \
                       left out; secrets are zeros; times are to the millisecond";

/// An IPv4 datagram as it may have been
struct Datagram {
    /// Since the connect began
    at: Duration,
    direction: Direction,
    octets: Vec<u8>,
    /// Octets that it had, if that is more
    length: usize,
    comment: &'static str,
}

impl Datagram {
    fn write(&self, file: &mut Vec<u8>, began: Duration) {
        let Self { at, direction, octets, length, comment } = self;
        let (at, direction, length) = (began.saturating_add(*at), *direction, *length);
        Packet { at, direction, octets, length, comment }.write(file);
    }
}

impl Ends {
    /// Those of a tunnel that has not got as far as to have any
    pub(crate) const NONE: Self = Self {
        local: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        server: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
        call_id: 0,
        peer_call_id: 0,
    };
}

#[cfg(test)]
mod tests;
