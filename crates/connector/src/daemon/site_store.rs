//! The sites that were made through the API, on the disk

use std::collections::BTreeMap;

use pptp_fleet::SiteName;

use crate::state_dir::{StateDir, StateError};

/// The sites that were made through the API, on the disk: `sites/NAME.toml` in the state folder
///
/// A change of several sites is one: it is written to a file of its own first, and from there to the files of the sites.
/// A process that ends in between finishes the change at its next start.
#[derive(Debug, Clone)]
pub struct SiteStore {
    state: StateDir,
    sites: StateDir,
}

/// The reason why the sites cannot be read
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A later version of this program has written the folder
    #[error(
        "the state {folder} is of format {found}, and this program knows formats up to {FORMAT}: a later version has \
         written it; install that one again, or name another folder as `state`"
    )]
    Newer {
        /// The folder
        folder: String,
        /// Its format
        found: String,
    },
    /// A file cannot be read or written
    #[error(transparent)]
    State(#[from] StateError),
    /// A change that was begun cannot be read
    #[error("the change {path} that was begun cannot be read: {error}")]
    Begun {
        /// The file
        path: String,
        /// The reason
        error: String,
    },
}

/// A change of sites: a text, or none for a site that is removed
pub type StoreChange = BTreeMap<SiteName, Option<String>>;

impl SiteStore {
    /// Names the store in a state folder
    pub fn new(state: StateDir) -> Self {
        Self { sites: state.folder(FOLDER), state }
    }

    /// Checks that the format of the state folder is a known one
    ///
    /// # Errors
    /// [`StoreError::Newer`], or it cannot be read.
    pub fn check_format(&self) -> Result<(), StoreError> {
        let Some(text) = self.state.read(FORMAT_FILE)? else { return Ok(()) };
        let found = text.trim().to_owned();
        if found.parse().is_ok_and(|format: u32| format <= FORMAT) {
            return Ok(());
        }
        Err(StoreError::Newer { folder: self.state.path().display().to_string(), found })
    }

    /// Reads the text of each site; a change that was begun counts, and is finished if there is room for it
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(&self) -> Result<BTreeMap<SiteName, String>, StoreError> {
        let begun = self.begun()?.unwrap_or_default();
        if let Err(error) = self.finish() {
            tracing::error!("{error}; the change is kept, and finished later");
        }
        let mut sites = BTreeMap::new();
        for file in self.sites.names()? {
            let name = file.strip_suffix(".toml").and_then(|name| name.parse::<SiteName>().ok());
            let Some(name) = name else { continue };
            let text = match begun.get(&file) {
                Some(_) => continue,
                None => self.sites.read(&file)?,
            };
            sites.extend(text.map(|text| (name, text)));
        }
        for (file, text) in begun {
            let name = file.strip_suffix(".toml").and_then(|name| name.parse::<SiteName>().ok());
            sites.extend(name.zip(text));
        }
        Ok(sites)
    }

    /// Writes a change; it is on the disk when this returns, and after an error nothing has changed
    ///
    /// # Errors
    /// The disk is full, the folder is read-only, or the like.
    pub fn change(&self, change: &StoreChange) -> Result<(), StoreError> {
        // what an earlier change has left for later has to be done first, or it would undo this one
        self.finish()?;
        if self.state.read(FORMAT_FILE)?.is_none() {
            self.state.write(FORMAT_FILE, &format!("{FORMAT}\n"))?;
        }
        let mut files = change.iter();
        match (files.next(), files.next()) {
            (None, _) => Ok(()),
            (Some((name, Some(text))), None) => Ok(self.sites.write(&file_of(name), text)?),
            (Some((name, None)), None) => Ok(self.sites.remove(&file_of(name))?),
            _ => self.change_many(change),
        }
    }

    fn change_many(&self, change: &StoreChange) -> Result<(), StoreError> {
        let files: BTreeMap<_, _> =
            change.iter().map(|(name, text)| (file_of(name), text.clone())).collect();
        // a map of texts always has a form
        self.sites.write(CHANGE, &serde_json::to_string(&files).unwrap_or_default())?;
        // from here on it is kept: what is left to do can be done later
        if let Err(error) = self.finish() {
            tracing::error!("{error}; the change is kept, and finished later");
        }
        Ok(())
    }

    /// Finishes the change that was begun, if there is one
    fn finish(&self) -> Result<(), StoreError> {
        let Some(files) = self.begun()? else { return Ok(()) };
        self.sites.change(&files)?;
        Ok(self.sites.remove(CHANGE)?)
    }

    /// Returns the change that was begun, if there is one: the texts of files
    fn begun(&self) -> Result<Option<BTreeMap<String, Option<String>>>, StoreError> {
        let Some(text) = self.sites.read(CHANGE)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| StoreError::Begun {
            path: self.sites.path().join(CHANGE).display().to_string(),
            error: error.to_string(),
        })
    }
}

impl StoreError {
    /// Returns true if there is no room on the disk
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::State(error) if error.is_disk_full())
    }
}

/// Returns the name of a site's file
fn file_of(name: &SiteName) -> String {
    format!("{name}.toml")
}

/// The folder in the state folder
const FOLDER: &str = "sites";

/// The change that was begun; no site has a name with a dot
const CHANGE: &str = "change.json";

/// The format of the state folder, which this program writes
const FORMAT: u32 = 1;

/// The file that has the format
const FORMAT_FILE: &str = "format";

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("pptp-store-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&folder);
            Self(folder)
        }

        fn store(&self) -> SiteStore {
            SiteStore::new(StateDir::new(&self.0))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn change(files: &[(&str, Option<&str>)]) -> StoreChange {
        let one =
            |(name, text): &(&str, Option<&str>)| (name.parse().unwrap(), text.map(str::to_owned));
        files.iter().map(one).collect()
    }

    fn read(store: &SiteStore) -> Vec<(String, String)> {
        let sites = store.read().unwrap().into_iter();
        sites.map(|(name, text)| (name.to_string(), text)).collect()
    }

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn one_site_and_many_are_changed_and_removed() {
        let folder = Folder::new("change");
        let store = folder.store();
        assert_eq!(read(&store), []);
        store.change(&change(&[("b1", Some("one"))])).unwrap();
        store.change(&change(&[("b1", Some("1")), ("b2", Some("2")), ("b3", Some("3"))])).unwrap();
        store.change(&change(&[("b1", None), ("b2", Some("two"))])).unwrap();
        store.change(&change(&[("b3", None)])).unwrap();
        store.change(&change(&[("b9", None)])).unwrap();
        assert_eq!(read(&store), pairs(&[("b2", "two")]));
        let files = fs::read_dir(folder.0.join(FOLDER)).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside");
    }

    #[test]
    fn a_change_that_was_begun_is_finished_at_the_next_start() {
        let folder = Folder::new("begun");
        let store = folder.store();
        store.change(&change(&[("b1", Some("one"))])).unwrap();
        let begun = r#"{"b1.toml":null,"b2.toml":"two"}"#;
        store.sites.write(CHANGE, begun).unwrap();
        assert_eq!(read(&store), pairs(&[("b2", "two")]));
        assert_eq!(store.sites.read(CHANGE).unwrap(), None);
        store.sites.write(CHANGE, "{").unwrap();
        assert!(matches!(store.read(), Err(StoreError::Begun { .. })));
    }

    #[test]
    fn a_change_that_cannot_be_finished_yet_counts_all_the_same() {
        let folder = Folder::new("unfinished");
        let store = folder.store();
        store.change(&change(&[("b1", Some("one")), ("b3", Some("three"))])).unwrap();
        store.sites.write(CHANGE, r#"{"b1.toml":null,"b2.toml":"two"}"#).unwrap();
        // in the place of the file that is written beside
        fs::create_dir(folder.0.join(FOLDER).join("b2.new")).unwrap();
        for _ in 0..2 {
            assert_eq!(read(&store), pairs(&[("b2", "two"), ("b3", "three")]));
        }
        let refused = store.change(&change(&[("b4", Some("four"))]));
        assert!(refused.is_err(), "what was kept comes first");
        fs::remove_dir(folder.0.join(FOLDER).join("b2.new")).unwrap();
        store.change(&change(&[("b4", Some("four"))])).unwrap();
        assert_eq!(read(&store), pairs(&[("b2", "two"), ("b3", "three"), ("b4", "four")]));
        assert_eq!(store.sites.read(CHANGE).unwrap(), None);
    }

    #[test]
    fn a_folder_of_a_later_version_is_refused_with_the_remedy() {
        let folder = Folder::new("newer");
        let store = folder.store();
        store.check_format().unwrap();
        store.change(&change(&[("b1", Some("one"))])).unwrap();
        store.check_format().unwrap();
        for format in ["2\n", "x"] {
            store.state.write(FORMAT_FILE, format).unwrap();
            let error = store.check_format().unwrap_err().to_string();
            assert!(error.contains("install that one again"), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_written_changes_nothing() {
        let folder = Folder::new("file");
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(folder.0.join(FOLDER), "no folder").unwrap();
        let store = folder.store();
        for files in [&change(&[("b1", Some("1"))]), &change(&[("b1", None), ("b2", Some("2"))])] {
            let error = store.change(files).unwrap_err();
            assert!(!error.is_disk_full());
            assert!(error.to_string().contains("sites"), "{error}");
        }
    }
}
