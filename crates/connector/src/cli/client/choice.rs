//! The sites that an argument chooses

use std::{fmt, str::FromStr};

use pptp_fleet::SiteName;

use super::daemon::{Daemon, Failure, encode};
use crate::{
    api::view::{SiteView, SitesView},
    cli::exit::Exit,
    settings::{InvalidSelector, Selector},
};

/// A choice of sites on the command line: `b17` or `@label=value`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    text: String,
    /// The name, if it is no choice by label
    name: Option<SiteName>,
}

/// The reason why a text is no choice
pub type InvalidChoice = InvalidSelector;

impl FromStr for Choice {
    type Err = InvalidChoice;

    fn from_str(text: &str) -> Result<Self, InvalidChoice> {
        if text.starts_with('@') {
            Selector::parse([text])?;
            return Ok(Self { text: text.to_owned(), name: None });
        }
        Ok(Self { text: text.to_owned(), name: Some(text.parse()?) })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Choice {
    /// Finds the one site that is chosen
    ///
    /// # Errors
    /// There is none, or there are several, which are listed then.
    pub async fn one(&self, daemon: &Daemon) -> Result<String, Failure> {
        // the daemon says if there is no such site
        if let Some(name) = &self.name {
            return Ok(name.to_string());
        }
        let sites = self.sites(daemon).await?;
        match sites.as_slice() {
            [site] => Ok(site.name.clone()),
            several => {
                let names: Vec<_> = several.iter().map(|site| site.name.as_str()).collect();
                let message = format!(
                    "{self} chooses {} sites, and this command takes one: {}",
                    names.len(),
                    names.join(", ")
                );
                Err(Failure::new(Exit::Site, message))
            }
        }
    }

    /// Finds the sites that are chosen
    ///
    /// # Errors
    /// There is none.
    pub async fn sites(&self, daemon: &Daemon) -> Result<Vec<SiteView>, Failure> {
        if let Some(name) = &self.name {
            return Ok(vec![daemon.get(&format!("/v1/sites/{name}")).await?]);
        }
        let sites = all(daemon, &format!("&select={}", encode(&self.text))).await?;
        if sites.is_empty() {
            return Err(Failure::new(Exit::Site, format!("{self} chooses no site")));
        }
        Ok(sites)
    }
}

/// Lists all sites, page by page; `filter` is the rest of a query, from its `&` on
pub(super) async fn all(daemon: &Daemon, filter: &str) -> Result<Vec<SiteView>, Failure> {
    let (mut sites, mut after) = (Vec::new(), String::new());
    loop {
        let page = daemon.get::<SitesView>(&format!("/v1/sites?limit=500{after}{filter}")).await?;
        sites.extend(page.sites);
        match page.next {
            // names grow from page to page: it has an end
            Some(next) => after = format!("&after={}", encode(&next)),
            None => return Ok(sites),
        }
    }
}
