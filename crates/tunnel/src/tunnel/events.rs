//! The reactions to the events of the parts: the phases, coming up, the end

use std::time::{Duration, Instant};

use pptp_control::{Event as ControlEvent, StopReason};
use pptp_gre::Session;
use pptp_ppp::{Event as LinkEvent, Failure as LinkFailure, Phase as LinkPhase, RasCode};

use super::{Stage, Tunnel};
use crate::{Event, Facts, Failure, Phase, TunnelError};

impl Tunnel {
    pub(super) fn control_events(&mut self, now: Instant) {
        while let Some(event) = self.control.poll_event() {
            match event {
                ControlEvent::Established(peer) => {
                    self.enter(now, Phase::Call);
                    if let Some(kinds) = self.kinds.take() {
                        self.link.apply(kinds.of_link(&peer));
                    }
                }
                ControlEvent::CallConnected { peer_call_id, window, .. } => {
                    self.call_connected(now, peer_call_id, window);
                }
                ControlEvent::EchoAnswered { round_trip } => {
                    self.counters.control_round_trip.measured(round_trip);
                }
                ControlEvent::CallEnded(failure) => self.control_ended(now, failure.into()),
                ControlEvent::Closed(result) => {
                    let failure = result.map_or_else(Failure::from, |()| Failure::Closed);
                    self.control_ended(now, failure);
                    if self.last_words.is_none() {
                        self.stage = Stage::Finished;
                    }
                }
                // framing has no meaning in GRE, and its errors are only for people
                _ => {}
            }
        }
    }

    /// The call, or the control connection with it, is over
    ///
    /// While a tunnel is negotiated, a server that hangs up says why in GRE, with a CHAP Failure or an LCP
    /// Terminate-Request, which TCP may have overtaken.
    ///
    /// In a tunnel that is up it confirms what came over GRE: see [`Link::peer_hung_up`](pptp_ppp::Link::peer_hung_up).
    fn control_ended(&mut self, now: Instant, failure: Failure) {
        if is_by_peer(&failure) {
            self.link.peer_hung_up(now);
            self.link_events(now);
        }
        let is_negotiating = matches!(self.stage, Stage::Connecting | Stage::Renegotiating);
        let may_be_explained =
            self.is_client && is_negotiating && self.session.is_some() && is_by_peer(&failure);
        match now.checked_add(LAST_WORDS).filter(|_| may_be_explained) {
            Some(until) => {
                self.last_words.get_or_insert_with(|| (until, Box::new(failure)));
            }
            None => self.fail(now, failure),
        }
    }

    pub(super) fn call_connected(&mut self, now: Instant, peer_call_id: u16, window: u16) {
        if self.stage != Stage::Connecting {
            return;
        }
        let session = Session::new(peer_call_id, window, now);
        #[cfg(feature = "server")]
        let session = self.gre_behavior.session(session);
        self.session = Some(session);
        self.peer_call_id = Some(peer_call_id);
        self.gre_probe.watch(now);
        self.enter(now, Phase::LinkControl);
        self.link.open(now);
        for mut datagram in std::mem::take(&mut self.early) {
            // no IP packet passes this early
            let _ = self.handle_gre(now, &mut datagram);
        }
        self.link_events(now);
    }

    pub(super) fn link_events(&mut self, now: Instant) {
        let mut said = None;
        while let Some(event) = self.link.poll_event() {
            match event {
                LinkEvent::Phase(LinkPhase::Authentication) => {
                    self.reach(now, Phase::Authentication);
                }
                LinkEvent::Phase(LinkPhase::Network) => self.reach(now, Phase::Network),
                LinkEvent::Up(negotiated) => self.up(now, negotiated),
                LinkEvent::Reachable(how) if self.stage == Stage::Up => {
                    self.events.push_back(Event::Reachable(how));
                }
                LinkEvent::Ask(question) => self.ask(now, question),
                LinkEvent::PasswordChanged => self.events.push_back(Event::PasswordChanged),
                LinkEvent::Renegotiating if self.stage == Stage::Up => {
                    self.stage = Stage::Renegotiating;
                    self.events.push_back(Event::Renegotiating);
                }
                LinkEvent::Identification(text) => {
                    self.events.push_back(Event::Identification(text));
                }
                LinkEvent::TimeRemaining { left, message } => {
                    self.events.push_back(Event::TimeRemaining { left, message });
                }
                LinkEvent::AskCarrier => self.control.send_echo_request(now),
                LinkEvent::Closed => self.control.close(now, StopReason::StopLocalShutdown),
                LinkEvent::PeerSaid(code) => said = Some(code),
                LinkEvent::Down { failure, .. } => self.link_down(now, failure, said),
                _ => {}
            }
        }
    }

    /// Notes a phase of the first connect; a renegotiation goes through the same phases unseen
    fn reach(&mut self, now: Instant, phase: Phase) {
        self.gre_probe.stop();
        if self.stage == Stage::Connecting {
            self.enter(now, phase);
        }
    }

    fn up(&mut self, now: Instant, negotiated: pptp_ppp::Negotiated) {
        let may_come_up =
            matches!(self.stage, Stage::Connecting | Stage::Renegotiating | Stage::Up);
        if !may_come_up || self.last_words.is_some() {
            return;
        }
        self.connect_deadline = None;
        self.order_frames(&negotiated);
        self.timeline.enter(now, Phase::Up);
        self.stage = Stage::Up;
        self.recorder.connect_is_over();
        let round_trips = CONTROL_ROUND_TRIPS.saturating_add(self.link.round_trips());
        let facts = Facts::new(negotiated, round_trips, self.timeline.clone());
        self.events.push_back(Event::Up(Box::new(facts)));
    }

    fn link_down(&mut self, now: Instant, failure: LinkFailure, said: Option<RasCode>) {
        if self.stage == Stage::Closing {
            self.control.close(now, StopReason::StopLocalShutdown);
        } else {
            self.fail_after(now, failure.into(), said);
        }
    }

    /// Tells why the tunnel is over, once, and tears down what still stands
    pub(super) fn fail(&mut self, now: Instant, failure: Failure) {
        self.fail_after(now, failure, None);
    }

    /// Fails the tunnel after the peer has sent an error code of Windows
    fn fail_after(&mut self, now: Instant, failure: Failure, said: Option<RasCode>) {
        let failure = match self.stage {
            Stage::Closing if self.control.is_closed() => Failure::Closed,
            // told already, or the answer to our own Call-Clear-Request
            Stage::Closing | Stage::Ending | Stage::Finished => return,
            Stage::Connecting | Stage::Up | Stage::Renegotiating => failure,
        };
        let one_way = self.gre_probe.one_way(now).filter(|_| may_be_one_way(&failure));
        let failure = one_way.unwrap_or_else(|| self.explained(failure));
        self.stage = Stage::Ending;
        self.stop_waiting();
        self.timeline.end(now);
        let error = TunnelError::new(failure, self.timeline.clone()).with_ras_code(said);
        self.events.push_back(Event::Down(error));
        self.link.close(now);
        self.control.close(now, StopReason::StopLocalShutdown);
        self.control_events(now);
        if self.control.is_closed() {
            self.stage = Stage::Finished;
        }
    }

    /// A peer that disconnects the call in the middle of PPP's negotiation does so because of what it
    /// was refused: accel-ppp, without a word of LCP
    ///
    /// A connection that is lost, or stopped as a whole, may have been so for any reason.
    fn explained(&self, failure: Failure) -> Failure {
        use pptp_control::Failure::CallDisconnected;
        let is_negotiating = matches!(self.stage, Stage::Connecting | Stage::Renegotiating);
        let is_disconnected = matches!(failure, Failure::Control(CallDisconnected { .. }));
        let may_be_explained = self.is_client && is_negotiating && is_disconnected;
        let disagreement = self.link.disagreement().filter(|_| may_be_explained);
        disagreement.map_or(failure, Failure::Link)
    }

    /// Stops all waits of a connect, which do not matter any more
    pub(super) fn stop_waiting(&mut self) {
        self.connect_deadline = None;
        self.last_words = None;
        self.gre_probe.stop();
        self.early = Vec::new();
    }

    pub(super) fn check_deadlines(&mut self, now: Instant) {
        if let Some((_, failure)) = self.last_words.take_if(|(until, _)| *until <= now) {
            self.fail(now, *failure);
        }
        if let Some(failure) = self.gre_probe.handle_timeout(now) {
            self.fail(now, failure);
        }
        let connect = self.connect_deadline.as_ref().and_then(|it| it.running());
        if let Some((deadline, limit)) = connect
            && deadline <= now
        {
            self.fail(now, Failure::ConnectTimeout { limit });
        }
    }
}

/// The time by which GRE may lag behind TCP with the reason for an end
const LAST_WORDS: Duration = Duration::from_millis(300);

/// TCP's handshake, Start-Control-Connection-Request and Outgoing-Call-Request
const CONTROL_ROUND_TRIPS: u16 = 3;

/// Returns true if the peer has ended the call or the control connection
const fn is_by_peer(failure: &Failure) -> bool {
    use pptp_control::Failure::{CallDisconnected, ConnectionLost, StoppedByPeer};
    matches!(
        failure,
        Failure::Control(CallDisconnected { .. } | StoppedByPeer { .. } | ConnectionLost)
    )
}

/// Returns true for the failures of a peer that gets none of our GRE: it waits, or hangs up, or we do
const fn may_be_one_way(failure: &Failure) -> bool {
    use pptp_ppp::Protocol::Lcp;
    let is_about_time = matches!(
        failure,
        Failure::ConnectTimeout { .. }
            | Failure::Link(LinkFailure::NegotiationTimeout { protocol: Lcp })
    );
    is_about_time || failure.is_hang_up()
}
