//! Late, lost and doubled frames, against a model that keeps the keys of all epochs
//!
//! The model uses none of the decryptor's own code. It makes all keys beforehand, with the `sha1`
//! and `rc4` crates by RFC 3078 section 7.3. It finds a frame's number by trying the key of every
//! number that fits the frame's coherency count. The rest of the model is sets of numbers.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use proptest::{collection::vec, prelude::*};
use rc4::{KeyInit, Rc4, StreamCipher};
use sha1::{Digest, Sha1};

use super::*;

/// The most frames that a case sends, with those before its disturbances
const MAX_FRAMES: usize = 6000;

/// The session keys of all frames, by their numbers (RFC 3078 section 7.3, RFC 3079 section 3.3)
fn all_keys() -> &'static [[u8; 16]] {
    static KEYS: std::sync::OnceLock<Vec<[u8; 16]>> = std::sync::OnceLock::new();
    let following = |key: &[u8; 16]| {
        let mut interim = get_new_key(key);
        let cipher = Rc4::new_from_slice(&interim);
        cipher.unwrap().apply_keystream(&mut interim);
        Some(interim)
    };
    KEYS.get_or_init(|| {
        let initial = get_new_key(&START_KEY);
        std::iter::successors(following(&initial), following).take(MAX_FRAMES).collect()
    })
}

fn get_new_key(key: &[u8; 16]) -> [u8; 16] {
    let digest = Sha1::new().chain_update(START_KEY).chain_update([0; 40]).chain_update(key);
    digest.chain_update([0xF2; 40]).finalize()[..16].try_into().unwrap()
}

/// The numbers that were skipped, each with the time at which its gap was seen
#[derive(Default)]
struct Model {
    /// The highest number that was opened, plus one
    next: usize,
    /// Skipped numbers, with the time at which each gap was seen
    skipped: BTreeMap<usize, Instant>,
}

impl Model {
    /// The number of the frame that must come out, if one must
    fn receive(&mut self, now: Instant, octets: &[u8]) -> Option<u32> {
        let number = candidates(octets).find(|number| opens(*number, octets))?;
        self.forget(now);
        let may_open = number >= self.next || self.skipped.remove(&number).is_some();
        if number >= self.next {
            self.skipped.extend((self.next..number).map(|skipped| (skipped, now)));
            self.next = number + 1;
        }
        self.forget(now);
        may_open.then(|| u32::try_from(number).unwrap())
    }

    /// Keys are kept for 2 s, 2048 frames back, and 256 of them at most
    fn forget(&mut self, now: Instant) {
        let farthest = self.next.saturating_sub(1 + 2048);
        let is_young = |seen: Instant| now - seen < Duration::from_secs(2);
        self.skipped.retain(|number, seen| *number >= farthest && is_young(*seen));
        while self.skipped.len() > 256 {
            self.skipped.pop_first();
        }
    }
}

/// All numbers that fit the coherency count of a frame
fn candidates(octets: &[u8]) -> impl Iterator<Item = usize> {
    let count = u16::from_be_bytes([octets[0] & 0x0F, octets[1]]);
    (usize::from(count)..MAX_FRAMES).step_by(4096)
}

/// Returns true if the key of this number decrypts the frame to the packet with this number
fn opens(number: usize, octets: &[u8]) -> bool {
    let mut plain = octets[2..].to_vec();
    Rc4::new_from_slice(&all_keys()[number]).unwrap().apply_keystream(&mut plain);
    plain == packet(u32::try_from(number).unwrap())
}

/// The treatment of a frame by the network
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lost,
    Delivered { delay: usize, copies: usize },
    AfterAnOutage(usize),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        70 => Just(Fate::Delivered { delay: 0, copies: 1 }),
        10 => Just(Fate::Lost),
        20 => (0..=300_usize, 1..4_usize)
            .prop_map(|(delay, copies)| Fate::Delivered { delay, copies }),
        1 => (0..100_usize).prop_map(Fate::AfterAnOutage),
    ]
}

/// A case: frames in order before it, where GRE's counter begins, the time between frames
#[derive(Clone, Debug)]
struct Case {
    before: usize,
    sequence: u32,
    step: Duration,
    fates: Vec<Fate>,
}

fn case(frames: Range<usize>) -> impl Strategy<Value = Case> {
    let before = prop_oneof![Just(0_usize), 3500..4096_usize];
    let sequence =
        prop_oneof![Just(0), Just(1), any::<u32>(), (0..300_u32).prop_map(|n| u32::MAX - n)];
    let step = prop_oneof![Just(0), 1..30_u64].prop_map(Duration::from_millis);
    (before, sequence, step, vec(fate(), frames)).prop_map(|(before, sequence, step, fates)| Case {
        before,
        sequence,
        step,
        fates,
    })
}

/// The frames as they arrive, each with the time in frames sent
fn arrivals(sender: &mut Sender, fates: &[Fate]) -> Vec<(usize, Frame)> {
    let mut arrivals = Vec::new();
    for (place, fate) in fates.iter().enumerate() {
        match fate {
            Fate::Lost => sender.lose(1),
            Fate::AfterAnOutage(lost) => sender.lose(*lost),
            Fate::Delivered { delay, copies } => {
                let frame = sender.send();
                let late = (0..*copies).map(|copy| (place + delay * (copy + 1), frame.clone()));
                arrivals.extend(late);
            }
        }
    }
    arrivals.sort_by_key(|(at, _)| *at);
    arrivals
}

/// Frames before the case itself, all of them in order
fn begin(case: &Case) -> (Sender, Receiver, Model) {
    let (mut sender, mut receiver) = (Sender::new(), Receiver::new());
    let before = u32::try_from(case.before).unwrap();
    sender.sequence = case.sequence.wrapping_sub(before);
    let mut model = Model::default();
    for number in 0..before {
        let frame = sender.send();
        assert_eq!(receiver.receive(&frame), Ok(number));
        assert_eq!(model.receive(receiver.now, &frame.octets), Some(number));
    }
    (sender, receiver, model)
}

fn follow(case: &Case) -> Result<(), TestCaseError> {
    let (mut sender, mut receiver, mut model) = begin(case);
    let (mut time, mut opened) = (0, case.before as u64);
    for (at, frame) in arrivals(&mut sender, &case.fates) {
        receiver.now += case.step * u32::try_from(at - time).unwrap();
        time = at;
        // farther ahead it is not a matter of one frame any more: three have to agree
        prop_assume!((frame.number as usize) < model.next + 512);
        let expected = model.receive(receiver.now, &frame.octets).ok_or(Discard::Late);
        prop_assert_eq!(receiver.receive(&frame), expected, "{} at {}", frame.number, at);
        opened += u64::from(expected.is_ok());
        prop_assert!(receiver.decryptor.stats().kept_keys <= 256);
    }
    prop_assert_eq!(receiver.decryptor.stats().opened, opened);
    receiver.wait(Duration::from_secs(2));
    prop_assert!(receiver.is_free(), "no key outlives its two seconds");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 64 } else { 4000 }))]

    #[test]
    fn what_opens_is_what_a_model_with_all_keys_opens(case in case(1..900)) {
        follow(&case)?;
    }
}

/// The twelve bits of a count, against counting on from where the chain stands
#[test]
fn a_count_is_as_far_ahead_as_one_has_to_go_on_to_meet_it() {
    let mut receiver = Receiver::new();
    for steps in 0..8192_u64 {
        receiver.decryptor.steps = steps;
        let mut count = u16::try_from((steps + 4095) % 4096).unwrap();
        for distance in 0..4096 {
            assert_eq!(receiver.decryptor.distance(count), distance, "{count} after {steps}");
            count = if count == 4095 { 0 } else { count + 1 };
        }
    }
}
