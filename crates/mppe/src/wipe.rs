//! Overwriting of secrets

use zeroize::optimization_barrier;

/// Overwrites a secret
///
/// `Zeroize` writes element by element: 256 stores for a cipher's state, twice for each packet. This
/// leaves a `memset`, and the barrier leaves it there.
pub(crate) fn wipe<T: Copy + Default>(secret: &mut [T]) {
    secret.fill(T::default());
    optimization_barrier(secret);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left() {
        let mut secret = [0xAB_u8; 300];
        wipe(&mut secret[1..]);
        assert_eq!((secret[0], &secret[1..]), (0xAB, &[0; 299][..]));
    }
}
