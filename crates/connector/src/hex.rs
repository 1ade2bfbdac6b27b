//! Octets as hexadecimal digits

use std::fmt::Write;

/// Returns octets as hexadecimal digits in lower case
pub(crate) fn hex(octets: impl IntoIterator<Item = u8>) -> String {
    octets.into_iter().fold(String::new(), |mut text, octet| {
        // writing to a text cannot fail
        let _ = write!(text, "{octet:02x}");
        text
    })
}
