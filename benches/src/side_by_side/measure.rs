use std::str::FromStr;

use super::scene::Scene;

/// What is measured of each client
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Milliseconds from the start of the process until it says that the tunnel is up
    Up,
    /// Milliseconds from the start of the process to the first octet from the building
    Connect,
    /// Mbit/s of payload from the building
    Download,
    /// Mbit/s of payload to it
    Upload,
    /// KiB that only the client's processes hold, once connected
    MemoryConnected,
    /// The same after the transfers
    MemoryAfter,
    /// Of that, what they have written to
    MemoryWritten,
    /// KiB that were resident at most, in all of the processes, shared ones counted in each
    MemoryPeak,
    /// Processor seconds of the client's processes for 100 MB from the building
    CpuDownload,
    /// The same for 100 MB to it
    CpuUpload,
    /// Processor seconds of the whole guest for 100 MB from the building
    GuestDownload,
    /// The same for 100 MB to it
    GuestUpload,
}

impl Measure {
    /// All of them, in the order of the table
    pub const ALL: [Self; 12] = [
        Self::Up,
        Self::Connect,
        Self::Download,
        Self::Upload,
        Self::CpuDownload,
        Self::CpuUpload,
        Self::GuestDownload,
        Self::GuestUpload,
        Self::MemoryConnected,
        Self::MemoryAfter,
        Self::MemoryWritten,
        Self::MemoryPeak,
    ];

    /// Its name in a line
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Connect => "connect",
            Self::Download => "download",
            Self::Upload => "upload",
            Self::MemoryConnected => "memory-connected",
            Self::MemoryAfter => "memory-after",
            Self::MemoryWritten => "memory-written",
            Self::MemoryPeak => "memory-peak",
            Self::CpuDownload => "cpu-download",
            Self::CpuUpload => "cpu-upload",
            Self::GuestDownload => "guest-cpu-download",
            Self::GuestUpload => "guest-cpu-upload",
        }
    }

    /// Its name in the table
    pub fn title(self) -> &'static str {
        match self {
            Self::Up => "from start to tunnel up",
            Self::Connect => "from start to the building's first octet",
            Self::Download => "download",
            Self::Upload => "upload",
            Self::MemoryConnected => "private memory, connected",
            Self::MemoryAfter => "private memory, after the transfers",
            Self::MemoryWritten => "private memory written to (dirty), after the transfers",
            Self::MemoryPeak => "resident at most, shared pages included",
            Self::CpuDownload => "CPU of the client's processes, 100 MB down",
            Self::CpuUpload => "CPU of the client's processes, 100 MB up",
            Self::GuestDownload => "CPU of the whole guest, 100 MB down",
            Self::GuestUpload => "CPU of the whole guest, 100 MB up",
        }
    }

    /// What it is counted in
    pub fn unit(self) -> &'static str {
        match self {
            Self::Up | Self::Connect => "ms",
            Self::Download | Self::Upload => "Mbit/s",
            Self::MemoryConnected | Self::MemoryAfter | Self::MemoryWritten | Self::MemoryPeak => {
                "KiB"
            }
            _ => "s",
        }
    }

    /// Whether it is a processor time in the guest's own clock
    pub(super) fn is_cpu(self) -> bool {
        self.unit() == "s"
    }

    /// Whether it is of the whole guest
    pub(super) fn is_of_guest(self) -> bool {
        matches!(self, Self::GuestDownload | Self::GuestUpload)
    }

    /// Whether `a` is a worse figure than `b`
    pub fn is_worse(self, a: f64, b: f64) -> bool {
        if matches!(self, Self::Download | Self::Upload) { a < b } else { a > b }
    }
}

impl FromStr for Measure {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|measure| measure.name() == name).ok_or(())
    }
}

/// One figure of one round
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Where
    pub scene: Scene,
    /// Whose
    pub client: String,
    /// Which
    pub measure: Measure,
    /// How much, in its [unit](Measure::unit)
    pub value: f64,
}
