//! In the lab's second guest: what the connector and pptp-linux do with the same pptpd in the first

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use pptp_testkit::DEVICE;

use super::{
    client::{Client, Told, Way, rounds},
    cost, inside,
    measure::{Measure, Sample},
    need,
    scene::{ROUNDS, Scene},
    user::Ports,
};

/// Starts a lab, measures in its second guest, and takes it down
pub(super) fn measure(connector: &Path) -> io::Result<Vec<Sample>> {
    need::root()?;
    need::programs(&["linux.uml", "pppd", "pptpd", "pptp", "python3", "ip", "socat"])?;
    let lab = Lab::up()?;
    let mut guest = lab.guest(&[&env::current_exe()?, Path::new("in-guest"), connector])?;
    let lines = guest.stdout.take().into_iter().flat_map(|output| BufReader::new(output).lines());
    let mut heard = Heard::default();
    for line in lines {
        heard.line(line?.trim_end())?;
    }
    guest.wait()?;
    let samples = heard.samples()?;
    // a line that the guest's kernel wrote into is none
    let all = CLIENTS * ROUNDS * Measure::ALL.len();
    let some = || io::Error::other(format!("{} figures instead of {all}", samples.len()));
    if samples.len() == all { Ok(samples) } else { Err(some()) }
}

/// Measures all clients, in the guest, and prints what the host reads of it
///
/// # Errors
/// If a client does not connect, a transfer breaks, or what arrived is wrong.
pub fn in_guest(connector: &Path) -> io::Result<()> {
    let clients: &mut [_; CLIENTS] =
        &mut [Client::connector(connector, SERVER), library()?, pptp_linux()];
    rounds(clients, &mut |told| match told {
        Told::Begins => println!("{MARK}{BEGINS}"),
        Told::Ends(busy) => println!("{MARK}{ENDS}\t{}", busy.as_secs_f64()),
        Told::Figure(client, measure, value) => {
            println!("{MARK}{client}\t{}\t{value}", measure.name());
        }
    })?;
    println!("{MARK}{COMPLETE}");
    Ok(())
}

/// What the guest has printed so far
///
/// The guest counts its processor time in ticks of a clock that goes on while another process has the
/// processor of the host. So what it says is a share, and the host says of how much.
#[derive(Debug, Default)]
struct Heard {
    samples: Vec<Sample>,
    complete: bool,
    /// The host's processor time for the guest when a transfer began
    begin: Duration,
    /// The host's seconds for one of the guest's, in the last transfer
    scale: f64,
    /// All else, for the report of a failure
    rest: Vec<String>,
}

impl Heard {
    fn line(&mut self, line: &str) -> io::Result<()> {
        let Some(line) = line.strip_prefix(MARK) else {
            self.rest.push(line.into());
            return Ok(());
        };
        match line.split('\t').collect::<Vec<_>>()[..] {
            [COMPLETE] => self.complete = true,
            [BEGINS] => self.begin = cpu_of_guest()?,
            [ENDS, busy] => self.end(busy.parse().map_err(io::Error::other)?)?,
            [client, measure, value] => self.figure(client, measure, value),
            _ => self.rest.push(line.into()),
        }
        Ok(())
    }

    fn end(&mut self, busy: f64) -> io::Result<()> {
        let spent = cpu_of_guest()?.saturating_sub(self.begin);
        self.scale = spent.as_secs_f64() / busy;
        Ok(())
    }

    fn figure(&mut self, client: &str, measure: &str, value: &str) {
        let (Ok(measure), Ok(value)) = (measure.parse::<Measure>(), value.parse::<f64>()) else {
            return self.rest.push(format!("{client}: {measure} {value}"));
        };
        let value = if measure.is_cpu() { value * self.scale } else { value };
        self.samples.push(Sample { scene: Scene::Guest, client: client.into(), measure, value });
    }

    fn samples(self) -> io::Result<Vec<Sample>> {
        if self.complete {
            return Ok(self.samples);
        }
        let tail = self.rest[self.rest.len().saturating_sub(20)..].join("\n");
        Err(io::Error::other(format!("the guest did not measure to the end:\n{tail}")))
    }
}

/// What the host has spent for the second guest
fn cpu_of_guest() -> io::Result<Duration> {
    let id = fs::read_to_string(Path::new("/run").join(NAME).join("pid2"))?;
    cost::cpu_of_session(id.trim().parse().map_err(io::Error::other)?)
}

fn pptp_linux() -> Client {
    let pty = format!("pptp {SERVER} --nolaunchpppd");
    let mut command = Command::new("pppd");
    command.args(["pty", &pty]).args(PPPD.split(' '));
    let device = |port| SocketAddr::from((DEVICE, port));
    let way = Way::Ports(Ports { echo: device(7), http: device(80) });
    Client {
        name: "pptp-linux + pppd",
        command,
        processes: &["pppd", "pptp", "pptpgw", "pptpcm"],
        up: Some("local  IP address"),
        way,
    }
}

fn library() -> io::Result<Client> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("inside").arg(SERVER.to_string());
    Ok(Client {
        name: "library",
        command,
        processes: &[inside::NAME],
        up: Some(inside::UP),
        way: Way::Inside,
    })
}

/// A lab of this bench's own; taken down when dropped
struct Lab(PathBuf);

impl Lab {
    fn up() -> io::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/interop/lab");
        let lab = Self(folder.canonicalize()?);
        let _ = lab.command("down").output()?;
        succeed(&lab.command("up").args(["-n", "1", "-t", LIFE]).output()?)?;
        Ok(lab)
    }

    /// Starts a program in the second guest
    fn guest(&self, words: &[&Path]) -> io::Result<Child> {
        let script = self.0.join("peer-program");
        // both of its outputs together, for the report of a failure
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 2>&1", "timeout", LIFE]);
        command.arg(self.0.join("lab")).arg("guest").arg(script).args(words);
        command.env("LAB_NAME", NAME).stdout(Stdio::piped()).spawn()
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(self.0.join("lab"));
        command.env("LAB_NAME", NAME).arg(verb);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.command("down").output();
    }
}

fn succeed(output: &Output) -> io::Result<()> {
    let said = || io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned());
    if output.status.success() { Ok(()) } else { Err(said()) }
}

/// What tells our lines from the kernel's
const MARK: &str = "side-by-side\t";
const BEGINS: &str = "begins";
const ENDS: &str = "ends";
const COMPLETE: &str = "complete";
const CLIENTS: usize = 3;
const NAME: &str = "pptp-side";
/// Seconds for all of it, at most; it takes three minutes on a quiet machine
const LIFE: &str = "480";
/// Building 1
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 11);
const PPPD: &str = "noauth nobsdcomp nodeflate novj noipv6 name testuser remotename target \
    require-mppe-128 nodetach defaultroute";

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(lines: &[&str]) -> Heard {
        let mut heard = Heard { scale: 0.5, ..Heard::default() };
        for line in lines {
            heard.line(line).unwrap();
        }
        heard
    }

    #[test]
    fn a_processor_time_is_a_share_of_the_hosts() {
        let lines =
            ["side-by-side\tpptp-linux + pppd\tcpu-upload\t12", "side-by-side\tb\tupload\t12"];
        let heard = hear(&[&lines[..], &["side-by-side\tcomplete"]].concat());
        let samples = heard.samples().unwrap();
        let figures: Vec<_> =
            samples.iter().map(|sample| (&*sample.client, sample.value)).collect();
        assert_eq!(figures, [("pptp-linux + pppd", 6.0), ("b", 12.0)]);
        assert_eq!(samples[0].measure, Measure::CpuUpload);
    }

    #[test]
    fn a_guest_that_did_not_end_is_an_error_with_its_last_words() {
        let heard = hear(&["side-by-side\tb\tupload\t12", "pppd: no such device"]);
        assert!(heard.samples().unwrap_err().to_string().ends_with("pppd: no such device"));
    }
}
