//! Tests of the call table and of its Call IDs

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*};
use rand::{SeedableRng, rngs::StdRng};

use super::*;

const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[test]
fn a_call_is_found_by_its_id_and_its_peer_only() {
    let mut table = CallTable::new();
    let mut rng = StdRng::seed_from_u64(1);
    let id = table.insert_with(&mut rng, PEER, now(), |id| id).unwrap();
    assert_eq!(table.get(id, PEER), Some(&id), "the value knows its ID");
    assert_eq!(table.get(id, OTHER), None);
    assert_eq!(table.get_mut(id, OTHER), None);
    assert_eq!(table.get(id ^ 0x0100, PEER), None);
    assert_eq!(table.get(id ^ 1, PEER), None);
}

#[test]
fn ids_are_random_and_seldom_neighbours() {
    let mut table = CallTable::new();
    let mut rng = StdRng::seed_from_u64(2);
    let ids: Vec<_> = (0..100).map(|_| table.insert(&mut rng, PEER, (), now()).unwrap()).collect();
    let neighbours = ids.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 16).count();
    assert!(neighbours < 5, "{ids:?}");
}

#[test]
fn the_shards_of_several_sockets_share_the_ids_out() {
    let mut rng = StdRng::seed_from_u64(4);
    for count in 1..=4 {
        let mut owners = vec![0; 65_536];
        for shard in Shard::split(count) {
            let mut table = CallTable::of_shard(shard);
            while let Ok(id) = table.insert(&mut rng, PEER, (), now()) {
                assert!(shard.contains(id), "{id} is not of {shard:?}");
                owners[usize::from(id)] += 1;
            }
        }
        assert_eq!(owners[0], 0);
        assert!(owners[1..].iter().all(|count| *count == 1), "{count} sockets");
    }
}

#[test]
fn every_id_but_zero_is_given_once_and_then_none() {
    let mut table = CallTable::new();
    let mut rng = StdRng::seed_from_u64(3);
    let now = now();
    let mut seen = vec![false; 1 << 16];
    for _ in 0..65_535 {
        let id = table.insert(&mut rng, PEER, (), now).unwrap();
        assert!(!std::mem::replace(&mut seen[usize::from(id)], true), "{id} was given twice");
    }
    assert!(!seen[0]);
    assert_eq!(table.len(), 65_535);
    let exhausted = Exhausted { in_use: 65_535, in_quarantine: 0 };
    assert_eq!(table.insert(&mut rng, PEER, (), now), Err(exhausted));
    assert_eq!(table.iter().count(), 65_535);
}

#[test]
fn an_id_rests_120_seconds() {
    let mut table = CallTable::new();
    let mut rng = StdRng::seed_from_u64(4);
    let start = now();
    let ids: Vec<_> =
        (0..65_535).map(|_| table.insert(&mut rng, PEER, (), start).unwrap()).collect();
    let (first, second) = (ids[7], ids[4711]);
    table.remove(first, start).unwrap();
    table.remove(second, start + CALL_ID_QUARANTINE / 2).unwrap();

    let too_soon = start + std::time::Duration::from_millis(119_999);
    let exhausted = Exhausted { in_use: 65_533, in_quarantine: 2 };
    assert_eq!(table.insert(&mut rng, PEER, (), too_soon), Err(exhausted));
    assert_eq!(table.insert(&mut rng, PEER, (), start + CALL_ID_QUARANTINE), Ok(first));
    assert!(table.insert(&mut rng, PEER, (), start + CALL_ID_QUARANTINE).is_err());
    assert_eq!(table.insert(&mut rng, PEER, (), start + CALL_ID_QUARANTINE * 2), Ok(second));
}

#[test]
fn an_empty_page_is_freed() {
    let mut table = CallTable::new();
    let mut rng = StdRng::seed_from_u64(5);
    let ids: Vec<_> = (0..600).map(|_| table.insert(&mut rng, PEER, (), now()).unwrap()).collect();
    assert!(table.pages.iter().flatten().count() > 200);
    for id in ids {
        table.remove(id, now()).unwrap();
    }
    assert_eq!(table.pages.iter().flatten().count(), 0);
}

#[derive(Clone, Debug)]
enum Operation {
    Insert { other_peer: bool },
    Remove { pick: prop::sample::Index },
    Pass { seconds: u64 },
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => any::<bool>().prop_map(|other_peer| Operation::Insert { other_peer }),
        2 => any::<prop::sample::Index>().prop_map(|pick| Operation::Remove { pick }),
        1 => (0_u64..200).prop_map(|seconds| Operation::Pass { seconds }),
    ]
}

/// Few different numbers, so that IDs meet each other often
struct Crowded(StdRng);

impl rand::rand_core::TryRng for Crowded {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let Ok(number) = self.0.try_next_u32();
        Ok(if number & 0x100 == 0 { number & 0x3F } else { 0xFFC0 | number & 0x3F })
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Self::Error> {
        self.0.try_fill_bytes(octets)
    }
}

proptest! {
    #[test]
    fn the_table_is_a_map_whose_keys_rest(seed in any::<u64>(), operations in vec(operation(), 1..300)) {
        let mut rng = Crowded(StdRng::seed_from_u64(seed));
        let mut table = CallTable::new();
        let mut model: HashMap<u16, (Ipv4Addr, usize)> = HashMap::new();
        let mut ended: HashMap<u16, Instant> = HashMap::new();
        let mut now = now();
        for (value, operation) in operations.into_iter().enumerate() {
            match operation {
                Operation::Insert { other_peer } => {
                    let peer = if other_peer { OTHER } else { PEER };
                    let id = table.insert(&mut rng, peer, value, now).unwrap();
                    prop_assert_ne!(id, 0);
                    prop_assert!(model.insert(id, (peer, value)).is_none());
                    let rested = ended.get(&id).is_none_or(|end| now - *end >= CALL_ID_QUARANTINE);
                    prop_assert!(rested, "{} did not rest", id);
                }
                Operation::Remove { pick } if !model.is_empty() => {
                    let id = *pick.get(&model.keys().copied().collect::<Vec<_>>());
                    let (_, value) = model.remove(&id).unwrap();
                    prop_assert_eq!(table.remove(id, now), Some(value));
                    prop_assert_eq!(table.remove(id, now), None);
                    ended.insert(id, now);
                }
                Operation::Remove { .. } => {}
                Operation::Pass { seconds } => now += std::time::Duration::from_secs(seconds),
            }
            prop_assert_eq!(table.len(), model.len());
        }
        for (id, (peer, value)) in &model {
            prop_assert_eq!(table.get(*id, *peer), Some(value));
            let stranger = if *peer == PEER { OTHER } else { PEER };
            prop_assert_eq!(table.get(*id, stranger), None);
        }
        let mut all: Vec<_> = table.iter().map(|(id, value)| (id, *value)).collect();
        all.sort_unstable();
        let mut expected: Vec<_> = model.iter().map(|(id, (_, value))| (*id, *value)).collect();
        expected.sort_unstable();
        prop_assert_eq!(all, expected);
    }
}
