//! The weaker logins and encryptions that a command agrees to

use clap::Args;
use pptp_fleet::SiteConfig;

use crate::settings::Insecure;

/// The weaker logins and encryptions that a command agrees to
#[derive(Debug, Clone, Default, Args)]
pub struct InsecureArguments {
    /// Agree to something weaker, which the server may then choose; may be given several times
    #[arg(long, value_enum, value_name = "WHAT")]
    insecure: Vec<Insecure>,
}

impl InsecureArguments {
    /// Returns a site's configuration with what is agreed to
    #[must_use]
    pub fn apply(&self, site: SiteConfig) -> SiteConfig {
        self.insecure.iter().fold(site, |site, weaker| {
            site.option(weaker.name(), "agreed", |tunnel| weaker.apply(tunnel))
        })
    }

    /// Returns the names of what is agreed to
    pub fn names(&self) -> Vec<&'static str> {
        self.insecure.iter().map(|weaker| weaker.name()).collect()
    }
}
