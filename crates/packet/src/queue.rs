//! A queue that is empty most of the time

use std::collections::VecDeque;

/// A queue of one word while it is empty: it holds no memory then
///
/// An idle tunnel has several of these, and 10,000 tunnels are idle. Its owner bounds its length.
#[derive(Debug)]
#[expect(
    clippy::box_collection,
    reason = "a queue of its own takes 24 octets more in each idle tunnel"
)]
pub struct Queue<T>(Option<Box<VecDeque<T>>>);

impl<T> Queue<T> {
    /// Makes an empty queue
    pub const fn new() -> Self {
        Self(None)
    }

    /// Adds an item behind all others
    pub fn push_back(&mut self, item: T) {
        self.0.get_or_insert_default().push_back(item);
    }

    /// Takes the oldest item out; the memory goes with the last one
    pub fn pop_front(&mut self) -> Option<T> {
        let item = self.0.as_mut()?.pop_front();
        self.drop_if_empty();
        item
    }

    /// Keeps the items for which `is_kept` is true
    pub fn retain(&mut self, is_kept: impl FnMut(&T) -> bool) {
        if let Some(items) = &mut self.0 {
            items.retain(is_kept);
        }
        self.drop_if_empty();
    }

    /// The number of items
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |items| items.len())
    }

    /// Returns true if there is no item
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn drop_if_empty(&mut self) {
        if self.is_empty() {
            self.0 = None;
        }
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_out_in_their_order_and_an_empty_queue_holds_nothing() {
        let mut queue = Queue::default();
        (0..5).for_each(|item| queue.push_back(item));
        queue.retain(|item| item % 2 == 0);
        assert_eq!(queue.len(), 3);
        let out: Vec<_> = std::iter::from_fn(|| queue.pop_front()).collect();
        assert_eq!(out, [0, 2, 4]);
        assert!(queue.is_empty() && queue.0.is_none());
        queue.push_back(1);
        queue.retain(|_| false);
        assert!(queue.0.is_none());
        assert_eq!(size_of::<Queue<[u8; 100]>>(), size_of::<usize>());
    }
}
