//! A fuzzer's octets, read as a script
//!
//! Numbers are little-endian, and all is read from the front, so that [`Writer`] writes what
//! [`Script`] reads: that is how a capture becomes a seed. What is missing at the end is zeros.

use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};

/// Octets as a script, read from the front
#[derive(Debug)]
pub struct Script<'a>(Unstructured<'a>);

impl<'a> Script<'a> {
    /// Any octets are a script
    pub fn new(octets: &'a [u8]) -> Self {
        Self(Unstructured::new(octets))
    }

    /// The steps that are left, at most so many
    pub fn steps<T: Arbitrary<'a>>(&mut self, most: usize) -> impl Iterator<Item = T> {
        let left = std::iter::from_fn(|| {
            let is_over = self.0.is_empty();
            if is_over { None } else { T::arbitrary(&mut self.0).ok() }
        });
        left.take(most)
    }

    /// One octet
    pub fn octet(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    /// The next octets, of which there may be too few
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        self.0.arbitrary().unwrap_or([0; N])
    }
}

/// Octets behind their length in one octet, or as many as there are
pub fn short<'a>(u: &mut Unstructured<'a>) -> arbitrary::Result<&'a [u8]> {
    let length = usize::from(u.arbitrary::<u8>()?);
    u.bytes(length.min(u.len()))
}

/// Octets behind their length in two octets, or as many as there are
pub fn long<'a>(u: &mut Unstructured<'a>) -> arbitrary::Result<&'a [u8]> {
    let length = usize::from(u.arbitrary::<u16>()?);
    u.bytes(length.min(u.len()))
}

/// Writes what [`Script`] reads
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// Appends octets as they are
    pub fn raw(&mut self, octets: &[u8]) -> &mut Self {
        self.0.extend_from_slice(octets);
        self
    }

    /// Appends octets behind their length in one octet, 255 of them at most
    pub fn short(&mut self, octets: &[u8]) -> &mut Self {
        let octets = &octets[..octets.len().min(255)];
        self.0.push(u8::try_from(octets.len()).unwrap_or_default());
        self.raw(octets)
    }

    /// Appends octets behind their length in two octets
    pub fn long(&mut self, octets: &[u8]) -> &mut Self {
        let octets = &octets[..octets.len().min(0xFFFF)];
        self.0.extend(u16::try_from(octets.len()).unwrap_or_default().to_le_bytes());
        self.raw(octets)
    }
}

/// Some moment: what happens depends on differences only
pub fn epoch() -> Instant {
    Instant::now()
}

/// So many hundredths of a second
pub fn centiseconds(count: u16) -> Duration {
    Duration::from_millis(u64::from(count) * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::default();
        writer.raw(&[7]).short(b"short").long(&[9; 300]);
        let mut u = Unstructured::new(&writer.0);
        assert_eq!(u.arbitrary::<u8>(), Ok(7));
        assert_eq!(short(&mut u), Ok(&b"short"[..]));
        assert_eq!(long(&mut u), Ok(&[9; 300][..]));
        assert!(u.is_empty());
    }

    #[test]
    fn a_length_beyond_the_end_takes_what_there_is() {
        assert_eq!(short(&mut Unstructured::new(&[9, 1, 2])), Ok(&[1, 2][..]));
        assert_eq!(long(&mut Unstructured::new(&[9, 0, 1, 2])), Ok(&[1, 2][..]));
    }
}
