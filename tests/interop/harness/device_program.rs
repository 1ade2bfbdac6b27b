//! Programs on the device of a building, beside those that every building has.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::lab::{Building, Lab};

/// A program on the device of a building, killed when dropped
#[derive(Debug)]
pub struct DeviceProgram {
    lab: Lab,
    process: u32,
    log: String,
}

impl Lab {
    /// Start `command` on the device of `building`. It may name programs of the host, and files of the folder `lab/` by
    /// `$LAB`; its output is kept for [`DeviceProgram::log`].
    pub async fn start_on_device(
        &self,
        building: Building,
        command: &str,
    ) -> io::Result<DeviceProgram> {
        let number = building.number();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab");
        let log = format!("/run/device-program-{number}.log");
        let inside = format!("LAB={} setsid ip netns exec d{number}", folder.display());
        let run = format!("{inside} bash -c 'exec {command}' </dev/null >{log} 2>&1");
        // a shell that ends before the program has left its output keeps `lab sh` waiting
        let told = self.shell(&format!("{run} & echo $!; sleep 0.5")).await?;
        let process = told.trim().parse().map_err(|_| io::Error::other(told))?;
        Ok(DeviceProgram { lab: self.clone(), process, log })
    }
}

impl DeviceProgram {
    /// Wait until it has printed `wanted`; an error after `limit`.
    pub async fn wait_for(&self, wanted: &str, limit: Duration) -> io::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let log = self.log().await?;
            if log.contains(wanted) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("{wanted:?} was not printed, but: {log}")));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// All that it has printed
    pub async fn log(&self) -> io::Result<String> {
        self.lab.shell(&format!("cat {}", self.log)).await
    }
}

impl Drop for DeviceProgram {
    fn drop(&mut self) {
        self.lab.undo(&format!("kill {}", self.process));
    }
}
