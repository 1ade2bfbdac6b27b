//! The site and the host that a client of a proxy asks for, from user and host names

use pptp_fleet::SiteName;

use super::refusal::Refusal;
use crate::{
    settings::ProxySettings,
    target::{Host, Target},
};

/// A host behind a site, as a client of a proxy asked for it
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The site
    pub site: SiteName,
    /// The host and the port
    pub target: Target,
}

/// Returns the site and the target that a client of a proxy asks for
///
/// `user` is the site of the user name, if it names one. `host` is an address, a name of the site, or
/// `HOST.SITE.SUFFIX`. A proxy for one site alone needs neither.
///
/// # Errors
/// No site is named, or two are; the host is none; a name of a site cannot be one.
pub(super) fn destination(
    proxy: &ProxySettings,
    user: Option<&str>,
    host: &str,
    port: u16,
) -> Result<Destination, Refusal> {
    let (host, site_of_host) = split(host, &proxy.suffix);
    let site = site(proxy, user, site_of_host)?;
    if port == 0 {
        return Err(Refusal::Protocol("port 0 is no port of a target".to_owned()));
    }
    let host = Host::parse(host)?;
    Ok(Destination { site, target: Target { host, port } })
}

/// Returns the site that a client of a proxy asks for
///
/// # Errors
/// See [`destination`].
pub(super) fn site(
    proxy: &ProxySettings,
    user: Option<&str>,
    site_of_host: Option<&str>,
) -> Result<SiteName, Refusal> {
    let user = user.filter(|user| !user.is_empty()).map(site_name).transpose()?;
    let of_host = site_of_host.map(site_name).transpose()?;
    match (user, of_host) {
        (Some(user), Some(host)) if user != host => {
            Err(Refusal::TwoSites { user: user.to_string(), host: host.to_string() })
        }
        (Some(site), _) | (None, Some(site)) => Ok(site),
        (None, None) => {
            let only = proxy.sites.only().cloned();
            only.ok_or_else(|| Refusal::NoSite { suffix: proxy.suffix.clone() })
        }
    }
}

/// Reads the name of a site in any case; what is none goes escaped into the refusal, and so into the log
fn site_name(text: &str) -> Result<SiteName, Refusal> {
    SiteName::new(&text.to_ascii_lowercase())
        .map_err(|invalid| Refusal::NoSuchSite(invalid.name.escape_debug().to_string()))
}

/// Splits `HOST.SITE.SUFFIX` into the host and the site; any other name has no site in it
pub(super) fn split<'a>(name: &'a str, suffix: &str) -> (&'a str, Option<&'a str>) {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let start = bare.len().checked_sub(suffix.len());
    let ends = start.and_then(|start| Some((bare.get(..start)?, bare.get(start..)?)));
    match ends {
        Some((front, end)) if !suffix.is_empty() && end.eq_ignore_ascii_case(suffix) => {
            // `pptp.internal` itself, or `xpptp.internal`
            let Some(front) = front.strip_suffix('.') else { return (name, None) };
            let (host, site) = front.rsplit_once('.').unwrap_or(("", front));
            (host, Some(site))
        }
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Listen, ProxyKind, Selector};

    fn proxy() -> ProxySettings {
        let listen = Listen::Ip(([127, 0, 0, 1], 0).into());
        ProxySettings::new(ProxyKind::Socks, listen)
    }

    fn asked(proxy: &ProxySettings, user: Option<&str>, host: &str) -> Result<String, Refusal> {
        destination(proxy, user, host, 80).map(|it| format!("{} {}", it.site, it.target))
    }

    #[test]
    fn the_site_is_in_the_user_name_or_in_the_host_name() {
        let proxy = proxy();
        for (user, host, wanted) in [
            (Some("b17"), "192.168.1.3", "b17 192.168.1.3:80"),
            (Some("B17"), "KNX.lan.", "b17 knx.lan:80"),
            (None, "192.168.1.3.b17.pptp.internal", "b17 192.168.1.3:80"),
            (None, "knx.b17.PPTP.Internal.", "b17 knx:80"),
            (Some("b17"), "knx.b17.pptp.internal", "b17 knx:80"),
            (Some(""), "a.b.B17.pptp.internal", "b17 a.b:80"),
            (Some("b17"), "pptp.internal", "b17 pptp.internal:80"),
            (Some("b17"), "x.ypptp.internal", "b17 x.ypptp.internal:80"),
        ] {
            assert_eq!(asked(&proxy, user, host).unwrap(), wanted, "{user:?} {host}");
        }
    }

    #[test]
    fn a_client_that_names_no_site_or_two_is_refused() {
        let proxy = proxy();
        let refused = |user, host| asked(&proxy, user, host).unwrap_err();
        assert!(matches!(refused(None, "192.168.1.3"), Refusal::NoSite { .. }));
        let two = refused(Some("b18"), "knx.b17.pptp.internal");
        assert_eq!(two, Refusal::TwoSites { user: "b18".into(), host: "b17".into() });
        assert!(matches!(refused(Some("b 17"), "knx"), Refusal::NoSuchSite(_)));
        let forged = refused(Some("b\nline"), "knx.b17.pptp.internal");
        assert_eq!(forged, Refusal::NoSuchSite("b\\nline".into()));
        assert!(matches!(refused(None, "knx.-.pptp.internal"), Refusal::NoSuchSite(_)));
        assert!(matches!(refused(None, "b17.pptp.internal"), Refusal::Target(_)));
        assert!(matches!(refused(Some("b17"), "::1"), Refusal::Target(_)));
        assert!(destination(&proxy, Some("b17"), "knx", 0).is_err());
    }

    #[test]
    fn a_proxy_of_one_site_needs_no_name() {
        let sites = Selector::one("b17".parse().unwrap());
        let proxy = ProxySettings { sites, ..proxy() };
        assert_eq!(asked(&proxy, None, "192.168.1.3").unwrap(), "b17 192.168.1.3:80");
        assert_eq!(asked(&proxy, Some("b18"), "knx").unwrap(), "b18 knx:80", "refused later");
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_split_without_a_panic(name in ".{0,60}", suffix in ".{0,5}") {
            let (host, _) = split(&name, &suffix);
            proptest::prop_assert!(name.starts_with(host));
        }
    }
}
