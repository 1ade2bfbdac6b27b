//! A KNXnet/IP device that can be found and described, and tunnels (KNX Standard 03/08/02, 03/08/04)

mod gateway;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
};

use pptp_netstack::{UdpOptions, UdpSocket};

pub(crate) use self::gateway::Gateway;
pub use self::gateway::{KnxEndpoints, KnxGateway, KnxState};
use super::{Host, MAX_DATAGRAM_LEN};
use crate::DEVICE;

/// The port and the multicast group that are registered for KNXnet/IP
pub(super) const PORT: u16 = 3671;
pub(super) const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 23, 12);

/// Starts the gateway on the device
pub(super) fn start(host: &Host<'_>, gateway: &Arc<Gateway>) -> io::Result<()> {
    let bind = |port| {
        let address = SocketAddr::V4(SocketAddrV4::new(DEVICE, port));
        host.net.udp_bind(address, UdpOptions::default()).map(Arc::new)
    };
    let control = bind(PORT)?;
    control.join_multicast_v4(GROUP, DEVICE)?;
    let data = gateway.data_port().map(bind).transpose()?;
    if let Some(data) = &data {
        let (gateway, sockets) = (Arc::clone(gateway), [Arc::clone(&control), Arc::clone(data)]);
        host.tasks.spawn(serve(gateway, sockets, true));
    }
    let data = data.unwrap_or_else(|| Arc::clone(&control));
    host.tasks.spawn(serve(Arc::clone(gateway), [control, data], false));
    Ok(())
}

/// Serves one of the gateway's sockets: that for control, or that for data
async fn serve(gateway: Arc<Gateway>, [control, data]: [Arc<UdpSocket>; 2], is_data: bool) {
    let socket = if is_data { Arc::clone(&data) } else { Arc::clone(&control) };
    let mut buffer = vec![0; MAX_DATAGRAM_LEN];
    // an unconnected socket fails only with its stack
    while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
        let SocketAddr::V4(from) = from else { continue };
        let datagram = buffer.get(..count).unwrap_or_default();
        for outgoing in gateway.handle(datagram, from, is_data) {
            let from = if outgoing.is_data { &data } else { &control };
            // lost, as datagrams may be
            let _ = from.send_to(&outgoing.octets, outgoing.to).await;
        }
    }
}

/// Answers `SEARCH_REQUEST` and `DESCRIPTION_REQUEST`; anything else, and anything ill-formed, gets no answer
///
/// A control endpoint of 0.0.0.0:0 is that of a client behind NAT: the answer goes back to where the
/// request came from.
pub(super) fn answer(
    building: u32,
    request: &[u8],
    from: SocketAddrV4,
) -> Option<(Vec<u8>, SocketAddrV4)> {
    let (service, body) = parse_frame(request)?;
    let endpoint = parse_hpai(body)?;
    let to = if endpoint.ip().is_unspecified() || endpoint.port() == 0 { from } else { endpoint };
    let description = [device_information(building).as_slice(), &SERVICE_FAMILIES].concat();
    match service {
        SEARCH_REQUEST => {
            let control = hpai(SocketAddrV4::new(DEVICE, PORT));
            Some((frame(SEARCH_RESPONSE, &[control.as_slice(), &description].concat()), to))
        }
        DESCRIPTION_REQUEST => Some((frame(DESCRIPTION_RESPONSE, &description), to)),
        _ => None,
    }
}

/// The service and the body of a frame whose lengths are right (§2.2)
fn parse_frame(frame: &[u8]) -> Option<(u16, &[u8])> {
    let ([6, 0x10, service_high, service_low, length @ ..], body) =
        frame.split_first_chunk::<6>()?
    else {
        return None;
    };
    let whole = usize::from(u16::from_be_bytes(*length)) == frame.len();
    whole.then_some((u16::from_be_bytes([*service_high, *service_low]), body))
}

/// A Host Protocol Address Information of UDP over IPv4, and nothing behind it (§7.5.1)
fn parse_hpai(hpai: &[u8]) -> Option<SocketAddrV4> {
    match *hpai {
        [8, 1, a, b, c, d, port_high, port_low] => {
            let port = u16::from_be_bytes([port_high, port_low]);
            Some(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port))
        }
        _ => None,
    }
}

fn hpai(address: SocketAddrV4) -> [u8; 8] {
    let [a, b, c, d] = address.ip().octets();
    let [port_high, port_low] = address.port().to_be_bytes();
    [8, 1, a, b, c, d, port_high, port_low]
}

fn frame(service: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or_default().saturating_add(6);
    [&[6, 0x10], &service.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
}

/// The device information block (§7.5.4.2): TP1, 1.1.0, and a name of 30 octets
fn device_information(building: u32) -> Vec<u8> {
    let mut block = vec![54, 0x01, 0x02, 0x00, 0x11, 0x00, 0x00, 0x00];
    // serial number: manufacturer 00FA is for tests, then the building
    block.extend([0x00, 0xFA]);
    block.extend(building.to_be_bytes());
    block.extend(GROUP.octets());
    // a locally administered MAC address
    block.extend([0x02, 0x00]);
    block.extend(building.to_be_bytes());
    let mut name = format!("building-{building}").into_bytes();
    name.resize(30, 0);
    block.extend(name);
    block
}

/// Supported service families (§7.5.4.3): core, device management and tunnelling, version 1 each
const SERVICE_FAMILIES: [u8; 8] = [8, 0x02, 0x02, 0x01, 0x03, 0x01, 0x04, 0x01];

const SEARCH_REQUEST: u16 = 0x0201;
const SEARCH_RESPONSE: u16 = 0x0202;
const DESCRIPTION_REQUEST: u16 = 0x0203;
const DESCRIPTION_RESPONSE: u16 = 0x0204;

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 20), 50_000);
    const ROUTE_BACK: [u8; 14] = [6, 0x10, 0x02, 0x03, 0, 14, 8, 1, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_description_has_the_name_and_exact_lengths() {
        let (octets, to) = answer(12, &ROUTE_BACK, FROM).unwrap();
        assert_eq!(to, FROM);
        assert_eq!(octets.len(), 6 + 54 + 8);
        assert_eq!(octets[..6], [6, 0x10, 0x02, 0x04, 0, 68]);
        assert_eq!((octets[6], octets[60]), (54, 8));
        assert_eq!(octets[30..41], *b"building-12");
        assert!(octets[41..60].iter().all(|octet| *octet == 0));
    }

    #[test]
    fn an_endpoint_that_is_told_is_answered() {
        let mut request = ROUTE_BACK;
        request[8..].copy_from_slice(&[192, 168, 1, 77, 0x30, 0x39]);
        let (_, to) = answer(1, &request, FROM).unwrap();
        assert_eq!(to, SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 77), 12345));
    }

    #[test]
    fn a_search_finds_the_control_endpoint() {
        let mut request = ROUTE_BACK;
        request[3] = 0x01;
        let (octets, _) = answer(1, &request, FROM).unwrap();
        assert_eq!(octets[..6], [6, 0x10, 0x02, 0x02, 0, 76]);
        assert_eq!(octets[6..14], [8, 1, 192, 168, 1, 3, 0x0E, 0x57]);
    }

    #[test]
    fn wrong_lengths_and_other_services_get_no_answer() {
        for (index, wrong) in [(0, 5), (1, 0x20), (3, 0x05), (5, 13), (5, 15), (6, 7), (7, 2)] {
            let mut request = ROUTE_BACK;
            request[index] = wrong;
            assert_eq!(answer(1, &request, FROM), None, "octet {index} = {wrong}");
        }
        for length in 0..ROUTE_BACK.len() {
            assert_eq!(answer(1, &ROUTE_BACK[..length], FROM), None, "{length} octets");
        }
        let mut long = ROUTE_BACK.to_vec();
        long.push(0);
        assert_eq!(answer(1, &long, FROM), None);
        long[5] = 15;
        assert_eq!(answer(1, &long, FROM), None);
    }
}
