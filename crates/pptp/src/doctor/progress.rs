//! The steps of a connect that are through, and the time that each took

use std::time::Duration;

use pptp_tunnel::{Failure, Phase, Transcript};
use tokio::time::Instant;

use super::{
    finding::{Finding, Step, Verdict},
    report::Report,
    sight::{OFFERED, Sight},
};
use crate::{TunnelConfig, TunnelError};

const ZERO: Duration = Duration::ZERO;

/// The steps that were reported, and the start of the next one
pub(super) struct Progress<'a> {
    config: &'a TunnelConfig,
    report: &'a Report,
    /// Not reported yet
    left: Vec<Step>,
    since: Instant,
}

impl<'a> Progress<'a> {
    pub(super) fn new(config: &'a TunnelConfig, report: &'a Report) -> Self {
        Self::until(Step::LargestPacket, config, report)
    }

    /// Of a connect that goes as far as to this step, which others tell of
    pub(super) fn until(step: Step, config: &'a TunnelConfig, report: &'a Report) -> Self {
        let steps = Step::ALL.into_iter();
        let left = steps.filter(|other| (Step::Name..step).contains(other)).collect();
        Self { config, report, left, since: Instant::now() }
    }

    /// Reports the steps before `step`, which went well
    pub(super) async fn pass_until(&mut self, step: Step, sight: &Sight) {
        let passed = self.take_until(step);
        if let Some(last) = passed.last().copied() {
            self.pass(&passed, phase_of(last), sight).await;
        }
    }

    fn take_until(&mut self, step: Step) -> Vec<Step> {
        let taken = self.left.iter().take_while(|left| **left < step).count();
        self.left.drain(..taken).collect()
    }

    /// Reports these, and returns the time that is left for what comes after them
    ///
    /// Of phases that went by between two looks, `phase` had the time.
    async fn pass(&mut self, steps: &[Step], phase: Phase, sight: &Sight) -> Duration {
        let mut left = self.since.elapsed();
        self.since = Instant::now();
        for step in steps.iter().copied() {
            let is_of_phase = phase_of(step) == phase;
            let took = if is_of_phase { share(step, left, &sight.transcript) } else { ZERO };
            left = left.saturating_sub(took);
            self.report.tell(passed(step, took, sight, self.config)).await;
        }
        left
    }

    /// The connect failed: what was still under way passed, or did not, or was never begun
    pub(super) async fn fail(&mut self, error: &TunnelError, sight: &Sight) {
        let step = failing_step(error);
        let steps = self.take_until(step);
        let took = self.pass(&steps, phase_of(step), sight).await;
        self.left.retain(|left| *left != step);
        self.report.tell(failed(step, took, error, sight)).await;
        for left in std::mem::take(&mut self.left) {
            let heard =
                matches!(error.failure.tunnel(), Some(Failure::GreBlocked { heard: true, .. }));
            let finding = match left {
                Step::GreIn if heard => passed(left, ZERO, sight, self.config),
                _ => Finding::not_reached(left),
            };
            self.report.tell(finding).await;
        }
    }
}

/// The part of a phase's time, `left` by the steps before, that this step took
///
/// What runs beside another step of its phase has the time that it took longer, so that the times of all
/// steps add up to that of the connect.
fn share(step: Step, left: Duration, transcript: &Transcript) -> Duration {
    match step {
        Step::GreOut => ZERO,
        Step::GreIn => transcript.first_answer.unwrap_or_default().min(left),
        Step::Encryption => transcript.encryption_took.unwrap_or_default().min(left),
        _ => left,
    }
}

fn passed(step: Step, took: Duration, sight: &Sight, config: &TunnelConfig) -> Finding {
    let verdict = match step {
        Step::Encryption if sight.is_in_the_clear() => Verdict::Warned,
        Step::Encryption if !sight.is_encrypted() => Verdict::Skipped,
        _ => Verdict::Passed,
    };
    Finding::new(step, verdict, took, sight.tell(step, config))
}

/// Returns the step at which the failure shows: GRE has two directions
fn failing_step(error: &TunnelError) -> Step {
    match error.failure.tunnel() {
        Some(Failure::GreBlocked { after, heard, send_error }) => {
            let is_ours = after.is_zero() || *heard || send_error.is_some();
            if is_ours { Step::GreOut } else { Step::GreIn }
        }
        Some(Failure::GreFromElsewhere { .. } | Failure::GreUnsupported { .. }) => Step::GreIn,
        _ => Step::of_error(error),
    }
}

fn failed(step: Step, took: Duration, error: &TunnelError, sight: &Sight) -> Finding {
    let mut finding = Finding::failure(step, took, error);
    let more = match step {
        Step::GreIn if !matches!(error.failure.tunnel(), Some(Failure::GreBlocked { .. })) => {
            sight.gre_out()
        }
        Step::GreOut | Step::GreIn => sight.gre(),
        Step::Authentication => sight.authentication(),
        Step::Encryption => sight.encryption(),
        _ => String::new(),
    };
    if !more.is_empty() && !finding.seen.contains(OFFERED) {
        finding.seen = format!("{}; {more}", finding.seen);
    }
    if let Some(Failure::GreBlocked { send_error: Some(words), .. }) = error.failure.tunnel()
        && words.contains(EPERM)
    {
        finding = finding.advise(
            "this machine's own packet filter refuses to send it: let IP protocol 47 out \
             (nft list ruleset, iptables -S OUTPUT)",
        );
    }
    finding
}

/// The end of the kernel's words if a packet filter refuses
const EPERM: &str = "(os error 1)";

/// The phase in which a step is taken; steps of one phase share its time
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipcp_that_takes_longer_has_that_time_for_itself() {
        let ms = Duration::from_millis;
        let mut transcript = Transcript::default();
        transcript.encryption_took = Some(ms(30));
        transcript.first_answer = Some(ms(20));
        assert_eq!(share(Step::Encryption, ms(3030), &transcript), ms(30));
        assert_eq!(share(Step::Addresses, ms(3000), &transcript), ms(3000));
        assert_eq!(share(Step::GreOut, ms(50), &transcript), ZERO);
        assert_eq!(share(Step::GreIn, ms(50), &transcript), ms(20));
        assert_eq!(share(Step::LinkControl, ms(30), &transcript), ms(30));
        // of an earlier dial: no step has more than there is
        assert_eq!(share(Step::GreIn, ms(10), &transcript), ms(10));
    }
}
