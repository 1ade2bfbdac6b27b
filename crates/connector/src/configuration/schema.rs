//! The JSON Schema and the reference of the configuration

use std::{collections::BTreeSet, fmt::Write, sync::OnceLock};

use serde_json::{Map, Value as Json, json};

use super::{
    keys::{
        ApiKeys, ApiSitesKeys, ControlKeys, ForwardKeys, LimitKeys, LoginKeys, LoopbackKeys,
        MetricsKeys, OuterKeys, ProxyKeys, SITE_ONLY, SiteKeys, TokenKeys, TopKeys,
    },
    reader::{Key, Section},
    values::{PasswordKeys, UnixKeys},
};

/// Returns the JSON Schema of a configuration
///
/// It is for editors. It knows less than `check`: not the rules that concern several keys or files.
pub fn schema() -> Json {
    let mut schema = of_section::<TopKeys>();
    let site = of_section::<SiteKeys>();
    let mut shared = site.clone();
    if let Some(keys) = shared.pointer_mut("/properties").and_then(Json::as_object_mut) {
        keys.retain(|key, _| !SITE_ONLY.contains(&key.as_str()));
    }
    if let Some(defaults) = schema.pointer_mut("/properties/defaults").and_then(Json::as_object_mut)
    {
        defaults.retain(|keyword, _| keyword == "description");
        defaults.insert("$ref".into(), json!("#/$defs/shared"));
    }
    if let Some(object) = schema.as_object_mut() {
        object.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".into(), json!("The configuration of pptp-connector"));
        object.insert("$defs".into(), json!({ "site": site, "shared": shared }));
    }
    schema
}

/// Returns the schema of a site, as a request of the control interface has it
pub(crate) fn site_schema() -> Json {
    of_section::<SiteKeys>()
}

/// Returns the schema of a table with known keys
pub(super) fn of_section<S: Section>() -> Json {
    let properties: Map<_, _> = S::keys()
        .into_iter()
        .map(|key| {
            let mut schema = key.schema;
            if let Some(object) = schema.as_object_mut() {
                object.insert("description".into(), json!(key.about.trim()));
            }
            (key.name.to_owned(), schema)
        })
        .collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// Returns true if a table of the configuration has a key of this name
pub(super) fn is_known_key(name: &str) -> bool {
    static KEYS: OnceLock<BTreeSet<&str>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let tables = tables().into_iter().flat_map(|(_, keys)| keys);
        tables.map(|key| key.name).collect()
    });
    keys.contains(name)
}

/// Returns the reference of a configuration in Markdown: a list of keys for each table
pub fn reference() -> String {
    let mut text = String::new();
    for (title, keys) in tables() {
        // writing to a text cannot fail
        let _ = write!(text, "### {title}\n\n");
        for key in keys {
            let _ = writeln!(text, "- `{}`: {}.", key.name, key.about.trim());
            let _ = writeln!(text, "  {}.", capitalized(&key.wanted));
            if let Some(default) = key.default {
                let _ = writeln!(text, "  Default: {}.", code(default));
            }
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Shows a value of TOML as code; a default in words stays as it is
fn code(default: &str) -> String {
    let is_value = default.starts_with(['"', '['])
        || default.parse::<u64>().is_ok()
        || matches!(default, "true" | "false");
    if is_value { format!("`{default}`") } else { default.to_owned() }
}

/// All tables, each with its title and its keys
fn tables() -> [(&'static str, Vec<Key>); 15] {
    [
        ("Top level", TopKeys::keys()),
        ("`[site.NAME]`, `[template.NAME]`, `[defaults]`", SiteKeys::keys()),
        ("`password = { … }`", PasswordKeys::keys()),
        ("`[[site.NAME.forward]]`", ForwardKeys::keys()),
        ("`[[proxy]]`", ProxyKeys::keys()),
        ("`[[proxy.login]]`", LoginKeys::keys()),
        ("A unix socket in place of an address", UnixKeys::keys()),
        ("`[control]`", ControlKeys::keys()),
        ("`[[api]]`", ApiKeys::keys()),
        ("`[[api.token]]`", TokenKeys::keys()),
        ("`[api_sites]`", ApiSitesKeys::keys()),
        ("`[metrics]`", MetricsKeys::keys()),
        ("`[limits]`", LimitKeys::keys()),
        ("`[outer]`", OuterKeys::keys()),
        ("`[loopback]`", LoopbackKeys::keys()),
    ]
}
