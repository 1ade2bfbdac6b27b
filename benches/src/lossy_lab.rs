//! The same uploads as [`lossy`](crate::lossy) against Linux, and beside its own TCP
//!
//! In the lab of the interop tests: a guest with the real pptpd, behind which a device reads what is
//! uploaded. Round trip, loss and bottleneck are netem's and tbf's between pptpd and the device, so
//! that Linux is the peer and the kernel's own sender (CUBIC, its own buffers) uses the same line from
//! pptpd's host. Takes eight minutes, needs root and the lab's packages, and says so where they are
//! missing; it is no part of a quick run.

use std::{
    fmt::Write as _,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use pptp::{Client, CongestionControl, TunnelConfig};

use crate::{
    Figure, Goal,
    lossy::{BOTTLENECKS, Bottleneck, LOSSES, QUEUE, ROUND_TRIPS, bottleneck_figures, bound},
    measure::{is_quick, median},
    process::Part,
    servers,
    upload::{Load, Upload, upload},
};

/// The figures, or none and a word on stderr
pub fn figures() -> Vec<Figure> {
    if is_quick() {
        eprintln!("lossy_lab is skipped: it takes eight minutes");
        return Vec::new();
    }
    let lab = match Lab::up() {
        Ok(lab) => lab,
        Err(error) => {
            eprintln!("lossy_lab is skipped: it needs root and `lab setup`: {error}");
            return Vec::new();
        }
    };
    let mut figures = vec![grid(&lab).expect("uploads in the lab")];
    for bottleneck in BOTTLENECKS {
        figures.extend(through(&lab, bottleneck).expect("uploads in the lab"));
    }
    figures
}

/// Uploads over each line, ours and the kernel's one after the other
fn grid(lab: &Lab) -> io::Result<Figure> {
    let (mut ratios, mut detail) = (Vec::new(), String::from("Mbit/s, ours to the kernel's, at"));
    for round_trip in ROUND_TRIPS {
        let _ = write!(detail, " {round_trip} ms:");
        for loss in LOSSES {
            lab.delay(round_trip, &format!("loss {}%", f64::from(loss) / 10.0))?;
            let ours = lab.upload(GRID)?.speed;
            let kernel = lab.kernel(GRID)?.finish()?;
            if loss > 0 {
                ratios.push(ours / kernel.min(bound(round_trip)));
            }
            let _ = write!(detail, " {ours:.1}/{kernel:.1}");
        }
    }
    let _ = write!(detail, " (loss {LOSSES:?} per mille)");
    let goal = Goal::AtLeast(0.9);
    Ok(Figure { name: "lossy_lab/upload-of-kernel", value: median(ratios), goal, detail })
}

/// An upload through a bottleneck, alone and beside the kernel's
fn through(lab: &Lab, bottleneck: Bottleneck) -> io::Result<Vec<Figure>> {
    lab.narrow(bottleneck)?;
    let alone = lab.upload(ALONE)?;
    let kernel = lab.kernel(BESIDE)?;
    let beside = lab.upload(BESIDE)?;
    let kernel = kernel.finish()?;
    let share = kernel / (kernel + beside.speed);
    Ok(bottleneck_figures(bottleneck.lab, alone, ("the kernel's CUBIC", share)))
}

/// The lab, with one building
#[derive(Debug)]
struct Lab {
    program: PathBuf,
}

impl Lab {
    fn up() -> io::Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let lab = Self { program: here.join("../tests/interop/lab/lab") };
        // one that a killed run has left
        let _ = run(&mut lab.command("down"));
        run(lab.command("up").args(["-n", "1", "-t", "1200"]))?;
        lab.inside("ip netns exec b1 ip link set lan gso_max_segs 1")?;
        Ok(lab)
    }

    /// The lab's program, for a lab of this name
    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(verb).env("LAB_NAME", "pptp-lossy");
        command
    }

    /// Runs commands in the guest
    fn inside(&self, commands: &str) -> io::Result<String> {
        run(self.command("sh").arg(commands))
    }

    /// A line with so many milliseconds of round trip; `loss` is netem's, in both directions
    fn delay(&self, round_trip: u32, loss: &str) -> io::Result<String> {
        let netem = format!("root netem limit 20000 delay {}ms {loss}", round_trip / 2);
        self.inside(&format!(
            "ip netns exec b1 tc qdisc replace dev lan {netem} 2>&1;
             ip netns exec d1 tc qdisc replace dev eth0 {netem} 2>&1"
        ))
    }

    fn narrow(&self, Bottleneck { kbit, round_trip, .. }: Bottleneck) -> io::Result<String> {
        self.delay(round_trip * 2, "")?;
        let queue = QUEUE.as_millis();
        // what a clock of 100 Hz lets through at a time
        let burst = (kbit * 10 / 8).max(1600);
        self.inside(&format!(
            "ip netns exec b1 tc qdisc replace dev lan root tbf rate {kbit}kbit burst {burst} \
             latency {queue}ms 2>&1"
        ))
    }

    /// What a process in the lab's network uploads through a tunnel
    fn upload(&self, time: Duration) -> io::Result<Upload> {
        let part = format!("upload {}", time.as_secs());
        let mut part = Part::start_behind(&mut self.command("exec"), &part)?;
        let [speed, resent, median, most] = part.numbers()?;
        Ok(Upload { speed, resent, ping: [median, most] })
    }

    /// What the kernel of pptpd's host uploads
    fn kernel(&self, time: Duration) -> io::Result<Kernel> {
        let iperf = format!(
            "ip netns exec b1 iperf3 -c 192.168.1.3 -C cubic -f k -O {} -t {}",
            WARM_UP.as_secs(),
            time.as_secs()
        );
        self.command("sh").arg(iperf).stdout(Stdio::piped()).spawn().map(Kernel)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = run(&mut self.command("down"));
    }
}

/// An upload of the kernel's that goes on
#[derive(Debug)]
struct Kernel(std::process::Child);

impl Kernel {
    /// Mbit/s that arrived
    fn finish(self) -> io::Result<f64> {
        let output = String::from_utf8_lossy(&self.0.wait_with_output()?.stdout).into_owned();
        let line = output.lines().find(|line| line.ends_with("receiver"));
        let words = line.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let speed = words.and_then(|words| {
            let unit = words.iter().position(|word| *word == "Kbits/sec")?;
            words.get(unit.checked_sub(1)?)?.parse::<f64>().ok()
        });
        speed.map(|kbit| kbit / 1e3).ok_or_else(|| io::Error::other(output))
    }
}

/// What a command prints, if it succeeds
fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Uploads for so many seconds through a tunnel of its own, and prints what an [`Upload`] has
pub(crate) fn play(seconds: u32) {
    let load = Load {
        sink: SocketAddrV4::new(DEVICE, 9),
        congestion_control: CongestionControl::default(),
        pinged: Some(DEVICE),
        warm_up: WARM_UP,
        time: Duration::from_secs(seconds.into()),
    };
    let uploaded = servers::real_time().block_on(through_tunnel(load)).expect("an upload");
    let Upload { speed, resent, ping: [median, most] } = uploaded;
    println!("{speed} {resent} {median} {most}");
}

async fn through_tunnel(load: Load) -> io::Result<Upload> {
    let client = Client::new().map_err(io::Error::other)?;
    let config = TunnelConfig::new("10.99.0.11", "testuser", "test123");
    let tunnel = client.connect(config).await.map_err(io::Error::other)?;
    let uploaded = upload(&tunnel, load).await;
    tunnel.close().await;
    uploaded
}

/// Behind the building
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 3);

/// Before anything counts
const WARM_UP: Duration = Duration::from_secs(2);

/// What an upload of the grid takes
const GRID: Duration = Duration::from_secs(5);

/// What an upload through a bottleneck takes, alone and beside another
const ALONE: Duration = Duration::from_secs(12);
const BESIDE: Duration = Duration::from_secs(20);
