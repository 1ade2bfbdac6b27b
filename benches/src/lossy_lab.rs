//! The same uploads as [`lossy`](crate::lossy) against Linux, and beside its own TCP
//!
//! In the lab of the interop tests: a guest with the real pptpd, behind which a device reads what is
//! uploaded. Round trip, loss and bottleneck are netem's and tbf's between pptpd and the device, so
//! that Linux is the peer and the kernel's own sender (CUBIC, its own buffers) uses the same line from
//! pptpd's host. Every controller has every line. Takes twenty-two minutes, needs root and the lab's
//! packages, and says so where they are missing; it is no part of a quick run.

use std::{
    fmt::Write as _,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use pptp::{Client, TunnelConfig};

use crate::{
    Figure, Goal,
    lossy::{
        BOTTLENECKS, Bottleneck, CONTROLLERS, LOSSES, QUEUE, ROUND_TRIPS, bottleneck_figures, bound,
    },
    measure::{is_quick, median},
    process::Part,
    servers,
    upload::{Load, Upload, upload},
};

/// The figures, or none and a word on stderr
pub fn figures() -> Vec<Figure> {
    if is_quick() {
        eprintln!("lossy_lab is skipped: it takes twenty-two minutes");
        return Vec::new();
    }
    let lab = match Lab::up() {
        Ok(lab) => lab,
        Err(error) => {
            eprintln!("lossy_lab is skipped: it needs root and `lab setup`: {error}");
            return Vec::new();
        }
    };
    let cells = grid(&lab).expect("uploads in the lab");
    let mut figures = GOALS.map(|(name, least, loss)| of_best(name, least, loss, &cells)).to_vec();
    figures.push(of_kernel(&cells));
    figures.extend(through_each(&lab));
    figures
}

/// The figures of the bottlenecks alone: nine minutes
///
/// # Panics
/// If there is no lab, or if it fails.
pub fn bottlenecks() -> Vec<Figure> {
    through_each(&Lab::up().expect("root and `lab setup`"))
}

fn through_each(lab: &Lab) -> Vec<Figure> {
    let figures = |bottleneck| through(lab, bottleneck).expect("uploads in the lab");
    BOTTLENECKS.into_iter().flat_map(figures).collect()
}

/// A line, and the Mbit/s that went over it
#[derive(Debug)]
struct Cell {
    /// Milliseconds
    round_trip: u32,
    /// Per mille
    loss: u16,
    /// Of each of the [`CONTROLLERS`]
    ours: [f64; CONTROLLERS.len()],
    kernel: f64,
}

impl Cell {
    fn default(&self) -> f64 {
        self.ours[0]
    }

    fn best_of_others(&self) -> f64 {
        self.ours[1..].iter().copied().fold(0.0, f64::max)
    }
}

/// Uploads over each line, one after the other
fn grid(lab: &Lab) -> io::Result<Vec<Cell>> {
    let lines = LOSSES.into_iter().flat_map(|loss| ROUND_TRIPS.map(|trip| (trip, loss)));
    let cell = |(round_trip, loss)| {
        lab.delay(round_trip, &format!("loss {}%", f64::from(loss) / 10.0))?;
        let mut ours = [0.0; CONTROLLERS.len()];
        for (speed, (controller, _)) in ours.iter_mut().zip(CONTROLLERS) {
            *speed = lab.upload(GRID, controller)?.speed;
        }
        let kernel = lab.kernel(WARM_UP, GRID)?.finish()?;
        let cell = Cell { round_trip, loss, ours, kernel };
        eprintln!("{cell:.2?}");
        Ok(cell)
    };
    lines.map(cell).collect()
}

/// The default beside the best of the others at a loss, and what all have
fn of_best(name: &'static str, least: f64, loss: u16, cells: &[Cell]) -> Figure {
    let cells: Vec<_> = cells.iter().filter(|cell| cell.loss == loss).collect();
    let value = median(cells.iter().map(|cell| cell.default() / cell.best_of_others()).collect());
    let mut detail = format!("in the median line; Mbit/s at round trips of {ROUND_TRIPS:?} ms:");
    for (index, (name, _)) in CONTROLLERS.iter().enumerate() {
        let speeds: Vec<_> = cells.iter().map(|cell| cell.ours[index]).collect();
        let _ = write!(detail, " {name} {speeds:.2?},");
    }
    let kernel: Vec<_> = cells.iter().map(|cell| cell.kernel).collect();
    let _ = write!(detail, " the kernel's CUBIC {kernel:.2?}");
    Figure { name, value, goal: Goal::AtLeast(least), detail }
}

/// The default beside the kernel, as far as its window reaches
fn of_kernel(cells: &[Cell]) -> Figure {
    let lossy = cells.iter().filter(|cell| cell.loss > 0);
    let ratio = |cell: &Cell| cell.default() / cell.kernel.min(bound(cell.round_trip));
    Figure {
        name: "lossy_lab/upload-of-kernel",
        value: median(lossy.map(ratio).collect()),
        goal: Goal::AtLeast(0.9),
        detail: String::from("of the slower of kernel and window, in the median line with loss"),
    }
}

/// Uploads through a bottleneck with each controller, and the default's beside the kernel's
fn through(lab: &Lab, bottleneck: Bottleneck) -> io::Result<Vec<Figure>> {
    lab.narrow(bottleneck)?;
    let [(default, _), rest @ ..] = CONTROLLERS;
    let alone = lab.upload(ALONE, default)?;
    let mut others = String::new();
    for (name, _) in rest {
        let Upload { speed, resent, ping: [_, most] } = lab.upload(ALONE, name)?;
        let _ = write!(others, "; {name} {resent:.3} at {speed:.2} Mbit/s, ping {most:.0} ms");
    }
    let shares = (0..TIMES).map(|_| beside(lab, default)).collect::<io::Result<Vec<_>>>()?;
    let other = format!("the kernel's CUBIC (the median of {shares:.3?})");
    let mut figures = bottleneck_figures(bottleneck.lab, alone, (&other, median(shares)));
    if let Some(resent) = figures.first_mut() {
        resent.detail += &others;
    }
    Ok(figures)
}

/// The share that the kernel's upload keeps beside one with `controller` that begins later
fn beside(lab: &Lab, controller: &str) -> io::Result<f64> {
    let kernel = lab.kernel(BEFORE + WARM_UP, BESIDE)?;
    sleep(BEFORE);
    let ours = lab.upload(BESIDE, controller)?.speed;
    let kernel = kernel.finish()?;
    Ok(kernel / (kernel + ours))
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
        run(lab.command("up").args(["-n", "1", "-t", "2400"]))?;
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
    fn delay(&self, round_trip: u32, loss: &str) -> io::Result<()> {
        let netem = format!("root handle 1: netem limit 20000 delay {}ms {loss}", round_trip / 2);
        self.shape(&format!(
            "for end in 'b1 lan' 'd1 eth0'; do
               set -- $end
               ip netns exec $1 tc qdisc del dev $2 root 2>/dev/null
               ip netns exec $1 tc qdisc add dev $2 {netem} 2>&1
             done"
        ))
    }

    /// A bottleneck behind that line's delay
    ///
    /// Not in front of it, where it would be the sending host's own queue: of that, TCP small queues
    /// leave a local sender two packets, and whatever comes through the host has the rest: of 2 Mbit/s
    /// a CUBIC of another kernel 0.84 to 0.87, and of 20 Mbit/s 0.99.
    fn narrow(&self, Bottleneck { kbit, round_trip, .. }: Bottleneck) -> io::Result<()> {
        self.delay(round_trip, "")?;
        let queue = QUEUE.as_millis();
        // what a clock of 100 Hz lets through at a time
        let burst = (kbit * 10 / 8).max(1600);
        self.shape(&format!(
            "ip netns exec b1 tc qdisc add dev lan parent 1: tbf rate {kbit}kbit burst {burst} \
             latency {queue}ms 2>&1"
        ))
    }

    /// Runs commands that print nothing unless they fail
    fn shape(&self, commands: &str) -> io::Result<()> {
        let said = self.inside(commands)?;
        if said.trim().is_empty() { Ok(()) } else { Err(io::Error::other(said)) }
    }

    /// What a process in the lab's network uploads through a tunnel, with one of the [`CONTROLLERS`]
    fn upload(&self, time: Duration, controller: &str) -> io::Result<Upload> {
        let part = format!("upload {} {controller}", time.as_secs());
        let mut part = Part::start_behind(&mut self.command("exec"), &part)?;
        let [speed, resent, median, most] = part.numbers()?;
        Ok(Upload { speed, resent, ping: [median, most] })
    }

    /// What the kernel of pptpd's host uploads, after a while that does not count
    fn kernel(&self, warm_up: Duration, time: Duration) -> io::Result<Kernel> {
        let iperf = format!(
            "ip netns exec b1 iperf3 -c 192.168.1.3 -C cubic -f k -O {} -t {}",
            warm_up.as_secs(),
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
pub(crate) fn play(seconds: u32, controller: Option<&str>) {
    let named = CONTROLLERS.into_iter().find(|(name, _)| Some(*name) == controller);
    let (_, congestion_control) = named.expect("the name of a controller");
    let load = Load {
        sink: SocketAddrV4::new(DEVICE, 9),
        congestion_control,
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

/// The figures of each loss, what they should be at least, and the loss
const GOALS: [(&str, f64, u16); 5] = [
    ("lossy_lab/of-best-0%", 0.95, 0),
    ("lossy_lab/of-best-0.1%", 1.0, 1),
    ("lossy_lab/of-best-0.5%", 1.0, 5),
    ("lossy_lab/of-best-1%", 1.0, 10),
    ("lossy_lab/of-best-2%", 1.0, 20),
];

/// Before anything counts
const WARM_UP: Duration = Duration::from_secs(2);

/// What an upload of the grid takes
const GRID: Duration = Duration::from_secs(5);

/// What an upload through a bottleneck takes, alone and beside another
const ALONE: Duration = Duration::from_secs(12);
const BESIDE: Duration = Duration::from_secs(20);

/// How long the kernel's was there before
const BEFORE: Duration = Duration::from_secs(10);

/// How often they are measured side by side
const TIMES: u32 = 3;
