//! The kinds of values that say who may do what: hashes, roles, times of the calendar, sealed passwords

use std::time::SystemTime;

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::{
    reader::{Node, Reader, Value, shorten},
    values::{one_of, word},
};
use crate::{
    seal::Sealed,
    settings::{Role, ServerPattern},
};

/// A sealed password
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SealedText(pub(super) Sealed);

impl Value for SealedText {
    fn wanted() -> String {
        "a sealed password (`k1.` and Base64; `pptp-connector seal` makes one)".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let read = node.get_ref().as_str().and_then(|text| text.parse().ok());
        // the password itself may stand here, by a slip
        read.map(Self).or_else(|| reader.hidden(node))
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^k1\\." })
    }
}

/// A SHA-256 in 64 hexadecimal digits
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sha256(pub(super) [u8; 32]);

impl Value for Sha256 {
    fn wanted() -> String {
        "a SHA-256 in 64 hexadecimal digits (printf %s \"$PASSWORD\" | sha256sum)".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let read = node.get_ref().as_str().and_then(|text| {
            let is_hex = text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
            let half = |range| {
                let digits = text.get(range).filter(|_| is_hex)?;
                Some(u128::from_str_radix(digits, 16).ok()?.to_be_bytes())
            };
            let (first, second) = half(0..32).zip(half(32..64))?;
            let mut octets = [0; 32];
            for (octet, value) in octets.iter_mut().zip(first.into_iter().chain(second)) {
                *octet = value;
            }
            Some(Self(octets))
        });
        // the password itself may stand here, by a slip
        read.or_else(|| reader.hidden(node))
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" })
    }
}

/// One SHA-256, or two in an array
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hashes(pub(super) Vec<[u8; 32]>);

impl Value for Hashes {
    fn wanted() -> String {
        "a SHA-256 in 64 hexadecimal digits, or an array of two".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(all) = node.get_ref() else {
            return Sha256::read(node, reader).map(|one| Self(vec![one.0]));
        };
        let read: Option<Vec<_>> =
            all.iter().map(|one| Sha256::read(one, reader).map(|it| it.0)).collect();
        let read = read?;
        if !(1..=MAX_HASHES).contains(&read.len()) {
            reader.error(node.span(), format!("{} is wanted", Self::wanted()), None);
            return None;
        }
        Some(Self(read))
    }

    fn schema() -> Json {
        let many = json!({ "type": "array", "items": Sha256::schema(), "maxItems": MAX_HASHES });
        json!({ "anyOf": [Sha256::schema(), many] })
    }
}

/// A role of the control interface
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RoleWord(pub(super) Role);

impl Value for RoleWord {
    fn wanted() -> String {
        one_of(&Role::ALL.map(Role::name))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        word(node, reader, &Role::ALL.map(|it| (it.name(), Self(it))))
    }

    fn schema() -> Json {
        json!({ "enum": Role::ALL.map(Role::name) })
    }
}

/// A time of the calendar: `2027-01-31` or `2027-01-31T12:00:00Z`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date(pub(super) SystemTime);

impl Value for Date {
    fn wanted() -> String {
        "a time such as \"2027-01-31\" or \"2027-01-31T12:00:00Z\", in UTC".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = match node.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(date) => date.to_string(),
            _ => return reader.wrong_kind(node),
        };
        let whole = if text.len() == DATE_LEN { format!("{text}T00:00:00Z") } else { text.clone() };
        let read = humantime::parse_rfc3339(&whole).ok();
        if read.is_none() {
            let message = format!("{} is wanted, not `{}`", Self::wanted(), shorten(&text));
            reader.error(node.span(), message, None);
        }
        read.map(Self)
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

impl Value for ServerPattern {
    fn wanted() -> String {
        "a choice of servers such as \"*\" or \"*.example.net\"".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(node, str::parse)
    }

    fn schema() -> Json {
        json!({ "type": "string" })
    }
}

/// The hashes of a token: the old one and the new one
const MAX_HASHES: usize = 2;

/// The octets of a date without a time
const DATE_LEN: usize = 10;
