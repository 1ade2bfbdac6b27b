//! The texts of a configuration: the file that the user names, and those that it includes

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use glob::{MatchOptions, Paths, Pattern, PatternError};
use pptp_fleet::SiteName;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

/// The texts of a configuration
///
/// The last good configuration is kept as this, word for word: nothing can be lost between what a person wrote and what
/// is read again.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sources {
    /// The files: the first is the one that the user named
    pub(super) files: Vec<Source>,
    /// Failures of patterns and files that it includes
    #[serde(skip)]
    pub(super) failures: Vec<IncludeFailure>,
}

/// The text of a file
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The one who has written it; the last good configuration has no other than files
    #[serde(skip)]
    pub(super) origin: Origin,
}

/// The one who has written a text
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// A person: it is a file of the configuration
    #[default]
    File,
    /// A caller of the control interface, some time ago
    Kept,
    /// A caller of the control interface, now: what is in the way of others is its problem, and not theirs
    Asked,
}

/// A pattern of `include` that led to nothing, or to a file that cannot be read
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IncludeFailure {
    /// The place of the pattern in the first file
    pub(super) span: std::ops::Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
}

/// The reason why the named file cannot be read
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub struct Unreadable {
    /// The file
    pub path: PathBuf,
    /// The reason
    pub error: io::Error,
}

impl Sources {
    /// Reads a file and the files that it includes
    ///
    /// A pattern without a match, and an included file that cannot be read, are told as problems later.
    ///
    /// # Errors
    /// The file itself cannot be read.
    pub fn load(path: &Path) -> Result<Self, Unreadable> {
        let unreadable = |error| Unreadable { path: path.to_owned(), error };
        let text = read(path, MAX_OCTETS).map_err(unreadable)?;
        let mut sources = Self::of_text(path, text);
        let (mut left, patterns) = (MAX_OCTETS, sources.patterns());
        for (pattern, span) in patterns {
            sources.include(&pattern, &span, &mut left);
        }
        Ok(sources)
    }

    /// Makes the sources of one text, without reading any file
    pub fn of_text(path: &Path, text: String) -> Self {
        let source = Source { path: path.to_owned(), text, origin: Origin::File };
        Self { files: vec![source], failures: Vec::new() }
    }

    /// Adds the text of an included file
    #[must_use]
    pub fn with_included(mut self, path: &Path, text: String) -> Self {
        self.files.push(Source { path: path.to_owned(), text, origin: Origin::File });
        self
    }

    /// Adds the text of a site that was made through the control interface; returns its number among the texts
    pub(super) fn push_site(&mut self, path: PathBuf, text: String, origin: Origin) -> usize {
        self.files.push(Source { path, text, origin });
        self.files.len().saturating_sub(1)
    }

    /// Adds the texts of the sites that were made through the control interface, which are kept in this folder
    #[must_use]
    pub fn with_kept<'k>(
        mut self,
        folder: &Path,
        sites: impl IntoIterator<Item = (&'k SiteName, &'k String)>,
    ) -> Self {
        for (name, text) in sites {
            self.push_site(folder.join(format!("{name}.toml")), text.clone(), Origin::Kept);
        }
        self
    }

    /// Returns the texts without those of sites that were made through the control interface
    #[must_use]
    pub fn files_alone(mut self) -> Self {
        self.files.retain(|source| source.origin == Origin::File);
        self
    }

    /// Returns the folder of what outlives the process, if the first file names one
    pub fn state_folder(&self) -> Option<PathBuf> {
        let main = self.files.first()?;
        let (table, _) = DeTable::parse_recoverable(&main.text);
        let state = table.get_ref().get("state")?.get_ref().as_str()?;
        Some(self.folder(0).join(state))
    }

    /// Returns the place of a site in the files: `sites.toml:3`
    pub fn place_of_site(&self, name: &SiteName) -> Option<String> {
        self.files.iter().enumerate().find_map(|(file, source)| {
            let (table, _) = DeTable::parse_recoverable(&source.text);
            let Some(DeValue::Table(sites)) =
                table.get_ref().get("site").map(toml::Spanned::get_ref)
            else {
                return None;
            };
            let (key, _) = sites.get_key_value(name.as_str())?;
            Some(super::at(&super::problem::Place { file, span: key.span(), site: None }, self))
        })
    }

    /// Returns the path of the file that the user named
    pub fn path(&self) -> &Path {
        self.files.first().map_or_else(|| Path::new(""), |file| &file.path)
    }

    /// Returns the number of files
    pub const fn len(&self) -> usize {
        self.files.len()
    }

    /// Returns true if there is no file
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns the files, and the folders in which included ones are looked for
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let folder = self.path().parent().unwrap_or_else(|| Path::new("")).to_owned();
        let patterns = self.patterns().into_iter();
        let folders = patterns.map(move |(pattern, _)| folder.join(fixed_part(&pattern)));
        self.files.iter().map(|file| file.path.clone()).chain(folders)
    }

    /// The patterns of `include`, each with its place; what else the first file has is read later
    fn patterns(&self) -> Vec<(String, std::ops::Range<usize>)> {
        let Some(main) = self.files.first() else { return Vec::new() };
        let (table, _) = DeTable::parse_recoverable(&main.text);
        let include = table.get_ref().get("include").map(toml::Spanned::get_ref);
        let Some(DeValue::Array(patterns)) = include else { return Vec::new() };
        let text = |pattern: &toml::Spanned<DeValue<'_>>| {
            let text = pattern.get_ref().as_str()?.to_owned();
            Some((text, pattern.span()))
        };
        patterns.iter().filter_map(text).collect()
    }

    /// Reads the files of a pattern, in the order of their names
    fn include(&mut self, pattern: &str, span: &std::ops::Range<usize>, left: &mut usize) {
        let folder = self.path().parent().unwrap_or_else(|| Path::new("")).to_owned();
        let mut fail = |message: String, help| {
            self.failures.push(IncludeFailure { span: span.clone(), message, help });
        };
        if pattern.contains("**") {
            return fail(format!("`{pattern}`: `**` is not allowed"), Some(NO_TREES));
        }
        let paths = match paths_of(&folder, pattern) {
            Some(Ok(paths)) => paths,
            Some(Err(error)) => return fail(format!("`{pattern}` is no pattern: {error}"), None),
            None => return fail(format!("`{pattern}`: the folder's name is not UTF-8"), None),
        };
        let mut found = Vec::new();
        for (nth, path) in paths.enumerate() {
            if nth == MAX_MATCHES {
                return fail(format!("`{pattern}` matches more than {MAX_MATCHES} files"), None);
            }
            match path {
                Ok(path) if path.is_dir() => {}
                Ok(path) => found.push(path),
                Err(error) => fail(format!("`{pattern}`: {error}"), None),
            }
        }
        if found.is_empty() {
            return fail(format!("no file matches `{pattern}`"), Some(NO_MATCH));
        }
        let mut known: HashSet<_> = self.files.iter().map(|file| file.path.clone()).collect();
        for path in found.into_iter().filter(|path| known.insert(path.clone())) {
            match read(&path, *left) {
                Ok(text) => {
                    *left = left.saturating_sub(text.len());
                    self.files.push(Source { path, text, origin: Origin::File });
                }
                Err(error) => self.failures.push(IncludeFailure {
                    span: span.clone(),
                    message: format!("{}: {error}", path.display()),
                    help: None,
                }),
            }
        }
    }
}

/// Prints the number of files only: a text may have passwords
impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sources({}, {} files)", self.path().display(), self.files.len())
    }
}

/// Finds what a pattern matches, from a folder whose own name is no pattern; `None` if that is not UTF-8
///
/// Names that begin with a dot have to be written so: an editor's lock and a hidden copy are no configuration.
fn paths_of(folder: &Path, pattern: &str) -> Option<Result<Paths, PatternError>> {
    let whole = PathBuf::from(Pattern::escape(folder.to_str()?)).join(pattern);
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    Some(glob::glob_with(whole.to_str()?, options))
}

/// Returns the folders of a pattern before the first part that is no plain name
fn fixed_part(pattern: &str) -> &Path {
    let plain = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
    let folders = pattern.get(..plain).unwrap_or_default();
    let end = folders.rfind('/').map_or(0, |slash| slash.saturating_add(1));
    Path::new(folders.get(..end).unwrap_or_default())
}

/// Opens a regular file; a pipe that nobody writes to must not hold the thread
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// Reads a file of text, of which all files may have `left` octets more
fn read(path: &Path, left: usize) -> io::Result<String> {
    let file = open_regular(path)?;
    let most = left.min(MAX_FILE);
    let mut octets = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut octets)?;
    if octets.len() > MAX_FILE {
        return Err(io::Error::other(format!("more than {MAX_FILE} octets")));
    }
    if octets.len() > left {
        return Err(io::Error::other(format!("more than {MAX_OCTETS} octets in all")));
    }
    String::from_utf8(octets).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        io::Error::other(format!("not UTF-8 from octet {place} on"))
    })
}

/// The octets of a file: 10,000 sites take some 3 MB
const MAX_FILE: usize = 8 << 20;

/// The octets of all files
const MAX_OCTETS: usize = 64 << 20;

/// The files of a pattern: one for each site of the largest fleet
const MAX_MATCHES: usize = 10_000;

/// The remedy for a pattern that walks a tree
const NO_TREES: &str = "it would walk whole trees: name each folder, as in `sites/*/*.toml`";

/// The remedy for a pattern without a match
const NO_MATCH: &str =
    "a folder that is not mounted looks like this; take the pattern out if there are no such files";

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    /// A folder of its own, gone when dropped
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("pptp-source-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn write(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_no_regular_file_is_told_at_once() {
        let folder = Folder::new("pipe");
        let pipe = folder.0.join("pipe.toml");
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        for path in [&pipe, &folder.0] {
            let error = Sources::load(path).unwrap_err().to_string();
            assert!(error.ends_with("it is no regular file"), "{error}");
        }
        let main = folder.write("main", "include = [\"*.toml\"]");
        let failures = Sources::load(&main).unwrap().failures;
        assert!(failures[0].message.ends_with("it is no regular file"), "{failures:?}");
    }

    #[test]
    fn a_file_of_more_than_its_bound_is_not_read() {
        let folder = Folder::new("long");
        let path = folder.write("long", "");
        File::options().write(true).open(&path).unwrap().set_len(9 << 20).unwrap();
        let error = Sources::load(&path).unwrap_err().to_string();
        assert!(error.ends_with("more than 8388608 octets"), "{error}");
    }

    #[test]
    fn the_name_of_the_folder_is_no_pattern_and_hidden_names_do_not_match() {
        let folder = Folder::new("br[1]");
        let main = folder.write("main", "include = [\"*.toml\"]");
        let included = folder.write("a.toml", "");
        // as Emacs locks what it edits
        std::os::unix::fs::symlink("user@host.1", folder.0.join(".#a.toml")).unwrap();
        let sources = Sources::load(&main).unwrap();
        assert_eq!(sources.failures, []);
        let paths: Vec<_> = sources.files.iter().map(|file| &file.path).collect();
        assert_eq!(paths, [&main, &included]);
        let main = folder.write("main", &format!("include = [\"{}\"]", included.display()));
        let failures = Sources::load(&main).unwrap().failures;
        assert!(failures[0].message.contains("no file matches"), "an absolute one is a pattern");
    }

    #[test]
    fn a_pattern_that_walks_a_tree_is_refused() {
        let folder = Folder::new("tree");
        let main = folder.write("main", "include = [\"/**/*.toml\"]");
        let sources = Sources::load(&main).unwrap();
        assert_eq!(sources.len(), 1);
        assert_eq!(sources.failures[0].message, "`/**/*.toml`: `**` is not allowed");
        assert_eq!(sources.failures[0].help, Some(NO_TREES));
    }

    #[test]
    fn the_folders_of_patterns_are_known_before_they_are_read() {
        for (pattern, folder) in [
            ("sites.d/*.toml", "sites.d/"),
            ("one.toml", ""),
            ("/srv/sites/b?/x.toml", "/srv/sites/"),
            ("sites/[ab]*/*.toml", "sites/"),
            ("*", ""),
            ("/*.toml", "/"),
        ] {
            assert_eq!(fixed_part(pattern), Path::new(folder), "{pattern}");
        }
        let text = "include = [\"sites.d/*.toml\", \"/srv/*.toml\"]".to_owned();
        let sources = Sources::of_text(Path::new("/etc/x/main.toml"), text);
        let paths: Vec<_> = sources.paths().collect();
        let expected = ["/etc/x/main.toml", "/etc/x/sites.d/", "/srv/"].map(PathBuf::from);
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_pattern_with_too_many_matches_is_refused() {
        let folder = Folder::new("many");
        for nth in 0..=MAX_MATCHES {
            folder.write(&format!("{nth}.toml"), "");
        }
        let main = folder.write("main", "include = [\"*.toml\"]");
        let sources = Sources::load(&main).unwrap();
        assert_eq!(sources.len(), 1);
        assert_eq!(sources.failures[0].message, "`*.toml` matches more than 10000 files");
    }
}
