//! Reads values and tables, and tells of every problem with its place

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use pptp_fleet::SiteName;
use serde_json::{Value as Json, json};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::problem::{Place, Problems};

/// A value of TOML with its place
pub(super) type Node<'i> = Spanned<DeValue<'i>>;

/// A value that was read, with its place
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// The reader of one file, or of one site in it
pub(super) struct Reader<'p> {
    pub(super) file: usize,
    /// The site whose table is read
    pub(super) site: Option<Arc<SiteName>>,
    pub(super) problems: &'p mut Problems,
}

/// A kind of value
pub(super) trait Value: Sized + Clone {
    /// What is wanted, for people: `a number from 1 to 9`
    fn wanted() -> String;

    /// Reads a value; `None` after a problem was told
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self>;

    /// Returns its JSON Schema
    fn schema() -> Json;

    /// Takes the value of the layer above, else that of the layer below
    fn inherit(above: Option<Found<Self>>, below: Option<&Found<Self>>) -> Option<Found<Self>> {
        above.or_else(|| below.cloned())
    }
}

/// A table with known keys
pub(super) trait Section: Sized + Clone + Default {
    /// Reads a table; keys that cannot be read are absent after a problem was told
    fn read_table(table: &DeTable<'_>, reader: &mut Reader<'_>) -> Self;

    /// Takes each value of this layer, else that of the layer below
    fn over(self, below: &Self) -> Self;

    /// Returns its keys, in the order of the reference
    fn keys() -> Vec<Key>;
}

/// A key, for the reference and the schema
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Its meaning
    pub(super) about: &'static str,
    pub(super) wanted: String,
    /// The value without the key, as text
    pub(super) default: Option<&'static str>,
    pub(super) schema: Json,
}

impl Reader<'_> {
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        Place { file: self.file, span, site: self.site.clone() }
    }

    /// Tells of a problem at a place
    pub(super) fn error(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        let place = self.place(span);
        self.problems.error(&place, message, help);
    }

    /// Tells that a value is of another kind than is wanted
    pub(super) fn wrong_kind<T: Value>(&mut self, node: &Node<'_>) -> Option<T> {
        let (wanted, is) = (T::wanted(), article(node.get_ref().type_str()));
        self.error(node.span(), format!("{wanted} is wanted, not {is}"), None);
        None
    }

    /// Tells that a value is not what is wanted, and does not show it: it may be a password
    pub(super) fn hidden<T: Value>(&mut self, node: &Node<'_>) -> Option<T> {
        let place = self.place(node.span());
        self.problems.secret(&place, format!("{} is wanted", T::wanted()), None);
        None
    }

    /// Reads the value of a key, if the key is there
    pub(super) fn key<T: Value>(&mut self, table: &DeTable<'_>, name: &str) -> Option<Found<T>> {
        let node = table.get(name)?;
        let value = T::read(node, self)?;
        Some(Found { value, place: self.place(node.span()) })
    }

    /// Tells of each key that is none here
    pub(super) fn unknown(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                if self.problems.is_broken(self.file) && nearest(name, known).is_none() {
                    let place = self.place(key.span());
                    let help = format!("known are {}", known.join(", "));
                    self.problems.secret(&place, "this is no key here".to_owned(), Some(help));
                    continue;
                }
                let near = if self.problems.are_many() { None } else { nearest(name, known) };
                let help = near.map_or_else(
                    || format!("known are {}", known.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                self.error(key.span(), format!("`{}` is no key here", shorten(name)), help);
            }
        }
    }

    /// Reads a text by a function whose error is for people
    pub(super) fn parse<T: Value, E: std::fmt::Display>(
        &mut self,
        node: &Node<'_>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(text) = node.get_ref().as_str() else { return self.wrong_kind(node) };
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(node.span(), error.to_string(), None);
                None
            }
        }
    }
}

/// Returns the known key that was probably meant
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    // the distance takes the product of both lengths
    let name = (name.len() <= MAX_SHOWN).then_some(name)?;
    let near = known.iter().map(|it| (strsim::damerau_levenshtein(it, name), *it)).min()?;
    // of a short word two letters are most
    (near.0 <= 2 && near.0.saturating_mul(2) < name.len()).then_some(near.1)
}

/// Shortens a text that somebody wrote, for a message
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(MAX_SHOWN).map(|it| if it.is_control() { '?' } else { it }).collect()
}

fn article(kind: &str) -> String {
    match kind {
        "string" => "a text".to_owned(),
        "integer" | "array" => format!("an {kind}"),
        kind => format!("a {kind}"),
    }
}

/// Reads an element of an array, or a value, as itself with its place
impl<T: Value> Value for Found<T> {
    fn wanted() -> String {
        T::wanted()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let value = T::read(node, reader)?;
        Some(Self { value, place: reader.place(node.span()) })
    }

    fn schema() -> Json {
        T::schema()
    }
}

impl<T: Value> Value for Vec<T> {
    fn wanted() -> String {
        format!("an array, each {}", T::wanted())
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Array(all) = node.get_ref() else { return reader.wrong_kind(node) };
        // all are read, so that the problem of the third is told along with that of the first
        let read: Vec<_> = all.iter().map(|it| T::read(it, reader)).collect();
        read.into_iter().collect()
    }

    fn schema() -> Json {
        json!({ "type": "array", "items": T::schema() })
    }
}

/// A table whose keys are names; two layers are merged key by key
impl<T: Value> Value for BTreeMap<String, T> {
    fn wanted() -> String {
        format!("a table, each value {}", T::wanted())
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else { return reader.wrong_kind(node) };
        let read: Vec<_> = table
            .iter()
            .map(|(key, value)| Some((key.get_ref().to_string(), T::read(value, reader)?)))
            .collect();
        read.into_iter().collect()
    }

    fn schema() -> Json {
        json!({ "type": "object", "additionalProperties": T::schema() })
    }

    fn inherit(above: Option<Found<Self>>, below: Option<&Found<Self>>) -> Option<Found<Self>> {
        match (above, below) {
            (Some(mut above), Some(below)) => {
                for (key, value) in &below.value {
                    if !above.value.contains_key(key) {
                        above.value.insert(key.clone(), value.clone());
                    }
                }
                Some(above)
            }
            (above, below) => above.or_else(|| below.cloned()),
        }
    }
}

/// Defines a table with known keys: the struct, its reader, its reference and its schema come of the same lines
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident {
            $($(#[doc = $doc:literal])+ $key:ident: $type:ty $(= $default:literal)?,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Default)]
        pub(super) struct $name {
            $($(#[doc = $doc])+ pub(super) $key: Option<crate::configuration::reader::Found<$type>>,)+
            /// Keys that are there and could not be read
            pub(super) wrong: Vec<&'static str>,
        }

        impl crate::configuration::reader::Section for $name {
            fn read_table(
                table: &toml::de::DeTable<'_>,
                reader: &mut crate::configuration::reader::Reader<'_>,
            ) -> Self {
                reader.unknown(table, &[$(stringify!($key)),+]);
                let mut wrong = Vec::new();
                Self {
                    $($key: {
                        let found = reader.key(table, stringify!($key));
                        if found.is_none() && table.contains_key(stringify!($key)) {
                            wrong.push(stringify!($key));
                        }
                        found
                    },)+
                    wrong,
                }
            }

            fn over(self, below: &Self) -> Self {
                use crate::configuration::reader::Value;
                Self {
                    $($key: Value::inherit(self.$key, below.$key.as_ref()),)+
                    wrong: self.wrong.iter().chain(&below.wrong).copied().collect(),
                }
            }

            fn keys() -> Vec<crate::configuration::reader::Key> {
                use crate::configuration::reader::{Key, Value};
                vec![$(Key {
                    name: stringify!($key),
                    about: concat!($($doc),+),
                    wanted: <$type as Value>::wanted(),
                    default: [$($default,)? ""].first().copied().filter(|it| !it.is_empty()),
                    schema: <$type as Value>::schema(),
                },)+]
            }
        }

        impl crate::configuration::reader::Value for $name {
            fn wanted() -> String {
                "a table".to_owned()
            }

            fn read(
                node: &crate::configuration::reader::Node<'_>,
                reader: &mut crate::configuration::reader::Reader<'_>,
            ) -> Option<Self> {
                use crate::configuration::reader::Section;
                match node.get_ref() {
                    toml::de::DeValue::Table(table) => Some(Self::read_table(table, reader)),
                    _ => reader.wrong_kind(node),
                }
            }

            fn schema() -> serde_json::Value {
                crate::configuration::schema::of_section::<Self>()
            }
        }
    };
}
pub(super) use section;

/// The characters of a text that are shown in a message
const MAX_SHOWN: usize = 60;
