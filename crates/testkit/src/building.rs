//! The building's network behind a server: one task, which hands the packets of its hosts to the clients

use std::sync::Arc;

use pptp_driver::now;
use tokio::sync::mpsc;

use crate::{client::Client, clients::Clients, router::Router};

/// The building's network behind a server
pub(crate) struct Building {
    clients: Arc<Clients>,
    /// Packets of the building that no stack made
    forged: mpsc::Receiver<Vec<u8>>,
    /// A client for which too many packets waited; the hosts wait while it is full
    full: Option<Arc<Client>>,
    /// The number of turns so far; each begins with another stack
    turns: usize,
}

impl Building {
    pub(crate) const fn new(clients: Arc<Clients>, forged: mpsc::Receiver<Vec<u8>>) -> Self {
        Self { clients, forged, full: None, turns: 0 }
    }

    pub(crate) async fn run(mut self) {
        loop {
            let forged = self.wait().await;
            self.turn(forged);
            // on one thread the others have their turn before the next round
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a host or a test has something to send, and no client is full
    async fn wait(&mut self) -> Option<Vec<u8>> {
        while self.full.as_ref().is_some_and(|client| client.is_full()) {
            self.clients.room().await;
        }
        self.full = None;
        tokio::select! {
            biased;
            Some(packet) = self.forged.recv() => Some(packet),
            () = self.clients.stacks().ready() => None,
        }
    }

    fn turn(&mut self, forged: Option<Vec<u8>>) {
        let mut router = Router::new(&self.clients, now());
        for packet in forged.into_iter().chain(std::iter::from_fn(|| self.forged.try_recv().ok())) {
            router.send(packet);
        }
        self.clients.stacks().turn(self.turns, &mut router);
        self.turns = self.turns.wrapping_add(1);
        let Router { undeliverable, full, .. } = router;
        self.full = full;
        if undeliverable > 0 {
            self.clients.count(|stats| {
                stats.undeliverable = stats.undeliverable.saturating_add(undeliverable);
            });
        }
    }
}
