//! The examination: its steps, their order, and the steps that are skipped

use std::time::Duration;

use tokio::time::Instant;

use super::{
    connect::{self, undialled},
    finding::{Finding, Step, Verdict},
    host::Host,
    inside,
    report::Report,
    target::Target,
};
use crate::{
    Client, ClientBuilder, ClientError, Tunnel, TunnelConfig, connect::network::Network,
    error::OpenError,
};

/// The plan of an examination
pub(super) struct Plan {
    pub(super) subject: Subject,
    pub(super) target: Option<Target>,
    pub(super) report: Report,
}

/// The subject of an examination
pub(super) enum Subject {
    /// A server, which is dialled
    Server(Box<Dial>),
    /// A tunnel that is up, and stays up
    Live(Tunnel),
}

impl Plan {
    pub(super) async fn examine(self: Box<Self>) {
        let Self { subject, target, report } = *self;
        match subject {
            Subject::Live(tunnel) => inside::examine(&tunnel, target.as_ref(), &report).await,
            Subject::Server(dial) => {
                if let Some(tunnel) = dial.tunnel(&report).await {
                    inside::examine(&tunnel, target.as_ref(), &report).await;
                    tunnel.close().await;
                }
            }
        }
    }
}

/// The configuration by which a server is dialled, and the network from which
pub(super) struct Dial {
    pub(super) config: TunnelConfig,
    /// The caller's, if there is one
    pub(super) client: Option<Client>,
    /// Of a client of the doctor's own
    pub(super) builder: ClientBuilder,
    pub(super) host: Host,
}

impl Dial {
    /// Examines all that is before the tunnel, and the connect; without a tunnel that is all
    async fn tunnel(self, report: &Report) -> Option<Tunnel> {
        let Self { config, client, builder, host } = self;
        if !configuration(&config, report).await {
            report.skip(after(Step::Configuration)).await;
            return None;
        }
        let network = builder.network();
        let client = raw_socket(client, builder, report).await;
        for finding in host.findings() {
            report.tell(finding).await;
        }
        let Some(client) = client else {
            without_raw_socket(network, &config, report).await;
            return None;
        };
        let tunnel = connect::connect(&client, &config, &host, report).await;
        if tunnel.is_none() {
            report.skip([Step::LargestPacket, Step::Target]).await;
        }
        tunnel
    }
}

async fn configuration(config: &TunnelConfig, report: &Report) -> bool {
    let step = Step::Configuration;
    let checked = config.check().map_err(undialled);
    let finding = match &checked {
        Ok(()) => Finding::new(step, Verdict::Passed, Duration::ZERO, "it can be dialled".into()),
        Err(error) => Finding::failure(step, Duration::ZERO, error),
    };
    report.tell(finding).await;
    checked.is_ok()
}

async fn raw_socket(
    client: Option<Client>,
    builder: ClientBuilder,
    report: &Report,
) -> Option<Client> {
    let began = Instant::now();
    let opened = client.map_or_else(|| builder.build(), Ok);
    let found = |verdict, seen| Finding::new(Step::RawSocket, verdict, began.elapsed(), seen);
    let finding = match &opened {
        Ok(client) => {
            let octets = client.stats().receive_buffer;
            found(Verdict::Passed, format!("open, with a receive buffer of {octets} octets"))
        }
        // no right helps where there is no such socket
        Err(error @ ClientError::Socket(OpenError::Unsupported)) => {
            found(Verdict::Failed, error.to_string())
        }
        Err(error @ ClientError::Socket(_)) => found(Verdict::Failed, error.to_string())
            .advise("run it as root, or grant the capability: setcap cap_net_raw+ep PROGRAM"),
        Err(error) => found(Verdict::Failed, error.to_string()),
    };
    report.tell(finding).await;
    opened.ok()
}

/// Examines what needs no raw socket: the name, TCP, the control connection and the call
async fn without_raw_socket(network: Network, config: &TunnelConfig, report: &Report) {
    let Ok(client) = Client::without_gre(network) else {
        return report.skip(after(Step::ReversePathFilter)).await;
    };
    connect::call(&client, config, report).await;
    for step in after(Step::Call) {
        report.tell(Finding::skipped(step, "needs the raw socket")).await;
    }
}

/// The steps behind this one
fn after(step: Step) -> impl Iterator<Item = Step> {
    Step::ALL.into_iter().filter(move |other| *other > step)
}
