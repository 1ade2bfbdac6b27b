//! Alone in its process, since what is counted is the whole process's

use pptp_fuzz_targets::heap::Heap;

#[test]
fn what_is_held_is_what_was_not_freed() {
    let mut heap = Heap::new();
    let mut held: Vec<u8> = heap.within(|| Vec::with_capacity(1000));
    heap.within(|| held.reserve_exact(3000));
    heap.within(|| drop(vec![0_u8; 9000]));
    assert_eq!(heap.octets(), 3000);
    heap.within(|| drop(held));
    assert_eq!(heap.octets(), 0);
}
