//! A data path against a peer in a few lines, in virtual time

use super::*;
use crate::{liveness::proof::ProofAnswer, tests::epoch};

const RTT: Duration = Duration::from_millis(40);
const MILLISECOND: Duration = Duration::from_millis(1);

/// The peer's treatment of our packets
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// Answers pings
    Answers,
    /// Answers no ping, and turns back what its router must
    Routes,
    /// Does so as Linux does it that has no route for them: in the measure of [`Errors`]
    Limits,
    /// Opens our packets, and answers no ping
    Mute,
    /// Opens nothing, and says so by this complaint
    Complains(Complaint),
    /// Opens nothing, without a word
    Deaf,
}

/// A data path, its peer, and what is on the way
struct Scene {
    path: PathMonitor,
    now: Instant,
    began: Instant,
    peer: Peer,
    /// True if LCP echoes are answered
    echoes: bool,
    /// True if the line loses all that the peer sends
    loses_inwards: bool,
    errors: Errors,
    round_trip: Duration,
    /// The shortest round trip that was measured, where the line has become slower since
    measured: Option<Duration>,
    user: bool,
    /// (when, what) comes in
    coming: Vec<(Instant, Coming)>,
    pings: Vec<Duration>,
    next_echo: u8,
    end: Option<(Duration, NothingPasses)>,
    /// Packets in a hundred that are lost, each way, and the state of the generator for that
    loss: u64,
    seed: u64,
    news: Vec<(Duration, Reachability)>,
}

/// The time that Linux has saved up for ICMP errors to one host
///
/// `ip_error` takes a second for each packet without a route, and `inet_peer_xrlim_allow` another one of the same
/// savings. If that is not there, the first is gone all the same.
struct Errors {
    saved: Duration,
    since: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Coming {
    Pong(u16),
    Expired(u16),
    Echo(u8),
    Complaint(Complaint),
    Data,
}

impl Scene {
    fn new(peer: Peer, has_answered: bool) -> Self {
        let now = epoch();
        let mut path = PathMonitor::new(true, has_answered);
        path.start(now, [7; 8]);
        Self {
            path,
            now,
            began: now,
            peer,
            echoes: true,
            loses_inwards: false,
            errors: Errors { saved: Duration::ZERO, since: None },
            round_trip: RTT,
            measured: None,
            user: false,
            coming: Vec::new(),
            pings: Vec::new(),
            next_echo: 0,
            end: None,
            loss: 0,
            seed: 1,
            news: Vec::new(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.now - self.began
    }

    /// Returns true if the line loses the next packet
    fn is_lost(&mut self) -> bool {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % 100 < self.loss
    }

    /// Something of the peer comes in a round trip later, unless the line loses it
    fn arrive(&mut self, what: Coming) {
        if !self.is_lost() && !self.loses_inwards {
            self.coming.push((self.now + self.round_trip, what));
        }
    }

    /// Our packet leaves: the peer does with it what it does
    fn frame(&mut self, ping: Option<u16>) {
        if self.is_lost() {
            return;
        }
        match (self.peer, ping) {
            (Peer::Answers, Some(sequence)) => self.arrive(Coming::Pong(sequence)),
            (Peer::Complains(complaint), _) => self.arrive(Coming::Complaint(complaint)),
            _ => {}
        }
    }

    /// A user sends a packet; `answered` by the remote network
    fn send(&mut self, answered: bool) {
        self.path.sent(self.now, true);
        self.frame(None);
        if answered && !matches!(self.peer, Peer::Complains(_) | Peer::Deaf) {
            self.arrive(Coming::Data);
        }
    }

    fn step(&mut self, step: &ProofStep) {
        match *step {
            ProofStep::Prove { echo } => {
                let echo = echo.then(|| {
                    self.next_echo = self.next_echo.wrapping_add(1);
                    self.next_echo
                });
                let packets = self.path.attempt_packets();
                let sequence = self.path.proving(self.now, echo);
                self.path.sent_proof();
                self.pings.push(self.elapsed());
                for _ in 0..packets.copies {
                    self.frame(Some(sequence));
                }
                let expiring = if packets.asks_routers { packets.copies } else { 0 };
                for _ in 0..expiring {
                    let is_lost = self.is_lost();
                    let is_turned_back = match self.peer {
                        _ if is_lost => false,
                        Peer::Limits => self.errors.may_leave(self.now),
                        peer => peer == Peer::Routes,
                    };
                    if is_turned_back {
                        self.arrive(Coming::Expired(sequence));
                    }
                }
                if let (Some(echo), true) = (echo, self.echoes)
                    && !self.is_lost()
                {
                    self.arrive(Coming::Echo(echo));
                }
            }
            ProofStep::Unproven => self.news.push((self.elapsed(), Reachability::Unproven)),
            ProofStep::Dead(verdict) => self.end = Some((self.elapsed(), verdict)),
        }
    }

    fn take(&mut self, coming: Coming) {
        let before = self.path.reachability();
        match coming {
            Coming::Pong(sequence) => {
                self.path.answered(self.now, (ProofAnswer::EchoReply, sequence));
            }
            Coming::Expired(sequence) => {
                self.path.answered(self.now, (ProofAnswer::IcmpError, sequence));
            }
            Coming::Echo(id) => self.path.echo_answered(self.now, id, self.round_trip),
            Coming::Complaint(complaint) => {
                let round_trip = self.measured.unwrap_or(self.round_trip);
                self.path.complain(self.now, complaint, round_trip);
            }
            Coming::Data => {
                self.path.opened();
            }
        }
        if self.path.reachability() != before {
            self.news.push((self.elapsed(), self.path.reachability()));
        }
    }

    /// Lets time pass; a user sends each second where there is one
    fn run(&mut self, duration: Duration, answered: bool) {
        let end = self.now + duration;
        while self.now < end && self.end.is_none() {
            let now = self.now;
            let due = self.coming.iter().filter(|(at, _)| *at <= now).copied().collect::<Vec<_>>();
            self.coming.retain(|(at, _)| *at > now);
            for (_, coming) in due {
                self.take(coming);
            }
            if self.user && self.elapsed().as_millis().is_multiple_of(1000) {
                self.send(answered);
            }
            while let Some(step) = self.path.handle_timeout(self.now) {
                self.step(&step);
                if self.end.is_some() {
                    return;
                }
            }
            self.now += MILLISECOND;
        }
    }
}

impl Errors {
    fn may_leave(&mut self, now: Instant) -> bool {
        let saved = self.since.map_or(Duration::MAX, |since| self.saved + (now - since));
        (self.saved, self.since) = (saved.min(5 * SECOND), Some(now));
        let mut take = || self.saved.checked_sub(SECOND).map(|left| self.saved = left).is_some();
        take() && take()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_path_is_proven_once_after_coming_up_and_then_left_alone() {
    let mut scene = Scene::new(Peer::Answers, false);
    scene.run(60 * SECOND, false);
    assert_eq!(scene.pings, [Duration::ZERO]);
    assert_eq!(scene.news, [(RTT, Reachability::Proven(Proof::Ping))]);
    assert_eq!(scene.path.deadline(), None, "an idle link has no deadline of it");
    assert!(scene.path.is_provable());
}

#[test]
fn a_peer_that_answers_nothing_is_unproven_after_three_seconds_and_lives() {
    let mut scene = Scene::new(Peer::Mute, false);
    scene.run(60 * SECOND, false);
    let at = [0, 100, 300, 700, 1200, 2000].map(Duration::from_millis);
    assert_eq!(scene.pings, at, "the pauses of a SYN");
    assert_eq!(scene.news, [(3 * SECOND, Reachability::Unproven)]);
    scene.user = true;
    scene.run(600 * SECOND, false);
    assert_eq!(scene.end, None, "silence proves nothing of a peer that never answered");
    assert!(scene.pings.len() <= 6 + 10 * 2, "{}", scene.pings.len());
}

#[test]
fn traffic_is_life_and_costs_no_ping() {
    let mut scene = Scene::new(Peer::Answers, false);
    scene.user = true;
    scene.run(3600 * SECOND, true);
    assert_eq!(scene.pings.len(), 1);
    assert_eq!(scene.end, None);
}

#[test]
fn users_whose_host_is_dead_cost_a_ping_in_ten_seconds() {
    let mut scene = Scene::new(Peer::Answers, false);
    scene.user = true;
    scene.run(600 * SECOND, false);
    assert_eq!(scene.end, None);
    assert!((50..=61).contains(&scene.pings.len()), "{}", scene.pings.len());
    let pauses = scene.pings.windows(2).map(|two| two[1].saturating_sub(two[0]));
    assert!(pauses.skip(1).all(|pause| pause >= 10 * SECOND));
}

/// Seen once in a soak: 16 s in which nothing came back, and the server, which had answered all the time, had no
/// errors left when the line was there again
#[test]
fn a_server_that_limits_its_errors_is_not_silent_after_an_outage() {
    for quarter in 120..164 {
        let mut scene = Scene::new(Peer::Limits, false);
        scene.user = true;
        scene.run(quarter * SECOND / 4, false);
        assert_eq!(scene.path.reachability(), Reachability::Proven(Proof::RouterError));
        (scene.echoes, scene.loses_inwards) = (false, true);
        scene.run(16 * SECOND, false);
        (scene.echoes, scene.loses_inwards) = (true, false);
        scene.run(60 * SECOND, false);
        assert_eq!(scene.end, None, "{quarter}");
    }
}

#[test]
fn a_path_that_only_routers_prove_is_found_within_twenty_three_seconds() {
    for (first, quarter) in (40..=100).flat_map(|it| [(Peer::Routes, it), (Peer::Limits, it)]) {
        let (took, verdict) = found(first, Peer::Deaf, quarter * SECOND / 4, false);
        assert!(took <= 23 * SECOND, "{took:?} {quarter} {verdict}");
        assert!(matches!(verdict, NothingPasses::Silence { .. }), "{verdict}");
    }
}

/// Returns the time from the first lost packet until a path to `first` is found that dies after `before`, when `peer`
/// is there instead
fn found(first: Peer, peer: Peer, before: Duration, answered: bool) -> (Duration, NothingPasses) {
    let mut scene = Scene::new(first, false);
    scene.user = true;
    scene.run(before, answered);
    scene.peer = peer;
    let died = scene.elapsed();
    scene.run(60 * SECOND, answered);
    let (at, verdict) = scene.end.expect("found");
    (at.saturating_sub(died), verdict)
}

#[test]
fn a_path_that_dies_is_found_within_fifteen_seconds_whenever_it_dies() {
    let peers = [
        Peer::Deaf,
        Peer::Complains(Complaint::ResetRequest),
        Peer::Complains(Complaint::MppeRejected),
        Peer::Complains(Complaint::UnsentProtocol),
    ];
    for peer in peers {
        for quarter in 40..=100 {
            for answered in [true, false] {
                let (took, verdict) = found(Peer::Answers, peer, quarter * SECOND / 4, answered);
                assert!(took <= 15 * SECOND, "{took:?} {quarter} {answered} {verdict}");
                assert_eq!(matches!(verdict, NothingPasses::Silence { .. }), peer == Peer::Deaf);
            }
        }
    }
}

#[test]
fn a_peer_that_is_dumb_from_the_start_is_found_within_two_seconds_if_it_says_so() {
    for complaint in [Complaint::ResetRequest, Complaint::MppeRejected, Complaint::UnsentProtocol] {
        let mut scene = Scene::new(Peer::Complains(complaint), false);
        scene.run(10 * SECOND, false);
        let (at, verdict) = scene.end.expect("found");
        assert!(at >= SECOND && at <= 2 * SECOND, "{at:?}");
        assert!(matches!(verdict, NothingPasses::NotOpened { .. }), "{verdict}");
    }
}

#[test]
fn a_remembered_peer_that_is_deaf_from_the_start_is_found_by_its_silence() {
    let mut scene = Scene::new(Peer::Deaf, true);
    scene.user = true;
    scene.run(30 * SECOND, false);
    let (at, verdict) = scene.end.expect("found");
    assert!(at <= 15 * SECOND, "{at:?}");
    assert!(matches!(verdict, NothingPasses::Silence { pings: 4, echoes: 4 }), "{verdict}");
}

#[test]
fn an_outage_of_the_whole_line_is_left_to_the_echo_policy() {
    let mut scene = Scene::new(Peer::Answers, false);
    scene.user = true;
    scene.run(20 * SECOND, true);
    (scene.peer, scene.echoes) = (Peer::Deaf, false);
    scene.run(65 * SECOND, true);
    assert_eq!(scene.end, None);
    (scene.peer, scene.echoes) = (Peer::Answers, true);
    scene.run(60 * SECOND, true);
    assert_eq!(scene.end, None);
}

#[test]
fn forged_complaints_end_no_living_path() {
    for complaint in [Complaint::ResetRequest, Complaint::MppeRejected, Complaint::UnsentProtocol] {
        for answered in [true, false] {
            let mut scene = Scene::new(Peer::Answers, false);
            scene.user = true;
            for _ in 0..6000 {
                scene.run(10 * MILLISECOND, answered);
                scene.take(Coming::Complaint(complaint));
            }
            assert_eq!(scene.end, None);
            assert!(scene.pings.len() <= 8, "one in ten seconds: {}", scene.pings.len());
        }
    }
}

#[test]
fn forged_complaints_end_no_living_path_of_a_mute_peer_that_sends() {
    let mut scene = Scene::new(Peer::Mute, false);
    scene.user = true;
    for _ in 0..6000 {
        scene.run(10 * MILLISECOND, true);
        scene.take(Coming::Complaint(Complaint::ResetRequest));
    }
    assert_eq!(scene.end, None);
}

#[test]
fn complaints_without_frames_of_ours_ask_for_nothing() {
    let mut scene = Scene::new(Peer::Answers, false);
    scene.run(20 * SECOND, false);
    scene.take(Coming::Complaint(Complaint::ResetRequest));
    scene.run(20 * SECOND, false);
    assert_eq!(scene.pings.len(), 2, "the ping after coming up was such a frame");
    for _ in 0..100 {
        scene.take(Coming::Complaint(Complaint::ResetRequest));
    }
    scene.run(60 * SECOND, false);
    assert_eq!((scene.pings.len(), scene.end), (3, None));
}

#[test]
fn a_linux_peer_that_waits_for_our_reset_ack_recovers() {
    for round_trip in [40, 900, 3000].map(Duration::from_millis) {
        let mut scene = Scene::new(Peer::Answers, false);
        (scene.round_trip, scene.user) = (round_trip, true);
        scene.run(30 * SECOND, true);
        // it drops everything for a round trip
        scene.peer = Peer::Complains(Complaint::ResetRequest);
        for _ in 0..round_trip.as_millis() / 10 {
            scene.run(10 * MILLISECOND, true);
            scene.send(true);
        }
        scene.peer = Peer::Answers;
        scene.run(60 * SECOND, true);
        assert_eq!(scene.end, None, "{round_trip:?}");
    }
}

#[test]
fn a_linux_peer_recovers_though_the_line_has_become_slow() {
    for round_trip in [2, 4, 5, 7] {
        let mut scene = Scene::new(Peer::Answers, false);
        (scene.round_trip, scene.measured, scene.user) = (round_trip * SECOND, Some(RTT), true);
        scene.run(30 * SECOND, true);
        // it drops everything until our Reset-Ack comes, a round trip after its first request
        scene.peer = Peer::Complains(Complaint::ResetRequest);
        for _ in 0..round_trip * 10 {
            scene.run(100 * MILLISECOND, true);
            scene.send(true);
        }
        scene.peer = Peer::Answers;
        scene.run(60 * SECOND, true);
        assert_eq!(scene.end, None, "{round_trip} s");
    }
}

#[test]
fn a_peer_that_complains_and_answers_no_echo_is_found_too() {
    let mut scene = Scene::new(Peer::Answers, false);
    (scene.user, scene.echoes) = (true, false);
    scene.run(30 * SECOND, true);
    scene.peer = Peer::Complains(Complaint::ResetRequest);
    scene.run(15 * SECOND, true);
    assert!(matches!(scene.end, Some((_, NothingPasses::NotOpened { .. }))), "{:?}", scene.end);
}

#[test]
fn a_long_round_trip_is_no_silence() {
    for seconds in [1, 3, 5, 8] {
        let mut scene = Scene::new(Peer::Answers, false);
        (scene.round_trip, scene.user) = (seconds * SECOND, true);
        scene.run(600 * SECOND, seconds % 2 == 0);
        assert_eq!(scene.end, None, "{seconds}");
    }
}

#[test]
fn a_line_that_loses_a_tenth_each_way_is_no_silence() {
    for peer in [Peer::Answers, Peer::Routes] {
        for seed in 1..=5 {
            let mut scene = Scene::new(peer, false);
            (scene.loss, scene.seed, scene.user) = (10, seed, true);
            scene.run(3600 * SECOND, false);
            assert_eq!(scene.end, None, "seed {seed}, {:?}", scene.path.reachability());
        }
    }
}

#[test]
fn a_peer_whose_first_answers_were_lost_is_asked_again_once_users_send() {
    for peer in [Peer::Answers, Peer::Routes] {
        let mut scene = Scene::new(Peer::Deaf, false);
        scene.run(5 * SECOND, false);
        assert_eq!(scene.news, [(3 * SECOND, Reachability::Unproven)]);
        (scene.peer, scene.user) = (peer, true);
        scene.run(600 * SECOND, true);
        assert!(scene.path.is_provable());
        scene.peer = Peer::Deaf;
        scene.run(20 * SECOND, true);
        assert!(scene.end.is_some(), "up and silent for ever");
    }
}

#[test]
fn a_mute_peer_with_traffic_is_asked_a_few_times_only() {
    let mut scene = Scene::new(Peer::Mute, false);
    scene.user = true;
    scene.run(3600 * SECOND, true);
    assert_eq!((scene.end, scene.path.is_provable()), (None, false));
    assert!(scene.pings.len() <= 6 + 3 * 2, "{}", scene.pings.len());
}

#[test]
fn packets_of_the_peer_that_do_not_open_ask_for_a_proof_though_no_user_sends() {
    let mut scene = Scene::new(Peer::Answers, false);
    scene.run(20 * SECOND, false);
    scene.path.sent(scene.now, false);
    scene.run(20 * SECOND, false);
    assert_eq!(scene.pings.len(), 1, "nothing was asked that could stay without an answer");
    scene.peer = Peer::Deaf;
    scene.path.unopened(scene.now);
    scene.run(15 * SECOND, false);
    assert!(matches!(scene.end, Some((_, NothingPasses::Silence { .. }))), "{:?}", scene.end);
}

#[test]
fn whoever_slept_through_a_verdict_waits_once_more() {
    let mut scene = Scene::new(Peer::Answers, false);
    scene.user = true;
    scene.run(20 * SECOND, true);
    scene.peer = Peer::Deaf;
    while scene.path.round.as_ref().is_none_or(|round| round.echoes() < 4) {
        scene.run(MILLISECOND, true);
    }
    scene.now += 5 * SECOND;
    let step = scene.path.handle_timeout(scene.now);
    assert!(
        matches!(step, None | Some(ProofStep::Prove { .. })),
        "the answers may be there unread"
    );
    scene.peer = Peer::Answers;
    let sequence = scene.path.sequence;
    scene.take(Coming::Pong(sequence));
    scene.run(60 * SECOND, true);
    assert_eq!(scene.end, None);
}

#[test]
fn switched_off_it_does_nothing() {
    let now = epoch();
    let mut path = PathMonitor::new(false, true);
    path.start(now, [7; 8]);
    path.sent(now, true);
    path.complain(now, Complaint::ResetRequest, RTT);
    assert!(!path.opened());
    assert_eq!((path.deadline(), path.reachability()), (None, Reachability::Unknown));
}

#[test]
fn an_idle_path_is_small() {
    assert!(size_of::<PathMonitor>() <= 96, "{}", size_of::<PathMonitor>());
}

/// Seen once in half an hour of bad weather: 14 s of standing still, and the pings' answers behind the echoes'
#[test]
fn the_pings_of_a_peer_that_stood_still_have_as_much_time_as_its_echoes_took() {
    let (began, mut round) = (epoch(), Round::new(epoch(), false, false));
    for number in 0..5_u8 {
        round.attempted(began + u32::from(number) * SECOND, number.into(), Some(number));
    }
    let resumed = began + 6 * SECOND;
    for id in 0..5 {
        round.echo_answered(resumed, id, RTT, true);
    }
    let at = |after| resumed + after;
    assert_ne!(round.handle_timeout(at(5999 * MILLISECOND), 10, false), round::RoundAction::Dead);
    assert_eq!(round.handle_timeout(at(6 * SECOND), 10, false), round::RoundAction::Dead);
}
