//! A NAT that knows PPTP: hides clients behind one address, and rewrites their Call IDs

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pptp_control::{Decoder, Message};
use pptp_gre_socket::{BATCH, GreSocket, Outgoing, ReceiveBatch, SendBatch};
use pptp_memory_net::{MemoryListener, MemorySocket, MemoryStream, Network};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{ground::PORT, tasks::Tasks};

/// A NAT between a network of clients and the network of a server, as home routers are
///
/// Clients dial the server's own address in their network and never see the other one. All of them
/// appear there with one address, so each gets a Call ID of the NAT's choice, in the messages of the
/// control connection and in the header of GRE. Dropping it is pulling its plug: connections break.
#[derive(Debug)]
#[must_use = "a NAT that nobody holds is stopped"]
pub struct Nat {
    tasks: Tasks,
}

impl Nat {
    /// Starts a NAT with this `address` in the network of `server`, within the current tokio runtime
    ///
    /// # Errors
    /// `AddrInUse` if there is something at the server's address in the network of the clients.
    pub fn start(
        clients: &Network,
        servers: &Network,
        address: Ipv4Addr,
        server: Ipv4Addr,
    ) -> io::Result<Self> {
        let facade = clients.host(server);
        let listener = facade.listen_tcp(PORT)?;
        let (inner, outer) = (facade.open_gre(), servers.host(address).open_gre());
        let nat = Arc::new(Mapping {
            servers: servers.clone(),
            address,
            server,
            calls: Mutex::new(Calls { known: BTreeMap::new(), next: FIRST_CALL_ID }),
        });
        let tasks = Tasks::default();
        tasks.spawn(accept(listener, Arc::clone(&nat), tasks.clone()));
        tasks.spawn(translate(nat, inner, outer));
        Ok(Self { tasks })
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

/// The calls behind a NAT
#[derive(Debug)]
struct Mapping {
    servers: Network,
    address: Ipv4Addr,
    server: Ipv4Addr,
    calls: Mutex<Calls>,
}

/// The known calls
#[derive(Debug)]
struct Calls {
    /// Calls by the Call ID that the server knows
    known: BTreeMap<u16, Call>,
    /// The next Call ID. A number is not used again soon, so that late frames of an old call do not
    /// reach a new one
    next: u16,
}

/// A client and the Call ID that it chose
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Call {
    client: Ipv4Addr,
    call_id: u16,
}

impl Mapping {
    /// The Call ID that the server is told
    fn outer(&self, call: Call) -> Option<u16> {
        let mut calls = self.calls();
        let known = calls.known.iter().find(|(_, known)| **known == call).map(|(outer, _)| *outer);
        known.or_else(|| {
            let Calls { known, next } = &mut *calls;
            let mut unused = (*next..=u16::MAX).chain(FIRST_CALL_ID..*next);
            let free = unused.find(|outer| !known.contains_key(outer))?;
            known.insert(free, call);
            *next = free.checked_add(1).unwrap_or(FIRST_CALL_ID);
            Some(free)
        })
    }

    /// The call with this outer Call ID
    fn inner(&self, call_id: u16) -> Option<Call> {
        self.calls().known.get(&call_id).copied()
    }

    fn forget(&self, call_ids: &[u16]) {
        let mut calls = self.calls();
        for call_id in call_ids {
            calls.known.remove(call_id);
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: MemoryListener, mapping: Arc<Mapping>, tasks: Tasks) {
    // a network in memory does not fail to accept
    while let Ok((stream, client)) = listener.accept().await {
        tasks.spawn(relay(Arc::clone(&mapping), stream, *client.ip()));
    }
}

/// Relays a control connection, and rewrites the client's Call IDs in it
async fn relay(mapping: Arc<Mapping>, inner: MemoryStream, client: Ipv4Addr) {
    let server = SocketAddrV4::new(mapping.server, PORT);
    let Ok(outer) = mapping.servers.host(mapping.address).connect_tcp(server).await else {
        return inner.reset();
    };
    let mut given = Vec::new();
    let (inner_reads, inner_writes) = tokio::io::split(inner);
    let (outer_reads, outer_writes) = tokio::io::split(outer);
    let out = copy(inner_reads, outer_writes, |message| {
        if let Some(call_id) = call_id_of_client(message)
            && let Some(outer) = mapping.outer(Call { client, call_id: *call_id })
        {
            *call_id = outer;
            given.push(outer);
        }
    });
    let back = copy(outer_reads, inner_writes, |message| {
        if let Some(call_id) = call_id_for_client(message)
            && let Some(call) = mapping.inner(*call_id)
        {
            *call_id = call.call_id;
        }
    });
    tokio::join!(out, back);
    mapping.forget(&given);
}

/// Copies messages until the end, each rewritten
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut rewrite: impl FnMut(&mut Message),
) {
    let (mut decoder, mut buffer) = (Decoder::new(), [0; 512]);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let (mut octets, mut out) = (buffer.get(..count).unwrap_or_default(), Vec::new());
        while let Ok(Some(mut message)) = decoder.decode(&mut octets) {
            rewrite(&mut message);
            message.emit(&mut out);
        }
        if to.write_all(&out).await.is_err() {
            return;
        }
    }
    // a connection that was reset cannot be shut down
    let _ = to.shutdown().await;
}

/// The client's own Call ID in a message of the client
const fn call_id_of_client(message: &mut Message) -> Option<&mut u16> {
    match message {
        Message::OutgoingCallRequest(request) => Some(&mut request.call_id),
        Message::CallClearRequest(request) => Some(&mut request.call_id),
        _ => None,
    }
}

/// The client's Call ID in a message of the server
const fn call_id_for_client(message: &mut Message) -> Option<&mut u16> {
    match message {
        Message::OutgoingCallReply(reply) => Some(&mut reply.peer_call_id),
        // by the RFC it is the server's own, but some send the client's
        Message::CallDisconnectNotify(notify) => Some(&mut notify.call_id),
        Message::WanErrorNotify(notify) => Some(&mut notify.peer_call_id),
        Message::SetLinkInfo(info) => Some(&mut info.peer_call_id),
        _ => None,
    }
}

/// Relays GRE: the client's address is hidden on its way out, its Call ID put back on its way in
async fn translate(mapping: Arc<Mapping>, mut inner: MemorySocket, mut outer: MemorySocket) {
    let (mut receive, mut out) = (ReceiveBatch::new(), SendBatch::new(BATCH));
    let mut back = SendBatch::new(BATCH);
    loop {
        tokio::select! {
            biased;
            _ = inner.readable() => {}
            _ = outer.readable() => {}
        }
        if inner.receive(&mut receive).is_ok() {
            for datagram in receive.datagrams() {
                push(&mut out, datagram.gre, mapping.server, mapping.address);
            }
        }
        if outer.receive(&mut receive).is_ok() {
            for datagram in receive.datagrams() {
                if let Some(call) = pptp_gre::call_id(datagram.gre).and_then(|id| mapping.inner(id))
                {
                    set_call_id(datagram.gre, call.call_id);
                    push(&mut back, datagram.gre, call.client, mapping.server);
                }
            }
        }
        for (socket, batch) in [(&mut outer, &mut out), (&mut inner, &mut back)] {
            // datagrams that a router cannot send are lost
            let _ = socket.send(batch, |_, _| {});
            let _ = socket.take_failures(|_| {});
        }
    }
}

fn push(batch: &mut SendBatch, gre: &[u8], destination: Ipv4Addr, source: Ipv4Addr) {
    if let Some(mut packet) = batch.take_slot() {
        packet.reset(gre.len()).copy_from_slice(gre);
        batch.push(Outgoing { packet, destination, source: Some(source), tag: 0 });
    }
}

fn set_call_id(gre: &mut [u8], call_id: u16) {
    if let Some(place) = gre.get_mut(6..8) {
        place.copy_from_slice(&call_id.to_be_bytes());
    }
}

/// The first Call ID of the NAT, so high that clients that count from 1 do not choose it
const FIRST_CALL_ID: u16 = 0xC000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pptp::{Client, Tunnel, TunnelConfig};
    use tokio::time::timeout;

    use super::*;
    use crate::{DEVICE, Server, ServerOrder};

    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const NAT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    async fn connect(clients: &Network, host: u8) -> Tunnel {
        let host = clients.host(Ipv4Addr::new(10, 0, 0, host));
        let client = Client::builder().memory(host).build().unwrap();
        let config = TunnelConfig::new(SERVER.to_string(), "testuser", "test123");
        client.connect(config).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn clients_behind_one_address_have_call_ids_of_its_choice_and_hang_up_properly() {
        for order in [ServerOrder::Pppd, ServerOrder::AccelPpp, ServerOrder::Rras] {
            let (clients, servers) = (Network::new(1), Network::new(2));
            servers.trace();
            let server = Server::builder(1).order(order).serve_memory(&servers, SERVER).unwrap();
            let _nat = Nat::start(&clients, &servers, NAT, SERVER).unwrap();
            let tunnels = [connect(&clients, 1).await, connect(&clients, 2).await];
            for tunnel in &tunnels {
                tunnel.ping(DEVICE, Duration::from_secs(1)).await.unwrap();
            }
            assert_eq!(server.stats().up, 2, "{order:?}");
            for call_id in [FIRST_CALL_ID, FIRST_CALL_ID + 1] {
                assert!(servers.last_arrival(NAT, call_id).is_some(), "{order:?}: {call_id:#x}");
            }
            for tunnel in tunnels {
                tunnel.close().await;
            }
            timeout(Duration::from_secs(5), server.idle()).await.unwrap();
            let ended = server.stats().ended;
            assert!(ended.len() == 2 && ended.iter().all(crate::Ended::is_clean), "{ended:?}");
            assert!(ended.iter().all(|ended| ended.client == NAT));
        }
    }
}
