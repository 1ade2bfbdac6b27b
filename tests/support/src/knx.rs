//! A question to a KNXnet/IP device, and its answer (ISO 22510 §7.5)

/// `DESCRIPTION_REQUEST` with the control endpoint 0.0.0.0:0, "route back"
pub const DESCRIPTION_REQUEST: [u8; 14] = [6, 0x10, 0x02, 0x03, 0, 14, 8, 1, 0, 0, 0, 0, 0, 0];

/// The device's friendly name in a `DESCRIPTION_RESPONSE`; `None` of anything else
pub fn friendly_name(answer: &[u8]) -> Option<String> {
    if !answer.starts_with(&[6, 0x10, 0x02, 0x04]) {
        return None;
    }
    let name = answer.get(30..60)?.iter().take_while(|octet| **octet != 0);
    Some(name.map(|octet| char::from(*octet)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_description_has_a_name() {
        let mut answer = vec![6, 0x10, 0x02, 0x04];
        answer.resize(30, 0);
        answer.extend(b"building-7");
        assert_eq!(friendly_name(&answer), None);
        answer.resize(60, 0);
        assert_eq!(friendly_name(&answer).as_deref(), Some("building-7"));
        answer[3] = 0x03;
        assert_eq!(friendly_name(&answer), None);
    }
}
