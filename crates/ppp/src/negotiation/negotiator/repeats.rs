//! The repeats of an unanswered request: by the timer, and when the peer shows that it listens now

use std::time::{Duration, Instant};

use super::{
    Negotiator, RESTART,
    option_set::OptionSet,
    repeat_policy::{RepeatPolicy, TurnedAway},
};
use crate::{context::Context, negotiation::automaton::State};

impl<O: OptionSet> Negotiator<O> {
    /// Makes a negotiator that sends an unanswered request again at once when one of the peer comes
    ///
    /// Some servers are deaf at first: pppd empties its terminal when it starts, and keeps IPCP
    /// closed until CCP is open. Their own request tells that they listen now, three seconds before
    /// our restart timer would.
    pub(crate) fn prompted(options: O) -> Self {
        Self { repeats: RepeatPolicy::Prompted, ..Self::new(options) }
    }

    /// Makes one that prompts as [`Self::prompted`], and repeats first after 1 s or two round trips
    ///
    /// Later repeats follow every 3 s, so that none is sent when a peer's timer of 3 s strikes: pppd's timer starts
    /// together with ours. With pptpd, of 25 logins that had lost our first CCP request 5 came up and carried nothing
    /// while both timers struck together: pptpd holds our Configure-Ack until our repeat arrives, pppd's repeat then
    /// crosses it, and its kernel switches the decryptor off.
    pub(crate) fn prompted_and_early(options: O) -> Self {
        Self { repeats: RepeatPolicy::PromptedAndEarly, ..Self::new(options) }
    }

    /// Makes one that repeats early, and prompts only if our request has waited longer than a round trip for its answer
    ///
    /// A peer that had heard it would have answered before it sent its own. accel-ppp discards what comes between its
    /// Success and its own Configure-Request. pppd's own request comes with the Success, and a second one of ours may
    /// then reach a pppd whose CCP is open, which ends the link: with pptpd 12 of 12 logins that had lost the first
    /// one did ("MPPE disabled").
    pub(crate) fn overdue_and_early(options: O) -> Self {
        Self { repeats: RepeatPolicy::OverdueAndEarly, ..Self::new(options) }
    }

    /// Sends an unanswered request again, since the peer listens now: see [`Negotiator::prompted`]
    ///
    /// Not a retransmission by the timer, so the restart counter stays.
    pub(crate) fn prompt(&mut self, now: Instant, context: &mut Context) {
        let may_be = match self.repeats {
            RepeatPolicy::ByTimer => false,
            RepeatPolicy::Prompted | RepeatPolicy::PromptedAndEarly => true,
            RepeatPolicy::OverdueAndEarly => self.is_overdue(now, context),
        };
        if may_be && self.waits_for_answer() {
            self.transmit_request(now, context);
        }
    }

    /// Sends our request again at once, if the peer was closed when it came and may be open now
    ///
    /// It does so once for each request: a peer that stays closed is asked by the timer.
    pub(crate) fn ask_again_if_turned_away(&mut self, now: Instant, context: &mut Context) {
        if self.turned_away == TurnedAway::Yes && self.waits_for_answer() {
            self.turned_away = TurnedAway::AskedAgain;
            self.transmit_request(now, context);
        }
    }

    fn waits_for_answer(&self) -> bool {
        matches!(self.state, State::ReqSent | State::AckSent) && !self.answered
    }

    /// Returns true if the answer to our latest request should have come by now
    ///
    /// A quarter of a round trip and 1 ms of slack: round trips vary. More slack would let more logins at accel-ppp wait
    /// for the timer; less of it would disturb more logins at pptpd that have lost a packet.
    fn is_overdue(&self, now: Instant, context: &Context) -> bool {
        let (Some(sent), Some(round_trip)) =
            (self.transmissions.last(), context.round_trips.shortest())
        else {
            return false;
        };
        let quarter = round_trip.checked_div(4).unwrap_or_default();
        let slack = quarter.saturating_add(OVERDUE_SLACK);
        sent.age(now) >= round_trip.saturating_add(slack)
    }

    /// Time until the request that is about to be sent is sent again
    pub(super) fn restart_time(&self, context: &Context) -> Duration {
        if matches!(self.repeats, RepeatPolicy::ByTimer | RepeatPolicy::Prompted) {
            return RESTART;
        }
        let usual = if self.transmissions.is_empty() { FIRST_RESTART } else { RESTART };
        let round_trip = context.round_trips.shortest().unwrap_or_default();
        usual.max(round_trip.saturating_mul(2))
    }
}

/// Time before the first repeat of a protocol that is early
const FIRST_RESTART: Duration = Duration::from_secs(1);
/// Time beyond one and a quarter round trips after which an answer is overdue
const OVERDUE_SLACK: Duration = Duration::from_millis(1);
