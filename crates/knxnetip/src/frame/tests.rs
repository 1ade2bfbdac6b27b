use std::net::{Ipv4Addr, SocketAddrV4};

use proptest::prelude::*;

use super::*;
use crate::Protocol;

const TOLD: Hpai = Hpai::udp(SocketAddrV4::new(Ipv4Addr::new(192, 168, 1, 20), 50_000));
const OTHER: Hpai = Hpai::udp(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 1));

/// A frame with a right header
fn frame(service: Service, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 6).unwrap();
    [&[6, 0x10], &service.0.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
}

/// Each service with HPAIs: the body in front of them, their number, and octets behind
#[test]
fn endpoints_stand_where_the_standard_puts_them() {
    for (service, before, count) in [
        (Service::SEARCH_REQUEST, 0, 1),
        (Service::SEARCH_RESPONSE, 0, 1),
        (Service::DESCRIPTION_REQUEST, 0, 1),
        (Service::CONNECT_REQUEST, 0, 2),
        (Service::CONNECT_RESPONSE, 2, 1),
        (Service::CONNECTIONSTATE_REQUEST, 2, 1),
        (Service::DISCONNECT_REQUEST, 2, 1),
        (Service::SEARCH_REQUEST_EXTENDED, 0, 1),
        (Service::SEARCH_RESPONSE_EXTENDED, 0, 1),
        (Service::REMOTE_DIAGNOSTIC_REQUEST, 0, 1),
        (Service::REMOTE_BASIC_CONFIGURATION_REQUEST, 0, 1),
        (Service::SESSION_REQUEST, 0, 1),
    ] {
        let with = |hpai: Hpai| {
            let body = [&vec![0; before], &hpai.emit().repeat(count)[..], &[7; 20]].concat();
            frame(service, &body)
        };
        let octets = with(TOLD);
        let parsed = Frame::parse(&octets).unwrap();
        assert_eq!(parsed.service(), service);
        assert_eq!(parsed.with_endpoints(|told| told), octets, "{service}");
        assert_eq!(parsed.with_endpoints(|_| OTHER), with(OTHER), "{service}");
        let told = std::cell::Cell::new(0);
        parsed.with_endpoints(|hpai| {
            assert_eq!(hpai, TOLD);
            told.set(told.get() + 1);
            hpai
        });
        assert_eq!(told.get(), count, "{service}");
    }
}

#[test]
fn all_other_services_have_none_and_pass_as_they_are() {
    for service in [
        Service::DESCRIPTION_RESPONSE,
        Service::CONNECTIONSTATE_RESPONSE,
        Service::DISCONNECT_RESPONSE,
        Service::ROUTING_INDICATION,
        Service::REMOTE_DIAGNOSTIC_RESPONSE,
        Service::REMOTE_RESET_REQUEST,
        Service::SECURE_WRAPPER,
        Service::SESSION_RESPONSE,
        Service(0x0960),
        Service(0xFFFF),
    ] {
        let octets = frame(service, &TOLD.emit().repeat(3));
        let parsed = Frame::parse(&octets).unwrap();
        assert_eq!(parsed.with_endpoints(|_| OTHER), octets, "{service}");
    }
}

#[test]
fn a_connect_has_two_endpoints_and_its_answer_a_channel() {
    let body = [&TOLD.emit()[..], &OTHER.emit(), &[4, 4, 2, 0]].concat();
    let octets = frame(Service::CONNECT_REQUEST, &body);
    let message = Frame::parse(&octets).unwrap().message();
    assert_eq!(message, Message::ConnectRequest { control: TOLD, data: OTHER });
    let answer =
        frame(Service::CONNECT_RESPONSE, &[&[21, 0], &TOLD.emit()[..], &[4, 4, 0x11, 1]].concat());
    let message = Frame::parse(&answer).unwrap().message();
    assert_eq!(message, Message::ConnectResponse { channel: 21, status: 0, data: Some(TOLD) });
}

#[test]
fn a_refused_connect_may_have_eight_octets_and_an_accepted_one_may_not() {
    let refused = frame(Service::CONNECT_RESPONSE, &[0, 0x24]);
    assert_eq!(refused.len(), 8);
    let parsed = Frame::parse(&refused).unwrap();
    let message = Message::ConnectResponse { channel: 0, status: 0x24, data: None };
    assert_eq!(parsed.message(), message);
    assert_eq!(parsed.with_endpoints(|_| OTHER), refused);
    // what cannot be read is not passed
    let illegible = frame(Service::CONNECT_RESPONSE, &[0, 0x24, 8, 9, 192, 168, 1, 3, 0, 1]);
    assert_eq!(Frame::parse(&illegible).unwrap().with_endpoints(|_| OTHER), refused);
    let accepted = frame(Service::CONNECT_RESPONSE, &[1, 0]);
    let short = ParseError::Short(Service::CONNECT_RESPONSE);
    assert_eq!(Frame::parse(&accepted).unwrap_err(), short);
}

#[test]
fn a_data_frame_has_a_channel_behind_the_length_of_its_header() {
    for service in [
        Service::DEVICE_CONFIGURATION_REQUEST,
        Service::DEVICE_CONFIGURATION_ACK,
        Service::TUNNELLING_REQUEST,
        Service::TUNNELLING_ACK,
        Service::TUNNELLING_FEATURE_INFO,
    ] {
        let octets = frame(service, &[4, 21, 200, 0, 0x29, 0]);
        let message = Frame::parse(&octets).unwrap().message();
        assert_eq!(message, Message::Data { channel: 21, sequence: 200 }, "{service}");
        let wrong = frame(service, &[5, 21, 200, 0]);
        let error = ParseError::ConnectionHeader(service, 5);
        assert_eq!(Frame::parse(&wrong).unwrap_err(), error);
        let short = frame(service, &[4, 21, 200]);
        assert_eq!(Frame::parse(&short).unwrap_err(), ParseError::Short(service));
    }
}

#[test]
fn what_is_no_frame_is_told_with_its_reason() {
    let good = frame(Service::DESCRIPTION_REQUEST, &TOLD.emit());
    let with = |at: usize, octet: u8| {
        let mut wrong = good.clone();
        wrong[at] = octet;
        Frame::parse(&wrong).map(|_| ()).unwrap_err()
    };
    let service = Service::DESCRIPTION_REQUEST;
    assert_eq!(with(0, 5), ParseError::Header(5, 0x10));
    assert_eq!(with(1, 0x20), ParseError::Header(6, 0x20));
    assert_eq!(with(5, 15), ParseError::CutOff { told: 15, is: 14 });
    assert_eq!(with(5, 5), ParseError::Length(5));
    assert_eq!(with(5, 13), ParseError::Short(service));
    assert_eq!(with(6, 7), ParseError::HpaiLength(service, 7));
    assert_eq!(with(7, 3), ParseError::HpaiProtocol(service, 3));
    for length in 0..good.len() {
        assert!(Frame::parse(&good[..length]).is_err(), "{length} octets");
    }
    assert_eq!(
        with(7, 0).to_string(),
        "the HPAI of DESCRIPTION_REQUEST has the host protocol 0: 1 and 2 are known"
    );
    assert_eq!(Service(0x0960).to_string(), "service 0x0960");
}

#[test]
fn octets_behind_the_frame_are_left_out_and_tcp_is_known() {
    let good = frame(Service::DESCRIPTION_REQUEST, &TOLD.emit());
    let long = [&good[..], b"more"].concat();
    assert_eq!(Frame::parse(&long).unwrap().octets(), good);
    let mut tcp = good;
    tcp[7] = 2;
    let Message::Endpoint(hpai) = Frame::parse(&tcp).unwrap().message() else { panic!() };
    assert_eq!(hpai, Hpai { protocol: Protocol::Tcp, ..TOLD });
}

#[test]
fn what_the_relay_says_itself_is_a_frame() {
    let octets = channel_request(Service::DISCONNECT_REQUEST, 21, TOLD);
    let message = Frame::parse(&octets).unwrap().message();
    assert_eq!(message, Message::ChannelRequest { channel: 21, control: TOLD });
    let octets = channel_response(Service::CONNECTIONSTATE_RESPONSE, 21, 0x21);
    let message = Frame::parse(&octets).unwrap().message();
    assert_eq!(message, Message::ChannelResponse { channel: 21, status: 0x21 });
}

proptest! {
    #[test]
    fn any_octets_are_read_and_written_again(
        service in 0_u16..0x0A00,
        body in proptest::collection::vec(0_u8.., 0..60),
        cut in 0_usize..80,
    ) {
        let mut octets = frame(Service(service), &body);
        octets.truncate(cut);
        if let Ok(parsed) = Frame::parse(&octets) {
            prop_assert_eq!(parsed.octets(), &octets[..]);
            let is_cut = matches!(parsed.message(), Message::ConnectResponse { data: None, .. });
            if !is_cut {
                prop_assert_eq!(parsed.with_endpoints(|told| told), octets.clone());
            }
            let other = parsed.with_endpoints(|_| OTHER);
            let told = std::cell::Cell::new(true);
            Frame::parse(&other).unwrap().with_endpoints(|hpai| {
                told.set(told.get() && hpai == OTHER);
                hpai
            });
            prop_assert!(told.get(), "each endpoint is replaced");
        }
    }
}
