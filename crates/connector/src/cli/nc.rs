//! Standard input and output, connected to a host behind a site: `nc`

use std::path::Path;

use clap::Args;
use pptp_fleet::SiteName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy};

use super::{
    client::{Daemon, Failure, Terminal},
    exit::Exit,
};
use crate::target::Target;

/// The arguments of `nc`
#[derive(Debug, Clone, Args)]
pub struct NcArguments {
    /// The site
    site: SiteName,
    /// The host and port behind it
    #[arg(value_name = "HOST:PORT")]
    to: Target,
}

/// Connects an input and an output with a host behind a site, until the host closes
///
/// For ssh: `-o ProxyCommand='pptp-connector nc b17 %h:%p'`.
pub async fn nc(
    socket: &Path,
    arguments: &NcArguments,
    (input, output): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    terminal: &mut Terminal,
) -> Exit {
    let outcome = pass(socket, arguments, input, output).await;
    terminal.finish(outcome)
}

async fn pass(
    socket: &Path,
    arguments: &NcArguments,
    mut input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> Result<Exit, Failure> {
    let stream = Daemon::new(socket).tcp(&arguments.site, &arguments.to).await?;
    let (mut from_host, mut to_host) = tokio::io::split(stream);
    let sending = async {
        let sent = copy(&mut input, &mut to_host).await;
        // the end of the input is told; what the host still says is awaited
        let _ = to_host.shutdown().await;
        sent
    };
    let receiving = async {
        let received = copy(&mut from_host, &mut output).await;
        output.flush().await.and(received)
    };
    tokio::pin!(sending, receiving);
    let mut is_sending = true;
    loop {
        tokio::select! {
            biased;
            received = &mut receiving => {
                let broken = |error| Failure::new(Exit::Program, format!("the connection broke: {error}"));
                return received.map(|_| Exit::Success).map_err(broken);
            }
            _ = &mut sending, if is_sending => is_sending = false,
        }
    }
}
