//! A flight record of any records, for the fuzzer of its writer: no part of the library's interface

use std::{
    net::SocketAddrV4,
    time::{Duration, SystemTime},
};

use pptp_tunnel::Record;

use crate::{
    State,
    record::{Ends, FlightRecord},
};

/// A flight record as a tunnel that is up would give it, between these addresses
pub fn flight_record(
    records: Vec<Record>,
    tunnel: String,
    [local, server]: [SocketAddrV4; 2],
    [call_id, peer_call_id]: [u16; 2],
) -> FlightRecord {
    FlightRecord {
        tunnel,
        state: State::Up,
        ends: Ends { local, server, call_id, peer_call_id },
        began: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
        records,
        echoes: 0,
        forgotten: 0,
    }
}
