//! The configuration of a site, and its differences from another

use std::{collections::BTreeMap, sync::Arc};

use pptp::{Password, TunnelConfig, config::PasswordEncoding, error::Failure};

use crate::{
    Connect, Probe, Reach, Secret, SiteFailure,
    decide::{dial::ServerKey, login::LoginKey},
};

/// The configuration of a site
///
/// ```
/// use pptp_fleet::{Secret, SiteConfig};
///
/// let site = SiteConfig::new("vpn17.example.net", "svc", Secret::literal("test123"))
///     .tunnel(|tunnel| tunnel.mru(1300));
/// ```
#[derive(Debug, Clone)]
pub struct SiteConfig {
    pub(crate) server: String,
    pub(crate) user: String,
    pub(crate) secret: Secret,
    pub(crate) connect: Connect,
    pub(crate) is_enabled: bool,
    pub(crate) shares_login: bool,
    pub(crate) probe: Option<Probe>,
    /// The options of the tunnel, with an empty password; shared by clones, since a fleet and its owner have one each
    pub(crate) tunnel: Arc<TunnelConfig>,
    /// The options of the tunnel as texts by their names, for comparison with another configuration
    pub(crate) options: Arc<BTreeMap<String, String>>,
}

impl SiteConfig {
    /// A site that is kept up, with the library's options
    pub fn new(server: impl Into<String>, user: impl Into<String>, secret: Secret) -> Self {
        let (server, user) = (server.into(), user.into());
        let tunnel = TunnelConfig::new(&server, &user, "");
        Self {
            server,
            user,
            secret,
            connect: Connect::Always,
            is_enabled: true,
            shares_login: false,
            probe: None,
            tunnel: Arc::new(tunnel),
            options: Arc::default(),
        }
    }

    /// Sets when the site is dialled
    #[must_use]
    pub const fn connect(mut self, connect: Connect) -> Self {
        self.connect = connect;
        self
    }

    /// Sets if the site is dialled at all
    #[must_use]
    pub const fn enabled(mut self, is_enabled: bool) -> Self {
        self.is_enabled = is_enabled;
        self
    }

    /// Sets if other sites have the same server and user on purpose, and the server allows them all at the same time
    ///
    /// Without it, such sites are not dialled at the same time, and one that ends whenever another comes up says so:
    /// [`SiteFailure::LoginInUse`].
    #[must_use]
    pub const fn share_login(mut self, shares_login: bool) -> Self {
        self.shares_login = shares_login;
        self
    }

    /// Sets the question to a device behind the site; a change of it leaves the tunnel as it is
    #[must_use]
    pub fn probe(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Sets options of the tunnel
    ///
    /// Two configurations whose options print alike are taken as equal: see [`Self::option`] for the others.
    #[must_use]
    pub fn tunnel(mut self, set: impl FnOnce(TunnelConfig) -> TunnelConfig) -> Self {
        self.tunnel = Arc::new(set(Arc::unwrap_or_clone(self.tunnel)));
        let options = Arc::make_mut(&mut self.options);
        options.insert("tunnel".to_owned(), format!("{:?}", self.tunnel));
        self
    }

    /// Sets one option of the tunnel, which is compared with that of another configuration by `name` and `value`
    #[must_use]
    pub fn option(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
        set: impl FnOnce(TunnelConfig) -> TunnelConfig,
    ) -> Self {
        self.tunnel = Arc::new(set(Arc::unwrap_or_clone(self.tunnel)));
        Arc::make_mut(&mut self.options).insert(name.into(), value.into());
        self
    }

    /// Checks whether the site can be dialled with this, as far as that is possible before the dial
    ///
    /// # Errors
    /// The first option that cannot be used, as the library names it.
    pub fn check(&self) -> Result<(), Failure> {
        match &self.secret {
            Secret::Literal(password) => self.tunnel_config(password).check(),
            Secret::Source(_) | Secret::Invalid(_) => self.tunnel.check(),
        }
    }

    /// Returns options for a dial beside the fleet, as a doctor's, with the password fetched
    ///
    /// # Errors
    /// The password cannot be had.
    pub async fn dial_options(&self) -> Result<TunnelConfig, SiteFailure> {
        Ok(self.tunnel_config(&self.secret.password().await?))
    }

    /// Returns the server, `host` or `host:port`
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Returns the password, or its place
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns the user
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns how far a change from `self`, with which a tunnel was dialled, to `other` reaches
    pub fn difference(&self, other: &Self) -> Difference {
        let mut names = Vec::new();
        for (name, is_equal) in [
            ("server", self.server.eq_ignore_ascii_case(&other.server)),
            ("user", self.user == other.user),
        ] {
            if !is_equal {
                names.push(name.to_owned());
            }
        }
        let all = self.options.keys().chain(other.options.keys());
        let changed = all.filter(|name| self.options.get(*name) != other.options.get(*name));
        names.extend(changed.cloned());
        names.sort_unstable();
        names.dedup();
        if !names.is_empty() {
            return Difference { reach: Reach::Tunnel, names };
        }
        if self.secret.is_same(&other.secret) {
            Difference { reach: Reach::Nothing, names }
        } else {
            Difference { reach: Reach::NextDial, names: vec!["password".to_owned()] }
        }
    }

    /// Returns true if two configurations differ in what concerns neither a tunnel nor a dial: when the site is dialled,
    /// if at all, if other sites share its login, and its probe
    pub fn differs_beside(&self, other: &Self) -> bool {
        self.connect != other.connect
            || self.is_enabled != other.is_enabled
            || self.shares_login != other.shares_login
            || self.probe != other.probe
    }

    /// Returns true if a change from one to the other would be none
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        !self.differs_beside(other) && self.difference(other).reach == Reach::Nothing
    }

    /// Returns the names of all that differs, also of what a tunnel has no part in
    pub(crate) fn changed_names(&self, other: &Self) -> Vec<String> {
        let mut names = self.difference(other).names;
        for (name, is_equal) in [
            ("connect", self.connect == other.connect),
            ("enabled", self.is_enabled == other.is_enabled),
            ("share_login", self.shares_login == other.shares_login),
            ("probe", self.probe == other.probe),
        ] {
            if !is_equal {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// The server as the scheduler knows it before it is reached: the name in lower case, without the usual port
    pub(crate) fn server_key(&self) -> ServerKey {
        let name = self.server.to_ascii_lowercase();
        name.strip_suffix(":1723").unwrap_or(&name).into()
    }

    /// The login as the ledger knows it
    pub(crate) fn login(&self, secret: &[u8; 16], password: &Password) -> LoginKey {
        let octets = password.octets(PasswordEncoding::Utf16);
        LoginKey::new(secret, &self.server_key(), &self.user, &octets)
    }

    /// The options of a dial with this password
    pub(crate) fn tunnel_config(&self, password: &Password) -> TunnelConfig {
        TunnelConfig::clone(&self.tunnel).password(password.clone())
    }
}

/// The reach of a change of a site's configuration, and the options that have changed
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The reach: nothing, the next dial, or the tunnel
    pub reach: Reach,
    /// The names of the options
    pub names: Vec<String>,
}
