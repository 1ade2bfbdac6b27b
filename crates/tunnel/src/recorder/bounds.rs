//! Whatever is recorded, the recorder stays within its size and tells what it holds in order

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Something that is recorded, or the end of the connect
#[derive(Debug, Clone)]
enum Step {
    Record(Kind, u32, Vec<u8>),
    ConnectIsOver,
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..80),
        // what zeros are stored as must not be larger than the room for it
        2 => prop::collection::vec(prop_oneof![Just(0_u8), Just(1)], 0..400),
        1 => (0_usize..2000, any::<u8>()).prop_map(|(length, octet)| vec![octet; length]),
        // an authentication protocol of PPP, whole or cut off
        2 => (0_usize..40, prop_oneof![Just(0x23_u8), Just(0x27)], 1_u8..8).prop_map(
            |(length, protocol, code)| {
                let mut frame = vec![0xFF, 0x03, 0xC2, protocol, code, 1, 0, 40];
                frame.resize(40, 0x5A);
                frame.truncate(length);
                frame
            }
        ),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let kind = (0_u8..4).prop_map(Kind::from_stored);
    prop_oneof![
        20 => (kind, any::<u32>(), octets()).prop_map(|(k, s, o)| Step::Record(k, s, o)),
        1 => Just(Step::ConnectIsOver),
    ]
}

fn held(recorder: &Recorder) -> usize {
    recorder.connect.capacity() + recorder.latest.capacity()
}

/// Records the step at `millis` after the start
fn take(recorder: &mut Recorder, millis: u64, step: Step) {
    let now = recorder.started + Duration::from_millis(millis);
    match step {
        Step::Record(kind, sequence, octets) if kind.is_frame() => {
            recorder.frame(now, kind, sequence, &octets);
        }
        Step::Record(kind, _, octets) => recorder.control(now, kind, &octets),
        Step::ConnectIsOver => recorder.connect_is_over(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_recorder_holds_no_more_than_its_size(
        capacity in prop_oneof![0_usize..200, Just(Recorder::DEFAULT_CAPACITY), 0_usize..70_000],
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut recorder = Recorder::new(Instant::now(), capacity);
        let (mut seen, steps) = (0, steps.into_iter().zip(0_u64..));
        for (step, millis) in steps {
            seen += u64::from(matches!(step, Step::Record(..)));
            take(&mut recorder, millis, step);
            prop_assert!(held(&recorder) <= capacity.min(Recorder::MAX_CAPACITY));
        }
        let records = recorder.records();
        prop_assert!(records.is_sorted_by_key(|record| record.at), "oldest first");
        prop_assert_eq!(records.len() as u64 + recorder.echoes() + recorder.forgotten(), seen);
    }

    /// With room for all of it, what is not secret comes back as it was
    #[test]
    fn what_is_recorded_comes_back(kind in 0_u8..4, sequence: u32, octets in octets()) {
        let kind = Kind::from_stored(kind);
        let mut recorder = Recorder::new(Instant::now(), Recorder::MAX_CAPACITY);
        take(&mut recorder, 7, Step::Record(kind, sequence, octets.clone()));
        let records = recorder.records();
        prop_assume!(!records.is_empty());
        prop_assert_eq!(records[0].sequence, kind.is_frame().then_some(sequence));
        prop_assert_eq!(records[0].octets.len(), octets.len());
        prop_assert!(records[0].is_redacted() || records[0].octets == octets);
    }
}
