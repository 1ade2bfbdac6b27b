//! The folder of what outlives the process: files that are whole or not there

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, Mode, OFlags, RenameFlags, openat, renameat, renameat_with, syncfs,
        unlinkat,
    },
    io::Errno,
    process::geteuid,
};

use crate::unix::user_name;

/// The folder of what outlives the process
///
/// A file is written beside its place, and then renamed: after a power cut it is the old one or the new one. Only the
/// process's user can read it. Whoever could write to the folder would choose the configuration: a folder or file that
/// others own or can write to is refused.
#[derive(Debug, Clone)]
pub struct StateDir {
    folder: PathBuf,
}

/// The reason why a file of the state could not be read or written
#[derive(Debug, thiserror::Error)]
#[error("the state {} could not be {action}: {error}", path.display())]
pub struct StateError {
    path: PathBuf,
    action: &'static str,
    error: io::Error,
}

impl StateError {
    /// Returns true if there is no room on the disk, or the user's part of it is used up
    pub fn is_disk_full(&self) -> bool {
        matches!(self.error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

impl StateDir {
    /// Names the folder, which is made by the first write
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Makes the folder, if it is not there
    ///
    /// # Errors
    /// As the system says.
    pub fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)
    }

    /// Reads a file; `None` if there is none
    ///
    /// # Errors
    /// It cannot be read, is no UTF-8, or is longer than [`Self::MAX_LEN`]; others can write to it or to the folder.
    pub fn read(&self, name: &str) -> Result<Option<String>, StateError> {
        let path = self.folder.join(name);
        match self.text(&path, name) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError { path, action: "read", error }),
        }
    }

    /// Reads a file that nobody else may even read; `None` if there is none
    ///
    /// # Errors
    /// As [`Self::read`]; others can read it.
    pub fn read_private(&self, name: &str) -> Result<Option<String>, StateError> {
        let path = self.folder.join(name);
        let fail = |error| StateError { path: path.clone(), action: "read", error };
        let facts = match std::fs::metadata(&path) {
            Ok(facts) => facts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        if facts.mode() & 0o077 != 0 {
            let reason = format!("other users can read it: chmod go= {}", path.display());
            return Err(fail(io::Error::other(reason)));
        }
        self.read(name)
    }

    /// Writes a file that is not there yet
    ///
    /// # Errors
    /// As [`Self::write`]; it is there already.
    pub fn create(&self, name: &str, text: &str) -> Result<(), StateError> {
        let path = self.folder.join(name);
        let written = self.place(name, text, |folder, beside| {
            let placed = renameat_with(folder, beside, folder, name, RenameFlags::NOREPLACE);
            placed.map_err(explained)
        });
        written.map_err(|error| StateError { path, action: "written", error })
    }

    /// As [`Self::create`], for the owner of the folder: root may make a file for a daemon of another user
    ///
    /// # Errors
    /// As [`Self::create`]; the folder is another user's, and this one is not root.
    pub fn create_for_owner(&self, name: &str, text: &str) -> Result<(), StateError> {
        let (path, root) = (self.folder.join(name), geteuid().is_root());
        let owner = std::fs::metadata(&self.folder).ok().filter(|_| root);
        let Some(owner) = owner.filter(|owner| owner.uid() != 0) else {
            return self.create(name, text);
        };
        let fail = |error| StateError { path: path.clone(), action: "written", error };
        if owner.mode() & 0o022 != 0 {
            let reason = format!("other users can write to {}", self.folder.display());
            return Err(fail(io::Error::other(reason)));
        }
        // only its owner can have put a link here, and the file is for that owner
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let made = openat(CWD, &path, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(made.map_err(|error| fail(explained(error)))?);
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid())))
            .and_then(|()| file.sync_all());
        written.map_err(fail)
    }

    /// Removes a file, if it is there
    ///
    /// # Errors
    /// The folder is read-only, others can write to it, or the like.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let removed = self.opened().and_then(|folder| {
            unlink(&folder, Path::new(name))?;
            folder.sync_all()
        });
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = self.folder.join(name);
                Err(StateError { path, action: "removed", error })
            }
            _ => Ok(()),
        }
    }

    /// Writes many files, and removes those without a text; each of them is old or new, and all are on the disk in the end
    ///
    /// # Errors
    /// As [`Self::write`]; then some are old and some are new.
    pub fn change(&self, files: &BTreeMap<String, Option<String>>) -> Result<(), StateError> {
        let fail = |name: &str, error| {
            let path = self.folder.join(name);
            StateError { path, action: "written", error }
        };
        let folder = self.made().map_err(|error| fail("", error))?;
        // of many, all at once at the end: 10,000 times takes minutes on a slow disk
        let sync = if files.len() > MAX_SYNCS { Sync::Later } else { Sync::Now };
        for (name, text) in files {
            let changed = match text {
                Some(text) => {
                    let beside = Path::new(name).with_extension("new");
                    let placed = write_beside(&folder, &beside, text, sync)
                        .and_then(|()| Ok(renameat(&folder, &beside, &folder, name)?));
                    clear(&folder, &beside, placed)
                }
                None => unlink(&folder, Path::new(name)),
            };
            changed.map_err(|error| fail(name, error))?;
        }
        let synced = match sync {
            Sync::Now => folder.sync_all(),
            Sync::Later => syncfs(&folder).map_err(io::Error::from),
        };
        synced.map_err(|error| fail("", error))
    }

    /// Returns the names of all files; none if there is no such folder
    ///
    /// # Errors
    /// The folder cannot be read, or others can write to it.
    pub fn names(&self) -> Result<Vec<String>, StateError> {
        let fail = |error| StateError { path: self.folder.clone(), action: "read", error };
        let folder = match self.opened() {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut names = Vec::new();
        for entry in Dir::read_from(&folder).map_err(|error| fail(error.into()))? {
            let entry = entry.map_err(|error| fail(error.into()))?;
            // names of ours are ASCII
            let name = entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | ".."));
            names.extend(name.map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Returns the folder of this name in this one
    #[must_use]
    pub fn folder(&self, name: &str) -> Self {
        Self { folder: self.folder.join(name) }
    }

    /// Returns the path
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes a file whole, or leaves the old one
    ///
    /// # Errors
    /// The disk is full, the folder is read-only, others can write to it, or the like.
    pub fn write(&self, name: &str, text: &str) -> Result<(), StateError> {
        let path = self.folder.join(name);
        let fail = |error| StateError { path: path.clone(), action: "written", error };
        self.replace(name, text).map_err(fail)
    }

    fn text(&self, path: &Path, name: &str) -> io::Result<String> {
        let folder = self.opened()?;
        // a pipe that nobody writes to must not hold the thread
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&folder, name, flags, Mode::empty()).map_err(|error| match error {
            Errno::LOOP => io::Error::other("it is a link, which is not followed"),
            error => error.into(),
        })?;
        let file = File::from(file);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        check_writers(&file, path)?;
        let mut text = String::new();
        let length = file.take(Self::MAX_LEN + 1).read_to_string(&mut text)?;
        if u64::try_from(length).is_ok_and(|length| length > Self::MAX_LEN) {
            return Err(io::Error::other("it is too long"));
        }
        Ok(text)
    }

    fn replace(&self, name: &str, text: &str) -> io::Result<()> {
        self.place(name, text, |folder, beside| Ok(renameat(folder, beside, folder, name)?))
    }

    /// Writes a file beside its place, and has it put there
    fn place(
        &self,
        name: &str,
        text: &str,
        put: impl FnOnce(&File, &Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let folder = self.made()?;
        let beside = Path::new(name).with_extension("new");
        let placed =
            write_beside(&folder, &beside, text, Sync::Now).and_then(|()| put(&folder, &beside));
        clear(&folder, &beside, placed)?;
        // the name itself is on the disk only now
        folder.sync_all()
    }

    /// Opens the folder, which is made first if it is missing
    fn made(&self) -> io::Result<File> {
        if !self.folder.is_dir() {
            self.make()?;
            if let Some(parent) = self.folder.parent().filter(|it| !it.as_os_str().is_empty()) {
                // its own name has to be on the disk, too
                File::open(parent)?.sync_all()?;
            }
        }
        self.opened()
    }

    /// Opens the folder; systemd's may be behind a link
    fn opened(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = File::from(openat(CWD, &self.folder, flags, Mode::empty())?);
        check_writers(&folder, &self.folder)?;
        Ok(folder)
    }

    /// Octets of the longest file that is read: 10,000 sites have some 3 MB
    pub const MAX_LEN: u64 = 64 << 20;
}

/// Refuses what another user owns or can write to, and says what to do
fn check_writers(file: &File, path: &Path) -> io::Result<()> {
    let (facts, us, path) = (file.metadata()?, geteuid().as_raw(), path.display());
    if facts.uid() != us && facts.uid() != 0 {
        let owner = user_name(facts.uid());
        let reason = format!("{path} belongs to another user, {owner}: chown {us} {path}");
        return Err(io::Error::other(reason));
    }
    if facts.mode() & 0o022 != 0 {
        let reason = format!("other users can write to {path}: chmod go-w {path}");
        return Err(io::Error::other(reason));
    }
    Ok(())
}

/// Says that a file is there already
fn explained(error: Errno) -> io::Error {
    match error {
        Errno::EXIST => io::Error::other("it is there already, and is never replaced"),
        error => error.into(),
    }
}

/// The files of a change that are synced one by one
const MAX_SYNCS: usize = 64;

/// The time at which a file has to be on the disk
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    Now,
    Later,
}

fn write_beside(folder: &File, beside: &Path, text: &str, sync: Sync) -> io::Result<()> {
    // a file that an earlier process left may have another mode
    unlink(folder, beside)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, beside, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(text.as_bytes())?;
    if sync == Sync::Now { file.sync_all() } else { Ok(()) }
}

/// Removes what is left beside the place after a failure: of a full disk it is of no use; the first error counts
fn clear(folder: &File, beside: &Path, placed: io::Result<()>) -> io::Result<()> {
    if placed.is_err() {
        let _ = unlink(folder, beside);
    }
    placed
}

fn unlink(folder: &File, name: &Path) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, chown, symlink},
    };

    use super::*;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("pptp-state-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_file_is_replaced_whole_and_only_its_owner_can_read_it() {
        let folder = folder("whole");
        let state = StateDir::new(&folder);
        assert_eq!(state.read("accepted").unwrap(), None);
        state.write("accepted", "one").unwrap();
        state.write("accepted", "two").unwrap();
        assert_eq!(state.read("accepted").unwrap().as_deref(), Some("two"));
        let mode = fs::metadata(folder.join("accepted")).unwrap().permissions().mode();
        let files = fs::read_dir(&folder).unwrap().count();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((mode & 0o777, files), (0o600, 1));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = folder("file");
        fs::write(&file, "").unwrap();
        let error = StateDir::new(file.join("state")).write("accepted", "one").unwrap_err();
        fs::remove_file(&file).unwrap();
        assert!(error.to_string().contains("state/accepted could not be written"), "{error}");
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let error = |kind: io::ErrorKind| StateError {
            path: PathBuf::from("/state/sites/b1.toml"),
            action: "written",
            error: kind.into(),
        };
        assert!(error(io::ErrorKind::StorageFull).is_disk_full());
        assert!(error(io::ErrorKind::QuotaExceeded).is_disk_full());
        assert!(!error(io::ErrorKind::ReadOnlyFilesystem).is_disk_full());
    }

    #[test]
    fn many_files_are_changed_and_what_is_there_is_not_created_anew() {
        let folder = folder("many");
        let state = StateDir::new(&folder);
        let all = |text: Option<&str>| {
            (0..=MAX_SYNCS).map(|nth| (format!("{nth}"), text.map(str::to_owned))).collect()
        };
        state.change(&all(Some("one"))).unwrap();
        assert_eq!(state.names().unwrap().len(), MAX_SYNCS + 1);
        let error = state.create("7", "two").unwrap_err().to_string();
        assert!(error.contains("is there already"), "{error}");
        assert_eq!(state.read("7").unwrap().as_deref(), Some("one"));
        state.change(&all(None)).unwrap();
        let left = state.names().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(left, Vec::<String>::new());
    }

    #[test]
    fn what_others_can_write_to_is_refused_with_the_remedy() {
        let folder = folder("writers");
        let (state, file) = (StateDir::new(&folder), folder.join("accepted"));
        let chmod = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        state.write("accepted", "one").unwrap();
        let made = fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
        let mut errors = Vec::new();
        for (path, mode) in [(&folder, 0o770), (&folder, 0o1777), (&file, 0o660), (&file, 0o602)] {
            let right = fs::metadata(path).unwrap().permissions().mode();
            chmod(path, mode);
            errors.push(state.read("accepted").unwrap_err().to_string());
            chmod(path, right);
        }
        chmod(&folder, 0o777);
        let written = state.write("accepted", "two").unwrap_err().to_string();
        chmod(&folder, 0o700);
        let read = state.read("accepted").unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((made, read.as_deref()), (0o700, Some("one")));
        for error in errors {
            assert!(error.contains("chmod go-w /"), "{error}");
        }
        assert!(written.contains("chmod go-w /"), "{written}");
    }

    #[test]
    fn what_another_user_owns_is_refused_with_the_remedy() {
        let folder = folder("owner");
        let state = StateDir::new(&folder);
        state.write("accepted", "one").unwrap();
        // only root can give a file away
        if chown(folder.join("accepted"), Some(1), None).is_ok() {
            let error = state.read("accepted").unwrap_err().to_string();
            assert!(error.contains("chown 0 /"), "{error}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = folder("pipe");
        let state = StateDir::new(&folder);
        state.write("real", "one").unwrap();
        symlink(folder.join("real"), folder.join("link")).unwrap();
        rustix::fs::mkfifoat(CWD, folder.join("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        let errors = ["pipe", "link"].map(|name| state.read(name).unwrap_err().to_string());
        fs::remove_dir_all(&folder).unwrap();
        assert!(errors[0].ends_with("it is no regular file"), "{errors:?}");
        assert!(errors[1].ends_with("it is a link, which is not followed"), "{errors:?}");
    }
}
