//! The way to write to a control connection

use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

/// The way to write to a control connection; dropping it closes the connection
#[derive(Debug)]
pub(crate) struct Writer {
    octets: mpsc::Sender<Vec<u8>>,
    /// True if each message is written twice
    twice: bool,
    _open: DropGuard,
}

impl Writer {
    /// Makes the way to write into `octets`; dropping it cancels `open`
    pub(crate) const fn new(octets: mpsc::Sender<Vec<u8>>, twice: bool, open: DropGuard) -> Self {
        Self { octets, twice, _open: open }
    }

    /// Queues octets; false if the client has let too many pile up, or is gone
    pub(crate) fn write(&self, octets: Vec<u8>) -> bool {
        let octets = if self.twice { each_twice(&octets) } else { octets };
        self.octets.try_send(octets).is_ok()
    }
}

/// Whole messages of a control connection (RFC 2637 §1.4), each followed by its copy
fn each_twice(mut octets: &[u8]) -> Vec<u8> {
    let mut doubled = Vec::new();
    while let [high, low, ..] = *octets {
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        let (message, rest) = octets.split_at_checked(length).unwrap_or((octets, &[]));
        doubled.extend([message, message].concat());
        octets = rest;
    }
    doubled
}
