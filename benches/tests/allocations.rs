//! A packet in steady state allocates nothing

use pptp_benches::allocations::{count_client, count_path};

/// One test, since two would share the allocator's counters
#[test]
fn neither_the_path_nor_the_whole_client_allocates_for_a_packet() {
    let path = count_path(10_000);
    assert_eq!(path.allocations, 0, "{path:?}");
    let client = count_client(20_000);
    // now and then one of the network's own buffers grows
    assert!(client.allocations < 20, "{client:?}");
}
