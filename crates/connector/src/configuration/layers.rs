//! `[defaults]`, templates and sites: three layers of the same keys

use std::{collections::BTreeMap, fmt, sync::Arc};

use pptp_fleet::SiteName;
use serde_json::{Value as Json, json};
use toml::de::{DeTable, DeValue};

use super::{
    keys::{IncludedKeys, KeptKeys, SITE_ONLY, SiteKeys, Sites, Templates, TopKeys},
    problem::{Place, Problems},
    reader::{Found, Node, Reader, Section, Value, nearest, shorten},
    source::{Origin, Sources},
    values::Number,
};

/// All files, read and put together
#[derive(Debug, Default)]
pub(super) struct Document {
    /// The keys of the first file
    pub(super) top: TopKeys,
    /// The sites with all the keys that they have, by their own table, their template or `[defaults]`
    pub(super) sites: BTreeMap<SiteName, Box<EffectiveSite>>,
    /// The sites that a file has and a caller of the control interface, too: the place in the file
    pub(super) clashes: BTreeMap<SiteName, Place>,
    /// The ports that were chosen for listeners on port 0
    pub(super) ports: BTreeMap<String, u16>,
}

/// A site with all the keys that it has
#[derive(Debug)]
pub(super) struct EffectiveSite {
    /// The place of its name
    pub(super) place: Place,
    pub(super) keys: SiteKeys,
    pub(super) origin: Origin,
}

/// Reads all files
pub(super) fn read(sources: &Sources, problems: &mut Problems) -> Document {
    let mut document = Document::default();
    let mut templates = BTreeMap::<String, (Place, SiteKeys)>::new();
    let (mut sites, mut makers) = (Vec::new(), BTreeMap::new());
    for (file, source) in sources.files.iter().enumerate() {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        let mut reader = Reader { file, site: None, problems };
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            // the parser's messages are about the grammar, and have no values
            let place = reader.place(span);
            reader.problems.syntax(&place, error.message());
        }
        let (more_templates, more_sites) = if source.origin != Origin::File {
            let mut kept = KeptKeys::read_table(table.get_ref(), &mut reader);
            let ports = kept.ports.take().map(|it| it.value).unwrap_or_default();
            let port = |it: Number<1, 65_535>| u16::try_from(it.0).unwrap_or_default();
            document.ports.extend(ports.into_iter().map(|(line, it)| (line, port(it))));
            let all = kept.site.as_ref().map(|it| &it.value.0).into_iter().flatten();
            makers.extend(all.map(|(name, _)| (name.value.clone(), Maker::new(&kept))));
            (None, kept.site)
        } else if file == 0 {
            let mut top = TopKeys::read_table(table.get_ref(), &mut reader);
            let both = (top.template.take(), top.site.take());
            document.top = top;
            both
        } else {
            refuse_top_keys(table.get_ref(), &mut reader);
            if table.get_ref().is_empty() {
                let help =
                    "an empty file is what a power cut leaves; remove it if it is not needed";
                reader.error(0..0, "this file has no site and no template", help.to_owned());
            }
            let included = IncludedKeys::read_table(table.get_ref(), &mut reader);
            (included.template, included.site)
        };
        for (name, keys) in more_templates.map(|it| it.value.0).unwrap_or_default() {
            add_template(&mut templates, name, keys, sources, problems);
        }
        sites.extend(more_sites.map(|it| it.value.0).unwrap_or_default());
    }
    for failure in &sources.failures {
        let place = Place { file: 0, span: failure.span.clone(), site: None };
        problems.error(&place, failure.message.clone(), failure.help.map(str::to_owned));
    }
    let defaults = document.top.defaults.take().map(|it| it.value).unwrap_or_default();
    refuse_site_keys(&defaults, problems);
    for (name, keys) in sites {
        let template = named_template(&keys, &templates, problems);
        let keys = match template {
            Some(template) => keys.over(template).over(&defaults),
            None => keys.over(&defaults),
        };
        let origin = sources.origin(name.place.file);
        let site = Box::new(EffectiveSite { place: name.place, keys, origin });
        let first = document.sites.get(&name.value);
        if let Some(first) = first.filter(|it| it.origin == Origin::File && origin != Origin::File)
        {
            let made = makers.get(&name.value).map(Maker::to_string).unwrap_or_default();
            let message =
                format!("`{}` was made through the API{made}: it has one owner", name.value);
            let help = format!("DELETE /v1/sites/{}, or take it out here", name.value);
            problems.error(&first.place, message, help);
            document.clashes.insert(name.value, first.place.clone());
        } else if let Some(first) = first {
            let where_ = super::at(&first.place, sources);
            problems.error(
                &site.place,
                format!("`{}` is there twice", name.value),
                format!("the first is {where_}"),
            );
        } else {
            document.sites.insert(name.value, site);
        }
    }
    document
}

/// Who has made a site, and when
struct Maker {
    by: String,
    at: String,
}

impl Maker {
    fn new(kept: &KeptKeys) -> Self {
        let text = |it: Option<&Found<String>>| it.map(|it| shorten(&it.value)).unwrap_or_default();
        Self { by: text(kept.by.as_ref()), at: text(kept.at.as_ref()) }
    }
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.by.is_empty() { Ok(()) } else { write!(f, " by {} on {}", self.by, self.at) }
    }
}

/// Tells of the keys that only the first file may have
fn refuse_top_keys(table: &DeTable<'_>, reader: &mut Reader<'_>) {
    let (included, top) = (IncludedKeys::keys(), TopKeys::keys());
    let is_known = |keys: &[super::reader::Key], name: &str| keys.iter().any(|it| it.name == name);
    for key in table.keys() {
        let name = key.get_ref().as_ref();
        if is_known(&top, name) && !is_known(&included, name) {
            let help = "an included file holds [site.*] and [template.*] only";
            let message = format!("`{name}` belongs into the file that includes this one");
            reader.error(key.span(), message, help.to_owned());
        }
    }
}

fn add_template(
    templates: &mut BTreeMap<String, (Place, SiteKeys)>,
    name: Found<String>,
    keys: SiteKeys,
    sources: &Sources,
    problems: &mut Problems,
) {
    refuse_site_keys(&keys, problems);
    if let Some((first, _)) = templates.get(&name.value) {
        let message = format!("the template `{}` is there twice", shorten(&name.value));
        let help = format!("the first is {}", super::at(first, sources));
        problems.error(&name.place, message, help);
    } else {
        templates.insert(name.value, (name.place, keys));
    }
}

fn named_template<'t>(
    keys: &SiteKeys,
    templates: &'t BTreeMap<String, (Place, SiteKeys)>,
    problems: &mut Problems,
) -> Option<&'t SiteKeys> {
    let named = keys.template.as_ref()?;
    let found = templates.get(&named.value).map(|(_, keys)| keys);
    if found.is_none() {
        let names: Vec<_> = templates.keys().map(String::as_str).collect();
        let help = match nearest(&named.value, &names) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if names.is_empty() => Some("there is none: write [template.NAME]".to_owned()),
            None => None,
        };
        let message = format!("there is no template `{}`", shorten(&named.value));
        problems.error(&named.place, message, help);
    }
    found
}

/// Tells of the keys that only a site itself may have
fn refuse_site_keys(keys: &SiteKeys, problems: &mut Problems) {
    let places =
        [keys.template.as_ref().map(|it| &it.place), keys.address.as_ref().map(|it| &it.place)];
    for (name, place) in SITE_ONLY.into_iter().zip(places) {
        if let Some(place) = place {
            let message = format!("`{name}` belongs into a site's own table");
            problems.error(place, message, None);
        }
    }
}

impl Value for Templates {
    fn wanted() -> String {
        "tables [template.NAME]".to_owned()
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else { return reader.wrong_kind(node) };
        let mut all = Vec::new();
        for (key, value) in table {
            let name = Found { value: key.get_ref().to_string(), place: reader.place(key.span()) };
            if let Some(keys) = SiteKeys::read(value, reader) {
                all.push((name, keys));
            }
        }
        Some(Self(all))
    }

    fn schema() -> Json {
        json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/shared" } })
    }
}

impl Value for Sites {
    fn wanted() -> String {
        "tables [site.NAME]".to_owned()
    }

    /// What is wrong inside of a site's table concerns this site alone
    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.get_ref() else { return reader.wrong_kind(node) };
        let mut all = Vec::new();
        for (key, value) in table {
            let name = match key.get_ref().parse::<SiteName>() {
                Ok(name) => name,
                Err(error) => {
                    reader.error(key.span(), error.to_string(), None);
                    continue;
                }
            };
            let site = Some(Arc::new(name.clone()));
            let mut inside = Reader { file: reader.file, site, problems: reader.problems };
            let place = inside.place(key.span());
            // one that is no table has no keys: its name stays, so that it is not taken for removed
            let keys = SiteKeys::read(value, &mut inside).unwrap_or_default();
            all.push((Found { value: name, place }, Box::new(keys)));
        }
        Some(Self(all))
    }

    fn schema() -> Json {
        json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" },
            "additionalProperties": { "$ref": "#/$defs/site" },
        })
    }
}
