//! The application probe of a site: a question to a device behind it

mod http;

use std::{fmt, io, str::FromStr};

use pptp::{Tunnel, doctor::Target};
use tokio::time::timeout;

use self::http::Page;
use crate::decide::health::MAX_PROBE_TIME;

/// The application probe of a site: a question to a device behind it
///
/// Read from a text, as a [`Target`] of the doctor is:
///
/// | text | what counts as an answer |
/// |---|---|
/// | `tcp:HOST:PORT` | the port accepts |
/// | `udp:HOST:PORT=TEXT` | any datagram that comes back |
/// | `http:HOST[:PORT][/PATH]` | a status below 500 to a GET, over HTTP/1.1 |
/// | `knx:HOST[:PORT]` | a KNXnet/IP server describes itself |
/// | `ping:HOST` | an ICMP echo reply |
///
/// The host is an IPv4 address, or a name that the remote network's DNS servers know. The fleet asks while the site is
/// up: each minute, after 30 s without a packet from the tunnel, and each 10 s after a failure. An answer has to come
/// within 5 s. A probe tells of the device ([`ProbeStatus`]), and nothing is dialled because of it: a tunnel proves by
/// itself that packets pass. It is no use of the site, so a site on demand is hung up all the same.
///
/// ```
/// use pptp_fleet::{Probe, Secret, SiteConfig};
///
/// let probe: Probe = "knx:192.168.1.3".parse()?;
/// assert_eq!(probe.to_string(), "knx:192.168.1.3:3671");
/// let site = SiteConfig::new("vpn17.example.net", "svc", Secret::literal("test123")).probe(probe);
/// # Ok::<(), pptp_fleet::InvalidProbe>(())
/// ```
///
/// [`ProbeStatus`]: crate::ProbeStatus
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Target(Target),
    Page(Page),
}

/// The reason why a text or a target is no probe
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{probe}` is no probe: tcp:HOST:PORT, udp:HOST:PORT=TEXT, http:HOST[:PORT][/PATH], knx:HOST[:PORT] or ping:HOST is \
     wanted"
)]
pub struct InvalidProbe {
    /// The text; its first 80 characters, if it is longer
    pub probe: String,
}

impl Probe {
    /// Asks the device once
    pub(crate) async fn ask(&self, tunnel: &Tunnel) -> Result<(), String> {
        match timeout(MAX_PROBE_TIME, self.question(tunnel)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Err(NO_ANSWER.to_owned()),
            Ok(Err(error)) => Err(error.to_string().chars().take(MAX_ERROR).collect()),
            Err(_) => Err(NO_ANSWER.to_owned()),
        }
    }

    async fn question(&self, tunnel: &Tunnel) -> io::Result<()> {
        match &self.0 {
            Kind::Target(target) => target.reach(tunnel).await.map(|_| ()),
            Kind::Page(page) => page.get(tunnel).await,
        }
    }
}

impl FromStr for Probe {
    type Err = InvalidProbe;

    fn from_str(text: &str) -> Result<Self, InvalidProbe> {
        let probe = match text.strip_prefix("http:") {
            Some(place) => Page::parse(place).map(|page| Self(Kind::Page(page))),
            None => text.parse::<Target>().ok().and_then(|target| Self::try_from(target).ok()),
        };
        probe.ok_or_else(|| InvalidProbe::new(text))
    }
}

/// A datagram without octets is refused: devices are silent to it
impl TryFrom<Target> for Probe {
    type Error = InvalidProbe;

    fn try_from(target: Target) -> Result<Self, InvalidProbe> {
        match &target {
            Target::Udp { payload, .. } if payload.is_empty() => {
                Err(InvalidProbe::new(&target.to_string()))
            }
            _ => Ok(Self(Kind::Target(target))),
        }
    }
}

/// As it is read; but octets of a datagram that are no printable text are escaped
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Page(page) => page.fmt(f),
            Kind::Target(target @ Target::Udp { payload, .. }) => match str::from_utf8(payload) {
                Ok(text) if !text.contains(char::is_control) => write!(f, "{target}={text}"),
                _ => write!(f, "{target}={}", payload.escape_ascii()),
            },
            Kind::Target(target) => target.fmt(f),
        }
    }
}

impl InvalidProbe {
    fn new(text: &str) -> Self {
        Self { probe: text.chars().take(MAX_SHOWN).collect() }
    }
}

const NO_ANSWER: &str = "no answer";

/// Characters of an error that are kept for each site
const MAX_ERROR: usize = 200;

/// Characters of a wrong probe that an error shows
const MAX_SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_read_as_they_are_written() {
        for text in [
            "tcp:192.168.1.3:502",
            "udp:knx.lan:7=a=b",
            "udp:192.168.1.3:7=\u{e4}",
            "http:192.168.1.3:80/",
            "http:192.168.1.3:8080/status?full=1",
            "knx:192.168.1.3:3671",
            "ping:192.168.1.3",
        ] {
            assert_eq!(text.parse::<Probe>().unwrap().to_string(), text);
        }
        for (text, same) in [
            ("http:plc.lan", "http:plc.lan:80/"),
            ("http:plc.lan:81", "http:plc.lan:81/"),
            ("http:plc.lan/a/b", "http:plc.lan:80/a/b"),
            ("http://plc.lan/a", "http:plc.lan:80/a"),
            ("knx:plc.lan", "knx:plc.lan:3671"),
        ] {
            assert_eq!(text.parse::<Probe>().unwrap().to_string(), same);
        }
    }

    #[test]
    fn what_is_no_probe_is_told_in_a_line() {
        let long = "x".repeat(10_000);
        for text in ["", "tcp", "tcp:host", "udp:host:7", "udp:host:7=", "ftp:host", "knx:", &long]
        {
            let error = text.parse::<Probe>().unwrap_err();
            assert!(error.to_string().len() < 250, "{error}");
        }
    }

    #[test]
    fn octets_that_are_no_text_are_shown_in_one_line() {
        let payload = vec![0, b'\n', 0xFF, b'a'];
        let target = Target::Udp { host: "plc.lan".into(), port: 47808, payload };
        let probe = Probe::try_from(target).unwrap();
        assert_eq!(probe.to_string(), r"udp:plc.lan:47808=\x00\n\xffa");
    }
}
