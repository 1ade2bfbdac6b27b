//! Datagrams with a Call ID of ours that are not taken: what they tell of a server whose GRE is missed

use std::sync::atomic::{AtomicU8, Ordering};

/// The number of a dial's datagrams that were examined for this
#[derive(Debug, Default)]
pub(crate) struct Strangers(AtomicU8);

impl Strangers {
    /// Another dial has begun
    pub(crate) fn begin(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Returns true if one more may be examined
    pub(crate) fn take(&self) -> bool {
        let counted = |count: u8| (count < MAX_EXAMINED).then(|| count.saturating_add(1));
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted).is_ok()
    }
}

/// Datagrams looked at for each dial: each costs the tunnel's lock, and anybody may send them
const MAX_EXAMINED: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_of_a_dial_are_looked_at() {
        let strangers = Strangers::default();
        assert_eq!((0..300).filter(|_| strangers.take()).count(), 8);
        strangers.begin();
        assert!(strangers.take());
    }
}
