//! Labels of sites that are labels of Prometheus, too

use serde_json::{Value as Json, json};

use super::reader::{Node, Reader, Value, shorten};

/// A label of sites that is a label of Prometheus, too
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LabelName(pub(super) String);

impl Value for LabelName {
    fn wanted() -> String {
        "a label whose name has letters, digits and `_` alone".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.parse(node, |text| {
            let is_part = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
            let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
            if !begins || !text.bytes().all(is_part) {
                return Err(format!(
                    "`{}` cannot be a label of Prometheus: {} is wanted",
                    shorten(text),
                    Self::wanted()
                ));
            }
            if TAKEN_LABELS.contains(&text) {
                return Err(format!("`{text}` is a label that metrics have already"));
            }
            Ok(Self(text.to_owned()))
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[a-zA-Z][a-zA-Z0-9_]*$" })
    }
}

/// Labels that `pptp_site_info` has, and those that Prometheus sets itself
const TAKEN_LABELS: [&str; 4] = ["site", "server", "job", "instance"];
