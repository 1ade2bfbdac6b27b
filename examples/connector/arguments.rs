//! The command line, checked as far as that goes before anything is dialled

use std::{
    ffi::OsString,
    fmt,
    net::{SocketAddr, SocketAddrV4},
    path::PathBuf,
    str::FromStr,
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use pptp::TunnelConfig;
use pptp_fleet::{InvalidName, SiteName};

use crate::{
    login::{self, Password},
    policy::Policy,
};

/// Keeps a PPTP tunnel to each site and forwards local TCP and UDP ports into them
#[derive(Parser)]
#[command(name = "connector")]
struct Options {
    /// A site and its PPTP server: NAME=HOST[:PORT]
    #[arg(long = "site", value_name = "SITE", required = true)]
    sites: Vec<Site>,
    /// The user on all servers
    #[arg(long, value_parser = login::user)]
    user: String,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    policy: Policy,
    /// `tcp|udp:LOCAL_ADDRESS:PORT=SITE:ADDRESS:PORT`
    #[arg(long = "forward", value_name = "FORWARD")]
    forwards: Vec<Forward>,
    /// A folder for what was said on the wire when a site fails, as pcapng; the latest 16 of each site are kept
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// SITE=FILE: the packets inside that site's tunnel, in the clear, as pcapng; a file that exists goes on
    #[arg(long = "capture", value_name = "CAPTURE")]
    captures: Vec<CaptureTo>,
}

/// What the command line asks for, all of it fitting together
pub(crate) struct Arguments {
    pub(crate) sites: Vec<Site>,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) policy: Policy,
    pub(crate) forwards: Vec<Forward>,
    pub(crate) record: Option<PathBuf>,
    pub(crate) captures: Vec<CaptureTo>,
}

impl Arguments {
    /// Reads a command line, and the password of the environment unless that gives another
    pub(crate) fn read(
        command_line: impl IntoIterator<Item = OsString>,
        environment: Option<OsString>,
    ) -> Result<Self, clap::Error> {
        let options = Options::try_parse_from(command_line)?;
        let arguments = Self::complete(options, environment).map_err(wrong)?;
        arguments.check().map_err(wrong)?;
        Ok(arguments)
    }

    fn complete(options: Options, environment: Option<OsString>) -> Result<Self, String> {
        let Options { sites, user, password, policy, forwards, record, captures } = options;
        let password = password.find(environment)?.ok_or_else(|| {
            format!("a password is wanted: --password, --password-file or {}", login::VARIABLE)
        })?;
        Ok(Self { sites, user, password, policy, forwards, record, captures })
    }

    fn check(&self) -> Result<(), String> {
        let config = TunnelConfig::new("server", &self.user, &self.password);
        self.policy.apply(config).check().map_err(|failure| failure.to_string())?;
        for (i, site) in self.sites.iter().enumerate() {
            if self.sites[..i].iter().any(|earlier| earlier.name == site.name) {
                return Err(format!("two sites are named {:?}", site.name.as_str()));
            }
        }
        for (i, CaptureTo { site, .. }) in self.captures.iter().enumerate() {
            if self.sites.iter().all(|it| it.name != **site) {
                return Err(format!("--capture: there is no site {site:?}"));
            }
            if self.captures[..i].iter().any(|earlier| earlier.site == *site) {
                return Err(format!("--capture: the site {site:?} is captured already"));
            }
        }
        for (i, forward) in self.forwards.iter().enumerate() {
            if self.sites.iter().all(|site| site.name != *forward.site) {
                return Err(format!("forward {forward}: there is no site {:?}", forward.site));
            }
            if self.forwards[..i].iter().any(|earlier| earlier.listens_with(forward)) {
                return Err(format!("forward {forward}: another one has this local address"));
            }
        }
        Ok(())
    }
}

/// The error of arguments that clap alone finds nothing wrong with
pub(crate) fn wrong(what: String) -> clap::Error {
    Options::command().error(ErrorKind::ValueValidation, what)
}

#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) name: SiteName,
    pub(crate) server: String,
}

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, server) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or("NAME=HOST[:PORT] is wanted")?;
        let name = name.parse().map_err(|error: InvalidName| error.to_string())?;
        let config = TunnelConfig::new(server, "user", "");
        config.check().map_err(|failure| failure.to_string())?;
        Ok(Self { name, server: server.into() })
    }
}

/// The file for what passes inside a site's tunnel
#[derive(Clone)]
pub(crate) struct CaptureTo {
    pub(crate) site: String,
    pub(crate) file: PathBuf,
}

impl FromStr for CaptureTo {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (site, file) = text.split_once('=').ok_or("SITE=FILE is wanted")?;
        if file.is_empty() {
            return Err("SITE=FILE is wanted");
        }
        Ok(Self { site: site.into(), file: file.into() })
    }
}

#[derive(Clone)]
pub(crate) struct Forward {
    pub(crate) protocol: Protocol,
    pub(crate) local: SocketAddr,
    pub(crate) site: String,
    pub(crate) target: SocketAddrV4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

impl Forward {
    fn listens_with(&self, other: &Self) -> bool {
        (self.protocol, self.local) == (other.protocol, other.local)
    }
}

impl FromStr for Forward {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "tcp|udp:LOCAL_ADDRESS:PORT=SITE:ADDRESS:PORT is wanted";
        let (from, to) = text.split_once('=').ok_or(form)?;
        let (protocol, local) = from.split_once(':').ok_or(form)?;
        let (site, target) = to.split_once(':').ok_or(form)?;
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err("the protocol is tcp or udp"),
        };
        let local: SocketAddr =
            local.parse().map_err(|_| "the local address is not ADDRESS:PORT")?;
        let target: SocketAddrV4 =
            target.parse().map_err(|_| "the target is not an IPv4 ADDRESS:PORT")?;
        if local.port() == 0 || target.port() == 0 {
            return Err("port 0 is none that can be connected to");
        }
        Ok(Self { protocol, local, site: site.into(), target })
    }
}

/// As on the command line
impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, local, site, target } = self;
        let protocol = match protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{protocol}:{local}={site}:{target}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[&str], environment: Option<&str>) -> Result<Arguments, clap::Error> {
        let needed = ["connector", "--site", "b1=server", "--user", "testuser"];
        let command_line = needed.into_iter().chain(options.iter().copied());
        Arguments::read(command_line.map(OsString::from), environment.map(OsString::from))
    }

    /// The message for arguments that are refused, and by which the program ends with 2
    fn refused(options: &[&str], environment: Option<&str>) -> String {
        let error = read(options, environment).err().expect("wrong arguments are refused");
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    fn password_file(name: &str, content: &[u8]) -> String {
        let name = format!("pptp-connector-{}-{name}", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_command_line_beats_the_environment() {
        let file = password_file("good", b"in the file\n");
        let ways = [
            (&["--password", "typed"][..], Some("environment"), "typed"),
            (&["--password-file", &file], Some("environment"), "in the file"),
            (&[], Some("environment"), "environment"),
            (&["--password-file", &file], None, "in the file"),
        ];
        for (options, environment, expected) in ways {
            assert_eq!(read(options, environment).ok().unwrap().password, expected);
        }
        let both = refused(&["--password", "typed", "--password-file", &file], None);
        assert!(both.contains("cannot be used with"), "{both}");
        let none = refused(&[], None);
        assert!(none.contains("--password-file") && none.contains("PPTP_PASSWORD"), "{none}");
        assert!(none.contains("Usage: connector "), "{none}");
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_password_file_that_cannot_be_read_is_named() {
        let binary = password_file("binary", b"\xFF\xFE");
        for file in [&binary, "/no/such/file", "/"] {
            let told = refused(&["--password-file", file], Some("environment"));
            assert!(told.contains(&format!("'{file}'")), "{told}");
        }
        std::fs::remove_file(binary).unwrap();
    }

    #[test]
    fn forwards_that_cannot_work_are_told() {
        let forward = |text| ["--password", "x", "--forward", text];
        let wrong = [
            ("tcp:127.0.0.1:80", "is wanted"),
            ("sctp:127.0.0.1:80=b1:192.168.1.3:80", "tcp or udp"),
            ("tcp:localhost:80=b1:192.168.1.3:80", "the local address"),
            ("tcp:127.0.0.1:80=b1:[::1]:80", "the target"),
            ("tcp:127.0.0.1:80=b1:192.168.1.3:0", "port 0"),
            ("udp:127.0.0.1:0=b1:192.168.1.3:80", "port 0"),
            ("tcp:127.0.0.1:80=b2:192.168.1.3:80", "no site \"b2\""),
        ];
        for (text, expected) in wrong {
            let told = refused(&forward(text), None);
            assert!(told.contains(text) && told.contains(expected), "{told}");
        }
        let good = "udp:[::1]:80=b1:192.168.1.3:80";
        assert_eq!(read(&forward(good), None).ok().unwrap().forwards[0].to_string(), good);
    }

    #[test]
    fn two_of_a_kind_are_refused_and_two_protocols_are_not() {
        let (tcp, udp) =
            ("tcp:127.0.0.1:80=b1:192.168.1.3:80", "udp:127.0.0.1:80=b1:192.168.1.3:80");
        let password = ["--password", "x"];
        let both = [&password[..], &["--forward", tcp, "--forward", udp]].concat();
        assert_eq!(read(&both, None).ok().unwrap().forwards.len(), 2);
        let other_target = "tcp:127.0.0.1:80=b1:192.168.1.4:80";
        let twice = [&password[..], &["--forward", tcp, "--forward", other_target]].concat();
        assert!(refused(&twice, None).contains(other_target));
        let sites = [&password[..], &["--site", "b1=other"]].concat();
        assert!(refused(&sites, None).contains("two sites are named \"b1\""));
    }

    #[test]
    fn what_is_agreed_to_has_to_fit_together() {
        let password = ["--password", "x"];
        let told = refused(&[&password[..], &["--insecure-pap"]].concat(), None);
        assert!(told.contains("insecure_pap"), "{told}");
        let both = [&password[..], &["--insecure-pap", "--insecure-clear", "--no-eap"]].concat();
        assert!(read(&both, None).is_ok());
        refused(&[&password[..], &["--insecure-least-key", "41"]].concat(), None);
    }

    #[test]
    fn sites_and_users_that_cannot_be_dialled_are_told() {
        for site in [
            "b1",
            "=server",
            "b:2=server",
            "../b2=server",
            "B2=server",
            "b2=[::1]",
            "b2=server:port",
        ] {
            let told = refused(&["--password", "x", "--site", site], None);
            assert!(told.contains(site), "{told}");
        }
        let long = "u".repeat(256);
        let command_line = ["connector", "--site", "b1=server", "--user", &long, "--password", "x"];
        assert!(Arguments::read(command_line.map(OsString::from), None).is_err());
    }
}
