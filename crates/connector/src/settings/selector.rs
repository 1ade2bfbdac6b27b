//! A choice of sites

use std::{collections::BTreeMap, fmt, str::FromStr};

use pptp_fleet::{InvalidName, SiteName};

/// A choice of sites: each that one of its terms names
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    terms: Vec<Term>,
}

/// A term of a selector
#[derive(Debug, Clone, PartialEq, Eq)]
enum Term {
    /// `*`
    All,
    /// `b17`
    Name(SiteName),
    /// `@city=Berlin`
    Label(String, String),
}

/// The reason why a text is no term of a selector
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSelector {
    /// It begins with `@` and has no `=`
    #[error("`{0}` is no choice by label: write `@label=value`")]
    Label(String),
    /// It is no name
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl Selector {
    /// The choice of all sites
    pub fn all() -> Self {
        Self { terms: vec![Term::All] }
    }

    /// The choice of no site
    pub const fn none() -> Self {
        Self { terms: Vec::new() }
    }

    /// The choice of one site
    pub fn one(site: SiteName) -> Self {
        Self { terms: vec![Term::Name(site)] }
    }

    /// Reads the terms: `*`, `b17`, `@city=Berlin`
    ///
    /// # Errors
    /// A text is no term.
    pub fn parse<T: AsRef<str>>(
        terms: impl IntoIterator<Item = T>,
    ) -> Result<Self, InvalidSelector> {
        let terms = terms.into_iter().map(|term| term.as_ref().parse());
        Ok(Self { terms: terms.collect::<Result<_, _>>()? })
    }

    /// Returns true if a site with these labels is chosen
    pub fn has(&self, site: &SiteName, labels: &BTreeMap<String, String>) -> bool {
        self.terms.iter().any(|term| match term {
            Term::All => true,
            Term::Name(name) => name == site,
            Term::Label(label, value) => labels.get(label) == Some(value),
        })
    }

    /// Returns true if it chooses all sites, whatever their labels
    pub fn is_all(&self) -> bool {
        self.terms.contains(&Term::All)
    }

    /// Returns the site if the choice names one site alone: then a client need not say which
    pub fn only(&self) -> Option<&SiteName> {
        match self.terms.as_slice() {
            [Term::Name(name)] => Some(name),
            _ => None,
        }
    }

    /// Returns the names that it has
    pub fn names(&self) -> impl Iterator<Item = &SiteName> {
        self.terms.iter().filter_map(|term| match term {
            Term::Name(name) => Some(name),
            _ => None,
        })
    }
}

impl FromStr for Term {
    type Err = InvalidSelector;

    fn from_str(text: &str) -> Result<Self, InvalidSelector> {
        match text.strip_prefix('@') {
            _ if text == "*" => Ok(Self::All),
            None => Ok(Self::Name(text.parse()?)),
            Some(label) => match label.split_once('=') {
                Some((label, value)) if !label.is_empty() => {
                    Ok(Self::Label(label.to_owned(), value.to_owned()))
                }
                _ => Err(InvalidSelector::Label(text.chars().take(80).collect())),
            },
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, term) in self.terms.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            match term {
                Term::All => write!(f, "{comma}*")?,
                Term::Name(name) => write!(f, "{comma}{name}")?,
                Term::Label(label, value) => write!(f, "{comma}@{label}={value}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_chosen_by_its_name_or_by_a_label_or_because_all_are() {
        let site: SiteName = "b17".parse().unwrap();
        let labels = BTreeMap::from([("city".to_owned(), "Berlin".to_owned())]);
        for (terms, is_chosen) in [
            (&["*"][..], true),
            (&["b18", "b17"], true),
            (&["@city=Berlin"], true),
            (&["@city=Bonn", "b1"], false),
            (&[], false),
        ] {
            assert_eq!(Selector::parse(terms).unwrap().has(&site, &labels), is_chosen, "{terms:?}");
        }
    }

    #[test]
    fn a_text_that_is_no_term_is_refused() {
        assert!(matches!(Selector::parse(["@city"]), Err(InvalidSelector::Label(_))));
        assert!(matches!(Selector::parse(["@=x"]), Err(InvalidSelector::Label(_))));
        assert!(matches!(Selector::parse(["B17"]), Err(InvalidSelector::Name(_))));
    }

    #[test]
    fn only_one_name_alone_makes_the_site_certain() {
        assert_eq!(Selector::parse(["b17"]).unwrap().only(), Some(&"b17".parse().unwrap()));
        assert_eq!(Selector::parse(["b17", "b18"]).unwrap().only(), None);
        assert_eq!(Selector::all().only(), None);
    }
}
