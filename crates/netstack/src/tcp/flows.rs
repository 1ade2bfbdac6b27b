//! The connections that segments are for, by their flows

use super::connection::Connection;
use crate::{
    ip::Flow,
    shared::table::{Id, Table},
};

/// The numbers of the connections that segments are for, in the order of their flows
///
/// The flow itself stands in the connection. So an entry takes four octets, whichever version of IP it is of, and a
/// search compares as many flows as a tree would. A connection that is listed is in the table: it leaves this list
/// before the table.
#[derive(Debug, Default)]
pub(super) struct Flows {
    ids: Vec<Id>,
}

impl Flows {
    /// Lists a connection, in the place of another one with the same flow
    pub(super) fn insert(&mut self, id: Id, connections: &Table<Connection>) {
        let Some(flow) = connections.get(id).map(|connection| connection.flow) else { return };
        match self.place(&flow, connections) {
            Ok(at) => self.ids.iter_mut().skip(at).take(1).for_each(|listed| *listed = id),
            Err(at) => self.ids.insert(at, id),
        }
    }

    /// Takes a flow off the list, if it is there
    pub(super) fn remove(&mut self, flow: &Flow, connections: &Table<Connection>) {
        if let Ok(at) = self.place(flow, connections) {
            self.ids.remove(at);
        }
        if self.ids.is_empty() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.ids = Vec::new();
    }

    pub(super) fn get(&self, flow: &Flow, connections: &Table<Connection>) -> Option<Id> {
        self.place(flow, connections).ok().and_then(|at| self.ids.get(at)).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The connections, in the order of their flows
    pub(super) fn iter(&self) -> impl Iterator<Item = Id> {
        self.ids.iter().copied()
    }

    /// The place of a flow, or the one where it would be
    fn place(&self, flow: &Flow, connections: &Table<Connection>) -> Result<usize, usize> {
        self.ids.binary_search_by(|id| connections.get(*id).map(|it| &it.flow).cmp(&Some(flow)))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::connection::Holder, *};
    use crate::TcpOptions;

    fn flow(peer: &str) -> Flow {
        Flow { local: "10.0.0.1:50000".parse().unwrap(), peer: peer.parse().unwrap() }
    }

    fn connection(peer: &str) -> Connection {
        let options = TcpOptions::default().receive_buffer(0).send_buffer(0);
        Connection::new(flow(peer), Holder::User, &options, 0, 0)
    }

    #[test]
    fn a_connection_is_found_by_its_flow_until_it_is_taken_off() {
        let peers = ["10.0.0.3:80", "[fe80::1]:80", "10.0.0.2:81", "10.0.0.2:80", "[fe80::1]:7"];
        let (mut flows, mut connections) = (Flows::default(), Table::new());
        for peer in peers {
            let id = connections.insert(connection(peer));
            assert_eq!(flows.get(&flow(peer), &connections), None);
            flows.insert(id, &connections);
        }
        let get = |flows: &Flows, peer| flows.get(&flow(peer), &connections);
        assert_eq!(peers.map(|peer| get(&flows, peer)), [0, 1, 2, 3, 4].map(Some));
        assert_eq!(get(&flows, "10.0.0.2:82"), None);
        flows.remove(&flow(peers[2]), &connections);
        flows.remove(&flow(peers[2]), &connections);
        let left = [Some(0), Some(1), None, Some(3), Some(4)];
        assert_eq!(peers.map(|peer| get(&flows, peer)), left);
        assert!(peers.iter().all(|peer| !flows.is_empty() && {
            flows.remove(&flow(peer), &connections);
            get(&flows, peer).is_none()
        }));
        assert_eq!((flows.is_empty(), flows.ids.capacity()), (true, 0));
    }

    #[test]
    fn a_later_connection_takes_the_place_of_another_with_its_flow() {
        let (mut flows, mut connections) = (Flows::default(), Table::new());
        for peer in ["10.0.0.2:80", "10.0.0.3:80", "10.0.0.2:80"] {
            let id = connections.insert(connection(peer));
            flows.insert(id, &connections);
        }
        assert_eq!(flows.iter().collect::<Vec<_>>(), [2, 1]);
    }
}
