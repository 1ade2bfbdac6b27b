//! A question to a KNXnet/IP device, with our own address in it and without

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use super::answer::{Answer, exchange};
use crate::Tunnel;

/// Asks a device to describe itself (ISO 22510 §7.6)
///
/// First with our inner address and port as the control endpoint, as most programs do. If that is not
/// answered, with 0.0.0.0:0 ("route back"), to which the answer goes where the question came from.
/// Each question leaves from a port of its own, so that a late answer is not taken for the other's, and is sent `tries`
/// times at most.
pub(super) async fn describe(
    tunnel: &Tunnel,
    host: &str,
    port: u16,
    tries: u8,
) -> io::Result<Answer> {
    match ask(tunnel, (host, port), Endpoint::Ours, tries).await {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            ask(tunnel, (host, port), Endpoint::RouteBack, tries).await
        }
        answered => answered,
    }
}

#[derive(Debug, Clone, Copy)]
enum Endpoint {
    Ours,
    RouteBack,
}

async fn ask(
    tunnel: &Tunnel,
    device: (&str, u16),
    endpoint: Endpoint,
    tries: u8,
) -> io::Result<Answer> {
    let socket = tunnel.udp_bind(0)?;
    socket.connect(device).await?;
    let control = match (endpoint, socket.local_addr()?) {
        (Endpoint::Ours, SocketAddr::V4(ours)) => ours,
        _ => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
    };
    let answer = exchange(&socket, &description_request(control), tries).await?;
    let name = device_name(&answer);
    let name = name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no KNXnet/IP"))?;
    Ok(match endpoint {
        Endpoint::Ours => {
            format!("answers to our inner address, and is the KNXnet/IP device {name:?}").into()
        }
        Endpoint::RouteBack => Answer {
            seen: format!(
                "answers only with route back (control endpoint 0.0.0.0:0), and is the KNXnet/IP \
                 device {name:?}"
            ),
            advice: Some(
                "switch on NAT mode, or route back, in the programs that use it; or give the device \
                 a route to our inner address",
            ),
        },
    })
}

/// `DESCRIPTION_REQUEST`: a header, and where the answer is to go (ISO 22510 §7.5.1)
fn description_request(control: SocketAddrV4) -> [u8; 14] {
    let [a, b, c, d] = control.ip().octets();
    let [high, low] = control.port().to_be_bytes();
    [6, 0x10, 0x02, 0x03, 0, 14, 8, 1, a, b, c, d, high, low]
}

/// The device's friendly name, of a description that is one
fn device_name(answer: &[u8]) -> Option<String> {
    let device = answer.strip_prefix(&[6, 0x10, 0x02, 0x04])?.get(2..)?;
    let [_, DEVICE_INFORMATION, body @ ..] = device else { return None };
    let name = body.get(22..52)?;
    let name = name.iter().take_while(|octet| **octet != 0).map(|octet| char::from(*octet));
    Some(name.collect())
}

/// The type of the first block of a description
const DEVICE_INFORMATION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_endpoint() {
        let ours = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 20), 0xC350);
        let expected = [6, 0x10, 2, 3, 0, 14, 8, 1, 192, 168, 1, 20, 0xC3, 0x50];
        assert_eq!(description_request(ours), expected);
    }

    #[test]
    fn a_description_has_a_name_or_is_none() {
        let mut answer = vec![6, 0x10, 0x02, 0x04, 0, 70, 54, 1];
        answer.resize(30, 0);
        answer.extend(b"building-7");
        answer.resize(70, 0);
        assert_eq!(device_name(&answer).as_deref(), Some("building-7"));
        for length in [0, 3, 5, 6, 7, 8, 20, 59] {
            assert_eq!(device_name(&answer[..length]), None, "{length}");
        }
        answer[7] = 2;
        assert_eq!(device_name(&answer), None);
    }
}
