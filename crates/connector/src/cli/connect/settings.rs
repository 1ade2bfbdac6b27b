//! The settings that the arguments of `connect` ask for

use pptp::Password;
use pptp_fleet::{Secret, SiteConfig};

use super::arguments::{ConnectArguments, ForwardArgument, PortArgument};
use crate::{
    cli::ports::next_free,
    settings::{Listen, ProxyKind, ProxySettings, Selector, Settings, SiteSettings},
};

/// Returns the settings: one site, its forwards, and both proxies, which are for this site alone
pub(super) fn settings(arguments: &ConnectArguments, password: Password) -> Settings {
    let dial = SiteConfig::new(&arguments.server, &arguments.user, Secret::Literal(password));
    let mut dial = arguments.insecure.apply(dial);
    if let Some(mru) = arguments.mru {
        dial = dial.option("mru", mru.to_string(), |tunnel| tunnel.mru(mru));
    }
    let mut site = SiteSettings::new(dial);
    site.forwards = arguments.forwards.iter().map(ForwardArgument::settings).collect();
    let proxy = |kind, chosen: Option<PortArgument>, preferred| {
        let listen = chosen.map_or_else(|| next_free(preferred), |port| port.0);
        let mut proxy = ProxySettings::new(kind, Listen::Ip(listen));
        proxy.sites = Selector::one(arguments.name.clone());
        proxy
    };
    Settings {
        sites: [(arguments.name.clone(), site)].into(),
        proxies: vec![
            proxy(ProxyKind::Socks, arguments.socks, SOCKS_PORT),
            proxy(ProxyKind::Http, arguments.http, HTTP_PORT),
        ],
        ..Settings::default()
    }
}

/// The port that SOCKS proxies have by custom (RFC 1928 §3)
const SOCKS_PORT: u16 = 1080;

/// The port that HTTP proxies have by custom
const HTTP_PORT: u16 = 8080;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: ConnectArguments,
    }

    #[test]
    fn the_letters_of_ssh_make_forwards_and_proxies_for_the_one_site() {
        let line =
            ["connect", "vpn.example.net", "-u", "svc", "-L", "8001:192.168.1.3:80", "-D", "1081"];
        let Line { arguments } = Line::try_parse_from(line).unwrap();
        let settings = settings(&arguments, Password::new("test123"));
        let site = &settings.sites["home"];
        assert_eq!((site.dial.server(), site.dial.user()), ("vpn.example.net", "svc"));
        assert_eq!(site.forwards[0].target.to_string(), "192.168.1.3:80");
        assert_eq!(settings.proxies[0].listen.to_string(), "127.0.0.1:1081");
        assert!(settings.proxies.iter().all(|proxy| proxy.sites.only() == Some(&arguments.name)));
    }
}
