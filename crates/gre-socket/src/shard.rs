//! The shares of the Call IDs among several sockets

/// The Call IDs that one of several sockets serves: those of one residue modulo the number of sockets
///
/// Each socket's filter drops the calls of the others in the kernel, and its
/// [`CallTable`](crate::CallTable) gives out its own IDs only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u8,
    of: u8,
}

impl Shard {
    /// All Call IDs: the shard of a single socket
    pub const ALL: Self = Self { index: 0, of: 1 };

    /// The shards of `count` sockets; one if `count` is 0
    pub fn split(count: u8) -> impl Iterator<Item = Self> {
        let of = count.max(1);
        (0..of).map(move |index| Self { index, of })
    }

    /// Returns true if a call with this ID belongs to this shard
    pub fn contains(self, call_id: u16) -> bool {
        call_id.checked_rem(self.of.into()) == Some(self.index.into())
    }

    pub(crate) fn modulus(self) -> u32 {
        self.of.into()
    }

    pub(crate) fn residue(self) -> u32 {
        self.index.into()
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::ALL
    }
}
