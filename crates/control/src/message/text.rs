//! Text fields of a fixed size

use std::{borrow::Cow, fmt};

/// A text of at most `N` octets, filled up with NULs on the wire
///
/// Octets behind the first NUL do not count: Windows 95 leaves old octets there.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text<const N: usize>([u8; N]);

impl<const N: usize> Text<N> {
    /// The first `N` octets of `text`
    pub fn new(text: &str) -> Self {
        Self::from_octets(text.as_bytes())
    }

    /// The octets up to the first NUL, at most `N`
    pub fn from_octets(octets: &[u8]) -> Self {
        let mut text = [0; N];
        for (to, from) in text.iter_mut().zip(octets.iter().take_while(|octet| **octet != 0)) {
            *to = *from;
        }
        Self(text)
    }

    /// The octets that count
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|octet| *octet == 0).next().unwrap_or_default()
    }

    /// The text, with the replacement character for octets that are not UTF-8
    pub fn to_str_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.as_bytes())
    }

    /// Octets that count
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Returns true if no octet counts
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All `N` octets, as on the wire
    pub(super) const fn padded(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str_lossy())
    }
}
