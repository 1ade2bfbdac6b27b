use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader, Lines, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use pptp_testkit::{DEVICE, content::LENGTH};

use super::{
    cost, inside,
    measure::Measure,
    scene::ROUNDS,
    user::{Direction, Ports, wrong},
};

/// A program that gives access to a building
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: &'static str,
    pub(super) command: Command,
    /// The names of all the processes that it consists of
    pub(super) processes: &'static [&'static str],
    /// What a line of its output holds that says the tunnel is up, if it says so
    pub(super) up: Option<&'static str>,
    pub(super) way: Way,
}

/// How its user gets into the building
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// Through sockets of the kernel
    Ports(Ports),
    /// The user is a part of the program: [`inside`](mod@super::inside)
    Inside,
}

impl Client {
    /// Our example, with a local port for each of two of the device's
    pub(super) fn connector(program: &Path, server: Ipv4Addr) -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (echo, http) = (local(8007), local(8080));
        let mut command = Command::new(program);
        command.args(["--user", "testuser", "--password", "test123"]);
        command.args(["--site", &format!("b1={server}")]);
        command.args(["--forward", &format!("tcp:{echo}=b1:{DEVICE}:7")]);
        command.args(["--forward", &format!("tcp:{http}=b1:{DEVICE}:80")]);
        let way = Way::Ports(Ports { echo, http });
        let up = Some("connected in");
        Self { name: "connector", command, processes: &["connector"], up, way }
    }
}

/// What is told while the clients take their turns
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    /// A transfer begins
    Begins,
    /// It has ended, and the machine has been busy for so long by its own clock
    Ends(Duration),
    /// This was measured of that client
    Figure(&'static str, Measure, f64),
}

/// Lets all clients take their turns
pub(super) fn rounds(clients: &mut [Client], tell: &mut dyn FnMut(Told)) -> io::Result<()> {
    for _ in 0..ROUNDS {
        for client in &mut *clients {
            let name = client.name;
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
            client.turn(tell).map_err(named)?;
        }
    }
    Ok(())
}

impl Client {
    /// Connects, moves octets each way, ends
    fn turn(&mut self, tell: &mut dyn FnMut(Told)) -> io::Result<()> {
        let name = self.name;
        let mut running = self.connect(tell)?;
        sleep(SETTLED);
        let memory = cost::private_memory(&running.processes()?)?;
        tell(Told::Figure(name, Measure::MemoryConnected, memory.clean + memory.dirty));
        for direction in [Direction::Download, Direction::Upload] {
            for (measure, value) in running.load(direction, tell)? {
                tell(Told::Figure(name, measure, value));
            }
        }
        let processes = running.processes()?;
        let (memory, peak) = (cost::private_memory(&processes)?, cost::peak_memory(&processes)?);
        tell(Told::Figure(name, Measure::MemoryAfter, memory.clean + memory.dirty));
        tell(Told::Figure(name, Measure::MemoryWritten, memory.dirty));
        tell(Told::Figure(name, Measure::MemoryPeak, peak));
        running.end()
    }

    /// Starts the program and waits until the building has answered
    fn connect(&mut self, tell: &mut dyn FnMut(Told)) -> io::Result<Running> {
        let begin = Instant::now();
        let millis = || begin.elapsed().as_secs_f64() * 1e3;
        let mut running = Running::start(&mut self.command, self.processes, self.way)?;
        if let Some(up) = self.up {
            running.hear(up)?;
            tell(Told::Figure(self.name, Measure::Up, millis()));
        }
        running.await_answer()?;
        tell(Told::Figure(self.name, Measure::Connect, millis()));
        Ok(running)
    }
}

/// A started [`Client`]; killed when dropped
struct Running {
    child: Child,
    names: &'static [&'static str],
    way: Way,
    orders: Option<ChildStdin>,
    answers: Option<Lines<BufReader<ChildStdout>>>,
}

impl Running {
    fn start(command: &mut Command, names: &'static [&'static str], way: Way) -> io::Result<Self> {
        let input = if matches!(way, Way::Inside) { Stdio::piped() } else { Stdio::null() };
        let mut child = command.stdin(input).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().map(|answers| BufReader::new(answers).lines());
        Ok(Self { child, names, way, orders, answers })
    }

    fn await_answer(&mut self) -> io::Result<()> {
        match self.way {
            Way::Ports(ports) => ports.await_answer(),
            Way::Inside => self.hear(inside::DONE),
        }
    }

    fn transfer(&mut self, direction: Direction) -> io::Result<()> {
        let order = match (self.way, direction) {
            (Way::Ports(ports), _) => return ports.transfer(direction),
            (Way::Inside, Direction::Download) => inside::DOWNLOAD,
            (Way::Inside, Direction::Upload) => inside::UPLOAD,
        };
        if let Some(orders) = &mut self.orders {
            writeln!(orders, "{order}")?;
        }
        self.hear(inside::DONE)
    }

    /// Waits for a line of the program's output with these words
    fn hear(&mut self, words: &str) -> io::Result<()> {
        let lines = self.answers.iter_mut().flatten();
        for line in lines {
            if line?.contains(words) {
                return Ok(());
            }
        }
        Err(wrong(&format!("it ended without having said {words:?}")))
    }

    /// Transfers one after another, for as long as [`LOAD`]
    fn load(
        &mut self,
        direction: Direction,
        tell: &mut dyn FnMut(Told),
    ) -> io::Result<[(Measure, f64); 3]> {
        let processes = self.processes()?;
        tell(Told::Begins);
        let (begin, cpu, machine) = (Instant::now(), cost::cpu(&processes)?, cost::machine()?);
        let mut octets = 0.0;
        while octets == 0.0 || begin.elapsed() < LOAD {
            self.transfer(direction)?;
            octets += f64::from(u32::try_from(LENGTH).unwrap_or(u32::MAX));
        }
        let rate = octets * 8e-6 / begin.elapsed().as_secs_f64();
        let cpu = cost::cpu(&processes)?.saturating_sub(cpu);
        let machine = cost::machine()?.saturating_sub(machine);
        tell(Told::Ends(machine));
        let [of_rate, of_cpu, of_machine] = match direction {
            Direction::Download => {
                [Measure::Download, Measure::CpuDownload, Measure::GuestDownload]
            }
            Direction::Upload => [Measure::Upload, Measure::CpuUpload, Measure::GuestUpload],
        };
        let each = |time: Duration| time.as_secs_f64() * 1e8 / octets;
        Ok([(of_rate, rate), (of_cpu, each(cpu)), (of_machine, each(machine))])
    }

    /// All processes that the client consists of
    fn processes(&self) -> io::Result<BTreeSet<u32>> {
        let found = cost::processes(self.names)?;
        if found.is_empty() { Err(wrong("it has no processes of these names")) } else { Ok(found) }
    }

    /// Asks the program to end, and waits until nothing of it is left
    fn end(mut self) -> io::Result<()> {
        match self.orders.take() {
            Some(orders) => drop(orders),
            None => self.terminate()?,
        }
        self.child.wait()?;
        let begin = Instant::now();
        while !cost::processes(self.names)?.is_empty() {
            if begin.elapsed() > ENDED {
                return Err(wrong("some of its processes do not end"));
            }
            sleep(SETTLED / 10);
        }
        sleep(SETTLED);
        Ok(())
    }

    fn terminate(&self) -> io::Result<()> {
        let id = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        Ok(kill(Pid::from_raw(id), Signal::SIGTERM)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long octets are moved one way, and until the transfer under way is done
const LOAD: Duration = Duration::from_secs(2);
/// After it nothing of a connect, or of the hang-up at the server, is left to do
const SETTLED: Duration = Duration::from_secs(1);
/// All processes of a client have ended
const ENDED: Duration = Duration::from_secs(10);
