//! A site as a request has it: JSON with the keys of a file, and the same as TOML, which the reader of files reads
//!
//! So each problem has the words that it has in a file. Its place in the TOML is the place of a value of the JSON.

use std::{collections::BTreeMap, fmt, fmt::Write, ops::Range};

use pptp_fleet::SiteName;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// A site as a request has it
#[derive(Clone, PartialEq)]
pub struct SiteDocument {
    members: Members,
    /// The place of the site in the request, as a JSON pointer
    pointer: String,
}

/// The members of an object, sorted: two requests that say the same have one text
type Members = BTreeMap<String, Value>;

/// A value of JSON in which no key is there twice
#[derive(Clone, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    /// A number, as text
    Number(String),
    Text(Zeroizing<String>),
    Array(Vec<Self>),
    Object(Members),
}

/// The reason why a body has no sites
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDocument {
    /// It is no JSON
    #[error("the body is no JSON of the form that is wanted: {0}")]
    Json(String),
    /// A value is none of a configuration
    #[error("{message}")]
    Value {
        /// Its place, as a JSON pointer
        pointer: String,
        /// The problem
        message: String,
    },
}

/// The text of a site, and the places of its values
pub(super) struct Emitted {
    pub(super) text: Zeroizing<String>,
    pub(super) pointers: Pointers,
}

/// The places of values in a text, and their JSON pointers
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pointers {
    whole: String,
    all: Vec<(Range<usize>, String)>,
}

impl SiteDocument {
    /// Reads the body of a request that has one site
    ///
    /// # Errors
    /// It is no JSON object, or has a value that a configuration has not.
    pub fn parse(octets: &[u8]) -> Result<Self, InvalidDocument> {
        let Object(members) = from_slice(octets)?;
        let document = Self { members, pointer: String::new() };
        document.check()?;
        Ok(document)
    }

    /// Reads the body of a request that has all sites: `{"sites": {"b17": {…}}}`
    ///
    /// # Errors
    /// As [`Self::parse`]; a name is none of a site.
    pub fn parse_all(octets: &[u8]) -> Result<BTreeMap<SiteName, Self>, InvalidDocument> {
        let Object(mut body) = from_slice(octets)?;
        let invalid = |pointer: &str, message: &str| InvalidDocument::Value {
            pointer: pointer.to_owned(),
            message: message.to_owned(),
        };
        let Some(Value::Object(sites)) = body.remove("sites") else {
            return Err(invalid("/sites", "an object is wanted: {\"sites\": {\"b17\": {…}}}"));
        };
        if let Some(key) = body.keys().next() {
            return Err(invalid(&member("", key), "this is no key here: known is sites"));
        }
        let mut documents = BTreeMap::new();
        for (name, value) in sites {
            let pointer = member("/sites", &name);
            let site = name.parse::<SiteName>().map_err(|error| InvalidDocument::Value {
                pointer: pointer.clone(),
                message: error.to_string(),
            })?;
            let Value::Object(members) = value else {
                return Err(invalid(&pointer, "an object is wanted"));
            };
            let document = Self { members, pointer };
            document.check()?;
            documents.insert(site, document);
        }
        Ok(documents)
    }

    /// Writes it as the table of a site; `sealed` takes the place of a password that is a text
    pub(super) fn emit(&self, site: &SiteName, sealed: Option<&str>) -> Emitted {
        let mut emitter = Emitter {
            text: Zeroizing::new(format!("[site.{site}]\n")),
            pointers: Pointers { whole: self.pointer.clone(), all: Vec::new() },
        };
        for (key, value) in &self.members {
            match (key.as_str(), sealed) {
                ("password", Some(sealed)) => {
                    emitter.text.push_str("password = { sealed = ");
                    emitter.string(sealed);
                    emitter.text.push_str(" }");
                }
                _ => emitter.pair(&self.pointer, key, value),
            }
            emitter.text.push('\n');
        }
        Emitted { text: emitter.text, pointers: emitter.pointers }
    }

    /// Looks for values that TOML has not
    fn check(&self) -> Result<(), InvalidDocument> {
        let mut members = self.members.iter();
        members.try_for_each(|(key, value)| value.check(&member(&self.pointer, key)))
    }
}

/// Prints no value: one may be a password
impl fmt::Debug for SiteDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SiteDocument({}, {} keys)", self.pointer, self.members.len())
    }
}

impl Value {
    fn check(&self, pointer: &str) -> Result<(), InvalidDocument> {
        match self {
            Self::Null => Err(InvalidDocument::Value {
                pointer: pointer.to_owned(),
                message: "null is no value: leave the key out".to_owned(),
            }),
            Self::Array(all) => {
                let mut places = (0_usize..).map(|place| format!("{pointer}/{place}"));
                all.iter().try_for_each(|it| it.check(&places.next().unwrap_or_default()))
            }
            Self::Object(members) => {
                members.iter().try_for_each(|(key, it)| it.check(&member(pointer, key)))
            }
            Self::Bool(_) | Self::Number(_) | Self::Text(_) => Ok(()),
        }
    }
}

impl Pointers {
    /// Returns the pointer of the innermost value that has a place
    pub(super) fn at(&self, place: &Range<usize>) -> &str {
        let has = |range: &Range<usize>| range.start <= place.start && place.end <= range.end;
        let around = self.all.iter().filter(|(range, _)| has(range));
        around.min_by_key(|(range, _)| range.len()).map_or(&self.whole, |(_, pointer)| pointer)
    }
}

/// The writer of TOML, with the place of each value
struct Emitter {
    text: Zeroizing<String>,
    pointers: Pointers,
}

impl Emitter {
    /// Writes `key = value`
    fn pair(&mut self, pointer: &str, key: &str, value: &Value) {
        let (start, pointer) = (self.text.len(), member(pointer, key));
        let is_bare = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-');
        if !key.is_empty() && key.bytes().all(is_bare) {
            self.text.push_str(key);
        } else {
            self.string(key);
        }
        self.text.push_str(" = ");
        self.value(&pointer, value);
        self.pointers.all.push((start..self.text.len(), pointer));
    }

    fn value(&mut self, pointer: &str, value: &Value) {
        match value {
            // looked for before
            Value::Null => self.text.push_str("\"\""),
            Value::Bool(value) => self.text.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => self.text.push_str(number),
            Value::Text(text) => self.string(text),
            Value::Array(all) => {
                self.text.push('[');
                for (place, value) in all.iter().enumerate() {
                    self.text.push_str(if place == 0 { "" } else { ", " });
                    let (start, pointer) = (self.text.len(), format!("{pointer}/{place}"));
                    self.value(&pointer, value);
                    self.pointers.all.push((start..self.text.len(), pointer));
                }
                self.text.push(']');
            }
            Value::Object(members) => {
                self.text.push('{');
                for (place, (key, value)) in members.iter().enumerate() {
                    self.text.push_str(if place == 0 { " " } else { ", " });
                    self.pair(pointer, key, value);
                }
                self.text.push_str(" }");
            }
        }
    }

    /// Writes a basic string (TOML 1.0, "String")
    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                it if it.is_control() => {
                    // writing to a text cannot fail
                    let _ = write!(self.text, "\\u{:04X}", u32::from(it));
                }
                it => self.text.push(it),
            }
        }
        self.text.push('"');
    }
}

/// The object of a body
struct Object(Members);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(de::Error::custom("an object is wanted")),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(format!("{number:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = all.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Value, A::Error> {
        let mut members = Members::new();
        while let Some((key, value)) = all.next_entry::<String, Value>()? {
            if members.contains_key(&key) {
                return Err(de::Error::custom(format!("`{}` is there twice", shorten(&key))));
            }
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

fn from_slice(octets: &[u8]) -> Result<Object, InvalidDocument> {
    serde_json::from_slice(octets).map_err(|error| InvalidDocument::Json(error.to_string()))
}

/// Returns the JSON pointer of a member (RFC 6901 §3)
fn member(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", shorten(key).replace('~', "~0").replace('/', "~1"))
}

/// The first 80 characters of a text, for an error
fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(json: &str) -> Emitted {
        SiteDocument::parse(json.as_bytes()).unwrap().emit(&"b1".parse().unwrap(), None)
    }

    #[test]
    fn the_keys_of_a_request_are_those_of_a_file_in_their_order() {
        let json = r#"{"server": "a\"b\\\u0007é", "mru": 1400, "enabled": true, "wei rd": -1.5,
            "forward": [{"to": "tcp:knx:80", "clients": []}]}"#;
        let wanted = "[site.b1]\n\
            enabled = true\n\
            forward = [{ clients = [], to = \"tcp:knx:80\" }]\n\
            mru = 1400\n\
            server = \"a\\\"b\\\\\\u0007é\"\n\
            \"wei rd\" = -1.5\n";
        assert_eq!(*emitted(json).text, wanted);
    }

    #[test]
    fn a_place_in_the_text_has_a_pointer_into_the_request() {
        let Emitted { text, pointers } =
            emitted(r#"{"forward": [{"to": "x"}, {"to": "y"}], "a/b~": {"c": [1, 2]}}"#);
        for (part, pointer) in [
            ("\"y\"", "/forward/1/to"),
            ("{ to = \"y\" }", "/forward/1"),
            ("to = \"x\"", "/forward/0/to"),
            ("2", "/a~1b~0/c/1"),
            ("\"a/b~\"", "/a~1b~0"),
            ("b1", ""),
        ] {
            let start = text.find(part).unwrap();
            assert_eq!(pointers.at(&(start..start + part.len())), pointer, "{part}");
        }
    }

    #[test]
    fn a_sealed_password_takes_the_place_of_a_text() {
        let document = SiteDocument::parse(br#"{"password": "geheim", "user": "svc"}"#).unwrap();
        let emitted = document.emit(&"b1".parse().unwrap(), Some("k1.AAAA"));
        let wanted = "[site.b1]\npassword = { sealed = \"k1.AAAA\" }\nuser = \"svc\"\n";
        assert_eq!(*emitted.text, wanted);
        assert!(!format!("{document:?}").contains("geheim"));
    }

    #[test]
    fn what_no_file_can_say_is_refused_with_its_place() {
        let error = |json: &str| SiteDocument::parse(json.as_bytes()).unwrap_err();
        let InvalidDocument::Value { pointer, .. } = error(r#"{"forward": [{"to": null}]}"#) else {
            panic!("a value")
        };
        assert_eq!(pointer, "/forward/0/to");
        for (json, word) in [
            ("", "EOF"),
            ("[]", "an object is wanted"),
            (r#"{"a": 1, "a": 2}"#, "`a` is there twice"),
            (r#"{"a": 1} x"#, "trailing characters"),
        ] {
            assert!(error(json).to_string().contains(word), "{json}: {}", error(json));
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(error(&format!(r#"{{"a": {deep}}}"#)).to_string().contains("recursion"));
    }

    #[test]
    fn a_set_has_its_sites_by_their_names() {
        let all = SiteDocument::parse_all(br#"{"sites": {"b1": {}, "b2": {"mru": 1}}}"#).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[&"b2".parse::<SiteName>().unwrap()].pointer, "/sites/b2");
        for (json, wanted) in [
            ("{}", "/sites"),
            (r#"{"sites": []}"#, "/sites"),
            (r#"{"sites": {}, "site": {}}"#, "/site"),
            (r#"{"sites": {"../b1": {}}}"#, "/sites/..~1b1"),
            (r#"{"sites": {"b1": 1}}"#, "/sites/b1"),
            (r#"{"sites": {"b1": {"mru": null}}}"#, "/sites/b1/mru"),
        ] {
            match SiteDocument::parse_all(json.as_bytes()) {
                Err(InvalidDocument::Value { pointer, .. }) => {
                    assert_eq!(pointer, wanted, "{json}");
                }
                other => panic!("{json}: {other:?}"),
            }
        }
    }
}
