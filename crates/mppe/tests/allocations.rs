//! An undisturbed session allocates nothing

use std::{alloc::System, time::Instant};

use pptp_mppe::{Arrival, Decryptor, Encryptor, KeyStrength, Order};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Protocol 0021 and an IPv4 header
const INNER: [u8; 22] = *b"\x00\x21\x45\0\0\x14\0\0\0\0\x40\x01\x66\xE7\x0A\0\0\x01\x0A\0\0\x02";

/// Seals and opens 10,000 frames; the allocations meanwhile, of every thread of the process
fn allocations(now: Instant) -> usize {
    let region = Region::new(ALLOCATOR);
    let mut encryptor = Encryptor::stateless(&[1; 16], KeyStrength::Bits128);
    let mut decryptor = Decryptor::stateless(&[1; 16], KeyStrength::Bits128);
    for sequence in 0..10_000 {
        let mut frame = [0; 2 + INNER.len()];
        frame[2..].copy_from_slice(&INNER);
        let header = encryptor.seal(&mut frame[2..]);
        frame[..2].copy_from_slice(&header);
        let arrival = Arrival { sequence, order: Order::Ahead };
        assert!(decryptor.open(now, arrival, &mut frame).is_ok());
        assert_eq!(decryptor.poll_timeout(), None);
    }
    region.change().allocations
}

/// The test harness has a thread beside this one that allocates when it likes: 4 times in one run
/// on a busy machine. Allocations of the session itself would happen every time.
#[test]
#[expect(clippy::disallowed_methods, reason = "there is no other way to have an instant")]
fn frames_in_order_allocate_nothing() {
    let now = Instant::now();
    let least = (0..3).map(|_| allocations(now)).min();
    assert_eq!(least, Some(0));
}
