//! Tests of DHCPINFORM

use proptest::{collection::vec, prelude::*};

use super::{
    answer::{MAX_ADDRESSES, read_routes},
    *,
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
const QUESTION: Question = Question::new(0x1234_5678, ADDRESS);

fn route(network: [u8; 4], prefix_len: u8, gateway: [u8; 4]) -> Route {
    Route { network: network.into(), prefix_len, gateway: gateway.into() }
}

/// A reply with these options behind its cookie
fn reply(options: &[&[u8]]) -> Vec<u8> {
    let mut octets = vec![2, 1, 6, 0, 0x12, 0x34, 0x56, 0x78];
    octets.resize(236, 0);
    octets.extend([99, 130, 83, 99]);
    octets.extend(options.concat());
    octets.push(255);
    octets
}

const ACK: &[u8] = &[53, 1, 5];

fn read(options: &[&[u8]]) -> Option<DhcpAnswer> {
    QUESTION.read(SERVER, &reply(options), false)
}

#[test]
fn the_question_is_rfc_2131s_and_its_list_windows() {
    let octets = QUESTION.octets().unwrap();
    assert_eq!(octets.len(), 300);
    assert_eq!(octets[..8], [1, 1, 6, 0, 0x12, 0x34, 0x56, 0x78], "a request over Ethernet");
    assert_eq!(octets[12..16], ADDRESS.octets(), "ciaddr");
    assert_eq!(octets[16..28], [0; 12], "yiaddr, siaddr, giaddr");
    assert_eq!(octets[28..34], [2, 0, 192, 168, 1, 20], "chaddr");
    assert_eq!(octets[236..240], [99, 130, 83, 99]);
    let options =
        [&[53, 1, 8, 55, 13][..], &[1, 3, 6, 15, 31, 33, 43, 44, 46, 47, 121, 249, 252], &[255]];
    assert_eq!(octets[240..259], options.concat());
}

#[test]
fn rfc_3442s_examples_are_read() {
    let examples: [(&[u8], Route); 6] = [
        (&[0, 10, 0, 0, 1], route([0; 4], 0, [10, 0, 0, 1])),
        (&[8, 10, 10, 0, 0, 1], route([10, 0, 0, 0], 8, [10, 0, 0, 1])),
        (&[24, 10, 0, 0, 10, 0, 0, 1], route([10, 0, 0, 0], 24, [10, 0, 0, 1])),
        (&[16, 10, 17, 10, 0, 0, 1], route([10, 17, 0, 0], 16, [10, 0, 0, 1])),
        (&[25, 10, 229, 0, 128, 0, 0, 0, 0], route([10, 229, 0, 128], 25, [0; 4])),
        (&[32, 10, 198, 122, 47, 10, 0, 0, 1], route([10, 198, 122, 47], 32, [10, 0, 0, 1])),
    ];
    let all: Vec<u8> = examples.iter().flat_map(|(octets, _)| octets.to_vec()).collect();
    let routes = examples.map(|(_, route)| route);
    assert_eq!(read_routes(&all).as_deref(), Some(&routes[..]));
    let with_host_bits = read_routes(&[12, 10, 0xFF, 0, 0, 0, 0]).unwrap();
    assert_eq!(with_host_bits, [route([10, 240, 0, 0], 12, [0; 4])]);
}

#[test]
fn what_is_cut_off_or_too_long_is_no_list_of_routes() {
    let whole = [24, 10, 0, 0, 10, 0, 0, 1];
    for cut in 1..whole.len() {
        assert_eq!(read_routes(&whole[..cut]), None, "cut at {cut}");
    }
    for prefix_len in 33..=255 {
        assert_eq!(read_routes(&[prefix_len, 1, 2, 3, 4, 5, 6, 7, 8]), None, "{prefix_len}");
    }
}

#[test]
fn everything_that_is_asked_for_is_told() {
    let answer = read(&[
        ACK,
        &[54, 4, 192, 168, 1, 2],
        &[1, 4, 255, 255, 255, 0],
        &[3, 4, 192, 168, 1, 1],
        &[6, 8, 192, 168, 1, 1, 9, 9, 9, 9],
        b"\x0f\x05lan.\0",
        &[121, 8, 24, 10, 1, 2, 192, 168, 1, 9],
        &[249, 6, 8, 10, 192, 168, 1, 9],
    ])
    .unwrap();
    let expected = DhcpAnswer {
        server: Ipv4Addr::new(192, 168, 1, 2),
        routes: vec![route([10, 1, 2, 0], 24, [192, 168, 1, 9])],
        routes_ignored: 0,
        dns: vec![SERVER, Ipv4Addr::new(9, 9, 9, 9)],
        domain: Some("lan.".into()),
        subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        routers: vec![SERVER],
    };
    assert_eq!(answer, expected);
}

#[test]
fn option_249_counts_if_121_is_missing_or_broken() {
    let of_microsoft = &[249, 6, 8, 10, 192, 168, 1, 9][..];
    for options in [&[ACK, of_microsoft][..], &[ACK, &[121, 2, 24, 10], of_microsoft]] {
        let routes = read(options).unwrap().routes;
        assert_eq!(routes, [route([10, 0, 0, 0], 8, [192, 168, 1, 9])]);
    }
}

#[test]
fn a_default_route_counts_only_where_it_is_wanted() {
    let halves = [121, 17, 0, 10, 0, 0, 1, 1, 0, 10, 0, 0, 1, 1, 128, 10, 0, 0, 1];
    let halves = &halves[..];
    let answer = read(&[ACK, halves]).unwrap();
    assert_eq!((answer.routes.len(), answer.routes_ignored), (0, 3));
    let answer = QUESTION.read(SERVER, &reply(&[ACK, halves]), true).unwrap();
    assert_eq!((answer.routes.len(), answer.routes_ignored), (3, 0));
}

#[test]
fn no_more_than_64_routes_are_kept() {
    // 560 octets do not fit one option: it is split (RFC 3396)
    let all: Vec<u8> = (0..80).flat_map(|n| [16, 10, n, 10, 0, 0, 1]).collect();
    let split: Vec<u8> = all.chunks(255).fold(Vec::new(), |mut split, chunk| {
        split.extend([121, u8::try_from(chunk.len()).unwrap()]);
        split.extend(chunk);
        split
    });
    let answer = read(&[ACK, &split]).unwrap();
    assert_eq!((answer.routes.len(), answer.routes_ignored), (64, 16));
}

#[test]
fn what_does_not_answer_this_question_is_ignored() {
    assert_eq!(read(&[]), None, "no message type");
    assert_eq!(read(&[&[53, 1, 6]]), None, "a DHCPNAK");
    let mut other = reply(&[ACK]);
    other[7] ^= 1;
    assert_eq!(QUESTION.read(SERVER, &other, false), None, "another transaction");
    let mut request = reply(&[ACK]);
    request[0] = 1;
    assert_eq!(QUESTION.read(SERVER, &request, false), None, "a request");
    let whole = reply(&[ACK]);
    for cut in 0..240 {
        assert_eq!(QUESTION.read(SERVER, &whole[..cut], false), None);
    }
}

proptest! {
    #[test]
    fn no_answer_panics(options in vec(any::<u8>(), 0..300), everything: bool) {
        let answer = QUESTION.read(SERVER, &reply(&[ACK, &options]), everything);
        if let Some(answer) = answer {
            prop_assert!(answer.routes.len() <= DhcpAnswer::MAX_ROUTES);
            prop_assert!(answer.dns.len() <= MAX_ADDRESSES);
        }
        let _ = QUESTION.read(SERVER, &options, everything);
        let _ = read_routes(&options);
    }
}
