//! The maker of sites and listeners, which must not be in each other's way

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
};

use pptp_fleet::{Secret, SiteConfig, SiteName};

use super::{
    api,
    keys::TopKeys,
    layers::EffectiveSite,
    listeners::{Listeners, check_path},
    loopback::{Address, Loopback},
    metrics,
    problem::Problems,
    proxy,
    site::{self, Means},
    site_secret::secret_file,
    source::Origin,
};
use crate::{
    seal::Sealed,
    settings::{ApiListener, Listen, MetricsSettings, Owner, ProxySettings, SiteSettings},
    way_in::{ListenKey, Way},
};

/// The maker of sites and proxies, which must not be in each other's way
pub(super) struct Builder<'a> {
    means: Means<'a>,
    problems: &'a mut Problems,
    pub(super) listeners: Listeners,
    /// The sites by their logins
    twins: HashMap<(String, String), SiteName>,
    /// The sealed passwords of sites that were made through the control interface
    pub(super) sealed: BTreeMap<SiteName, Sealed>,
    /// The files of passwords
    pub(super) secrets: BTreeSet<PathBuf>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(means: Means<'a>, problems: &'a mut Problems) -> Self {
        let (twins, sealed, secrets) = (HashMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { means, problems, listeners: Listeners::default(), twins, sealed, secrets }
    }

    /// Makes the settings of sites
    ///
    /// The keys of a site are dropped as soon as there are settings of it: those of ten thousand sites are much of the
    /// most that the program takes.
    pub(super) fn sites(
        &mut self,
        sites: BTreeMap<SiteName, Box<EffectiveSite>>,
        loopback: &mut Loopback,
    ) -> BTreeMap<SiteName, SiteSettings> {
        let settings = sites.into_iter().map(|(name, site)| {
            let address = loopback.address(&name, &site, self.problems);
            let settings = self.site(&name, &site, &address);
            (name, settings)
        });
        // made of all at once, the nodes of the map are full: one by one, in order, half of each stays empty
        settings.collect()
    }

    fn site(
        &mut self,
        name: &SiteName,
        site: &EffectiveSite,
        address: &Address<'_>,
    ) -> SiteSettings {
        self.secrets.extend(secret_file(site, self.means.sources));
        let Some(built) = site::build(name, site, address, &self.means, self.problems) else {
            // its problem may be one of the defaults
            let [server, user] = [&site.keys.server, &site.keys.user]
                .map(|found| found.as_ref().map_or("", |it| it.value.as_str()));
            return invalid(server, user, owner(site.origin));
        };
        self.warn_of_twin(name, site);
        if site.origin != Origin::File {
            self.sealed.extend(built.sealed.map(|sealed| (name.clone(), sealed)));
        }
        for (forward, place) in built.settings.forwards.iter().zip(&built.listens) {
            let way = Way::Forward { site: name.clone(), forward: forward.clone() };
            check_path(&forward.listen, place, self.problems);
            self.listeners.add(&way, place, self.means.sources, self.problems);
        }
        built.settings
    }

    /// Warns of two sites with one login, which end each other's tunnels at a server that allows one session
    fn warn_of_twin(&mut self, name: &SiteName, site: &EffectiveSite) {
        let keys = &site.keys;
        let is_off = keys.enabled.as_ref().is_some_and(|it| !it.value);
        let is_shared = keys.share_login.as_ref().is_some_and(|it| it.value);
        let (Some(server), Some(user)) = (&keys.server, &keys.user) else { return };
        if is_off || is_shared {
            return;
        }
        let server = server.value.to_ascii_lowercase();
        let login = (server.trim_end_matches(":1723").to_owned(), user.value.clone());
        if let Some(twin) = self.twins.get(&login) {
            let message = format!("`{name}` has the server and the user of `{twin}`");
            let help = "if the server allows that: share_login = true";
            self.problems.warn(&site.place, message, help.to_owned());
        } else {
            self.twins.insert(login, name.clone());
        }
    }

    pub(super) fn api(&mut self, top: &TopKeys) -> Vec<ApiListener> {
        let mut settings = Vec::new();
        for keys in top.api.iter().flat_map(|all| &all.value) {
            let Some((built, place)) = api::build(keys, self.problems) else { continue };
            check_path(&built.listen(), &place, self.problems);
            let key = match built.listen() {
                Listen::Ip(address) => ListenKey::Tcp(address),
                Listen::Unix(socket) => ListenKey::Unix(socket.path),
            };
            self.listeners.add_key(key, &place, self.means.sources, self.problems);
            settings.push(built);
        }
        settings
    }

    pub(super) fn metrics(&mut self, top: &TopKeys) -> MetricsSettings {
        metrics::build(top.metrics.as_ref(), &mut self.listeners, self.means.sources, self.problems)
    }

    pub(super) fn proxies(
        &mut self,
        top: &TopKeys,
        is_site: impl Fn(&SiteName) -> bool,
    ) -> Vec<ProxySettings> {
        let mut settings = Vec::new();
        for proxy in top.proxy.iter().flat_map(|all| &all.value) {
            let Some((built, place)) = proxy::build(proxy, self.problems) else { continue };
            proxy::check_names(proxy, &built, &is_site, self.problems);
            check_path(&built.listen, &place, self.problems);
            let way = Way::Proxy(built.clone());
            self.listeners.add(&way, &place, self.means.sources, self.problems);
            settings.push(built);
        }
        settings
    }
}

/// The settings of a site with problems: it stops with a failure that says so
pub(super) fn invalid(server: &str, user: &str, owner: Owner) -> SiteSettings {
    let problem = "its table in the configuration has problems: see `check`";
    let dial = SiteConfig::new(server, user, Secret::Invalid(problem.to_owned()));
    SiteSettings { owner, ..SiteSettings::new(dial) }
}

/// Returns the owner of a site whose text somebody has written
pub(super) const fn owner(origin: Origin) -> Owner {
    match origin {
        Origin::File => Owner::File,
        Origin::Kept | Origin::Asked => Owner::Api,
    }
}
