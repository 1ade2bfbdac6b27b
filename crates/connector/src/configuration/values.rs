//! The kinds of values: texts, numbers, times, places, choices

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};
use pptp::Password;
use pptp_fleet::Probe;
use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::{
    access_values::SealedText,
    reader::{Found, Node, Reader, Section, Value, nearest, section, shorten},
};
use crate::{
    seal::Sealed,
    settings::{Insecure, Listen, Selector, TargetRule, UnixSocket},
    target::{Host, Target},
};

impl Value for String {
    fn wanted() -> String {
        "a text".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.get_ref().as_str() {
            Some(text) => Some(text.to_owned()),
            None => reader.wrong_kind(node),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

impl Value for bool {
    fn wanted() -> String {
        "true or false".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.get_ref().as_bool() {
            Some(value) => Some(value),
            None => reader.wrong_kind(node),
        }
    }

    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
}

/// A number from `MIN` to `MAX`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number<const MIN: u32, const MAX: u32>(pub(super) u32);

impl<const MIN: u32, const MAX: u32> Value for Number<MIN, MAX> {
    fn wanted() -> String {
        format!("a number from {MIN} to {MAX}")
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Integer(number) = node.get_ref() else { return reader.wrong_kind(node) };
        let read = u32::from_str_radix(number.as_str(), number.radix()).ok();
        let read = read.filter(|it| (MIN..=MAX).contains(it));
        if read.is_none() {
            reader.error(node.span(), format!("{} is wanted", Self::wanted()), None);
        }
        read.map(Self)
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A time from `MIN` to `MAX` seconds
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time<const MIN: u32, const MAX: u32>(pub(super) Duration);

impl<const MIN: u32, const MAX: u32> Value for Time<MIN, MAX> {
    fn wanted() -> String {
        let show = |seconds| humantime::format_duration(Duration::from_secs(u64::from(seconds)));
        format!("a time from {} to {}, such as \"10s\" or \"1h 30m\"", show(MIN), show(MAX))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let may_be = Duration::from_secs(u64::from(MIN))..=Duration::from_secs(u64::from(MAX));
        reader.parse(node, |text| {
            let time = humantime::parse_duration(text).ok().filter(|time| may_be.contains(time));
            time.map(Self).ok_or_else(|| format!("{} is wanted", Self::wanted()))
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": r"^\s*[0-9].*$" })
    }
}

impl Value for Ipv4Addr {
    fn wanted() -> String {
        "an IPv4 address".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(node, |text| {
            text.parse().map_err(|_| format!("`{}` is no IPv4 address", shorten(text)))
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "format": "ipv4" })
    }
}

impl Value for SocketAddr {
    fn wanted() -> String {
        "an address with a port such as \"127.0.0.1:9464\"".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(node, |text| {
            text.parse()
                .map_err(|_| format!("{} is wanted, not `{}`", Self::wanted(), shorten(text)))
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^.+:[0-9]+$" })
    }
}

impl Value for IpNet {
    fn wanted() -> String {
        "a network such as \"10.0.0.0/8\"".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(node, |text| {
            let address = || text.parse::<std::net::IpAddr>().map(Self::from).ok();
            let network = text.parse().ok().or_else(address);
            network.ok_or_else(|| format!("`{}` is no network: {}", shorten(text), Self::wanted()))
        })
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

/// A network of loopback addresses, of which sites get one each
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LoopbackNetwork(pub(super) Ipv4Net);

impl Value for LoopbackNetwork {
    fn wanted() -> String {
        "a network of loopback addresses such as \"127.64.0.0/16\"".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(text) = node.get_ref().as_str() else { return reader.wrong_kind(node) };
        let shown = shorten(text);
        let (message, help) = match text.parse::<Ipv4Net>() {
            Err(_) => (format!("{} is wanted, not `{shown}`", Self::wanted()), None),
            Ok(network) if network.addr() != network.network() => {
                let help = format!("write \"{}\"", network.trunc());
                (format!("`{shown}` is an address within a network"), Some(help))
            }
            Ok(network) if !Ipv4Net::contains(&LOOPBACK, &network) => {
                let help = "all of 127.0.0.0/8 is this machine: write \"127.64.0.0/16\"".to_owned();
                (format!("`{shown}` is not loopback: no site can have its addresses"), Some(help))
            }
            Ok(network) if network.contains(&Ipv4Addr::LOCALHOST) => {
                let help = "write \"127.64.0.0/16\"".to_owned();
                let message = format!("`{shown}` has 127.0.0.1 in it, where other programs listen");
                (message, Some(help))
            }
            Ok(network) => return Some(Self(network)),
        };
        reader.error(node.span(), message, help);
        None
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": r"^127(\.[0-9]+){3}/[0-9]+$" })
    }
}

/// The addresses that are this machine (RFC 1122 §3.2.1.3)
const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);

impl Value for Probe {
    fn wanted() -> String {
        "a probe such as \"tcp:192.168.1.3:80\", \"http:192.168.1.3/\", \"knx:192.168.1.3\" or \"ping:192.168.1.3\""
            .to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(node, str::parse)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(tcp|udp|http|knx|ping):.+$" })
    }
}

impl Value for TargetRule {
    fn wanted() -> String {
        "a choice of targets such as \"192.168.1.0/24:80,443\"".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(node, str::parse)
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

/// A term of a selector: `*`, a name, `@label=value`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SelectorTerm(pub(super) String);

impl Value for SelectorTerm {
    fn wanted() -> String {
        "a choice of sites: \"*\", a name, or \"@label=value\"".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(node, |text| Selector::parse([text]).map(|_| Self(text.to_owned())))
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

/// A target with its protocol: `tcp:192.168.1.3:80`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForwardTarget {
    pub(super) kind: ForwardKind,
    pub(super) target: Target,
}

/// The protocol of a forward, without its options
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ForwardKind {
    Tcp,
    Udp,
    Knx,
}

impl Value for ForwardTarget {
    fn wanted() -> String {
        "a target such as \"tcp:192.168.1.3:80\", \"udp:plc:502\" or \"knx:192.168.1.3\"".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(node, |text| {
            let (kind, target) = match text.split_once(':') {
                Some(("tcp", target)) => (ForwardKind::Tcp, target),
                Some(("udp", target)) => (ForwardKind::Udp, target),
                Some(("knx", target)) => (ForwardKind::Knx, target),
                _ => return Err(format!("{} is wanted, not `{}`", Self::wanted(), shorten(text))),
            };
            let target = match kind {
                ForwardKind::Knx if !target.contains(':') => {
                    Host::parse(target).map(|host| Target { host, port: KNX_PORT })
                }
                _ => target.parse(),
            };
            Ok(Self { kind, target: target.map_err(|error| error.to_string())? })
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^((tcp|udp):.+:[0-9]+|knx:.+)$" })
    }
}

/// The name of a host, in lower case
pub(super) fn host_name(text: &str) -> Result<String, String> {
    match Host::parse(&text.to_ascii_lowercase()) {
        Ok(Host::Name(name)) if !name.contains('.') => Ok(name),
        Ok(_) => Err(format!("`{}` is no name of a host: letters, digits and `-`", shorten(text))),
        Err(error) => Err(error.to_string()),
    }
}

section! {
    /// A unix socket
    UnixKeys {
        /// Its path, which begins with `/`
        unix: String,
        /// Its mode, as in `chmod`
        mode: Mode = "\"0600\"",
        /// Its group
        group: String = "the process's",
    }
}

/// The mode of a file, as in `chmod`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode(pub(super) u32);

impl Value for Mode {
    fn wanted() -> String {
        "a mode such as \"0660\"".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(node, |text| {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
            mode.map(Self).ok_or_else(|| format!("{} is wanted", Self::wanted()))
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^0*[0-7]{1,3}$" })
    }
}

impl Value for Listen {
    fn wanted() -> String {
        "a place to listen such as \"127.0.0.1:1080\" or { unix = \"/run/x.sock\" }".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else {
            return reader.parse(node, |text| {
                if let Some(path) = text.strip_prefix("unix:").filter(|it| it.starts_with('/')) {
                    return Ok(Self::Unix(UnixSocket::private(path.into())));
                }
                let address = text.parse().map(Self::Ip);
                address
                    .map_err(|_| format!("{} is wanted, not `{}`", Self::wanted(), shorten(text)))
            });
        };
        let keys = UnixKeys::read_table(table, reader);
        match keys.unix {
            Some(Found { value: path, .. }) if path.starts_with('/') => {
                let mut socket = UnixSocket::private(path.into());
                socket.mode = keys.mode.map_or(socket.mode, |mode| mode.value.0);
                socket.group = keys.group.map(|group| group.value);
                Some(Self::Unix(socket))
            }
            Some(Found { place, .. }) => {
                reader.problems.error(&place, "a path that begins with `/` is wanted", None);
                None
            }
            None if table.contains_key("unix") => None,
            None => {
                reader.error(node.span(), "`unix` is missing", None);
                None
            }
        }
    }

    fn schema() -> Json {
        json!({ "anyOf": [{ "type": "string" }, UnixKeys::schema()] })
    }
}

section! {
    /// The place of a password
    PasswordKeys {
        /// A file, which others must not be able to read; its first line is the password
        file: String,
        /// A variable of the environment of the daemon
        env: String,
        /// A credential of systemd (`LoadCredential=`)
        credential: String,
        /// The password itself, which only this daemon can read: `pptp-connector seal` makes it
        sealed: SealedText,
    }
}

/// The password of a site: itself, or its place
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PasswordKey {
    Literal(Password),
    File(PathBuf),
    Environment(String),
    Credential(String),
    Sealed(Sealed),
}

impl Value for PasswordKey {
    fn wanted() -> String {
        "{ file = … }, { env = … }, { credential = … }, { sealed = … }, or the password as a text"
            .to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let Some(text) = node.get_ref().as_str() {
            return Some(Self::Literal(Password::new(text)));
        }
        let DeValue::Table(table) = node.get_ref() else { return reader.hidden(node) };
        let known = PasswordKeys::keys();
        if !table.keys().all(|key| known.iter().any(|it| it.name == key.get_ref().as_ref())) {
            // a key here may be the password itself, by a slip
            return reader.hidden(node);
        }
        let keys = PasswordKeys::read_table(table, reader);
        let all = [
            keys.file.map(|it| Self::File(it.value.into())),
            keys.env.map(|it| Self::Environment(it.value)),
            keys.credential.map(|it| Self::Credential(it.value)),
            keys.sealed.map(|it| Self::Sealed(it.value.0)),
        ];
        let mut all: Vec<_> = all.into_iter().flatten().collect();
        if all.is_empty() && keys.wrong.len() == table.len() && table.len() == 1 {
            // its problem was told
            return None;
        }
        if all.len() != 1 || table.len() != 1 {
            let message = "one place of the password is wanted";
            reader.error(node.span(), message, Self::wanted());
            return None;
        }
        all.pop()
    }

    fn schema() -> Json {
        let mut place = PasswordKeys::schema();
        if let Some(keywords) = place.as_object_mut() {
            keywords
                .extend([("minProperties".into(), json!(1)), ("maxProperties".into(), json!(1))]);
        }
        json!({ "anyOf": [{ "type": "string" }, place] })
    }
}

/// Defines a choice of words
macro_rules! words {
    ($(#[doc = $about:literal])+ $name:ident { $($variant:ident = $word:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($variant,)+ }

        impl Value for $name {
            fn wanted() -> String {
                one_of(&[$($word),+])
            }

            fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                let all = [$(($word, Self::$variant)),+];
                word(node, reader, &all)
            }

            fn schema() -> Json {
                json!({ "enum": [$($word),+] })
            }
        }
    };
}

words! {
    /// When a site is dialled
    ConnectWord {
        Always = "always",
        OnDemand = "on-demand",
        Manual = "manual",
    }
}

words! {
    /// The sites that have series of their own
    MetricsSitesWord {
        All = "all",
        Problems = "problems",
        None = "none",
    }
}

words! {
    /// The form in which a password is hashed
    EncodingWord {
        Utf16 = "utf-16",
        WidenedOctets = "widened-octets",
        WidenedUtf8 = "widened-utf-8",
    }
}

words! {
    /// Our endpoint, as it is written towards a KNX device
    HpaiWord {
        Auto = "auto",
        True = "true",
        Zero = "zero",
    }
}

impl Value for Insecure {
    fn wanted() -> String {
        one_of(&Self::ALL.map(Self::name))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        word(node, reader, &Self::ALL.map(|it| (it.name(), it)))
    }

    fn schema() -> Json {
        json!({ "enum": Self::ALL.map(Self::name) })
    }
}

pub(super) fn one_of(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("one of {}", words.join(", "))
}

/// Reads one of some words
pub(super) fn word<T: Value + Copy>(
    node: &Node<'_>,
    reader: &mut Reader<'_>,
    all: &[(&'static str, T)],
) -> Option<T> {
    let Some(text) = node.get_ref().as_str() else { return reader.wrong_kind(node) };
    let found = all.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<_> = all.iter().map(|(word, _)| *word).collect();
        let help = nearest(text, &words).map(|near| format!("did you mean \"{near}\"?"));
        let message = format!("{} is wanted, not `{}`", T::wanted(), shorten(text));
        reader.error(node.span(), message, help);
    }
    found
}

/// The port of KNXnet/IP
const KNX_PORT: u16 = 3671;
