//! A question to a device that opens no connection, and the name in its answer

use crate::{Frame, Hpai, Service};

/// Returns the octets of a `DESCRIPTION_REQUEST` (ISO 22510 §7.6), whose answer is to go to `control`
pub const fn description_request(control: Hpai) -> [u8; 14] {
    let [length, protocol, a, b, c, d, high, low] = control.emit();
    [6, 0x10, 0x02, 0x03, 0, 14, length, protocol, a, b, c, d, high, low]
}

/// Returns the device's friendly name of a `DESCRIPTION_RESPONSE`; `None` if the datagram is none
///
/// The name is in ISO 8859-1.
pub fn device_name(datagram: &[u8]) -> Option<String> {
    let frame = Frame::parse(datagram).ok()?;
    if frame.service() != Service::DESCRIPTION_RESPONSE {
        return None;
    }
    let [_, DEVICE_INFORMATION, body @ ..] = frame.octets().get(Frame::HEADER..)? else {
        return None;
    };
    let name = body.get(22..52)?;
    let name = name.iter().take_while(|octet| **octet != 0).map(|octet| char::from(*octet));
    Some(name.collect())
}

/// The type of the first block of a description
const DEVICE_INFORMATION: u8 = 1;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use super::*;

    #[test]
    fn a_question_names_the_endpoint_of_its_answer() {
        let ours = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 20), 0xC350);
        let expected = [6, 0x10, 2, 3, 0, 14, 8, 1, 192, 168, 1, 20, 0xC3, 0x50];
        assert_eq!(description_request(Hpai::udp(ours)), expected);
        let zero = description_request(Hpai::ROUTE_BACK);
        assert_eq!(zero[6..], [8, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_description_has_a_name_or_is_none() {
        let mut answer = vec![6, 0x10, 0x02, 0x04, 0, 70, 54, 1];
        answer.resize(30, 0);
        answer.extend(b"building-7");
        answer.resize(70, 0);
        assert_eq!(device_name(&answer).as_deref(), Some("building-7"));
        for length in [0, 3, 5, 6, 7, 8, 20, 69] {
            assert_eq!(device_name(&answer[..length]), None, "{length}");
        }
        let mut other_block = answer.clone();
        other_block[7] = 2;
        assert_eq!(device_name(&other_block), None);
        answer[3] = 2;
        assert_eq!(device_name(&answer), None);
    }
}
