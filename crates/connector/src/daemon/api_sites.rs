//! The sites that were made through the control interface, as they are in force

use std::{collections::BTreeMap, fmt::Write, path::PathBuf, time::SystemTime};

use pptp_fleet::SiteName;
use sha2::{Digest, Sha256};

use super::site_store::{SiteStore, StoreChange, StoreError};
use crate::{api::date, configuration::Sources, hex::hex, seal::Sealed, state_dir::StateDir};

/// The sites that were made through the control interface, as they are in force and on the disk
#[derive(Debug, Clone, Default)]
pub(super) struct ApiSites {
    store: Option<SiteStore>,
    folder: PathBuf,
    texts: BTreeMap<SiteName, String>,
    /// The reason why they could not be read; then they cannot be changed either
    problem: Option<String>,
}

impl ApiSites {
    /// Reads the sites of a state folder
    ///
    /// # Errors
    /// The folder is of a later version. Any other error is kept as the [`problem`](Self::problem): the sites of the files
    /// start all the same.
    pub(super) fn load(state: PathBuf) -> Result<Self, StoreError> {
        let folder = state.join("sites");
        let store = SiteStore::new(StateDir::new(state));
        let read = store.check_format().and_then(|()| store.read());
        let (texts, problem) = match read {
            Ok(texts) => (texts, None),
            Err(error @ StoreError::Newer { .. }) => return Err(error),
            Err(error) => (BTreeMap::new(), Some(error.to_string())),
        };
        Ok(Self { store: Some(store), folder, texts, problem })
    }

    /// Adds their texts to those of files
    pub(super) fn beside(&self, files: Sources) -> Sources {
        files.with_kept(&self.folder, &self.texts)
    }

    /// Adds the texts of those that are left by a change
    pub(super) fn beside_without(
        &self,
        files: Sources,
        gone: impl Fn(&SiteName) -> bool,
    ) -> Sources {
        files.with_kept(&self.folder, self.texts.iter().filter(|(name, _)| !gone(name)))
    }

    /// Returns the reason why they cannot be changed, if there is one
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Returns the folder of their files
    pub(super) fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Returns the store, if there is a folder for it
    pub(super) fn store(&self) -> Option<SiteStore> {
        self.store.clone()
    }

    /// Returns the names
    pub(super) fn names(&self) -> impl Iterator<Item = &SiteName> {
        self.texts.keys()
    }

    /// Returns true if a site is one of them
    pub(super) fn has(&self, name: &SiteName) -> bool {
        self.texts.contains_key(name)
    }

    /// Returns true if a site has this table by now
    pub(super) fn has_table(&self, name: &SiteName, table: &str) -> bool {
        self.texts.get(name).is_some_and(|text| table_of(text) == table)
    }

    /// Returns the sealed passwords
    pub(super) fn sealed(&self) -> BTreeMap<SiteName, Sealed> {
        let sealed =
            |(name, text): (&SiteName, &String)| Some((name.clone(), sealed_of(table_of(text))?));
        self.texts.iter().filter_map(sealed).collect()
    }

    /// Takes a change that is on the disk
    pub(super) fn change(&mut self, change: StoreChange) {
        for (name, text) in change {
            match text {
                Some(text) => _ = self.texts.insert(name, text),
                None => _ = self.texts.remove(&name),
            }
        }
    }

    /// Returns the version of the whole set: another one after each change, the same after a restart
    pub(super) fn version(&self) -> String {
        let mut digest = Sha256::new();
        for (name, text) in &self.texts {
            digest.update(name.as_str().as_bytes());
            digest.update([0]);
            digest.update(table_of(text).as_bytes());
            digest.update([0]);
        }
        hex(digest.finalize().into_iter().take(VERSION_LEN))
    }
}

/// Makes the text of a site's file: who has made it, the ports that were chosen, and its table
pub(super) fn text_of(table: &str, by: &str, ports: &BTreeMap<String, u16>) -> String {
    let mut text = format!(
        "# written by pptp-connector; PUT and DELETE /v1/sites/… change it\nby = {}\nat = \"{}\"\n",
        quoted(by),
        date(SystemTime::now())
    );
    if !ports.is_empty() {
        let ports: Vec<_> =
            ports.iter().map(|(line, port)| format!("{} = {port}", quoted(line))).collect();
        // writing to a text cannot fail
        let _ = writeln!(text, "ports = {{ {} }}", ports.join(", "));
    }
    text.push_str(table);
    text
}

/// Returns the table of a site's file
fn table_of(text: &str) -> &str {
    let start = text.find("\n[site.").map_or(0, |end| end.saturating_add(1));
    text.get(start..).unwrap_or_default()
}

/// Returns the sealed password of a table
///
/// Each key has a line of its own, as the table is written.
fn sealed_of(table: &str) -> Option<Sealed> {
    let line = table.lines().find_map(|line| line.strip_prefix("password = { sealed = \""))?;
    line.split('"').next()?.parse().ok()
}

/// Returns a text in the quotes of TOML; it has no control characters
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|it| !it.is_control()).collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The octets of a version
const VERSION_LEN: usize = 16;
