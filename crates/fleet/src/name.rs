//! The name of a site

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// The name of a site: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`
///
/// A name goes into paths, URLs, host names, SOCKS users and labels of metrics. So it is a label of a host name
/// (RFC 1123 §2.1) in lower case, and is checked here alone. A clone is one counter.
///
/// ```
/// use pptp_fleet::SiteName;
///
/// let name: SiteName = "b17".parse().unwrap();
/// assert_eq!(name, *"b17");
/// assert!("../b17".parse::<SiteName>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteName(Arc<str>);

/// The reason why a text is no name of a site
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` cannot be the name of a site: a name has 1 to 63 of a-z, 0-9 and -, and neither begins nor ends with -"
)]
pub struct InvalidName {
    /// The text; its first 80 characters, if it is longer
    pub name: String,
}

impl SiteName {
    /// The longest name, in octets
    pub const MAX_LEN: usize = 63;

    /// Makes a name
    ///
    /// # Errors
    /// The text is no name.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let octets = name.as_bytes();
        let is_inside = |octet: &u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let is_end = |octet: Option<&u8>| octet.is_some_and(|octet| *octet != b'-');
        let is_name = octets.len() <= Self::MAX_LEN
            && octets.iter().all(is_inside)
            && is_end(octets.first())
            && is_end(octets.last());
        if is_name {
            Ok(Self(Arc::from(name)))
        } else {
            Err(InvalidName { name: name.chars().take(MAX_SHOWN).collect() })
        }
    }

    /// Returns the name as text
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SiteName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl TryFrom<&str> for SiteName {
    type Error = InvalidName;

    fn try_from(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl Borrow<str> for SiteName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for SiteName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for SiteName {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Characters of a wrong name that an error shows
const MAX_SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_label_of_a_host_name_in_lower_case() {
        let longest = "a".repeat(63);
        for name in ["a", "0", "b17", "a-b", "a--b", &longest] {
            assert_eq!(SiteName::new(name).unwrap(), *name);
        }
        let too_long = "a".repeat(64);
        let wrong = [
            "", "-", "-a", "a-", "B17", "a.b", "a_b", "a b", "../a", "a/b", "a\0", "\u{e4}", "a\n",
            "b17 ", &too_long,
        ];
        for name in wrong {
            assert!(SiteName::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_error_shows_no_more_than_a_line() {
        let error = SiteName::new(&"\u{e4}".repeat(10_000)).unwrap_err();
        assert_eq!(error.name.chars().count(), 80);
    }
}
