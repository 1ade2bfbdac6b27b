//! The median of measured values

/// The value in the middle; of none, not a number
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found_in_any_order() {
        for (values, middle) in [(vec![3.0], 3.0), (vec![9.0, 1.0, 4.0], 4.0)] {
            assert!((median(values) - middle).abs() < f64::EPSILON);
        }
        assert!(median(Vec::new()).is_nan());
    }
}
