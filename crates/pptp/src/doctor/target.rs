//! The targets behind a tunnel, and how they are reached

use std::{fmt, io, net::Ipv4Addr, str::FromStr, time::Duration};

use tokio::time::{Instant, timeout};

use super::{
    answer::{Answer, MAX_TRIES, REPLY_TIMEOUT, exchange},
    finding::{Finding, Step, Verdict},
    knx,
};
use crate::Tunnel;

/// Something behind the tunnel that is to be reached
///
/// Read from `tcp:HOST:PORT`, `udp:HOST:PORT`, `udp:HOST:PORT=TEXT`, `ping:HOST`, `knx:HOST` or
/// `knx:HOST:PORT`; the host is an IPv4 address, or a name that the remote network's DNS servers know.
///
/// ```
/// use pptp::doctor::Target;
///
/// let target: Target = "tcp:192.168.1.3:502".parse()?;
/// assert_eq!(target, Target::Tcp { host: "192.168.1.3".into(), port: 502 });
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A TCP port that accepts
    Tcp {
        /// Address or name
        host: String,
        /// Port
        port: u16,
    },
    /// A UDP port that answers
    Udp {
        /// Address or name
        host: String,
        /// Port
        port: u16,
        /// The octets to send; if there are none, silence is no failure
        payload: Vec<u8>,
    },
    /// A host that answers an ICMP echo request
    Ping {
        /// Address or name
        host: String,
    },
    /// A KNXnet/IP server that describes itself
    ///
    /// Asked with our inner address first, and then with "route back" (0.0.0.0:0), since some devices answer
    /// only one of the two.
    Knx {
        /// Address or name
        host: String,
        /// Port, usually 3671
        port: u16,
    },
}

impl Target {
    /// Tries to reach it through a tunnel, and tells in words what it answered
    ///
    /// It looks at nothing else, unlike [`Tunnel::doctor`]. A ping and a question over UDP are sent twice at most, 2 s
    /// apart; a KNXnet/IP server is asked once in each way. So it takes 4 s at most, but 10 s for a TCP port that is
    /// silent, and the time to look up a name.
    ///
    /// ```no_run
    /// # async fn example(tunnel: pptp::Tunnel) -> Result<(), Box<dyn std::error::Error>> {
    /// let target: pptp::doctor::Target = "knx:192.168.1.3".parse()?;
    /// println!("{target} {}", target.reach(&tunnel).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Tunnel::tcp_connect`]; `TimedOut` if nothing answers, also where UDP is free to be silent; `InvalidData` if
    /// something else than KNXnet/IP answers.
    ///
    /// # Cancel safety
    /// An answer that comes later is ignored.
    pub async fn reach(&self, tunnel: &Tunnel) -> io::Result<String> {
        let tries = if matches!(self, Self::Knx { .. }) { 1 } else { MAX_TRIES };
        Ok(self.answer(tunnel, tries).await?.seen)
    }

    /// Its address, if it is one
    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        self.host().parse().ok()
    }

    fn host(&self) -> &str {
        match self {
            Self::Tcp { host, .. }
            | Self::Udp { host, .. }
            | Self::Ping { host }
            | Self::Knx { host, .. } => host,
        }
    }

    /// Tries to reach it, for 15 s at most
    pub(super) async fn examine(&self, tunnel: &Tunnel) -> Finding {
        let (began, fragments_before) = (Instant::now(), fragments(tunnel));
        let answer = timeout(MAX_TIME, self.answer(tunnel, MAX_TRIES)).await;
        let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let found = |verdict, seen| Finding::new(Step::Target, verdict, began.elapsed(), seen);
        match answer {
            Ok(Answer { seen, advice: None }) => found(Verdict::Passed, format!("{self} {seen}")),
            Ok(Answer { seen, advice: Some(advice) }) => {
                found(Verdict::Warned, format!("{self} {seen}")).advise(advice)
            }
            Err(error)
                if error.kind() == io::ErrorKind::TimedOut
                    && fragments(tunnel) > fragments_before =>
            {
                let count = fragments(tunnel).saturating_sub(fragments_before);
                let seen = format!("{self}: {error}; {count} fragments came, but no whole answer");
                found(Verdict::Failed, seen).advise(
                    "its answers are larger than the tunnel's MTU, and parts of them are lost on the \
                     way: ask it for less at a time, or let large packets pass",
                )
            }
            Err(error) if self.is_allowed_to_be_silent(&error) => {
                let seen = format!("{self} neither answers nor refuses, which UDP is free to do");
                found(Verdict::Warned, seen)
                    .advise("name a text that it answers: udp:HOST:PORT=TEXT")
            }
            Err(error) => found(Verdict::Failed, format!("{self}: {error}")).advise(advice(&error)),
        }
    }

    /// Asks it; each question is sent `tries` times at most
    async fn answer(&self, tunnel: &Tunnel, tries: u8) -> io::Result<Answer> {
        match self {
            Self::Tcp { host, port } => connect(tunnel, host, *port).await,
            Self::Udp { host, port, payload } => ask(tunnel, (host, *port), payload, tries).await,
            Self::Ping { host } => ping(tunnel, host, tries).await,
            Self::Knx { host, port } => knx::describe(tunnel, host, *port, tries).await,
        }
    }

    fn is_allowed_to_be_silent(&self, error: &io::Error) -> bool {
        matches!(self, Self::Udp { payload, .. } if payload.is_empty())
            && error.kind() == io::ErrorKind::TimedOut
    }
}

/// IP fragments that came in so far
fn fragments(tunnel: &Tunnel) -> u64 {
    tunnel.stats().stack.map_or(0, |stack| stack.fragments_in)
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, rest) = text.split_once(':').ok_or(TARGET_FORM)?;
        let target = match kind {
            "tcp" => {
                let (host, port) = host_and_port(rest)?;
                Self::Tcp { host, port }
            }
            "udp" => {
                let (place, payload) = rest.split_once('=').unwrap_or((rest, ""));
                let (host, port) = host_and_port(place)?;
                Self::Udp { host, port, payload: payload.into() }
            }
            "ping" => Self::Ping { host: rest.into() },
            "knx" if rest.contains(':') => {
                let (host, port) = host_and_port(rest)?;
                Self::Knx { host, port }
            }
            "knx" => Self::Knx { host: rest.into(), port: KNX_PORT },
            _ => return Err(TARGET_FORM),
        };
        let host = target.host();
        let usable = !host.is_empty() && !host.contains([':', '[', ' ', '/']);
        if usable { Ok(target) } else { Err(TARGET_FORM) }
    }
}

/// As it is read
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Self::Udp { host, port, .. } => write!(f, "udp:{host}:{port}"),
            Self::Ping { host } => write!(f, "ping:{host}"),
            Self::Knx { host, port } => write!(f, "knx:{host}:{port}"),
        }
    }
}

const TARGET_FORM: &str =
    "tcp:HOST:PORT, udp:HOST:PORT, udp:HOST:PORT=TEXT, ping:HOST or knx:HOST[:PORT] is wanted";

fn host_and_port(text: &str) -> Result<(String, u16), &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or(TARGET_FORM)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or(TARGET_FORM)?;
    Ok((host.into(), port))
}

async fn connect(tunnel: &Tunnel, host: &str, port: u16) -> io::Result<Answer> {
    tunnel.tcp_connect((host, port)).await.map(|_| "accepts".to_owned().into())
}

async fn ask(tunnel: &Tunnel, place: (&str, u16), payload: &[u8], tries: u8) -> io::Result<Answer> {
    let socket = tunnel.udp_bind(0)?;
    socket.connect(place).await?;
    let answer = exchange(&socket, payload, tries).await?;
    Ok(format!("answers with {} octets", answer.len()).into())
}

async fn ping(tunnel: &Tunnel, host: &str, tries: u8) -> io::Result<Answer> {
    let address = match host.parse() {
        Ok(address) => address,
        Err(_) => *tunnel.lookup_host(host).await?.first().ok_or(io::ErrorKind::NotFound)?,
    };
    let mut last = io::ErrorKind::TimedOut.into();
    for _ in 0..tries {
        match tunnel.ping(address, REPLY_TIMEOUT).await {
            Ok(took) => return Ok(format!("answers after {} ms", took.as_millis()).into()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "the host is there: is the service on, and on this port?"
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            "the remote router knows no such host: check the address, and whether it is switched on"
        }
        io::ErrorKind::TimedOut => {
            "is it switched on, and does it send its answers by way of the PPTP server?"
        }
        io::ErrorKind::NotFound => "the remote network's DNS servers do not know this name",
        io::ErrorKind::InvalidData => "something else than KNXnet/IP answers on this port",
        _ => "look into the device's own settings",
    }
}

/// Of a name that has many addresses, none of which answers
const MAX_TIME: Duration = Duration::from_secs(15);
/// The port of KNXnet/IP
const KNX_PORT: u16 = 3671;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_written() {
        for text in ["tcp:192.168.1.3:80", "udp:knx.lan:7", "ping:192.168.1.3", "knx:knx.lan:3671"]
        {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        let payload = b"a=b".to_vec();
        let udp = Target::Udp { host: "192.168.1.3".into(), port: 7, payload };
        assert_eq!("udp:192.168.1.3:7=a=b".parse(), Ok(udp));
        let knx = Target::Knx { host: "192.168.1.3".into(), port: 3671 };
        assert_eq!("knx:192.168.1.3".parse(), Ok(knx));
        let wrong =
            ["", "tcp", "tcp:", "tcp:host", "tcp::80", "tcp:host:0", "ping:", "ping:a b", "knx:"];
        for text in wrong.into_iter().chain(["http:host:80", "tcp:::1:80", "ping:10.0.0.0/8"]) {
            assert_eq!(text.parse::<Target>(), Err(TARGET_FORM), "{text:?}");
        }
    }
}
