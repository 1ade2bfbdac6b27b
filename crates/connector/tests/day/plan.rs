//! The sites, their servers, and what each of them is there for

use std::{net::Ipv4Addr, ops::Range, sync::Arc, time::Duration};

use pptp_connector::settings::{
    Clients, ForwardSettings, Limits, Listen, Protocol, ProxyKind, ProxySettings, Settings,
    SiteSettings,
};
use pptp_fleet::{Connect, Secret, SiteConfig, SiteName};

use crate::outside::{Outside, PASSWORD, Vault};

/// The size of a run, and who is who in it
///
/// The first sites flap, the last sixth is a farm that is down for hours, and the others have ten a server. The last of
/// their servers is silent. Some sites have one login with another; some are manual, and some disabled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) sites: usize,
    pub(crate) time: Duration,
}

impl Plan {
    pub(crate) const fn new(seed: u64, sites: usize, time: Duration) -> Self {
        Self { seed, sites, time }
    }

    /// The sites that are lost again and again
    pub(crate) fn flapping(&self) -> Range<usize> {
        0..(self.sites / 75).max(6)
    }

    /// The servers of the farm
    pub(crate) fn farm(&self) -> Range<usize> {
        self.own().div_ceil(SITES)..self.servers()
    }

    pub(crate) fn servers(&self) -> usize {
        self.own().div_ceil(SITES) + self.in_farm().div_ceil(FARM_SITES)
    }

    /// The server that a site has at the start
    pub(crate) fn server_of(&self, site: usize) -> usize {
        match site.checked_sub(self.own()) {
            Some(site) => self.farm().start + site / FARM_SITES,
            None => site / SITES,
        }
    }

    /// The sites that a server has at the start
    pub(crate) fn sites_of(&self, server: usize) -> Range<usize> {
        match server.checked_sub(self.farm().start) {
            Some(farm) => {
                let first = self.own() + farm * FARM_SITES;
                first..(first + FARM_SITES).min(self.sites)
            }
            None => server * SITES..((server + 1) * SITES).min(self.own()),
        }
    }

    /// Returns true if nothing befalls the server but what befalls all
    pub(crate) fn is_calm(&self, server: usize) -> bool {
        server % 4 == 3 && !self.farm().contains(&server) && !self.flaps(server)
    }

    /// Returns true if the server refuses a login while an earlier session of it lives
    pub(crate) const fn has_one_session(server: usize) -> bool {
        server % 3 == 1 && !Self::has_newest_session(server)
    }

    /// Returns true if the server ends an earlier session of a login when another comes up
    pub(crate) const fn has_newest_session(server: usize) -> bool {
        server % 14 == 5
    }

    /// Returns true if the server allows one session of a login
    pub(crate) const fn is_exclusive(server: usize) -> bool {
        Self::has_one_session(server) || Self::has_newest_session(server)
    }

    /// Returns true if the server accepts connections and never says a word
    pub(crate) fn is_silent(&self, server: usize) -> bool {
        server + 1 == self.farm().start
    }

    /// Returns the site with the same login, which nobody has declared shared
    pub(crate) fn twin_of(&self, site: usize) -> Option<usize> {
        let server = self.server_of(site);
        let has_twins = matches!(server % 7, 4..=6) && !self.farm().contains(&server);
        let twin = match site % SITES {
            4 => site + 1,
            5 => site - 1,
            _ => return None,
        };
        (has_twins && self.sites_of(server).contains(&twin)).then_some(twin)
    }

    /// The user of a site; twins have one
    pub(crate) fn user(&self, site: usize) -> String {
        let first = self.twin_of(site).map_or(site, |twin| twin.min(site));
        format!("u{first}")
    }

    /// Returns true if the sites of the server know it by a name
    pub(crate) const fn has_name(server: usize) -> bool {
        server % 5 == 2
    }

    fn flaps(&self, server: usize) -> bool {
        server <= self.server_of(self.flapping().end - 1)
    }

    const fn in_farm(&self) -> usize {
        self.sites / 6
    }

    const fn own(&self) -> usize {
        self.sites - self.in_farm()
    }

    /// Dials a second: a start takes a minute
    fn dial_rate(&self) -> u32 {
        u32::try_from(self.sites / 60).expect("a few").clamp(3, 50)
    }

    /// The usual settings
    pub(crate) fn settings(&self, outside: &Arc<Outside>) -> Settings {
        let site = |number| (name(number), self.site(number, outside));
        let limits = Limits { dial_rate: self.dial_rate(), ..Limits::default() };
        let proxy = |kind, port| {
            let mut proxy = ProxySettings::new(kind, listen(port));
            proxy.max_clients = 1024;
            proxy
        };
        Settings {
            sites: (0..self.sites).map(site).collect(),
            proxies: vec![proxy(ProxyKind::Socks, SOCKS), proxy(ProxyKind::Http, HTTP)],
            limits,
            ..Settings::default()
        }
    }

    /// The usual settings of a site
    pub(crate) fn site(&self, number: usize, outside: &Arc<Outside>) -> SiteSettings {
        let server = self.server_of(number);
        let server =
            if Self::has_name(server) { host_name(server) } else { outer(server).to_string() };
        let secret = if number % 10 == 3 {
            Secret::Source(Arc::new(Vault(Arc::clone(outside))))
        } else {
            Secret::literal(PASSWORD)
        };
        let mut dial = SiteConfig::new(server, self.user(number), secret);
        if is_on_demand(number) {
            dial = dial.connect(Connect::OnDemand { idle: IDLE });
        } else if is_manual(number) {
            dial = dial.connect(Connect::Manual);
        }
        let dial = dial.enabled(!is_disabled(number));
        let mut settings = SiteSettings::new(dial);
        let has_forward = |each: usize, of: usize| number % each == of;
        if has_forward(25, 1) {
            settings.forwards.push(forward(TCP_FORWARDS, number, Protocol::TCP));
        }
        if has_forward(50, 2) {
            settings.forwards.push(forward(UDP_FORWARDS, number, Protocol::UDP));
        }
        settings
    }
}

/// Returns true if a site is dialled for clients alone
pub(crate) const fn is_on_demand(site: usize) -> bool {
    site % 10 == 7
}

/// Returns true if a site is dialled for a person alone
pub(crate) const fn is_manual(site: usize) -> bool {
    site % 20 == 8
}

/// Returns true if a site is configured and not to be dialled at all
pub(crate) const fn is_disabled(site: usize) -> bool {
    site % 50 == 19
}

fn forward(first: u16, number: usize, protocol: Protocol) -> ForwardSettings {
    let port = first + u16::try_from(number).expect("not too many sites");
    let target = format!("{SERVICE}:{LINES}").parse().expect("a target");
    ForwardSettings {
        listen: listen(port),
        clients: Clients::All,
        target,
        protocol,
        max_clients: 256,
    }
}

fn listen(port: u16) -> Listen {
    Listen::Ip(([127, 0, 0, 1], port).into())
}

pub(crate) fn name(site: usize) -> SiteName {
    format!("b{site}").parse().expect("a name")
}

/// The number of a site
pub(crate) fn number(name: &SiteName) -> usize {
    name.as_str()[1..].parse().expect("a number")
}

/// The name of a server in the DNS of the outside
pub(crate) fn host_name(server: usize) -> String {
    format!("vpn{server}.example")
}

/// The address of a server
pub(crate) fn outer(server: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x0A63_0001 + u32::try_from(server).expect("a few"))
}

/// The host in each building that tells who asks
pub(crate) const SERVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 50);

/// Its port for HTTP
pub(crate) const PAGES: u16 = 80;

/// Its port for lines over TCP, and for datagrams
pub(crate) const LINES: u16 = 7;

/// The ports of the ways in; those of forwards are followed by the number of the site
pub(crate) const SOCKS: u16 = 1080;
pub(crate) const HTTP: u16 = 8080;
pub(crate) const TCP_FORWARDS: u16 = 20_000;
pub(crate) const UDP_FORWARDS: u16 = 30_000;

/// The time without a use after which a site on demand is hung up
pub(crate) const IDLE: Duration = Duration::from_mins(10);

/// Sites of a server
const SITES: usize = 10;

/// Sites of a server of the farm
const FARM_SITES: usize = 100;
