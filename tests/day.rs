//! A day of silence: the tunnel is still up, and holds no more than it did

use std::{alloc::System, time::Duration};

use pptp::State;
use pptp_test_support::heap;
use pptp_tests::{World, get};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::time::sleep;

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Octets on the heap, of client and server together
fn held() -> usize {
    heap::held(HEAP)
}

#[tokio::test(start_paused = true)]
async fn a_day_of_echoes_leaves_a_tunnel_as_it_was() {
    let world = World::new(20);
    let building = world.building(1);
    let tunnel = world.connect(&building).await;
    assert_eq!(get(&tunnel, "/").await.unwrap(), b"building 1\n");
    sleep(Duration::from_hours(1)).await;
    let (before, asked) = (held(), tunnel.stats().tunnel.link.echo_requests);
    for hour in 2..=24 {
        sleep(Duration::from_hours(1)).await;
        assert!(matches!(&*tunnel.state().borrow(), State::Up), "in hour {hour}");
        let after = held();
        assert!(after <= before + SLACK, "{before} octets after an hour, {after} after {hour}");
    }
    let asked = tunnel.stats().tunnel.link.echo_requests - asked;
    assert!(asked > 1000, "{asked} echoes of the server in 23 hours");
    assert_eq!(get(&tunnel, "/").await.unwrap(), b"building 1\n");
}

/// A turn that is under way when it is looked
const SLACK: usize = 512;
