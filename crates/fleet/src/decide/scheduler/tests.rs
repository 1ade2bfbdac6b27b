use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

use super::*;

const LIMITS: DialLimits =
    DialLimits { interval: Duration::from_millis(20), burst: 20, under_way: 128 };

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn key(number: u32) -> ServerKey {
    format!("10.0.0.{number}").into()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Ends a dial; returns true if an outage begins with it
fn begins_outage(scheduler: &mut Scheduler, now: Instant, site: SiteId, end: DialEnd) -> bool {
    let was_outage = scheduler.is_outage();
    scheduler.ended(now, site, end, 0.0);
    scheduler.is_outage() && !was_outage
}

#[test]
fn a_thousand_sites_come_without_a_storm_and_one_at_a_time_for_each_server() {
    let begin = start();
    let mut scheduler = Scheduler::new(begin, LIMITS);
    for number in 0..1000 {
        scheduler.wish(begin, SiteId(number), &key(number % 100), Urgency::Start);
    }
    let mut dials: VecDeque<(Instant, SiteId)> = VecDeque::new();
    let (mut now, mut begun, mut most) = (begin, Vec::new(), 0);
    while begun.len() < 1000 || !dials.is_empty() {
        while dials.front().is_some_and(|(at, _)| *at <= now) {
            let (_, site) = dials.pop_front().unwrap();
            scheduler.ended(now, site, DialEnd::Reached, 0.5);
        }
        while let Some(site) = scheduler.poll_dial(now) {
            dials.push_back((now + seconds(0.4), site));
            begun.push(now);
        }
        let servers: HashSet<_> = dials.iter().map(|(_, site)| site.0 % 100).collect();
        assert_eq!(servers.len(), dials.len(), "one at a time for each server");
        most = most.max(dials.len());
        let next = [scheduler.poll_timeout(now), dials.front().map(|(at, _)| *at)];
        match next.into_iter().flatten().min() {
            Some(next) => {
                assert!(next > now, "a deadline that has passed would spin");
                now = next;
            }
            None => break,
        }
    }
    assert_eq!(begun.len(), 1000);
    let took = (now - begin).as_secs_f64();
    assert!((20.0..20.8).contains(&took) && most <= 40, "{took} s, {most} at a time");
    assert_eq!((scheduler.waiting(), scheduler.under_way(), scheduler.servers.len()), (0, 0, 0));
}

#[test]
fn the_most_urgent_goes_first_and_every_fourth_grant_to_the_oldest() {
    let begin = start();
    let mut scheduler = Scheduler::new(begin, LIMITS);
    let after = |number: u32| begin + Duration::from_millis(number.into());
    for number in 0..4 {
        scheduler.wish(after(number), SiteId(number), &key(number), Urgency::Again);
    }
    for number in 4..10 {
        scheduler.wish(after(number), SiteId(number), &key(number), Urgency::Waited);
    }
    scheduler.wish(after(10), SiteId(3), &key(3), Urgency::Asked);
    let order: Vec<u32> =
        std::iter::from_fn(|| scheduler.poll_dial(after(11))).map(|it| it.0).collect();
    assert_eq!(order, [4, 5, 6, 0, 7, 8, 9, 1, 3, 2]);
}

#[test]
fn a_server_that_failed_sends_one_scout_and_opens_for_all_when_it_is_reached() {
    let begin = start();
    let mut scheduler = Scheduler::new(begin, LIMITS);
    for number in 0..300 {
        scheduler.wish(begin, SiteId(number), &key(1), Urgency::Start);
    }
    scheduler.wish(begin, SiteId(1000), &key(2), Urgency::Again);
    let (mut now, mut scouts) = (begin, Vec::new());
    while now < begin + Duration::from_mins(30) {
        while let Some(site) = scheduler.poll_dial(now) {
            if site == SiteId(1000) {
                scheduler.ended(now, site, DialEnd::Reached, 0.0);
                continue;
            }
            scouts.push((now - begin).as_secs());
            scheduler.ended(now, site, DialEnd::ServerFailed(seconds(10.0)), 0.0);
            scheduler.wish(now, site, &key(1), Urgency::Again);
        }
        now = scheduler.poll_timeout(now).expect("sites wait").max(now + Duration::from_millis(1));
    }
    assert_eq!(
        scouts,
        [0, 10, 30, 70, 150, 310, 610, 910, 1210, 1510],
        "one at a time, with growing pauses"
    );
    assert_eq!(scheduler.waiting(), 300, "none is lost");
    let scout = loop {
        match scheduler.poll_dial(now) {
            Some(site) => break site,
            None => now = scheduler.poll_timeout(now).unwrap(),
        }
    };
    scheduler.reached(scout, &key(1));
    assert_eq!(scheduler.poll_dial(now), None, "one at a time");
    scheduler.ended(now, scout, DialEnd::Reached, 0.0);
    let mut up = 1;
    let released = now;
    while scheduler.waiting() > 0 {
        match scheduler.poll_dial(now) {
            Some(site) => {
                scheduler.ended(now, site, DialEnd::Reached, 0.0);
                up += 1;
            }
            None => now = scheduler.poll_timeout(now).unwrap(),
        }
    }
    assert_eq!(up, 300);
    assert!(now - released <= seconds(6.0), "at the rate: {:?}", now - released);
}

/// By an address and by a name: the pauses are the address's
#[test]
fn a_server_that_accepts_connections_and_says_nothing_is_dialled_with_growing_pauses() {
    for name in [key(1), "vpn.example".into()] {
        let begin = start();
        let mut scheduler = Scheduler::new(begin, LIMITS);
        for number in 0..10 {
            scheduler.wish(begin, SiteId(number), &name, Urgency::Start);
        }
        let (mut now, mut dials) = (begin, Vec::new());
        while now < begin + Duration::from_mins(30) {
            while let Some(site) = scheduler.poll_dial(now) {
                dials.push((now - begin).as_secs());
                scheduler.reached(site, &key(1));
                scheduler.ended(now, site, DialEnd::ServerFailed(seconds(10.0)), 0.0);
                // the address is known from now on
                for number in 0..10 {
                    scheduler.wish(now, SiteId(number), &key(1), Urgency::Again);
                }
            }
            let next = scheduler.poll_timeout(now).expect("sites wait");
            now = next.max(now + Duration::from_millis(1));
        }
        assert_eq!(dials, [0, 10, 30, 70, 150, 310, 610, 910, 1210, 1510], "{name}");
    }
}

#[test]
fn an_uplink_that_is_cut_costs_three_dials_at_a_time_and_is_noticed_when_it_is_back() {
    let begin = start();
    let mut scheduler = Scheduler::new(begin, LIMITS);
    for number in 0..3000 {
        scheduler.wish(begin, SiteId(number), &key(number), Urgency::Lost);
    }
    let (mut now, mut outages, mut dials) = (begin, 0, VecDeque::new());
    let back = begin + Duration::from_mins(20);
    let mut most_in_outage = 0;
    while now < back {
        while dials.front().is_some_and(|(at, _): &(Instant, _)| *at <= now) {
            let (_, site): (_, SiteId) = dials.pop_front().unwrap();
            let end = DialEnd::ServerFailed(seconds(10.0));
            outages += u32::from(begins_outage(&mut scheduler, now, site, end));
            scheduler.wish(now, site, &key(site.0), Urgency::Again);
        }
        while let Some(site) = scheduler.poll_dial(now) {
            dials.push_back((now + seconds(3.0), site));
            if scheduler.is_outage() {
                most_in_outage = most_in_outage.max(dials.len());
            }
        }
        let next = [scheduler.poll_timeout(now), dials.front().map(|(at, _)| *at)];
        now = next.into_iter().flatten().min().unwrap().max(now + Duration::from_micros(1));
    }
    assert_eq!((outages, most_in_outage), (1, 3), "told once");
    assert!(scheduler.is_outage());
    let mut reached = None;
    while reached.is_none() {
        while dials.front().is_some_and(|(at, _)| *at <= now) {
            let (_, site) = dials.pop_front().unwrap();
            scheduler.ended(now, site, DialEnd::ServerFailed(seconds(10.0)), 0.0);
            scheduler.wish(now, site, &key(site.0), Urgency::Again);
        }
        if let Some(site) = scheduler.poll_dial(now) {
            scheduler.reached(site, &key(site.0));
            reached = Some(now);
        } else {
            let next = [scheduler.poll_timeout(now), dials.front().map(|(at, _)| *at)];
            now = next.into_iter().flatten().min().unwrap();
        }
    }
    assert!(reached.unwrap() - back <= seconds(33.0), "{:?}", reached.unwrap() - back);
    assert!(!scheduler.is_outage());
}

#[test]
fn servers_that_are_down_are_no_outage_while_others_have_tunnels() {
    let begin = start();
    let mut scheduler = Scheduler::new(begin, LIMITS);
    let fail = |scheduler: &mut Scheduler, number: u32| {
        scheduler.wish(begin, SiteId(number), &key(number), Urgency::Lost);
        let site = scheduler.poll_dial(begin).expect("a burst");
        begins_outage(scheduler, begin, site, DialEnd::ServerFailed(seconds(10.0)))
    };
    for number in 100..107 {
        scheduler.tunnel_up(&key(number));
        scheduler.tunnel_up(&key(number));
        scheduler.tunnel_down(&key(number));
    }
    assert!((0..6).all(|number| !fail(&mut scheduler, number)), "seven others are up");
    for number in 101..107 {
        scheduler.tunnel_down(&key(number));
    }
    assert!(fail(&mut scheduler, 6), "one other is up");
    assert!(scheduler.is_outage());
    let mut other = Scheduler::new(begin, LIMITS);
    assert!((0..3).all(|number| !fail(&mut other, number)), "three that fail are three that fail");
    other.wish(begin, SiteId(50), &key(50), Urgency::Lost);
    let site = other.poll_dial(begin).unwrap();
    other.ended(begin, site, DialEnd::Reached, 0.0);
    assert!((3..6).all(|number| !fail(&mut other, number)), "one was reached meanwhile");
    assert!(fail(&mut other, 6));
}

#[test]
fn a_dial_that_is_given_up_says_nothing_of_its_server_and_ends_no_outage() {
    let begin = start();
    let mut scheduler = Scheduler::new(begin, LIMITS);
    let mut dial = |now: Instant, number: u32, end: DialEnd| {
        scheduler.wish(now, SiteId(number), &key(number), Urgency::Lost);
        let site = scheduler.poll_dial(now).expect("the pauses are over");
        scheduler.ended(now, site, end, 0.0);
        (scheduler.is_outage(), scheduler.closed_until(&key(number)))
    };
    let failed = DialEnd::ServerFailed(seconds(10.0));
    for number in 0..3 {
        assert!(!dial(begin, number, failed).0);
    }
    assert_eq!(dial(begin, 3, failed), (true, Some(begin + seconds(10.0))));
    let later = begin + seconds(20.0);
    assert_eq!(dial(later, 3, DialEnd::GivenUp), (true, None), "no one was reached");
    assert_eq!(dial(later, 3, failed), (true, Some(later + seconds(20.0))), "the second in a row");
    assert_eq!(dial(later, 4, DialEnd::Reached), (false, None));
}

#[test]
fn a_dial_counts_for_the_address_that_its_name_turned_out_to_have() {
    let begin = start();
    let mut scheduler = Scheduler::new(begin, LIMITS);
    let (name, address): (ServerKey, ServerKey) = ("vpn.example".into(), "10.0.0.1".into());
    scheduler.wish(begin, SiteId(1), &name, Urgency::Start);
    scheduler.wish(begin, SiteId(2), &address, Urgency::Start);
    let dials: HashSet<_> = std::iter::from_fn(|| scheduler.poll_dial(begin)).collect();
    assert_eq!(dials.len(), 2, "it is not known yet that both are one");
    scheduler.reached(SiteId(1), &address);
    scheduler.wish(begin, SiteId(3), &address, Urgency::Start);
    scheduler.ended(begin, SiteId(2), DialEnd::Reached, 0.0);
    assert_eq!(scheduler.poll_dial(begin), None, "the first dial goes on");
    scheduler.ended(begin, SiteId(1), DialEnd::ServerFailed(seconds(10.0)), 0.0);
    assert_eq!(scheduler.closed_until(&address), Some(begin + seconds(10.0)));
    assert_eq!(scheduler.closed_until(&name), None);
    scheduler.withdraw(SiteId(3));
    assert_eq!(scheduler.servers.len(), 1, "nothing is remembered of the name");
    scheduler.forgive(&address);
    assert!(scheduler.servers.is_empty());
}

#[test]
fn a_wish_that_is_withdrawn_is_forgotten_and_a_further_one_keeps_its_age() {
    let begin = start();
    let mut scheduler = Scheduler::new(begin, LIMITS);
    scheduler.wish(begin, SiteId(1), &key(1), Urgency::Again);
    scheduler.wish(begin + seconds(5.0), SiteId(1), &key(2), Urgency::Waited);
    assert_eq!(
        (scheduler.waiting(), scheduler.servers.len()),
        (1, 1),
        "the first server is forgotten"
    );
    assert_eq!(scheduler.ahead(SiteId(1)), Some(0));
    let wish = scheduler.withdraw(SiteId(1)).unwrap();
    assert_eq!((wish.since, wish.urgency), (begin, Urgency::Waited));
    assert_eq!((scheduler.withdraw(SiteId(1)), scheduler.ahead(SiteId(1))), (None, None));
    assert_eq!((scheduler.poll_dial(begin), scheduler.poll_timeout(begin)), (None, None));
    assert!(scheduler.servers.is_empty());
}

/// The same scheduler by lists, without an index, for comparison
#[derive(Default)]
struct Model {
    wishes: BTreeMap<SiteId, ServerKey>,
    under_way: BTreeMap<SiteId, ServerKey>,
}

#[test]
fn at_random_no_wish_is_lost_the_rate_holds_and_each_server_has_one_dial() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        at_random(seed, &mut rng);
    }
}

fn at_random(seed: u64, rng: &mut impl Rng) {
    let begin = start();
    let limits = DialLimits { under_way: rng.random_range(1..20), ..LIMITS };
    let (mut scheduler, mut model) = (Scheduler::new(begin, limits), Model::default());
    let (mut now, mut grants) = (begin, Vec::new());
    for _ in 0..600 {
        let site = SiteId(rng.random_range(0..60));
        match rng.random_range(0..10) {
            0..4 if !model.under_way.contains_key(&site) => {
                let urgencies = [
                    Urgency::Waited,
                    Urgency::Asked,
                    Urgency::Lost,
                    Urgency::Start,
                    Urgency::Again,
                ];
                let server = key(rng.random_range(0..15));
                scheduler.wish(now, site, &server, urgencies[rng.random_range(0..5)]);
                model.wishes.insert(site, server);
            }
            4 => {
                let withdrawn = scheduler.withdraw(site).is_some();
                assert_eq!(withdrawn, model.wishes.remove(&site).is_some(), "seed {seed}");
            }
            5..8 => {
                if let Some(site) = model.under_way.keys().next().copied() {
                    model.under_way.remove(&site);
                    let end = match rng.random_range(0..10) {
                        0 => DialEnd::HostFailed,
                        1..4 => DialEnd::ServerFailed(seconds(1.0)),
                        4 => DialEnd::GivenUp,
                        _ => DialEnd::Reached,
                    };
                    scheduler.ended(now, site, end, rng.random());
                }
            }
            _ => now += Duration::from_millis(rng.random_range(0..2000)),
        }
        while let Some(site) = scheduler.poll_dial(now) {
            let server = model.wishes.remove(&site).expect("it was wished for");
            assert!(model.under_way.values().all(|other| *other != server), "seed {seed}");
            model.under_way.insert(site, server);
            grants.push(now);
        }
        assert!(model.under_way.len() <= limits.under_way, "seed {seed}");
        assert_eq!(
            (scheduler.waiting(), scheduler.under_way()),
            (model.wishes.len(), model.under_way.len())
        );
        let ahead = model.wishes.keys().map(|site| (*site, scheduler.ahead(*site).unwrap()));
        assert_eq!(scheduler.ahead_of_all(), ahead.collect(), "seed {seed}");
        let is_waiting = !model.wishes.is_empty() && model.under_way.is_empty();
        let next = scheduler.poll_timeout(now);
        assert!(next.is_some() || !is_waiting, "seed {seed}: sites wait and nothing is to happen");
        assert!(next.is_none_or(|next| next > now), "seed {seed}: a deadline in the past spins");
    }
    for span in grants.windows(LIMITS.burst as usize + 5) {
        let took = *span.last().unwrap() - span[0];
        assert!(took >= LIMITS.interval * 4, "seed {seed}: {took:?}");
    }
    // with servers that answer, every wish comes to its dial
    for _ in 0..10_000 {
        for site in std::mem::take(&mut model.under_way).into_keys() {
            scheduler.ended(now, site, DialEnd::Reached, 0.0);
        }
        while let Some(site) = scheduler.poll_dial(now) {
            let server = model.wishes.remove(&site).unwrap();
            model.under_way.insert(site, server);
        }
        match scheduler.poll_timeout(now) {
            Some(next) => now = next.max(now),
            None if model.under_way.is_empty() => break,
            None => {}
        }
    }
    assert!(model.wishes.is_empty(), "seed {seed}: {:?}", model.wishes);
}

#[test]
fn a_server_that_refuses_good_logins_stays_closed_until_it_accepts_one() {
    let (begin, address) = (start(), ServerKey::from("10.0.0.1:1723"));
    let mut scheduler = Scheduler::new(begin, LIMITS);
    let name = ServerKey::from("vpn.example");
    for site in 1..=3 {
        scheduler.wish(begin, SiteId(site), &name, Urgency::Start);
    }
    let dialled = scheduler.poll_dial(begin).expect("one is dialled");
    scheduler.reached(dialled, &address);
    scheduler.ended(begin, dialled, DialEnd::LoginsRefused(seconds(60.0)), 0.0);
    let closed = scheduler.closed_until(&address).expect("it is closed");
    // another site finds its TCP open by its name, and is refused as well
    let later = begin + seconds(5.0);
    let second = scheduler.poll_dial(later).expect("its name is not closed");
    scheduler.reached(second, &address);
    assert_eq!(scheduler.closed_until(&address), Some(closed));
    scheduler.ended(later, second, DialEnd::Reached, 0.0);
    assert_eq!(scheduler.closed_until(&address), Some(closed));
    scheduler.tunnel_up(&address);
    assert_eq!(scheduler.closed_until(&address), None);
}
