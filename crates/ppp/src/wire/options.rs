//! The options of Configure packets (RFC 1661 §6)

use nom::{IResult, Parser, combinator::verify, number::complete::be_u8};

use super::packet::{ParseError, counted};

/// A configuration option (RFC 1661 §6)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigurationOption<'a> {
    /// The type
    pub kind: u8,
    /// The octets behind type and length
    pub value: &'a [u8],
}

impl<'a> ConfigurationOption<'a> {
    fn parse(octets: &'a [u8]) -> IResult<&'a [u8], Self> {
        let (octets, (kind, length)) =
            (be_u8, verify(be_u8, |length| *length >= 2)).parse(octets)?;
        let (octets, value) = counted(octets, length, 2)?;
        Ok((octets, Self { kind, value }))
    }

    /// Appends the option; a value that does not fit its length field is cut off
    pub fn emit(&self, out: &mut Vec<u8>) {
        let value = self.value.get(..usize::from(u8::MAX - 2)).unwrap_or(self.value);
        out.push(self.kind);
        out.push(u8::try_from(value.len()).unwrap_or_default().saturating_add(2));
        out.extend(value);
    }

    /// The value as a number of 16 bit, if it is one
    pub fn u16(&self) -> Option<u16> {
        self.value.try_into().ok().map(u16::from_be_bytes)
    }

    /// The value as a number of 32 bit, if it is one
    pub fn u32(&self) -> Option<u32> {
        self.value.try_into().ok().map(u32::from_be_bytes)
    }
}

/// The options of a Configure packet, checked as a whole
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// Reads a list of options: all of them fit, or it is malformed as a whole (RFC 1661 §6)
    pub fn parse(octets: &'a [u8]) -> Result<Self, ParseError> {
        let mut rest = octets;
        while !rest.is_empty() {
            let parsed = ConfigurationOption::parse(rest);
            (rest, _) = parsed.map_err(|_| ParseError::new("list of options"))?;
        }
        Ok(Self(octets))
    }

    /// The options; of several of one type only the first
    pub const fn iter(&self) -> OptionsIter<'a> {
        OptionsIter { rest: self.0, seen: [0; 4] }
    }

    /// The option of this type
    pub fn find(&self, kind: u8) -> Option<ConfigurationOption<'a>> {
        self.iter().find(|option| option.kind == kind)
    }
}

impl<'a> IntoIterator for Options<'a> {
    type Item = ConfigurationOption<'a>;
    type IntoIter = OptionsIter<'a>;

    fn into_iter(self) -> OptionsIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Options<'a> {
    type Item = ConfigurationOption<'a>;
    type IntoIter = OptionsIter<'a>;

    fn into_iter(self) -> OptionsIter<'a> {
        self.iter()
    }
}

/// Iterator over [`Options`]
#[derive(Clone, Debug)]
pub struct OptionsIter<'a> {
    rest: &'a [u8],
    /// One bit for each type met
    seen: [u64; 4],
}

impl OptionsIter<'_> {
    /// Returns true if this type is met for the first time
    fn is_first(&mut self, kind: u8) -> bool {
        let bit = 1_u64 << (kind & 63);
        let Some(word) = self.seen.get_mut(usize::from(kind >> 6)) else { return false };
        let is_first = *word & bit == 0;
        *word |= bit;
        is_first
    }
}

impl<'a> Iterator for OptionsIter<'a> {
    type Item = ConfigurationOption<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (rest, option) = ConfigurationOption::parse(self.rest).ok()?;
            self.rest = rest;
            if self.is_first(option.kind) {
                return Some(option);
            }
        }
    }
}

/// A list of options in the making
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptionsBuf(Vec<u8>);

impl OptionsBuf {
    /// Appends an option
    pub fn push(&mut self, kind: u8, value: &[u8]) -> &mut Self {
        ConfigurationOption { kind, value }.emit(&mut self.0);
        self
    }

    /// Appends all options of another list
    pub fn append(&mut self, other: Self) -> &mut Self {
        self.0.extend(other.0);
        self
    }

    /// Returns true if there are no options
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The octets of all options so far
    pub const fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The octets of all options
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn options(list: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut out = OptionsBuf::default();
        for (kind, value) in list {
            out.push(*kind, value);
        }
        out.into_vec()
    }

    proptest! {
        #[test]
        fn options_are_read_as_they_were_written(
            list in vec((any::<u8>(), vec(any::<u8>(), 0..9)), 0..20),
        ) {
            let octets = options(&list);
            let mut expected: Vec<(u8, Vec<u8>)> = Vec::new();
            for (kind, value) in list {
                if expected.iter().all(|(other, _)| *other != kind) {
                    expected.push((kind, value));
                }
            }
            let parsed = Options::parse(&octets).unwrap();
            let parsed: Vec<_> = parsed.iter().map(|o| (o.kind, o.value.to_vec())).collect();
            prop_assert_eq!(parsed, expected);
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..64)) {
            let _ = Options::parse(&octets).map(|options| options.iter().count());
        }
    }

    #[test]
    fn rfc1661_section_6_option_lengths_at_their_edges() {
        for (length, good) in
            [(0, false), (1, false), (2, false), (4, true), (5, false), (255, false)]
        {
            assert_eq!(Options::parse(&[1, length, 5, 120]).is_ok(), good, "length {length}");
        }
        assert!(Options::parse(&[1, 2]).is_ok());
        assert!(Options::parse(&[1]).is_err());
        assert!(Options::parse(&[]).is_ok());
    }

    #[test]
    fn what_is_too_long_for_its_length_field_is_cut_off() {
        let octets = options(&[(7, vec![1; 300])]);
        assert_eq!(Options::parse(&octets).unwrap().find(7).unwrap().value.len(), 253);
    }
}
