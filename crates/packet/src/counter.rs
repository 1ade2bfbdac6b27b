//! Counters of statistics

/// A counter that stops at its largest value, and does not wrap
///
/// The unsigned integers are counters, so that the fields of statistics stay plain numbers.
pub trait Counter {
    /// Adds one, unless the largest value is reached
    fn increment(&mut self);
}

macro_rules! counter {
    ($($number:ty),*) => {
        $(impl Counter for $number {
            #[inline]
            fn increment(&mut self) {
                *self = self.saturating_add(1);
            }
        })*
    };
}

counter!(u8, u16, u32, u64, usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_counts_and_stops_at_its_largest_value() {
        let mut counter = u8::MAX - 2;
        let counted = [(); 4].map(|()| {
            counter.increment();
            counter
        });
        assert_eq!(counted, [254, 255, 255, 255]);
    }
}
