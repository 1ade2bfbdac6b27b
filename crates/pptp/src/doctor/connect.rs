//! The connect, step by step, as it is told by the one that everybody uses

use std::{collections::VecDeque, net::SocketAddrV4, time::Duration};

use pptp_tunnel::{
    AuthenticationProtocol, Failure, Ladder, MppeBits, Peer, Phase, Transcript, TunnelError,
};
use tokio::time::Instant;

use super::{
    Report,
    finding::{Finding, Step, Verdict},
    host::Host,
};
use crate::{Client, Connecting, Info, Redial, State, Stats, Tunnel, TunnelConfig};

/// Connects, and reports each step when it is through
pub(super) async fn connect(
    client: &Client,
    config: &TunnelConfig,
    host: &Host,
    report: &Report,
) -> Result<Tunnel, ()> {
    let mut progress = Progress::new(config, report);
    let strangers = client.stats().unknown_call;
    let mut connecting = client.connect(config.clone());
    let mut state = connecting.state();
    let outcome = loop {
        let state = tokio::select! {
            biased;
            outcome = &mut connecting => break outcome,
            // an error is the end, which `connecting` tells
            _ = state.changed() => state.borrow_and_update().clone(),
        };
        if let State::Connecting { phase } = state {
            progress.pass_until(Step::of_phase(phase), &Sight::of(&connecting)).await;
        }
    };
    let mut sight = Sight::of(&connecting);
    match outcome {
        Ok(tunnel) => {
            sight.info = Some(Info::clone(&tunnel.info()));
            progress.pass_until(Step::LargestPacket, &sight).await;
            Ok(tunnel)
        }
        Err(error) => {
            sight.strangers = client.stats().unknown_call.saturating_sub(strangers);
            let server = sight.server.map(|server| *server.ip());
            sight.unreplied = server.map_or(0, |server| host.unreplied_gre(server));
            progress.fail(&error, &sight).await;
            connecting.hung_up().await;
            Err(())
        }
    }
}

/// Which steps were reported, and since when the next one is under way
struct Progress<'a> {
    config: &'a TunnelConfig,
    report: &'a Report,
    /// Not reported yet
    left: VecDeque<Step>,
    since: Instant,
}

impl<'a> Progress<'a> {
    fn new(config: &'a TunnelConfig, report: &'a Report) -> Self {
        let steps = Step::ALL.into_iter();
        let left = steps.filter(|step| (Step::Name..Step::LargestPacket).contains(step)).collect();
        Self { config, report, left, since: Instant::now() }
    }

    /// What lies before `step` went well
    async fn pass_until(&mut self, step: Step, sight: &Sight) {
        let took = self.since.elapsed();
        let mut passed = Vec::new();
        while let Some(next) = self.left.front().copied().filter(|next| *next < step) {
            self.left.pop_front();
            passed.push(next);
        }
        let Some(last) = passed.last().copied() else { return };
        self.since = Instant::now();
        for step in passed {
            // of phases that went by between two looks the last had the time
            let took = if phase_of(step) == phase_of(last) { took } else { Duration::ZERO };
            self.report.tell(self.passed(step, took, sight)).await;
        }
    }

    fn passed(&self, step: Step, took: Duration, sight: &Sight) -> Finding {
        let seen = sight.tell(step, self.config);
        let took = match step {
            Step::GreOut => Duration::ZERO,
            Step::GreIn => sight.transcript.first_answer.unwrap_or_default(),
            _ => took,
        };
        let verdict = match step {
            Step::Encryption if sight.is_in_the_clear() => Verdict::Warned,
            Step::Encryption if !sight.is_encrypted() => Verdict::Skipped,
            _ => Verdict::Passed,
        };
        Finding::new(step, verdict, took, seen)
    }

    /// The connect failed: what was still under way passed, or did not, or was never begun
    async fn fail(&mut self, error: &TunnelError, sight: &Sight) {
        let (step, took) = (failing_step(error), self.since.elapsed());
        self.pass_until(step, sight).await;
        self.left.retain(|left| *left != step);
        self.report.tell(failed(step, took, error, sight)).await;
        for left in std::mem::take(&mut self.left) {
            let heard = matches!(error.failure, Failure::GreBlocked { heard: true, .. });
            let finding = match left {
                Step::GreIn if heard => self.passed(left, Duration::ZERO, sight),
                _ => Finding::not_reached(left),
            };
            self.report.tell(finding).await;
        }
    }
}

/// Where the failure shows: GRE has two directions
fn failing_step(error: &TunnelError) -> Step {
    match &error.failure {
        Failure::GreBlocked { after, heard, send_error } => {
            let is_ours = after.is_zero() || *heard || send_error.is_some();
            if is_ours { Step::GreOut } else { Step::GreIn }
        }
        Failure::GreFromElsewhere { .. } | Failure::GreUnsupported { .. } => Step::GreIn,
        _ => Step::of_error(error),
    }
}

fn failed(step: Step, took: Duration, error: &TunnelError, sight: &Sight) -> Finding {
    let mut finding = Finding::failure(step, took, error);
    let more = match step {
        Step::GreIn if !matches!(error.failure, Failure::GreBlocked { .. }) => sight.gre_out(),
        Step::GreOut | Step::GreIn => sight.gre(),
        Step::Authentication => sight.authentication(),
        Step::Encryption => sight.encryption(),
        _ => String::new(),
    };
    if !more.is_empty() && !finding.seen.contains(OFFERED) {
        finding.seen = format!("{}; {more}", finding.seen);
    }
    if let Failure::GreBlocked { send_error: Some(words), .. } = &error.failure
        && words.contains(EPERM)
    {
        finding = finding.advise(
            "this machine's own packet filter refuses to send it: let IP protocol 47 out \
             (nft list ruleset, iptables -S OUTPUT)",
        );
    }
    finding
}

/// What the kernel's words end with if a packet filter refuses
const EPERM: &str = "(os error 1)";

/// The phase in which a step is taken; steps of one phase have its time together
const fn phase_of(step: Step) -> Phase {
    match step {
        Step::Tcp => Phase::TcpConnect,
        Step::ControlConnection => Phase::ControlConnection,
        Step::Call => Phase::Call,
        Step::GreOut | Step::GreIn | Step::LinkControl => Phase::LinkControl,
        Step::Authentication => Phase::Authentication,
        Step::Encryption | Step::Addresses => Phase::Network,
        _ => Phase::Resolve,
    }
}

/// What can be seen of a connect at some moment
struct Sight {
    server: Option<SocketAddrV4>,
    peer: Option<Peer>,
    stats: Stats,
    transcript: Transcript,
    info: Option<Info>,
    /// A state that lasts no longer than a moment may go by unseen: so they are asked for
    redials: Vec<Redial>,
    /// Datagrams since the connect began that were for none of our calls
    strangers: u64,
    /// GRE of ours to the server that connection tracking saw no answer to
    unreplied: usize,
}

impl Sight {
    fn of(connecting: &Connecting) -> Self {
        Self {
            server: connecting.server(),
            peer: connecting.peer(),
            stats: connecting.stats(),
            transcript: Transcript::of(connecting.flight_record().records()),
            info: None,
            redials: connecting.redials(),
            strangers: 0,
            unreplied: 0,
        }
    }

    fn is_encrypted(&self) -> bool {
        self.transcript.encryption_in.is_some() && self.transcript.encryption_out.is_some()
    }

    /// Up, and not encrypted
    fn is_in_the_clear(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.encryption.is_none())
    }

    fn tell(&self, step: Step, config: &TunnelConfig) -> String {
        match step {
            Step::Name => name(&config.server),
            Step::Tcp => match self.server {
                Some(server) => format!("{server} accepts"),
                None => "the server accepts".into(),
            },
            Step::ControlConnection => self.control_connection(),
            Step::Call => "the server takes the call".into(),
            Step::GreOut => self.gre_out(),
            Step::GreIn => self.gre_in(),
            Step::LinkControl => match self.transcript.peer_mru {
                Some(mru) => format!("open, the server's MRU is {mru}"),
                None => "open, the server named no MRU".into(),
            },
            Step::Authentication => {
                let again = self.redials.iter().filter_map(again_for_authentication);
                format!("{}{}", self.authentication(), again.collect::<String>())
            }
            Step::Encryption if self.is_in_the_clear() => {
                format!("in the clear, as an insecure option allows; {}", self.encryption())
            }
            Step::Encryption => self.encryption(),
            Step::Addresses => self.info.as_ref().map_or_else(String::new, addresses),
            _ => String::new(),
        }
    }

    fn control_connection(&self) -> String {
        let Some(peer) = &self.peer else { return "established".into() };
        let Peer { vendor, host_name, firmware, recognized, .. } = peer;
        let mut seen =
            format!("vendor {vendor:?}, host name {host_name:?}, firmware {firmware:#06x}");
        if let Some(recognized) = recognized {
            seen = format!("{seen}, recognised as {}", recognized.name);
        }
        for redial in &self.redials {
            let how = match redial {
                Redial::Recognized { kind } => format!("dialled again as a {kind} wants it"),
                Redial::NotPptp { address } => format!("after {address} was no PPTP server"),
                Redial::AsksOnce { .. } | Redial::WithoutEap { .. } => continue,
            };
            seen = format!("{seen}, {how}");
        }
        seen
    }

    /// Both directions, for when one does not pass
    fn gre(&self) -> String {
        let mut seen = format!("{}, {}", self.gre_out(), self.gre_in());
        let others = self.stats.tunnel.other_call.saturating_add(self.strangers);
        if others > 0 {
            seen = format!("{seen}, {others} for other Call IDs: a NAT on the way may change them");
        }
        if self.unreplied > 0 {
            seen = format!("{seen}, connection tracking saw no answer to {}", self.unreplied);
        }
        seen
    }

    fn gre_out(&self) -> String {
        let sent = self.stats.tunnel.gre.sealed;
        match self.stats.unsendable {
            0 => format!("{sent} datagrams sent"),
            refused => format!("{sent} datagrams made, {refused} of them refused by this machine"),
        }
    }

    fn gre_in(&self) -> String {
        format!("{} datagrams received", self.stats.tunnel.gre.committed)
    }

    fn authentication(&self) -> String {
        let Transcript { authentication_offered: offered, authentication_chosen: chosen, .. } =
            &self.transcript;
        told(offered, chosen.as_ref().map(AuthenticationProtocol::to_string))
    }

    fn encryption(&self) -> String {
        let Transcript { encryption_offered: offered, encryption_in, encryption_out, .. } =
            &self.transcript;
        let chosen = encryption_in.zip(*encryption_out).map(|(received, sent)| {
            if received == sent {
                bits(sent)
            } else {
                format!("{} in, {} out", bits(received), bits(sent))
            }
        });
        told(offered, chosen)
    }
}

/// A dial that was for the authentication
fn again_for_authentication(redial: &Redial) -> Option<String> {
    match redial {
        Redial::AsksOnce { .. } => Some(", dialled again to agree at once".into()),
        Redial::WithoutEap { offered } => {
            Some(format!(", dialled again without EAP, where it wanted {offered}"))
        }
        Redial::Recognized { .. } | Redial::NotPptp { .. } => None,
    }
}

fn name(server: &str) -> String {
    let host = crate::network::split_port(server).map_or(server, |(host, _)| host);
    match host.parse::<std::net::Ipv4Addr>() {
        Ok(address) => format!("{address} is an address"),
        Err(_) => format!("{host} has an IPv4 address"),
    }
}

fn addresses(info: &Info) -> String {
    let Info { inner_address, peer_address, dns, mtu, .. } = info;
    let peer = peer_address.map_or_else(|| "none".into(), |peer| peer.to_string());
    let dns: Vec<_> = dns.iter().map(ToString::to_string).collect();
    let dns = if dns.is_empty() { "none".into() } else { dns.join(", ") };
    format!("ours is {inner_address}, the server's {peer}, DNS {dns}, MTU {mtu}")
}

/// What a failure may have said itself
const OFFERED: &str = "offered";

/// `offered PAP, MS-CHAPv2, chosen MS-CHAPv2`
fn told<T: ToString>(offered: &[T], chosen: Option<String>) -> String {
    let offered: Vec<_> = offered.iter().map(ToString::to_string).collect();
    let offered = if offered.is_empty() { "nothing".into() } else { offered.join(", ") };
    match chosen {
        Some(chosen) => format!("{OFFERED} {offered}, chosen {chosen}"),
        None => format!("{OFFERED} {offered}"),
    }
}

/// `+H+S (128 bits, stateless)`
fn bits(bits: MppeBits) -> String {
    let strength = [(0x40, "128"), (0x80, "56"), (0x20, "40")];
    let strength = strength.iter().find(|(bit, _)| bits.0 & bit != 0).map(|(_, text)| *text);
    let mode = if bits.0 & 0x0100_0000 == 0 { "stateful" } else { "stateless" };
    match strength {
        Some(strength) => format!("{bits} ({strength} bits, {mode})"),
        None => bits.to_string(),
    }
}

/// A failure before anything is dialled
pub(super) fn undialled(failure: Failure) -> TunnelError {
    TunnelError::new(failure, Ladder::new(crate::shared::now()))
}
