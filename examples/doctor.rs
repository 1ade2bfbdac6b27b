//! Why a PPTP connection fails: looks at each layer, from this machine to a device behind the tunnel
//!
//!     cargo run --release --example doctor -- --server vpn.example.com --user testuser --password test123 \
//!         --target knx:192.168.1.3
//!
//! Needs `CAP_NET_RAW`; without it, it goes as far as the call. The exit code names the layer that failed: 0 none, 1 this program, 2 a wrong
//! argument, 10 this machine, 11 the server's name, 12 TCP, 13 the control connection, 14 the call,
//! 15 GRE, 16 LCP, 17 authentication, 18 encryption, 19 the inner addresses, 20 the path for large
//! packets, 21 the target.

mod login;
mod policy;

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use pptp::{
    Client, TunnelConfig, TunnelError,
    doctor::{Doctor, Finding, Target, Verdict},
    error::{Code, Layer, Retry},
};
use serde_json::{Value, json};
use tokio::{signal::ctrl_c, time::timeout};

/// Tells why a PPTP connection fails, layer by layer
#[derive(Parser)]
#[command(name = "doctor")]
struct Arguments {
    /// The PPTP server, host or host:port
    #[arg(long)]
    server: String,
    /// The user
    #[arg(long, value_parser = login::user)]
    user: String,
    #[command(flatten)]
    password: login::Password,
    #[command(flatten)]
    policy: policy::Policy,
    /// What to reach behind the tunnel: tcp:HOST:PORT, udp:HOST:PORT[=TEXT], ping:HOST or knx:HOST[:PORT]
    #[arg(long)]
    target: Option<Target>,
    /// Seconds that the connect may take
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// The largest PPP payload to ask for, in octets
    #[arg(long)]
    mru: Option<u16>,
    /// Print one JSON object a line for each finding
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn config(&self) -> Result<TunnelConfig, String> {
        let password = self.password.find(std::env::var_os(login::VARIABLE))?;
        let password = password.ok_or_else(|| {
            format!("a password is wanted: --password, --password-file or {}", login::VARIABLE)
        })?;
        let config = TunnelConfig::new(&self.server, &self.user, password)
            .connect_timeout(Duration::from_secs(self.timeout));
        let config = self.policy.apply(config);
        let config = self.mru.into_iter().fold(config, TunnelConfig::mru);
        config.check().map_err(|failure| failure.to_string())?;
        Ok(config)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = arguments.config().unwrap_or_else(|wrong| {
        Arguments::command().error(ErrorKind::ValueValidation, wrong).exit()
    });
    let mut doctor = pptp::doctor(config);
    if let Some(target) = arguments.target {
        doctor = doctor.target(target);
    }
    // without one, the doctor says why
    let client = Client::new().ok();
    if let Some(client) = &client {
        doctor = doctor.client(client.clone());
    }
    let mut out = io::stdout();
    let code = tokio::select! {
        code = examine(doctor, arguments.json, &mut out) => code,
        _ = ctrl_c() => Ok(Layer::Program.exit_code()),
    };
    if let Some(client) = client {
        let _ = timeout(LAST_WORDS, client.wait_idle()).await;
    }
    code.map_or_else(|_| ExitCode::from(Layer::Program.exit_code()), ExitCode::from)
}

/// Prints the findings as they come, and gives the exit code: that of the layer that failed first
async fn examine(mut doctor: Doctor, json: bool, out: &mut impl Write) -> io::Result<u8> {
    let mut failed = None;
    while let Some(finding) = doctor.next().await {
        if finding.verdict == Verdict::Failed {
            failed.get_or_insert_with(|| finding.layer());
        }
        if json {
            writeln!(out, "{}", object(&finding))?;
        } else {
            print(&finding, out)?;
        }
        out.flush()?;
    }
    Ok(failed.map_or(0, Layer::exit_code))
}

fn print(finding: &Finding, out: &mut impl Write) -> io::Result<()> {
    let Finding { step, verdict, took, seen, advice, .. } = finding;
    let (verdict, step, took) = (verdict.name(), step.name(), took.as_millis());
    writeln!(out, "{verdict:7}  {step:19}  {took:>5} ms  {seen}")?;
    match advice {
        Some(advice) => writeln!(out, "{:38}> {advice}", ""),
        None => Ok(()),
    }
}

fn object(finding: &Finding) -> Value {
    let milliseconds = u64::try_from(finding.took.as_millis()).unwrap_or(u64::MAX);
    json!({
        "version": VERSION,
        "step": finding.step.name(),
        "layer": finding.layer().name(),
        "verdict": finding.verdict.name(),
        "milliseconds": milliseconds,
        "seen": finding.seen,
        "advice": finding.advice,
        "failure": finding.error.as_ref().map(failure),
    })
}

fn failure(error: &TunnelError) -> Value {
    let retry = match error.retry() {
        Retry::Soon => "soon",
        Retry::Later => "later",
        Retry::Never => "never",
        Retry::OnRequest => "on request",
    };
    json!({
        "name": error.name(),
        "phase": error.phase.to_string(),
        "codes": error.codes().iter().map(code).collect::<Vec<_>>(),
        "class": error.class().name(),
        "retry": retry,
        "retry_after_seconds": error.retry_after().map(|pause| pause.as_secs()),
    })
}

fn code(code: &Code) -> Value {
    let Code { field, name, number, defined_in, .. } = code;
    json!({ "field": field, "name": name, "number": number, "defined_in": defined_in })
}

/// Of the JSON objects: another number when a field goes or changes its meaning; new fields may come at any time
const VERSION: u32 = 1;

/// A hang-up takes 9 s at most
const LAST_WORDS: Duration = Duration::from_secs(10);

#[cfg(test)]
#[path = "doctor/tests.rs"]
mod tests;
