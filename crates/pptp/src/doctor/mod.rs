//! The doctor, which examines each layer in turn, and finds out why a connection fails
//!
//! | module | content |
//! |---|---|
//! | `plan` | the examination: its steps, their order, and the steps that are skipped |
//! | `finding` | [`Finding`], [`Step`] and [`Verdict`]: one result |
//! | `report` | the way of the findings to their reader |
//! | `host` | the obstacles on this machine, as its kernel tells them in files |
//! | `connect` | the connect, followed step by step |
//! | `progress` | the steps of a connect that are through, and their times |
//! | `sight` | the visible part of a connect, in words |
//! | `inside` | the checks behind a tunnel that is up |
//! | `path` | the largest packet that gets through, found with pings |
//! | `target` | [`Target`]: the targets behind a tunnel, and how they are reached |
//! | `answer` | questions to a target over UDP, and their answers |
//! | `knx` | the question to a KNXnet/IP device |

mod answer;
mod connect;
mod finding;
mod host;
mod inside;
mod knx;
mod path;
mod plan;
mod progress;
mod report;
mod sight;
mod target;

use std::{
    fmt,
    future::{Future, poll_fn},
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::mpsc;

pub use self::{
    finding::{Finding, Step, Verdict},
    target::Target,
};
use self::{
    host::Host,
    plan::{Dial, Plan, Subject},
    report::Report,
};
use crate::{Client, ClientBuilder, Tunnel, TunnelConfig};

/// Connects as `config` says and tells what it finds on the way, from this machine to a device
///
/// A stream of [`Finding`]s as they come: the configuration, this machine, the server's name, TCP,
/// control connection, call, GRE in both directions, LCP, authentication, MPPE, addresses, the
/// largest packet that gets through, and what the caller named behind the tunnel. The first that
/// [failed](Verdict::Failed) names the layer at fault; what cannot be looked at because of it is
/// [skipped](Verdict::Skipped). It ends with a hang-up.
///
/// Without the right to a raw socket it still looks at the name, TCP, the control connection and the
/// call, and skips only what needs that socket. [`Tunnel::doctor`] examines a tunnel that is up.
///
/// To be polled within a tokio runtime. Takes as long as the connect (10 s if GRE is blocked,
/// [`TunnelConfig::connect_timeout`] at most), 40 s for the largest packet, 24 s for the target and
/// 9 s for the hang-up, at most.
///
/// ```no_run
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = pptp::TunnelConfig::new("vpn.example.com", "testuser", "test123");
/// let mut doctor = pptp::doctor(config).target("tcp:192.168.1.3:80".parse()?);
/// while let Some(finding) = doctor.next().await {
///     println!("{finding}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping the stream hangs up.
pub fn doctor(config: TunnelConfig) -> Doctor {
    let dial = Dial { config, client: None, builder: Client::builder(), host: Host::new("/") };
    Doctor::new(Subject::Server(Box::new(dial)))
}

impl Tunnel {
    /// Examines this tunnel: the largest packet that gets through, and `target` if one is named
    ///
    /// The findings are of the steps [`Step::LargestPacket`] and [`Step::Target`]. The tunnel stays up
    /// afterwards; the doctor holds it like any other handle until it is over. If the tunnel ends
    /// meanwhile, or has ended, a finding [fails](Verdict::Failed) with the reason, at the step of its
    /// layer: at [`Step::Encryption`] for a tunnel through which nothing passes.
    ///
    /// The pings and questions, fewer than 100 packets, pass beside everything else. Takes at most 40 s
    /// for the largest packet and 24 s for the target.
    ///
    /// ```no_run
    /// # async fn example(tunnel: pptp::Tunnel) -> Result<(), &'static str> {
    /// let target: pptp::doctor::Target = "knx:192.168.1.3".parse()?;
    /// let mut doctor = tunnel.doctor(target);
    /// while let Some(finding) = doctor.next().await {
    ///     println!("{finding}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the doctor ends the examination, and leaves the tunnel up.
    pub fn doctor(&self, target: impl Into<Option<Target>>) -> Doctor {
        let mut doctor = Doctor::new(Subject::Live(self.clone()));
        if let Stage::Planned(plan) = &mut doctor.stage {
            plan.target = target.into();
        }
        doctor
    }
}

/// A stream of findings, from [`doctor`] or [`Tunnel::doctor`]
#[must_use = "a doctor that nobody asks does nothing"]
pub struct Doctor {
    stage: Stage,
    findings: mpsc::Receiver<Finding>,
}

impl Doctor {
    fn new(subject: Subject) -> Self {
        let (sender, findings) = mpsc::channel(MAX_FINDINGS);
        let plan = Plan { subject, target: None, report: Report::new(sender) };
        Self { stage: Stage::Planned(Box::new(plan)), findings }
    }

    /// Uses this client instead of one of its own
    ///
    /// Before the first finding, as with the other options. Means nothing to the doctor of a tunnel that is
    /// up.
    pub fn client(self, client: Client) -> Self {
        self.dial(|dial| dial.client = Some(client))
    }

    /// Opens a client of its own with these options: another device, a socket that was handed over
    ///
    /// A raw socket that cannot be opened is a finding, which a client that is given by
    /// [`client`](Self::client) cannot have. Means nothing to the doctor of a tunnel that is up.
    pub fn client_options(self, builder: ClientBuilder) -> Self {
        self.dial(|dial| dial.builder = builder)
    }

    /// Looks at this, too, when the tunnel is up
    pub fn target(self, target: Target) -> Self {
        self.planned(|plan| plan.target = Some(target))
    }

    /// Takes `/proc` and `/sys` of this folder for those of this machine, as in tests
    pub fn host_root(self, folder: impl Into<PathBuf>) -> Self {
        self.dial(|dial| dial.host = Host::new(folder))
    }

    /// Waits for the next finding; `None` behind the last one
    ///
    /// The examination goes on only while somebody waits here, or polls the stream.
    ///
    /// # Cancel safety
    /// Nothing is lost: the next call goes on where this one was.
    pub async fn next(&mut self) -> Option<Finding> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn planned(mut self, change: impl FnOnce(&mut Plan)) -> Self {
        if let Stage::Planned(plan) = &mut self.stage {
            change(plan);
        }
        self
    }

    fn dial(self, change: impl FnOnce(&mut Dial)) -> Self {
        self.planned(|plan| {
            if let Subject::Server(dial) = &mut plan.subject {
                change(dial);
            }
        })
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

/// More than there are steps: nothing waits for a reader that is busy
const MAX_FINDINGS: usize = 64;
