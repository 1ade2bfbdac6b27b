//! The octets that a connection leaves to its reader

use crate::shared::copy;

/// Octets that came before the end of a connection and are not yet read
#[derive(Debug)]
pub(super) struct Unread {
    octets: Vec<u8>,
    /// The number of those that were read
    read: usize,
}

impl Unread {
    /// `None` if there are no octets; boxed, because most connections never have one
    pub(super) fn new(octets: Vec<u8>) -> Option<Box<Self>> {
        (!octets.is_empty()).then(|| Box::new(Self { octets, read: 0 }))
    }

    /// Copies octets that stay unread; returns how many
    pub(super) fn peek(&self, into: &mut [u8]) -> usize {
        copy(self.octets.get(self.read..).unwrap_or_default(), into)
    }

    /// Reads octets; returns how many
    pub(super) fn read(&mut self, into: &mut [u8]) -> usize {
        let count = self.peek(into);
        self.read = self.read.saturating_add(count);
        count
    }

    /// Returns true if all octets were read
    pub(super) const fn is_empty(&self) -> bool {
        self.read >= self.octets.len()
    }
}
