//! Tests of the reassembly

use std::{collections::BTreeMap, net::Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::engine::testing::Ipv4Packet;

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);

const SECOND: Time = 1_000_000;

/// A datagram's fragments come from here
fn key(host: u8, identification: u16) -> Key {
    let source = Ipv4Addr::new(192, 168, 1, host);
    Key {
        source: source.into(),
        destination: CLIENT.into(),
        protocol: Protocol::Udp,
        identification: identification.into(),
    }
}

/// The header of a fragment: only its first fragment's counts, so that each names its own
fn header(mark: u8) -> [u8; IPV4_HEADER] {
    let mut header = [0; IPV4_HEADER];
    (header[0], header[1], header[6], header[8]) = (0x4F, mark, 0x20, 64);
    header
}

/// A reassembly and its counters
#[derive(Default)]
struct Bench {
    reassembly: Reassembly,
    stats: Stats,
}

impl Bench {
    fn give(
        &mut self,
        key: Key,
        now: Time,
        offset: usize,
        octets: &[u8],
        last: bool,
    ) -> Option<Vec<u8>> {
        let mark = u8::from(offset == 0);
        let fragment = Fragment { key, header: &header(mark), offset, is_last: last, octets };
        self.reassembly.insert(&fragment, now, &mut self.stats)
    }

    /// Gives fragments of one datagram at one moment; returns the payload of the datagram that is whole
    fn add(&mut self, offset: usize, octets: &[u8], last: bool) -> Option<Vec<u8>> {
        self.give(key(3, 1), 0, offset, octets, last).map(|datagram| payload(&datagram))
    }

    fn counts(&self) -> Counts {
        let stats = &self.stats;
        Counts {
            whole: stats.reassembled,
            timeouts: stats.reassembly_timeouts,
            conflicts: stats.reassembly_conflicts,
            overflows: stats.reassembly_overflows,
            malformed: stats.malformed,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    whole: u64,
    timeouts: u64,
    conflicts: u64,
    overflows: u64,
    malformed: u64,
}

/// The payload of a datagram whose header is good
fn payload(datagram: &[u8]) -> Vec<u8> {
    let ip = Ipv4Packet::new_checked(datagram).unwrap();
    assert!(ip.verify_checksum());
    assert_eq!((ip.version(), ip.header_len()), (4, 20));
    assert_eq!(usize::from(ip.total_len()), datagram.len());
    assert!(!ip.more_frags() && !ip.dont_frag() && ip.frag_offset() == 0);
    assert_eq!(datagram[1], 1, "the header is the first fragment's");
    ip.payload().to_vec()
}

#[test]
fn rfc_791_the_last_that_comes_completes_a_datagram_whichever_it_is() {
    let whole = [[1; 16], [2; 16], [3; 16]].concat();
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let mut bench = Bench::default();
        let got: Vec<_> = order
            .iter()
            .map(|at| {
                let end = at * 16 + if *at == 2 { 9 } else { 16 };
                bench.add(at * 16, &whole[at * 16..end], *at == 2)
            })
            .collect();
        assert_eq!(got, [None, None, Some(whole[..41].to_vec())], "{order:?}");
        assert!(bench.reassembly.is_empty());
        assert_eq!(bench.counts(), Counts { whole: 1, ..Counts::default() });
        assert_eq!(bench.reassembly.next(), NEVER);
    }
}

#[test]
fn fragments_that_no_honest_router_makes_are_dropped_and_leave_the_rest() {
    let tcp = Key { protocol: Protocol::Tcp, ..key(3, 1) };
    let bad: [(&str, Key, usize, usize, bool); 9] = [
        ("empty", key(3, 1), 16, 0, false),
        ("empty and last", key(3, 1), 16, 0, true),
        ("seven octets and more to come", key(3, 1), 16, 7, false),
        ("fifteen octets and more to come", key(3, 1), 0, 15, false),
        ("one octet beyond 65,535", key(3, 1), 65_512, 4, true),
        ("the farthest that the field can tell", key(3, 1), 65_528, 8, false),
        ("a first fragment without the whole UDP header", key(3, 1), 0, 0, false),
        ("a first fragment of 8 octets of TCP", tcp, 0, 8, false),
        ("TCP from octet 8 on", tcp, 8, 16, false),
    ];
    for (what, key, offset, len, last) in bad {
        let mut bench = Bench::default();
        assert_eq!(bench.give(key, 0, offset, &[7; 70][..len], last), None);
        assert!(bench.reassembly.is_empty(), "{what} takes a place");
        assert_eq!(bench.counts(), Counts { malformed: 1, ..Counts::default() }, "{what}");

        assert_eq!(bench.give(key, 0, 0, &[1; 16], false), None);
        assert_eq!(bench.give(key, 0, offset, &[7; 70][..len], last), None);
        let whole = bench.give(key, 0, 16, &[2; 3], true).map(|whole| payload(&whole));
        assert_eq!(whole, Some([&[1; 16][..], &[2; 3]].concat()), "after {what}");
    }
}

#[test]
fn a_datagram_of_65535_octets_is_the_largest() {
    let mut bench = Bench::default();
    assert_eq!(bench.add(0, &vec![1; 65_512], false), None);
    let whole = bench.add(65_512, &[2; 3], true).unwrap();
    assert_eq!(whole.len(), 65_515);
    assert_eq!(whole[65_511..], [1, 2, 2, 2]);
}

#[test]
fn a_duplicate_does_no_harm_whatever_its_cut() {
    let mut bench = Bench::default();
    assert_eq!(bench.add(0, &[1; 16], false), None);
    assert_eq!(bench.add(0, &[1; 16], false), None);
    assert_eq!(bench.add(8, &[1; 8], false), None);
    assert_eq!(bench.add(32, &[3; 5], true), None);
    assert_eq!(bench.add(32, &[3; 5], true), None);
    assert_eq!(bench.add(16, &[2; 16], false).map(|whole| whole.len()), Some(37));
    assert_eq!(bench.counts(), Counts { whole: 1, ..Counts::default() });
}

/// A fragment: where it begins, its octets, whether it is the last
type Piece = (usize, &'static [u8], bool);

#[test]
fn rfc_5722_whatever_contradicts_ends_the_datagram_and_its_later_fragments() {
    let conflicts: [(&str, &[Piece], Piece); 9] = [
        ("other octets", &[(0, &[1; 16], false)], (0, &[2; 16], false)),
        ("one other octet", &[(0, &[1; 16], false)], (8, &[1, 1, 1, 1, 1, 1, 1, 2], false)),
        ("an overlap to the right", &[(0, &[1; 16], false)], (8, &[1; 16], false)),
        ("an overlap to the left", &[(16, &[1; 16], false)], (8, &[1; 16], false)),
        ("one around another", &[(16, &[1; 8], false)], (8, &[1; 24], false)),
        ("over a gap", &[(0, &[1; 16], false), (24, &[1; 8], false)], (8, &[1; 24], false)),
        ("two ends", &[(16, &[1; 8], true)], (32, &[1; 8], true)),
        ("more behind the end", &[(16, &[1; 8], true)], (24, &[1; 8], false)),
        ("an end before what came", &[(32, &[1; 8], false)], (16, &[1; 8], true)),
    ];
    for (what, before, breach) in conflicts {
        let mut bench = Bench::default();
        for (offset, octets, last) in before {
            assert_eq!(bench.add(*offset, octets, *last), None);
        }
        let (offset, octets, last) = breach;
        assert_eq!(bench.add(offset, octets, last), None);
        assert_eq!(bench.counts(), Counts { conflicts: 1, ..Counts::default() }, "{what}");
        for _ in 0..2 {
            assert_eq!(bench.add(0, &[1; 48], false), None, "{what}");
            assert_eq!(bench.add(48, &[1; 8], true), None, "{what}");
        }
        assert_eq!(bench.counts(), Counts { conflicts: 1, ..Counts::default() }, "{what}");
        // its time over, the identification is as good as new
        assert_eq!(bench.give(key(3, 1), 30 * SECOND, 0, &[1; 8], false), None);
        assert!(bench.give(key(3, 1), 30 * SECOND, 8, &[1; 8], true).is_some(), "{what}");
        assert_eq!(bench.counts().timeouts, 0, "{what}");
    }
}

#[test]
fn what_differs_in_any_part_of_the_key_is_another_datagram() {
    let one = key(3, 1);
    let others = [
        key(3, 2),
        key(4, 1),
        Key { destination: Ipv4Addr::BROADCAST.into(), ..one },
        Key { protocol: Protocol::Icmp, ..one },
    ];
    for other in others {
        let mut bench = Bench::default();
        assert_eq!(bench.give(one, 0, 0, &[1; 8], false), None);
        assert_eq!(bench.give(other, 0, 8, &[2; 8], true), None);
        assert_eq!(bench.counts(), Counts::default());
        assert!(bench.give(one, 0, 8, &[2; 8], true).is_some());
    }
}

#[test]
fn thirty_seconds_from_the_first_fragment_on_a_datagram_is_given_up() {
    let mut bench = Bench::default();
    assert_eq!(bench.give(key(3, 1), SECOND, 0, &[1; 8], false), None);
    assert_eq!(bench.give(key(3, 2), 2 * SECOND, 0, &[1; 8], false), None);
    assert_eq!(bench.reassembly.next(), 31 * SECOND);
    // what comes later does not prolong it
    assert_eq!(bench.give(key(3, 1), 30 * SECOND, 8, &[1; 8], false), None);
    assert_eq!(bench.reassembly.next(), 31 * SECOND);
    bench.reassembly.expire(31 * SECOND - 1, &mut bench.stats);
    assert_eq!(bench.counts(), Counts::default());
    bench.reassembly.expire(31 * SECOND, &mut bench.stats);
    assert_eq!(bench.counts(), Counts { timeouts: 1, ..Counts::default() });
    assert_eq!(bench.reassembly.next(), 32 * SECOND);
    // a fragment that comes late meets nothing of the datagram, though nothing has struck in between
    assert_eq!(bench.give(key(3, 2), 32 * SECOND, 8, &[1; 8], true), None);
    assert_eq!(bench.counts(), Counts { timeouts: 2, ..Counts::default() });
}

/// The datagrams that are still held, by host and identification
fn held(bench: &Bench) -> Vec<(u8, u16)> {
    let keys = bench.reassembly.partials.iter().map(|partial| partial.key);
    keys.map(|key| (key.source.mapped_octets()[15], key.identification.try_into().unwrap()))
        .collect()
}

#[test]
fn a_fifth_datagram_takes_the_place_of_the_oldest_of_the_busiest_sender() {
    let cases: [(&str, [u8; 4], u8, usize); 6] = [
        ("one sender", [3, 3, 3, 3], 3, 0),
        ("four senders, and a fifth", [3, 4, 5, 6], 7, 0),
        ("four senders, and one of them", [3, 4, 5, 6], 5, 2),
        ("a flood meets another's", [3, 9, 9, 9], 9, 1),
        ("a flood holds all but one", [9, 9, 3, 9], 3, 0),
        ("two and two, and a third", [4, 3, 3, 4], 5, 0),
    ];
    for (what, hosts, newcomer, victim) in cases {
        let mut bench = Bench::default();
        let mut expected = Vec::new();
        for (host, identification) in hosts.into_iter().zip(1..) {
            assert_eq!(bench.give(key(host, identification), 0, 0, &[1; 8], false), None);
            expected.push((host, identification));
        }
        assert_eq!(bench.give(key(newcomer, 5), 0, 0, &[1; 8], false), None);
        expected.remove(victim);
        expected.push((newcomer, 5));
        assert_eq!(held(&bench), expected, "{what}");
        assert_eq!(bench.counts(), Counts { overflows: 1, ..Counts::default() }, "{what}");
    }
}

#[test]
fn a_datagram_that_was_given_up_is_the_first_to_make_room() {
    let mut bench = Bench::default();
    for identification in 1..=4 {
        assert_eq!(bench.give(key(3, identification), 0, 0, &[1; 8], false), None);
    }
    assert_eq!(bench.give(key(3, 3), 0, 0, &[2; 8], false), None);
    assert_eq!(bench.give(key(3, 5), 0, 0, &[1; 8], false), None);
    assert_eq!(held(&bench), [(3, 1), (3, 2), (3, 4), (3, 5)]);
    assert_eq!(bench.counts(), Counts { conflicts: 1, ..Counts::default() }, "counted once");
}

#[test]
fn a_flood_of_one_host_takes_no_place_that_another_has() {
    let mut bench = Bench::default();
    assert_eq!(bench.give(key(3, 7), 0, 0, &[1; 8], false), None);
    for identification in 0..20_000 {
        assert_eq!(bench.give(key(9, identification), 0, 0, &[1; 8], false), None);
    }
    assert!(bench.give(key(3, 7), 0, 8, &[1; 8], true).is_some());
}

#[test]
fn more_than_128_pieces_end_a_datagram() {
    for pieces in [128, 129] {
        let mut bench = Bench::default();
        for at in 0..pieces {
            assert_eq!(bench.add(at * 16, &[1; 8], false), None);
        }
        let overflows = u64::from(pieces > MAX_PIECES);
        assert_eq!(bench.counts(), Counts { overflows, ..Counts::default() });
        for at in 0..pieces {
            let whole = bench.add(at * 16 + 8, &[1; 8], at + 1 == pieces);
            assert_eq!(whole.is_some(), at + 1 == pieces && pieces == 128, "{at} of {pieces}");
        }
    }
}

#[test]
fn what_is_held_is_within_the_bound() {
    let mut bench = Bench::default();
    for identification in 0..10_000 {
        for offset in [65_504, 0] {
            assert_eq!(bench.give(key(9, identification), 0, offset, &[1; 8], false), None);
        }
        let partials = &bench.reassembly.partials;
        let octets: usize = partials
            .iter()
            .filter_map(|partial| partial.collected.as_ref())
            .map(|collected| collected.datagram.capacity())
            .sum();
        assert!(partials.len() <= 4 && octets <= 4 * 65_535, "{octets}");
    }
}

/// A fragment: its offset, its octets, and whether it is the last one
type Came = (usize, Vec<u8>, bool);

/// A slow reassembly, which keeps each fragment that came
#[derive(Default)]
struct Slow {
    /// Identification, first arrival, and the fragments unless they were given up
    datagrams: Vec<(u16, Time, Option<Vec<Came>>)>,
    counts: Counts,
}

impl Slow {
    /// Judges by the rules as they are written, from all fragments each time
    fn give(
        &mut self,
        id: u16,
        now: Time,
        offset: usize,
        octets: &[u8],
        last: bool,
    ) -> Option<Vec<u8>> {
        let counts = &mut self.counts;
        self.datagrams.retain(|(_, since, fragments)| {
            let over = now >= since + 30 * SECOND;
            counts.timeouts += u64::from(over && fragments.is_some());
            !over
        });
        if !self.datagrams.iter().any(|(known, ..)| *known == id) {
            if self.datagrams.len() == 4 {
                let given_up = self.datagrams.iter().position(|(.., kept)| kept.is_none());
                let (.., kept) = self.datagrams.remove(given_up.unwrap_or(0));
                counts.overflows += u64::from(kept.is_some());
            }
            self.datagrams.push((id, now, Some(Vec::new())));
        }
        let at = self.datagrams.iter().position(|(known, ..)| *known == id).unwrap();
        let fragments = self.datagrams[at].2.as_mut()?;
        fragments.push((offset, octets.to_vec(), last));
        let mut map = BTreeMap::new();
        let mut agree = fragments.iter().enumerate().all(|(number, (offset, octets, _))| {
            let places: Vec<_> = (*offset..).take(octets.len()).collect();
            let there = places.iter().filter(|place| map.contains_key(*place)).count();
            let same =
                places.iter().zip(octets).all(|(place, octet)| map.get(place) == Some(octet));
            map.extend(places.into_iter().zip(octets.iter().copied()));
            number == 0 || there == 0 || same
        });
        let ends: Vec<_> = fragments.iter().filter(|(.., last)| *last).collect();
        let end = ends.first().map(|(offset, octets, _)| offset + octets.len());
        agree &= ends.iter().all(|(offset, octets, _)| Some(offset + octets.len()) == end);
        agree &= fragments
            .iter()
            .filter(|(.., last)| !*last)
            .all(|(offset, octets, _)| end.is_none_or(|end| offset + octets.len() < end));
        if !agree {
            self.datagrams[at].2 = None;
            counts.conflicts += 1;
            return None;
        }
        let whole = (0..end?).map(|place| map.get(&place).copied()).collect::<Option<Vec<_>>>()?;
        self.datagrams.remove(at);
        counts.whole += 1;
        Some(whole)
    }
}

/// A fragment of one of some datagrams: which, when it comes after the one before, where in units of
/// eight octets, how many of them, an octet that may be wrong, and whether it is the last
type Given = (u16, Time, usize, usize, bool, bool);

fn given(datagrams: u16, ends: usize) -> impl Strategy<Value = Given> {
    let wrong = proptest::bool::weighted(0.02);
    (0..datagrams, 0..3 * SECOND, 0..ends, 1..4_usize, wrong, proptest::bool::weighted(0.15))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    /// Any fragments at all: some fit, some overlap, some contradict, some come too late
    #[test]
    fn any_fragments_come_to_what_a_slow_reassembly_makes_of_them(
        all in proptest::collection::vec(given(6, 5), 0..120),
    ) {
        let (mut bench, mut slow, mut now) = (Bench::default(), Slow::default(), 0);
        for (id, pause, offset, count, wrong, last) in all {
            now += pause / 4;
            let places = offset * 8..(offset + count) * 8;
            let right = places.map(|place| u8::try_from(place % 251).unwrap());
            let octets: Vec<_> = right.map(|octet| octet ^ u8::from(wrong)).collect();
            let got = bench.give(key(3, id), now, offset * 8, &octets, last);
            let expected = slow.give(id, now, offset * 8, &octets, last);
            prop_assert_eq!(got.map(|datagram| payload(&datagram)), expected);
            prop_assert_eq!(bench.counts(), slow.counts);
            let first = slow.datagrams.first().map_or(NEVER, |(_, since, _)| since + 30 * SECOND);
            prop_assert_eq!(bench.reassembly.next(), first);
            prop_assert_eq!(bench.reassembly.is_empty(), slow.datagrams.is_empty());
        }
    }

    /// Datagrams cut by honest routers: in any order, doubled, and with losses
    #[test]
    fn datagrams_in_any_order_doubled_and_with_losses_are_whole_or_missing(
        lengths in proptest::collection::vec(9_usize..3000, 1..=4),
        step in (1_usize..100).prop_map(|step| step * 8),
        order in any::<u64>(),
        losses in proptest::collection::vec(proptest::bool::weighted(0.05), 32),
    ) {
        let mut fragments = Vec::new();
        for (id, length) in (0_u16..).zip(&lengths) {
            let octets: Vec<_> = (0..*length).map(|at| u8::try_from(at % 249).unwrap()).collect();
            for (number, part) in octets.chunks(step).enumerate() {
                let offset = number * step;
                fragments.push((id, offset, part.to_vec(), offset + part.len() == *length));
            }
        }
        // a permutation from a seed, and some of them twice
        let mut state = order;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap() % below
        };
        for at in (1..fragments.len()).rev() {
            fragments.swap(at, random(at + 1));
        }
        let lost = |number: usize| losses.get(number).copied().unwrap_or_default();
        let mut came = BTreeMap::new();
        let mut expected = BTreeMap::<u16, usize>::new();
        let mut bench = Bench::default();
        for (number, (id, offset, part, last)) in fragments.iter().enumerate() {
            if lost(number) {
                continue;
            }
            *expected.entry(*id).or_default() += part.len();
            // a datagram's duplicate after it is whole would begin another
            let is_whole = expected[id] == lengths[usize::from(*id)];
            for _ in 0..if is_whole { 1 } else { 1 + random(2) } {
                if let Some(datagram) = bench.give(key(3, *id), 0, *offset, part, *last) {
                    prop_assert!(came.insert(*id, payload(&datagram)).is_none());
                }
            }
        }
        for (id, length) in (0_u16..).zip(&lengths) {
            let is_whole = expected.get(&id) == Some(length);
            let octets = || (0..*length).map(|at| u8::try_from(at % 249).unwrap()).collect();
            prop_assert_eq!(came.remove(&id), is_whole.then(octets));
        }
        prop_assert_eq!(bench.counts().conflicts, 0);
    }
}
