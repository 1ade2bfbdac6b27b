use zeroize::optimization_barrier;

/// Overwrites what was secret
///
/// `Zeroize` writes element by element: 256 stores for a cipher's state, twice for each packet. This
/// leaves a `memset`, and the barrier leaves it there.
pub(crate) fn wipe<T: Copy + Default>(secret: &mut [T]) {
    secret.fill(T::default());
    optimization_barrier(secret);
}
