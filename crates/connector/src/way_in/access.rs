//! Access: who may reach what through a listener

use std::{net::SocketAddrV4, sync::Arc};

use pptp_fleet::{Site, SiteName};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::refusal::Refusal;
use crate::{
    directory::{Directory, SiteFacts},
    settings::{Login, ProxySettings},
};

/// A client of a proxy that has been let in
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guest {
    /// The name of its login, if the proxy has logins
    login: Option<String>,
    /// The site that its user name names
    pub(super) site: Option<String>,
}

/// A right that was given, to be asked for again when the settings change
#[derive(Debug, Clone)]
pub(super) struct Grant {
    login: Option<Login>,
    site: SiteName,
    target: Option<SocketAddrV4>,
}

impl Guest {
    /// Lets a client in by its user name and password
    ///
    /// A proxy without logins takes the user name as the site, and any password.
    ///
    /// # Errors
    /// The proxy has logins, and this is none of them.
    pub(super) fn enter(
        proxy: &ProxySettings,
        user: Option<&str>,
        password: &[u8],
    ) -> Result<Self, Refusal> {
        if proxy.logins.is_empty() {
            return Ok(Self { login: None, site: user.map(str::to_owned) });
        }
        let user = user.unwrap_or_default();
        let (name, site) = match user.split_once('+') {
            Some((name, site)) => (name, Some(site.to_owned())),
            None => (user, None),
        };
        let hash: [u8; 32] = Sha256::digest(password).into();
        // all logins are compared, so that the time does not tell which of them exist
        let is_login = proxy.logins.iter().fold(Choice::from(0), |found, login| {
            let is_name = login.name.as_bytes().ct_eq(name.as_bytes());
            found | (is_name & login.password_sha256.ct_eq(&hash))
        });
        if bool::from(is_login) {
            Ok(Self { login: Some(name.to_owned()), site })
        } else {
            Err(Refusal::Login)
        }
    }

    /// Gives the right to use a site
    ///
    /// # Errors
    /// There is no such site, or it may not be reached.
    pub(super) fn site(
        &self,
        proxy: &ProxySettings,
        directory: &Directory,
        name: &SiteName,
    ) -> Result<(Site, Arc<SiteFacts>, Grant), Refusal> {
        let login = match &self.login {
            Some(name) => {
                let login = proxy.logins.iter().find(|login| login.name == *name);
                Some(login.cloned().ok_or(Refusal::Login)?)
            }
            None => None,
        };
        let grant = Grant { login, site: name.clone(), target: None };
        let found = directory.site(name.as_str());
        let (site, facts) = found.ok_or_else(|| Refusal::NoSuchSite(name.to_string()))?;
        if grant.may_use_site(proxy, &facts) {
            Ok((site, facts, grant))
        } else {
            Err(Refusal::SiteNotAllowed(name.clone()))
        }
    }
}

impl Grant {
    /// Adds a target to the right
    pub(super) fn to(mut self, target: SocketAddrV4) -> Self {
        self.target = Some(target);
        self
    }

    /// Returns true if it would be given again
    pub(super) fn holds(&self, proxy: &ProxySettings, directory: &Directory) -> bool {
        let has_login = match &self.login {
            Some(login) => proxy
                .logins
                .iter()
                .any(|it| it.name == login.name && it.password_sha256 == login.password_sha256),
            None => proxy.logins.is_empty(),
        };
        let facts = directory.all();
        let facts = facts.get(self.site.as_str());
        has_login
            && facts.is_some_and(|facts| self.may_use_site(proxy, facts))
            && self.target.is_none_or(|target| may_reach(proxy, target))
    }

    fn may_use_site(&self, proxy: &ProxySettings, facts: &SiteFacts) -> bool {
        let login = self.login.as_ref().map(|login| &login.name);
        let login = login.and_then(|name| proxy.logins.iter().find(|it| it.name == *name));
        proxy.sites.has(&self.site, &facts.labels)
            && login.is_none_or(|login| login.sites.has(&self.site, &facts.labels))
    }
}

/// Returns true if a target may be reached through a proxy
pub(super) fn may_reach(proxy: &ProxySettings, target: SocketAddrV4) -> bool {
    proxy.targets.iter().any(|rule| rule.has(*target.ip(), target.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Listen, ProxyKind, Selector};

    #[test]
    fn a_login_opens_a_proxy_and_its_user_name_may_have_the_site_behind_a_plus() {
        let listen = Listen::Ip(([127, 0, 0, 1], 0).into());
        let mut proxy = ProxySettings::new(ProxyKind::Socks, listen);
        let free = Guest::enter(&proxy, Some("b17"), b"anything").unwrap();
        assert_eq!(free, Guest { login: None, site: Some("b17".into()) });
        let password_sha256 = Sha256::digest(b"secret").into();
        let sites = Selector::all();
        proxy.logins.push(Login { name: "ann".into(), password_sha256, sites });
        let ann = Guest::enter(&proxy, Some("ann+b17"), b"secret").unwrap();
        assert_eq!(ann, Guest { login: Some("ann".into()), site: Some("b17".into()) });
        assert_eq!(Guest::enter(&proxy, Some("ann"), b"secret").unwrap().site, None);
        for (user, password) in
            [("ann", ""), ("ann", "Secret"), ("bob", "secret"), ("b17", "secret"), ("", "secret")]
        {
            assert_eq!(Guest::enter(&proxy, Some(user), password.as_bytes()), Err(Refusal::Login));
        }
        assert_eq!(Guest::enter(&proxy, None, b""), Err(Refusal::Login));
    }
}
