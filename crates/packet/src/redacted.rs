//! Octets that must not be logged

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

/// Octets of which `Debug` prints only the number
///
/// For a field that holds a challenge, an answer or a frame that may have one, so that the types around
/// it may derive `Debug`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Redacted<T>(pub T);

impl<T: AsRef<[u8]>> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} octets]", self.0.as_ref().len())
    }
}

impl<T> Deref for Redacted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Redacted<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(octets: T) -> Self {
        Self(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_length_is_told() {
        let octets = Redacted(vec![113, 114, 115]);
        assert_eq!(format!("{octets:?} {octets:#?}"), "[3 octets] [3 octets]");
        assert_eq!(format!("{:?}", Redacted(&[7_u8][..])), "[1 octets]");
        assert_eq!(octets.first(), Some(&113));
    }
}
