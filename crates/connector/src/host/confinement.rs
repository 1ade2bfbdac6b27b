//! The whole of it: landlock, and no capabilities; what a reload cannot have any more

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use super::{
    capabilities::{self, Capabilities},
    folders::Folders,
    landlock::Landlock,
};
use crate::{
    settings::{Listen, Settings},
    way_in::Way,
};

/// What a process has given up
///
/// Displayed as one line for the log: `confined: landlock ABI 6, no capabilities`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    landlock: Landlock,
    /// `None`: none was given up
    capabilities: Option<Capabilities>,
    folders: Folders,
    is_root: bool,
}

/// The reason why a process was not confined
#[derive(Debug, thiserror::Error)]
pub enum NotConfined {
    /// There is a thread that would not be
    #[error("cannot confine {0} threads at once: a fault of this program")]
    Threads(usize),
    /// The system does not give the capabilities up
    #[error("cannot give the capabilities up: {0}")]
    Capabilities(#[from] io::Error),
}

impl Confinement {
    /// Confines this process to these folders, and gives up all its capabilities but those that are kept
    ///
    /// It must have one thread only; those that it makes later are confined like this one. A kernel without landlock is
    /// no error, and is told.
    ///
    /// # Errors
    /// It has more than one thread, or the system refuses.
    pub fn begin(folders: Folders, keep: Capabilities) -> Result<Self, NotConfined> {
        let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        if threads > 1 {
            return Err(NotConfined::Threads(threads));
        }
        let landlock = Landlock::begin(&folders);
        capabilities::give_up(keep)?;
        let is_root = geteuid().is_root();
        Ok(Self { landlock, capabilities: Some(keep), folders, is_root })
    }

    /// A process that gives nothing up, as it is wanted
    pub fn unwanted() -> Self {
        Self {
            landlock: Landlock::No("not wanted".to_owned()),
            capabilities: None,
            folders: Folders::default(),
            is_root: geteuid().is_root(),
        }
    }

    /// Returns what a configuration needs and only a restart can give, each in one line
    ///
    /// `paths` are its texts, the folders that it includes, and its files of passwords; `running` are the settings in
    /// force, whose listeners are bound already.
    pub fn refusals<'p>(
        &self,
        paths: impl IntoIterator<Item = &'p Path>,
        running: &Settings,
        wanted: &Settings,
    ) -> Vec<String> {
        let mut refusals = Vec::new();
        if self.landlock.holds() {
            let hidden = paths.into_iter().filter(|path| !self.folders.may_read(path));
            let hidden: BTreeSet<_> = hidden.map(hidden_folder).collect();
            refusals.extend(hidden.iter().map(|folder| {
                format!("the daemon cannot read {} since its start", folder.display())
            }));
        }
        let bound: BTreeSet<_> = Way::all(running).iter().map(Way::key).collect();
        for way in Way::all(wanted).iter().filter(|way| !bound.contains(&way.key())) {
            if let Some(reason) = self.refuses(way.listen()) {
                refusals.push(format!("{way}: {reason}"));
            }
        }
        let metrics =
            wanted.metrics.listen.filter(|_| wanted.metrics.listen != running.metrics.listen);
        if let Some((address, reason)) =
            metrics.and_then(|address| Some((address, self.refuses(&Listen::Ip(address))?)))
        {
            refusals.push(format!("metrics {address}: {reason}"));
        }
        refusals
    }

    /// Returns the reason why a place cannot be bound any more
    fn refuses(&self, listen: &Listen) -> Option<String> {
        match listen {
            Listen::Unix(socket) if self.landlock.holds() => {
                let may_bind = self.folders.may_bind(&socket.path);
                (!may_bind).then(|| "the daemon cannot write to this folder since its start".into())
            }
            Listen::Ip(address) if self.capabilities.is_some() && address.port() != 0 => {
                let first = first_free_port();
                (address.port() < first)
                    .then(|| format!("the daemon cannot bind ports below {first} since its start"))
            }
            Listen::Unix(_) | Listen::Ip(_) => None,
        }
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(capabilities) = self.capabilities else {
            return f.write_str("not confined: --no-sandbox");
        };
        write!(f, "confined: {}, {capabilities}", self.landlock)?;
        if self.is_root {
            f.write_str("; it runs as root and can read root's files: give it a user of its own")?;
        }
        for folder in self.folders.missing() {
            let folder = folder.display();
            write!(f, "; {folder} is not there, and what appears in it needs a restart")?;
        }
        Ok(())
    }
}

/// The folder that has to be named for a path that is hidden
fn hidden_folder(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}

/// The first port that needs no capability
fn first_free_port() -> u16 {
    let setting = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    setting.ok().and_then(|port| port.trim().parse().ok()).unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ProxyKind, ProxySettings, UnixSocket};

    fn confinement(folders: Folders) -> Confinement {
        Confinement {
            landlock: Landlock::Holds(6),
            capabilities: Some(Capabilities::NONE),
            folders,
            is_root: false,
        }
    }

    fn proxy(listen: Listen) -> Settings {
        let proxies = vec![ProxySettings::new(ProxyKind::Socks, listen)];
        Settings { proxies, ..Settings::default() }
    }

    fn at_port(port: u16) -> Listen {
        Listen::Ip(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn what_the_process_has_given_up_is_refused_and_what_is_bound_stays() {
        let confined = confinement(Folders::default());
        let none = Settings::default();
        let refused = |running: &Settings, wanted: &Settings| {
            confined.refusals([], running, wanted).join("; ")
        };
        let first = first_free_port();
        let low = proxy(at_port(first.saturating_sub(1).max(1)));
        if first > 1 {
            let reason = refused(&none, &low);
            assert!(reason.contains(&format!("ports below {first} since its start")), "{reason}");
        }
        assert_eq!(refused(&low, &low), "");
        assert_eq!(refused(&none, &proxy(at_port(0))), "");
        assert_eq!(refused(&none, &proxy(at_port(65_000))), "");
        let mut metrics = Settings::default();
        metrics.metrics.listen = Some(([127, 0, 0, 1], first.saturating_sub(1).max(1)).into());
        if first > 1 {
            assert!(refused(&none, &metrics).starts_with("metrics 127.0.0.1:"));
        }
        assert_eq!(refused(&metrics, &metrics), "");
        let socket = proxy(Listen::Unix(UnixSocket::private("/run/a.sock".into())));
        assert!(refused(&none, &socket).contains("cannot write to this folder"));
        assert_eq!(refused(&socket, &socket), "");
    }

    #[test]
    fn a_hidden_folder_is_named_once() {
        let confined = confinement(Folders::default());
        let paths = ["/no/such/a", "/no/such/b", "/no/other"].map(Path::new);
        let none = Settings::default();
        assert_eq!(
            confined.refusals(paths, &none, &none),
            ["/no", "/no/such"].map(|it| format!("the daemon cannot read {it} since its start"))
        );
    }

    #[test]
    fn a_process_that_gave_nothing_up_refuses_nothing_and_says_so() {
        let free = Confinement::unwanted();
        let wanted = proxy(at_port(1));
        let none = Settings::default();
        assert_eq!(free.refusals([Path::new("/no/such")], &none, &wanted), [""; 0]);
        assert_eq!(free.to_string(), "not confined: --no-sandbox");
    }

    #[test]
    fn the_line_says_what_holds_and_what_does_not() {
        let confined = confinement(Folders::default());
        assert_eq!(confined.to_string(), "confined: landlock ABI 6, no capabilities");
        let old = Confinement {
            landlock: Landlock::No("the kernel has none".into()),
            is_root: true,
            ..confined
        };
        let line = old.to_string();
        assert!(line.starts_with("confined: no landlock (the kernel has none), no cap"), "{line}");
        assert!(line.ends_with("give it a user of its own"), "{line}");
    }

    #[test]
    fn a_process_with_several_threads_is_not_confined() {
        // the test's own thread is not the first
        let error = Confinement::begin(Folders::default(), Capabilities::NONE).unwrap_err();
        assert!(matches!(error, NotConfined::Threads(2..)), "{error}");
    }
}
