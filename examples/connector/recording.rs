//! What is written down of a site: why it failed, and what passed through its tunnel

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use pptp::record::{Capture, FlightRecord};
use pptp_fleet::SiteName;
use tokio::{fs::File, io::AsyncWriteExt};

/// Where to write down what, of one site
#[derive(Debug, Default)]
pub(crate) struct Recording {
    folder: Option<PathBuf>,
    capture: Option<File>,
}

impl Recording {
    /// Makes the folder and opens the file, so that what cannot be written is told before anything is dialled
    ///
    /// A file that exists goes on: pcapng has a section for each tunnel.
    pub(crate) fn open(folder: Option<&Path>, capture: Option<&Path>) -> io::Result<Self> {
        let named = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(|error| named(folder, error))?;
        }
        let open = |path| private(OpenOptions::new().append(true).create(true)).open(path);
        let capture = capture.map(|path| open(path).map_err(|error| named(path, error)));
        let capture = capture.transpose()?.map(File::from_std);
        Ok(Self { folder: folder.map(Path::to_owned), capture })
    }

    /// Writes the flight record of a tunnel that failed; a line says where it is
    pub(crate) async fn keep(&self, site: &SiteName, record: &FlightRecord) {
        let Some(folder) = self.folder.clone() else { return };
        let (name, file) = (site.clone(), record.pcapng());
        let kept = tokio::task::spawn_blocking(move || keep(&folder, name.as_str(), &file)).await;
        match kept.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(path) => println!("{site}: on record in {}", path.display()),
            Err(error) => println!("{site}: the record cannot be kept: {error}"),
        }
    }

    /// Whether packets are to be captured
    pub(crate) fn captures(&self) -> bool {
        self.capture.is_some()
    }

    /// Writes all of `capture`, which ends with its tunnel
    pub(crate) async fn write(&mut self, site: &SiteName, capture: Option<Capture>) {
        let (Some(file), Some(mut capture)) = (&mut self.capture, capture) else { return };
        let copied = tokio::io::copy(&mut capture, file).await;
        let written = match copied {
            Ok(_) => file.flush().await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            println!("{site}: captures no more: {error}");
        }
    }
}

/// Writes one more file of `site` into `folder`; the oldest make room for it
fn keep(folder: &Path, site: &str, octets: &[u8]) -> io::Result<PathBuf> {
    let mut earlier = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        earlier.extend(name.to_str().and_then(|name| time_of(name, site)));
    }
    earlier.sort_unstable();
    for time in earlier.iter().rev().skip(MOST - 1) {
        fs::remove_file(folder.join(name_of(site, *time)))?;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    let path = folder.join(name_of(site, earlier.last().map_or(millis, |it| millis.max(it + 1))));
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&path)?;
    io::Write::write_all(&mut file, octets)?;
    Ok(path)
}

/// The file of a record that was written so many milliseconds after 1970
fn name_of(site: &str, millis: u64) -> String {
    format!("{site}-{millis:013}.pcapng")
}

fn time_of(name: &str, site: &str) -> Option<u64> {
    let millis =
        name.strip_prefix(site)?.strip_prefix('-')?.strip_suffix(".pcapng")?.parse().ok()?;
    (name_of(site, millis) == name).then_some(millis)
}

/// For nobody else to read: a capture is in the clear
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

/// Records that are kept of a site
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own, gone when dropped
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("pptp-connector-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_site_keeps_its_latest_records_and_nobody_elses_go() {
        let folder = Folder::new("keep");
        Recording::open(Some(&folder.0), None).unwrap();
        for other in ["b1-2-0000000000001.pcapng", "b1-notes.pcapng", "b1-7.pcapng"] {
            fs::write(folder.0.join(other), "").unwrap();
        }
        for i in 0..MOST + 5 {
            keep(&folder.0, "b1", i.to_string().as_bytes()).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(&folder.0).unwrap().collect();
        assert_eq!(names.len(), MOST + 3);
        names.retain(|entry| {
            time_of(entry.as_ref().unwrap().file_name().to_str().unwrap(), "b1").is_some()
        });
        let mut kept: Vec<usize> = names
            .iter()
            .map(|it| fs::read_to_string(it.as_ref().unwrap().path()).unwrap().parse().unwrap())
            .collect();
        kept.sort_unstable();
        assert_eq!(kept, (5..MOST + 5).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_written_is_named_at_once() {
        let folder = Folder::new("open");
        fs::write(&folder.0, "a file").unwrap();
        for (records, capture) in [(Some(&folder.0), None), (None, Some(&folder.0.join("file")))] {
            let error =
                Recording::open(records.map(PathBuf::as_path), capture.map(PathBuf::as_path));
            assert!(error.unwrap_err().to_string().contains("pptp-connector-open"));
        }
        fs::remove_file(&folder.0).unwrap();
    }
}
