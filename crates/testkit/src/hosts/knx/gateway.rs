//! The device's tunnelling: connections, telegrams, and the ways in which gateways differ

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{PORT, answer, frame, hpai, parse_frame, parse_hpai};
use crate::DEVICE;

/// The KNXnet/IP gateway of a building: the ways in which gateways differ
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnxGateway {
    /// Tunnelling connections at a time
    pub slots: u8,
    /// The port for telegrams, if it is another one than 3671
    pub data_port: Option<u16>,
    /// The address of the data endpoint that it announces; `None`: its own
    ///
    /// 0.0.0.0 is announced with port 0: "where this answer comes from".
    pub announces: Option<Ipv4Addr>,
    /// Its way with the endpoints that clients name
    pub endpoints: KnxEndpoints,
}

/// The way of a gateway with the endpoints that clients name
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KnxEndpoints {
    /// It answers to the endpoint, and for zeros to where the request came from
    #[default]
    Any,
    /// It gives no description for zeros, and refuses a connection (`E_HOST_PROTOCOL_TYPE`)
    RefusesZeros,
    /// It answers zeros to 0.0.0.0:0, so never
    TakesZerosLiterally,
    /// It has no route to the endpoint: only what names zeros is answered
    ZerosOnly,
}

impl Default for KnxGateway {
    fn default() -> Self {
        let (data_port, announces) = (None, None);
        Self { slots: 4, data_port, announces, endpoints: KnxEndpoints::default() }
    }
}

/// The state of a gateway, as its owner sees it
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnxState {
    /// The channels of the connections that are open, each with the client's control and data endpoint
    pub open: BTreeMap<u8, (SocketAddrV4, SocketAddrV4)>,
    /// Connections that a `DISCONNECT_REQUEST` ended
    pub disconnected: u64,
    /// The bodies of telegrams that came (cEMI), the latest 256
    pub telegrams: Vec<Vec<u8>>,
    /// Requests to change its IP configuration, to restart or to reset it
    pub configurations: u64,
}

/// The gateway while its building is there
#[derive(Debug)]
pub(crate) struct Gateway {
    building: u32,
    options: KnxGateway,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connections: BTreeMap<u8, Connection>,
    latest: u8,
    told: KnxState,
}

#[derive(Debug)]
struct Connection {
    control: SocketAddrV4,
    data: SocketAddrV4,
    /// The time of the client's latest frame
    last: Instant,
    /// The number of the next telegram to the client
    next: u8,
}

/// A datagram that the gateway sends
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) octets: Vec<u8>,
    pub(crate) to: SocketAddrV4,
    /// True if it leaves from the port for telegrams
    pub(crate) is_data: bool,
}

impl Gateway {
    pub(crate) fn new(building: u32, options: KnxGateway) -> Self {
        Self { building, options, state: Mutex::default() }
    }

    /// Returns the port for telegrams, if it is one of its own
    pub(crate) const fn data_port(&self) -> Option<u16> {
        self.options.data_port
    }

    /// Returns the state, as its owner sees it
    pub(crate) fn state(&self) -> KnxState {
        let mut state = self.lock();
        state.forget_silent();
        let open = state.connections.iter().map(|(channel, it)| (*channel, (it.control, it.data)));
        KnxState { open: open.collect(), ..state.told.clone() }
    }

    /// Takes a datagram that came to the control port, or to that for telegrams
    pub(crate) fn handle(
        &self,
        request: &[u8],
        from: SocketAddrV4,
        came_to_data: bool,
    ) -> Vec<Outgoing> {
        let Some((service, body)) = parse_frame(request) else { return Vec::new() };
        let mut state = self.lock();
        state.forget_silent();
        match service {
            CONNECT_REQUEST if !came_to_data => self.connect(&mut state, body, from),
            CONNECTIONSTATE_REQUEST | DISCONNECT_REQUEST if !came_to_data => {
                self.channel_request(&mut state, service, body, from)
            }
            TUNNELLING_REQUEST if came_to_data == self.data_port().is_some() => {
                telegram(&mut state, body)
            }
            REMOTE_BASIC_CONFIGURATION | REMOTE_RESET if !came_to_data => {
                state.told.configurations = state.told.configurations.saturating_add(1);
                Vec::new()
            }
            _ if came_to_data => Vec::new(),
            _ => {
                let named = parse_hpai(body).filter(|named| self.endpoint(*named, from).is_ok());
                let answered = named.and_then(|_| answer(self.building, request, from));
                answered.into_iter().map(|(octets, to)| Outgoing::control(octets, to)).collect()
            }
        }
    }

    fn connect(&self, state: &mut State, body: &[u8], from: SocketAddrV4) -> Vec<Outgoing> {
        let parts = body.split_at_checked(8).and_then(|(control, rest)| {
            let (data, wanted) = rest.split_at_checked(8)?;
            Some((parse_hpai(control)?, parse_hpai(data)?, wanted))
        });
        let Some((control, data, _)) = parts else { return Vec::new() };
        let refused =
            |status, to| vec![Outgoing::control(frame(CONNECT_RESPONSE, &[0, status]), to)];
        let (control, data) = match (self.endpoint(control, from), self.endpoint(data, from)) {
            (Ok(control), Ok(data)) => (control, data),
            (Err(Unanswered::Refused), _) | (_, Err(Unanswered::Refused)) => {
                return refused(E_HOST_PROTOCOL_TYPE, from);
            }
            _ => return Vec::new(),
        };
        if state.connections.len() >= usize::from(self.options.slots) {
            return refused(E_NO_MORE_CONNECTIONS, control);
        }
        let channel = state.free_channel();
        let connection = Connection { control, data, last: Instant::now(), next: 0 };
        state.connections.insert(channel, connection);
        let body = [&[channel, 0], &self.data_endpoint()[..], &[4, 4, 0x11, channel]].concat();
        vec![Outgoing::control(frame(CONNECT_RESPONSE, &body), control)]
    }

    /// Returns the HPAI of the data endpoint, as it is announced
    fn data_endpoint(&self) -> [u8; 8] {
        let port = self.options.data_port.unwrap_or(PORT);
        hpai(match self.options.announces {
            None => SocketAddrV4::new(DEVICE, port),
            Some(address) if address.is_unspecified() => SocketAddrV4::new(address, 0),
            Some(address) => SocketAddrV4::new(address, port),
        })
    }

    /// Answers a heartbeat, or a disconnect
    fn channel_request(
        &self,
        state: &mut State,
        service: u16,
        body: &[u8],
        from: SocketAddrV4,
    ) -> Vec<Outgoing> {
        let Some((&[channel, _], control)) = body.split_first_chunk::<2>() else {
            return Vec::new();
        };
        let named = parse_hpai(control).and_then(|named| self.endpoint(named, from).ok());
        let Some(to) = named else { return Vec::new() };
        let answer = if service == DISCONNECT_REQUEST {
            DISCONNECT_RESPONSE
        } else {
            CONNECTIONSTATE_RESPONSE
        };
        let Some(connection) = state.connections.get_mut(&channel) else {
            return vec![Outgoing::control(frame(answer, &[channel, E_CONNECTION_ID]), to)];
        };
        connection.last = Instant::now();
        if service == DISCONNECT_REQUEST {
            state.connections.remove(&channel);
            state.told.disconnected = state.told.disconnected.saturating_add(1);
        }
        vec![Outgoing::control(frame(answer, &[channel, 0]), to)]
    }

    /// Returns the place of an answer, by the endpoint that a client named
    fn endpoint(
        &self,
        named: SocketAddrV4,
        from: SocketAddrV4,
    ) -> Result<SocketAddrV4, Unanswered> {
        let is_zero = named.ip().is_unspecified() || named.port() == 0;
        match (self.options.endpoints, is_zero) {
            (KnxEndpoints::Any | KnxEndpoints::ZerosOnly, true) => Ok(from),
            (KnxEndpoints::RefusesZeros, true) => Err(Unanswered::Refused),
            (KnxEndpoints::TakesZerosLiterally, true) | (KnxEndpoints::ZerosOnly, false) => {
                Err(Unanswered::Lost)
            }
            (_, false) => Ok(named),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reason why a request is not answered where it asks for
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unanswered {
    Refused,
    Lost,
}

impl State {
    /// Ends the connections whose clients were silent for two minutes (§5.4)
    fn forget_silent(&mut self) {
        self.connections.retain(|_, connection| connection.last.elapsed() < SILENCE);
    }

    /// Returns the channel of a new connection, another one than the latest
    fn free_channel(&mut self) -> u8 {
        loop {
            self.latest = self.latest.wrapping_add(1).max(1);
            if !self.connections.contains_key(&self.latest) {
                return self.latest;
            }
        }
    }
}

impl Outgoing {
    const fn control(octets: Vec<u8>, to: SocketAddrV4) -> Self {
        Self { octets, to, is_data: false }
    }
}

/// Acknowledges a telegram, confirms it to its sender, and gives it to the other clients, as a line of KNX does
fn telegram(state: &mut State, body: &[u8]) -> Vec<Outgoing> {
    let Some((&[4, channel, sequence, _], cemi)) = body.split_first_chunk::<4>() else {
        return Vec::new();
    };
    let Some(sender) = state.connections.get_mut(&channel) else { return Vec::new() };
    sender.last = Instant::now();
    let acknowledgment = frame(TUNNELLING_ACK, &[4, channel, sequence, 0]);
    let mut out = vec![Outgoing { octets: acknowledgment, to: sender.data, is_data: true }];
    for (other, connection) in &mut state.connections {
        let code = if *other == channel { L_DATA_CON } else { L_DATA_IND };
        let header = [4, *other, connection.next, 0, code];
        let body = [&header, cemi.get(1..).unwrap_or_default()].concat();
        connection.next = connection.next.wrapping_add(1);
        let octets = frame(TUNNELLING_REQUEST, &body);
        out.push(Outgoing { octets, to: connection.data, is_data: true });
    }
    if state.told.telegrams.len() >= MAX_TELEGRAMS {
        state.told.telegrams.remove(0);
    }
    state.told.telegrams.push(cemi.to_vec());
    out
}

const CONNECT_REQUEST: u16 = 0x0205;
const CONNECT_RESPONSE: u16 = 0x0206;
const CONNECTIONSTATE_REQUEST: u16 = 0x0207;
const CONNECTIONSTATE_RESPONSE: u16 = 0x0208;
const DISCONNECT_REQUEST: u16 = 0x0209;
const DISCONNECT_RESPONSE: u16 = 0x020A;
const TUNNELLING_REQUEST: u16 = 0x0420;
const TUNNELLING_ACK: u16 = 0x0421;
const REMOTE_BASIC_CONFIGURATION: u16 = 0x0742;
const REMOTE_RESET: u16 = 0x0743;

/// The message codes of a telegram from the line, and of one that was sent (03/06/03 §4.1.3)
const L_DATA_IND: u8 = 0x29;
const L_DATA_CON: u8 = 0x2E;

const E_HOST_PROTOCOL_TYPE: u8 = 0x01;
const E_CONNECTION_ID: u8 = 0x21;
const E_NO_MORE_CONNECTIONS: u8 = 0x24;

/// The silence after which a connection is over
const SILENCE: Duration = Duration::from_mins(2);

/// Telegrams that are kept
const MAX_TELEGRAMS: usize = 256;
