//! A validator for JSON Schemas (draft 2020-12) that have the keywords of ours and no others
//!
//! The crates that know all keywords bring some fifty others into the tests, with a second version of one and another
//! licence. An unknown keyword is refused here, so that none is passed over.

use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value as Json};

/// A schema, ready to be asked
pub(crate) struct Validator {
    schema: Json,
    patterns: HashMap<String, Regex>,
}

impl Validator {
    pub(crate) fn new(schema: Json) -> Self {
        let mut patterns = HashMap::new();
        find_patterns(&schema, &mut patterns);
        Self { schema, patterns }
    }

    /// Returns what is wrong with a value, each with its place
    pub(crate) fn faults(&self, value: &Json) -> Vec<String> {
        let mut faults = Vec::new();
        self.check(&self.schema, value, "", &mut faults);
        faults
    }

    fn check(&self, schema: &Json, value: &Json, place: &str, faults: &mut Vec<String>) {
        let schema = schema.as_object().expect("a schema is a table");
        for (keyword, wanted) in schema {
            let is_right = match keyword.as_str() {
                // they say nothing of the value; a format is a remark unless it is asked for (draft 2020-12 §7.2.1)
                "$schema" | "$defs" | "title" | "description" | "format" => true,
                "$ref" => {
                    let way = wanted.as_str().and_then(|it| it.strip_prefix('#')).expect("a way");
                    let schema = self.schema.pointer(way).expect("it is there");
                    self.check(schema, value, place, faults);
                    true
                }
                "type" => is_of_type(value, wanted.as_str().expect("one type")),
                "enum" => wanted.as_array().expect("words").contains(value),
                "anyOf" => {
                    let all = wanted.as_array().expect("schemas");
                    all.iter().any(|schema| self.is_right(schema, value))
                }
                // those below concern one type each
                "pattern" => {
                    let pattern = &self.patterns[wanted.as_str().expect("a text")];
                    value.as_str().is_none_or(|text| pattern.is_match(text))
                }
                "minimum" => {
                    value.as_i64().is_none_or(|it| it >= wanted.as_i64().expect("a number"))
                }
                "maximum" => {
                    value.as_i64().is_none_or(|it| it <= wanted.as_i64().expect("a number"))
                }
                "minProperties" => value.as_object().is_none_or(|it| it.len() >= length(wanted)),
                "maxProperties" => value.as_object().is_none_or(|it| it.len() <= length(wanted)),
                "minItems" => value.as_array().is_none_or(|it| it.len() >= length(wanted)),
                "maxItems" => value.as_array().is_none_or(|it| it.len() <= length(wanted)),
                "items" => {
                    for (nth, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(wanted, item, &format!("{place}/{nth}"), faults);
                    }
                    true
                }
                "propertyNames" => {
                    let names = value.as_object().into_iter().flat_map(Map::keys);
                    names.into_iter().all(|it| self.is_right(wanted, &Json::String(it.clone())))
                }
                "properties" | "additionalProperties" => {
                    if let Some(table) = value.as_object() {
                        self.check_keys(schema, (keyword, wanted), table, place, faults);
                    }
                    true
                }
                other => panic!("the keyword {other} is not known here"),
            };
            if !is_right {
                faults.push(format!("{place}: {keyword} {wanted}, not {value}"));
            }
        }
    }

    fn check_keys(
        &self,
        schema: &Map<String, Json>,
        (keyword, wanted): (&str, &Json),
        table: &Map<String, Json>,
        place: &str,
        faults: &mut Vec<String>,
    ) {
        let known = schema.get("properties").and_then(Json::as_object);
        for (key, value) in table {
            let place = format!("{place}/{key}");
            let of_key = known.and_then(|known| known.get(key));
            match (keyword, of_key, wanted) {
                ("additionalProperties", None, Json::Bool(true)) => {}
                ("additionalProperties", None, Json::Bool(false)) => {
                    faults.push(format!("{place}: no such key"));
                }
                ("properties", Some(schema), _) | ("additionalProperties", None, schema) => {
                    self.check(schema, value, &place, faults);
                }
                _ => {}
            }
        }
    }

    fn is_right(&self, schema: &Json, value: &Json) -> bool {
        let mut faults = Vec::new();
        self.check(schema, value, "", &mut faults);
        faults.is_empty()
    }
}

/// Finds all patterns of a schema
fn find_patterns(schema: &Json, found: &mut HashMap<String, Regex>) {
    match schema {
        Json::Object(table) => {
            if let Some(pattern) = table.get("pattern").and_then(Json::as_str) {
                found.insert(pattern.to_owned(), Regex::new(pattern).expect("a pattern"));
            }
            table.values().for_each(|it| find_patterns(it, found));
        }
        Json::Array(all) => all.iter().for_each(|it| find_patterns(it, found)),
        _ => {}
    }
}

fn length(wanted: &Json) -> usize {
    wanted.as_u64().and_then(|it| usize::try_from(it).ok()).expect("a number")
}

fn is_of_type(value: &Json, wanted: &str) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the type {other} is not known here"),
    }
}
