//! Why a connection fails: looks at each layer in turn and says what it saw

mod connect;
mod finding;
mod host;
mod path;
mod target;

use std::{
    fmt,
    future::Future,
    net::Ipv4Addr,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use pptp_tunnel::TunnelError;
use tokio::{sync::mpsc, time::Instant};

use self::{connect::undialled, host::Host};
pub use self::{
    finding::{Finding, Step, Verdict},
    target::Target,
};
use crate::{Client, ClientError, State, Tunnel, TunnelConfig};

/// Connects as `config` says and tells what it finds on the way, from this machine to a device
///
/// A stream of [`Finding`]s as they come: the configuration, this machine, the server's name, TCP,
/// control connection, call, GRE in both directions, LCP, authentication, MPPE, addresses, the
/// largest packet that gets through, and what the caller named behind the tunnel. The first that
/// [failed](Verdict::Failed) names the layer at fault; what cannot be looked at because of it is
/// [skipped](Verdict::Skipped). It ends with a hang-up.
///
/// To be polled within a tokio runtime. Takes as long as the connect (10 s if GRE is blocked,
/// [`TunnelConfig::connect_timeout`] at most), 40 s for the largest packet, 15 s for the target and
/// 9 s for the hang-up, at most.
///
/// ```no_run
/// # use std::{future::poll_fn, pin::pin};
/// use futures_core::Stream;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = pptp::TunnelConfig::new("vpn.example.com", "testuser", "test123");
/// let mut doctor = pin!(pptp::doctor(config).target("tcp:192.168.1.3:80".parse()?));
/// while let Some(finding) = poll_fn(|cx| doctor.as_mut().poll_next(cx)).await {
///     println!("{finding}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping the stream hangs up.
pub fn doctor(config: TunnelConfig) -> Doctor {
    let (sender, findings) = mpsc::channel(FINDINGS);
    let host = Host::new("/");
    let plan = Plan { config, client: None, target: None, host, report: Report(sender) };
    Doctor { stage: Stage::Planned(Box::new(plan)), findings }
}

/// What [`doctor`] returns: a stream of findings
#[must_use = "a doctor that nobody asks does nothing"]
pub struct Doctor {
    stage: Stage,
    findings: mpsc::Receiver<Finding>,
}

impl Doctor {
    /// Uses this client instead of one of its own
    ///
    /// Before the stream is polled first, as with the other options.
    pub fn client(self, client: Client) -> Self {
        self.planned(|plan| plan.client = Some(client))
    }

    /// Looks at this, too, when the tunnel is up
    pub fn target(self, target: Target) -> Self {
        self.planned(|plan| plan.target = Some(target))
    }

    /// Takes `/proc` and `/sys` of this folder for those of this machine, as in tests
    pub fn host_root(self, folder: impl Into<PathBuf>) -> Self {
        self.planned(|plan| plan.host = Host::new(folder))
    }

    fn planned(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        if let Stage::Planned(plan) = &mut self.stage {
            change(plan);
        }
        self
    }

    /// Goes on with the examination, and says whether it is over
    fn poll_examination(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut examination = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Planned(plan) => Box::pin(plan.examine()) as Examination,
            Stage::UnderWay(examination) => examination,
            Stage::Over => return Poll::Ready(()),
        };
        let poll = examination.as_mut().poll(cx);
        if poll.is_pending() {
            self.stage = Stage::UnderWay(examination);
        }
        poll
    }
}

impl Stream for Doctor {
    type Item = Finding;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Finding>> {
        match self.findings.poll_recv(cx) {
            Poll::Ready(finding) => Poll::Ready(finding),
            Poll::Pending => {
                // whatever it tells, or that it has ended, is in the channel then
                let _ = self.poll_examination(cx);
                self.findings.poll_recv(cx)
            }
        }
    }
}

impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor").finish_non_exhaustive()
    }
}

enum Stage {
    Planned(Box<Plan>),
    UnderWay(Examination),
    Over,
}

type Examination = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where findings go
struct Report(mpsc::Sender<Finding>);

impl Report {
    async fn tell(&self, finding: Finding) {
        // nobody listens any more when the doctor itself is gone, and this future with it
        let _ = self.0.send(finding).await;
    }

    /// Nothing of these steps could be looked at
    async fn skip(&self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            self.tell(Finding::not_reached(step)).await;
        }
    }
}

/// What is to be examined
struct Plan {
    config: TunnelConfig,
    client: Option<Client>,
    target: Option<Target>,
    host: Host,
    report: Report,
}

impl Plan {
    async fn examine(mut self: Box<Self>) {
        if !self.configuration().await {
            return self.report.skip(after(Step::Configuration)).await;
        }
        let client = self.raw_socket().await;
        for finding in self.host.findings() {
            self.report.tell(finding).await;
        }
        let Some(client) = client else {
            return self.report.skip(after(Step::ReversePathFilter)).await;
        };
        match connect::connect(&client, &self.config, &self.host, &self.report).await {
            Ok(tunnel) => self.inside(&tunnel).await,
            Err(()) => self.report.skip([Step::LargestPacket, Step::Target]).await,
        }
    }

    async fn configuration(&self) -> bool {
        let step = Step::Configuration;
        let checked = self.config.check().map_err(undialled);
        let finding = match &checked {
            Ok(()) => {
                Finding::new(step, Verdict::Passed, Duration::ZERO, "it can be dialled".into())
            }
            Err(error) => Finding::failure(step, Duration::ZERO, error),
        };
        self.report.tell(finding).await;
        checked.is_ok()
    }

    async fn raw_socket(&mut self) -> Option<Client> {
        let began = Instant::now();
        let opened = self.client.take().map_or_else(Client::new, Ok);
        let found = |verdict, seen| Finding::new(Step::RawSocket, verdict, began.elapsed(), seen);
        let finding = match &opened {
            Ok(client) => {
                let octets = client.stats().receive_buffer;
                found(Verdict::Passed, format!("open, with a receive buffer of {octets} octets"))
            }
            Err(error @ ClientError::Socket(_)) => found(Verdict::Failed, error.to_string())
                .advise("run it as root, or grant the capability: setcap cap_net_raw+ep PROGRAM"),
            Err(error) => found(Verdict::Failed, error.to_string()),
        };
        self.report.tell(finding).await;
        opened.ok()
    }

    /// Looks at what is behind the tunnel, and hangs up
    async fn inside(&self, tunnel: &Tunnel) {
        let finding = path::largest_packet(tunnel, &self.candidates(tunnel)).await;
        if let Some(reason) = ended(tunnel) {
            self.report.tell(lost(&reason, finding.took)).await;
            return self.report.skip([Step::LargestPacket, Step::Target]).await;
        }
        self.report.tell(finding).await;
        let finding = match &self.target {
            Some(target) => target.examine(tunnel).await,
            None => Finding::skipped(Step::Target, "none was named"),
        };
        match ended(tunnel) {
            Some(reason) => {
                self.report.tell(lost(&reason, finding.took)).await;
                self.report.skip([Step::Target]).await;
            }
            None => self.report.tell(finding).await,
        }
        tunnel.close().await;
    }

    /// Who may answer a ping, the likeliest first
    fn candidates(&self, tunnel: &Tunnel) -> Vec<Ipv4Addr> {
        let info = tunnel.info();
        let target = self.target.as_ref().and_then(Target::address);
        let mut candidates = Vec::new();
        for address in target.into_iter().chain(info.peer_address).chain(info.dns.iter().copied()) {
            if !candidates.contains(&address) {
                candidates.push(address);
            }
        }
        candidates
    }
}

/// The steps behind this one
fn after(step: Step) -> impl Iterator<Item = Step> {
    Step::ALL.into_iter().filter(move |other| *other > step)
}

fn ended(tunnel: &Tunnel) -> Option<TunnelError> {
    match &*tunnel.state().borrow() {
        State::Down { reason } => Some(reason.clone()),
        _ => None,
    }
}

/// The tunnel was lost while what is behind it was looked at
fn lost(reason: &TunnelError, took: Duration) -> Finding {
    Finding::failure(Step::of_error(reason), took, reason)
}

/// More than there are steps: nothing waits for a reader that is busy
const FINDINGS: usize = 64;
