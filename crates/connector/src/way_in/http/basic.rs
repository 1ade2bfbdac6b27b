//! User name and password of a request: `Proxy-Authorization: Basic …` (RFC 7617)

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hyper::header::{HeaderMap, PROXY_AUTHORIZATION};

/// Returns the user name and the password that a client sent to the proxy, if it sent some
pub(super) fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let value = headers.get(PROXY_AUTHORIZATION)?.to_str().ok()?;
    let (scheme, text) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let octets = decode(text.trim())?;
    let colon = octets.iter().position(|octet| *octet == b':')?;
    let (user, password) = (octets.get(..colon)?, octets.get(colon + 1..)?);
    Some((String::from_utf8(user.to_vec()).ok()?, password.to_vec()))
}

/// Decodes Base64 (RFC 4648 §4), with or without its padding
fn decode(text: &str) -> Option<Vec<u8>> {
    let padding = DecodePaddingMode::Indifferent;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
    GeneralPurpose::new(&alphabet::STANDARD, config).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_10_base64_is_decoded() {
        for (text, octets) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm8", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmFy", "foobar"),
            ("YjE3Og==", "b17:"),
        ] {
            assert_eq!(decode(text).unwrap(), octets.as_bytes(), "{text}");
        }
        for wrong in ["Z", "Zh==", "Zm9v!", "Zg==Zg==", "Z-__"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_user_without_a_password_is_read_as_curl_sends_it() {
        let mut headers = HeaderMap::new();
        assert_eq!(credentials(&headers), None);
        headers.insert(PROXY_AUTHORIZATION, "Basic YjE3Og==".parse().unwrap());
        assert_eq!(credentials(&headers), Some(("b17".to_owned(), Vec::new())));
        headers.insert(PROXY_AUTHORIZATION, "Bearer YjE3Og==".parse().unwrap());
        assert_eq!(credentials(&headers), None);
    }
}
