//! What a foreign tool, Wireshark's, sees on the wire.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::program::Program;

/// A capture of the outer traffic that is still growing
#[derive(Debug)]
pub struct Recording {
    tcpdump: Program,
    capture: Capture,
}

/// A finished capture; its file is gone when this is dropped.
#[derive(Debug)]
pub struct Capture(PathBuf);

impl Recording {
    /// Record what matches `filter` (in tcpdump's language) on the lab's wire, from this moment on.
    pub async fn start(filter: &str) -> io::Result<Self> {
        let capture = Capture::unused();
        let mut command = Command::new("tcpdump");
        // -Z root: Debian's tcpdump gives up root before it opens the file.
        command.args(["-i", "br0", "-U", "-n", "-Z", "root", "-w"]).arg(&capture.0).arg(filter);
        let mut tcpdump = Program::start(command)?;
        tcpdump.wait_for("listening on", Duration::from_secs(10)).await?;
        Ok(Self { tcpdump, capture })
    }

    /// End the recording.
    pub async fn stop(self) -> io::Result<Capture> {
        // What the kernel still holds for tcpdump is handed over every second at the latest.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        self.tcpdump.interrupt()?;
        self.tcpdump.finish(Duration::from_secs(10)).await?;
        Ok(self.capture)
    }
}

impl Capture {
    /// A capture that somebody else has made, as the octets of its file
    pub fn of(octets: &[u8]) -> io::Result<Self> {
        let capture = Self::unused();
        fs::write(&capture.0, octets)?;
        Ok(capture)
    }

    /// A file that no other capture of this process has
    fn unused() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("pptp-interop-{}-{number}.pcap", process::id())))
    }

    /// Of each packet that matches `filter` (in Wireshark's language) the wanted `fields`.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> io::Result<Vec<Vec<String>>> {
        let mut tshark = Command::new("tshark");
        tshark.arg("-r").arg(&self.0).args(["-Y", filter, "-T", "fields", "-E", "separator=\t"]);
        for field in fields {
            tshark.args(["-e", field]);
        }
        let output = tshark.output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(lines.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
