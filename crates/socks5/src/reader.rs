//! A reader of octets that may not all have come

/// Octets that have come so far; `None` from a method says that some are missing
pub(crate) struct Reader<'a> {
    octets: &'a [u8],
    used: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(octets: &'a [u8]) -> Self {
        Self { octets, used: 0 }
    }

    /// Takes one octet
    pub(crate) fn octet(&mut self) -> Option<u8> {
        self.take(1).and_then(|octets| octets.first().copied())
    }

    /// Takes so many octets
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.used.checked_add(count)?;
        let taken = self.octets.get(self.used..end)?;
        self.used = end;
        Some(taken)
    }

    /// Takes an array
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Takes octets behind an octet with their number
    pub(crate) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.octet()?;
        self.take(count.into())
    }

    /// The number of octets taken so far
    pub(crate) const fn used(&self) -> usize {
        self.used
    }

    /// The octets that are left
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.octets.get(self.used..).unwrap_or_default()
    }
}
