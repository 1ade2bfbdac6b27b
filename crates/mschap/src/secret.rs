//! A macro for the secrets of this crate

/// Defines a newtype over octets that is zeroized on drop and never printed
macro_rules! secret {
    ($(#[$documentation:meta])* $name:ident, $length:literal) => {
        $(#[$documentation])*
        pub struct $name([u8; $length]);

        impl $name {
            /// Takes the octets as they are
            pub const fn new(octets: [u8; $length]) -> Self {
                Self(octets)
            }

            /// The octets themselves: not for logs
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                zeroize::Zeroize::zeroize(&mut self.0);
            }
        }

        impl zeroize::ZeroizeOnDrop for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    };
}
pub(crate) use secret;

/// The leading octets, with zeros behind them where there are fewer
pub(crate) fn leading<const N: usize>(octets: &[u8]) -> [u8; N] {
    let mut leading = [0; N];
    for (to, from) in leading.iter_mut().zip(octets) {
        *to = *from;
    }
    leading
}
