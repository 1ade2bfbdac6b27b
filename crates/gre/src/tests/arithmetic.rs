//! Laws of 32-bit sequence numbers for any start, as in RFC 1982

use proptest::prelude::*;

use super::{Lab, WINDOW, first_number};
use crate::{Discard, Order, ReorderBuffer, Reordering, Requirement, transmit::Transmit};

/// Distances at every edge: 0, the latest 64, the limit of 6000, half the number space
fn distance() -> impl Strategy<Value = i32> {
    let edges = [0, 1, 63, 64, 65, 256, 257, 5999, 6000, 6001, i32::MAX];
    let edge = prop::sample::select(edges.to_vec());
    prop_oneof![
        edge.clone(),
        edge.prop_map(|distance| -distance),
        Just(i32::MIN),
        -7000..7000_i32,
        any::<i32>(),
    ]
}

/// The expected verdict on a number at this distance from the only one committed, found without a
/// subtraction
fn expected(distance: i32) -> Result<(Order, Requirement), Discard> {
    match distance {
        0 => Err(Discard::Duplicate),
        1..=6000 => Ok((Order::Ahead, Requirement::AcceptedPayload)),
        6001.. => Ok((Order::Ahead, Requirement::DecryptedPayload)),
        -6000..=-1 => Ok((Order::Behind, Requirement::AcceptedPayload)),
        _ => Ok((Order::Behind, Requirement::DecryptedPayload)),
    }
}

proptest! {
    #[test]
    fn a_number_means_the_same_wherever_the_counter_stands(
        highest in first_number(), distance in distance(),
    ) {
        let mut lab = Lab::with_highest(highest);
        let number = highest.wrapping_add_signed(distance);
        prop_assert_eq!(lab.check(number), expected(distance));
    }

    #[test]
    fn a_number_behind_for_the_session_is_behind_for_the_reorder_buffer(
        highest in first_number(), distance in distance(),
    ) {
        let buffer = ReorderBuffer::new(Reordering::default(), Some(highest));
        let is_behind = buffer.is_behind(highest.wrapping_add_signed(distance));
        prop_assert_eq!(is_behind, !matches!(expected(distance), Ok((Order::Ahead, _))));
    }

    #[test]
    fn of_two_numbers_one_is_ahead_unless_they_are_equal_or_half_the_space_apart(
        first in first_number(), distance in distance(),
    ) {
        let second = first.wrapping_add_signed(distance);
        let is_ahead = |of: u32, other: u32| {
            Lab::with_highest(of).check(other).is_ok_and(|(order, _)| order == Order::Ahead)
        };
        let sides = u8::from(is_ahead(first, second)) + u8::from(is_ahead(second, first));
        prop_assert_eq!(sides, u8::from(distance != 0 && distance != i32::MIN));
    }

    #[test]
    fn an_acknowledgment_counts_if_it_names_one_of_those_outstanding(
        start in first_number(), sent in 0..200_u32, offset in -300..300_i64,
    ) {
        let now = super::start();
        let mut transmit = Transmit::starting_at(WINDOW, start);
        for _ in 0..sent {
            transmit.take_sequence(now);
        }
        let named = u32::try_from((i64::from(start) + offset).rem_euclid(1 << 32)).unwrap();
        let is_outstanding = (0..i64::from(sent)).contains(&offset);
        prop_assert_eq!(transmit.handle_acknowledgment(now, named), is_outstanding);
        prop_assert!(!transmit.handle_acknowledgment(now, named), "no number counts twice");
    }
}
