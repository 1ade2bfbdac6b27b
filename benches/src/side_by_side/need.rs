//! What the machine must have

use std::{env, fs::OpenOptions, io, path::Path};

pub(super) fn root() -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(missing("root: it makes network namespaces, raw sockets and TUN devices"))
}

/// All of these are in `PATH`
pub(super) fn programs(names: &[&str]) -> io::Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let absent: Vec<_> = names.iter().copied().filter(|name| !is_there(name)).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let names = absent.join(", ");
    Err(missing(&format!("{names}: `tests/interop/lab/lab setup` installs Debian's packages")))
}

pub(super) fn file(path: &Path) -> io::Result<()> {
    if path.is_file() { Ok(()) } else { Err(missing(&path.display().to_string())) }
}

/// A device that userspace may give the kernel packets through
pub(super) fn tun() -> io::Result<()> {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    opened
        .map(drop)
        .map_err(|error| missing(&format!("/dev/net/tun, which boringtun needs: {error}")))
}

fn missing(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("missing: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        assert!(programs(&["sh"]).is_ok());
        let error = programs(&["sh", "no-such-program"]).unwrap_err().to_string();
        assert!(error.contains("missing: no-such-program:"), "{error}");
        assert!(file(Path::new("/no/such/file")).is_err());
    }
}
