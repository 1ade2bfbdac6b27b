//! The facts about a site that a sealed password is bound to

use std::fmt;

use pptp_fleet::SiteName;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::settings::Insecure;

/// The facts about a site that a sealed password is bound to
///
/// Whoever may write the site, and not the password, can so neither have it sent to another server, nor sent in a weaker
/// way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    site: String,
    /// The server as `host:port`, in lower case
    server: String,
    user: String,
    /// The names of the weaker logins and encryptions, sorted, each once
    insecure: Vec<&'static str>,
}

/// One of the facts
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The name of the site
    Site,
    /// The server
    Server,
    /// The user
    User,
    /// The weaker logins and encryptions
    Insecure,
}

impl Bound {
    /// Makes the facts of a site, with the values that are in force: inherited ones count
    pub fn new(
        site: &SiteName,
        server: &str,
        user: &str,
        insecure: impl IntoIterator<Item = Insecure>,
    ) -> Self {
        let mut insecure: Vec<_> = insecure.into_iter().map(Insecure::name).collect();
        insecure.sort_unstable();
        insecure.dedup();
        Self { site: site.to_string(), server: with_port(server), user: user.to_owned(), insecure }
    }

    /// Returns the `aad` of HPKE: a JSON array without spaces, `[1,"b17","vpn17.example.net:1723","svc",["pap"]]`
    pub fn aad(&self) -> Vec<u8> {
        json!([VERSION, self.site, self.server, self.user, self.insecure]).to_string().into_bytes()
    }

    /// Returns four octets of a digest for each part: they tell which part has changed, and nothing else depends on them
    pub(super) fn hint(&self) -> [u8; HINT_LEN] {
        let insecure = self.insecure.join(",");
        let parts = [&self.site, &self.server, &self.user, &insecure];
        let digests = parts.map(|part| Sha256::digest(part.as_bytes()));
        let mut hint = [0; HINT_LEN];
        let octets = digests.iter().flat_map(|digest| digest.iter().take(HINT_LEN / PARTS.len()));
        for (place, octet) in hint.iter_mut().zip(octets) {
            *place = *octet;
        }
        hint
    }

    /// Returns the parts that differ from those of a hint
    pub(super) fn changed_since(&self, hint: [u8; HINT_LEN]) -> Vec<Part> {
        let (now, length) = (self.hint(), HINT_LEN / PARTS.len());
        let pairs = now.chunks(length).zip(hint.chunks(length)).zip(PARTS);
        pairs.filter(|((now, then), _)| now != then).map(|(_, part)| part).collect()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Site => "the site's name",
            Self::Server => "`server`",
            Self::User => "`user`",
            Self::Insecure => "`insecure`",
        })
    }
}

/// Returns a server as `host:port`, in lower case
fn with_port(server: &str) -> String {
    let server = server.to_ascii_lowercase();
    let has_port = server.rsplit_once(':').is_some_and(|(host, port)| {
        let is_number = !port.is_empty() && port.bytes().all(|octet| octet.is_ascii_digit());
        is_number && (!host.contains(':') || host.ends_with(']'))
    });
    if has_port { server } else { format!("{server}:{DEFAULT_PORT}") }
}

/// The parts, in the order of the hint
const PARTS: [Part; 4] = [Part::Site, Part::Server, Part::User, Part::Insecure];

/// The octets of a hint
pub(super) const HINT_LEN: usize = 16;

/// The version of the `aad`
const VERSION: u32 = 1;

/// The port of PPTP (RFC 2637 §1.3)
const DEFAULT_PORT: u16 = 1723;

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(server: &str, insecure: &[Insecure]) -> Bound {
        Bound::new(&"b17".parse().unwrap(), server, "svc", insecure.iter().copied())
    }

    #[test]
    fn the_forms_of_one_server_are_one_and_the_weakenings_are_sorted() {
        let aad = r#"[1,"b17","vpn17.example.net:1723","svc",["no-encryption","pap"]]"#;
        let weak = [Insecure::Pap, Insecure::NoEncryption, Insecure::Pap];
        for server in ["vpn17.example.net", "VPN17.example.net:1723"] {
            assert_eq!(bound(server, &weak).aad(), aad.as_bytes(), "{server}");
        }
        let aad = r#"[1,"b17","[2001:db8::1]:1724","svc",[]]"#;
        assert_eq!(bound("[2001:DB8::1]:1724", &[]).aad(), aad.as_bytes());
        assert_eq!(with_port("[2001:db8::1]"), "[2001:db8::1]:1723");
        assert_eq!(with_port("2001:db8::1"), "2001:db8::1:1723");
    }

    #[test]
    fn a_hint_tells_which_parts_have_changed() {
        let now = bound("a", &[]);
        let other = Bound { user: "SVC".to_owned(), ..bound("b", &[Insecure::Pap]) };
        let changed = now.changed_since(other.hint());
        assert_eq!(changed, [Part::Server, Part::User, Part::Insecure]);
        assert_eq!(now.changed_since(now.hint()), []);
    }
}
