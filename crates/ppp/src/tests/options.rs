//! Every option of every protocol at every edge of its length, missing, and twice

use super::script::{LCP_REQUEST, MPPE_128, PEER_ADDRESS, Script, Sent, last_request};
use crate::{ClientConfig, Discard, frame, wire::packet::Code};

const ACK: u8 = 2;
const NAK: u8 = 3;
const REJECT: u8 = 4;

fn wants_ipv6() -> ClientConfig {
    let password = pptp_mschap::Password::new("clientPass");
    ClientConfig { ipv6: true, ..ClientConfig::new("User", password) }
}

/// A client that waits for the peer's request of this protocol, and what it has sent so far
pub(super) fn waiting_for(protocol: u16) -> (Script, Vec<Sent>) {
    let mut script = Script::with(wants_ipv6());
    if protocol != frame::LCP {
        script.open_lcp();
        script.authenticate();
    }
    let sent = script.sent();
    (script, sent)
}

/// The code and the options of the answer to a request with this identifier
fn answer(sent: &[Sent], protocol: u16, id: u8) -> Option<(u8, Vec<u8>)> {
    let mut answers = sent
        .iter()
        .filter(|it| it.protocol == protocol && it.id == id && (ACK..=REJECT).contains(&it.code));
    let first = answers.next().map(|it| (it.code, it.data.clone()));
    assert!(answers.next().is_none(), "answered twice");
    first
}

/// The fate of a request
pub(super) fn asked(protocol: u16, options: &[u8]) -> Result<(u8, Vec<u8>), Discard> {
    let (mut script, _) = waiting_for(protocol);
    script.try_receive(protocol, 1, 77, options)?;
    let sent = script.sent();
    Ok(answer(&sent, protocol, 77).expect("an answer"))
}

pub(super) const PROTOCOLS: [u16; 4] = [frame::LCP, frame::IPCP, frame::CCP, frame::IPV6CP];

/// Eight octets for an option with its header: what the length says of them, and what follows
#[test]
fn rfc1661_section_6_a_length_that_does_not_fit_drops_the_whole_packet() {
    for protocol in PROTOCOLS {
        for kind in 0..=u8::MAX {
            for (length, fits) in
                [(0, false), (1, false), (2, true), (8, true), (9, false), (255, false)]
            {
                let mut options = vec![kind, length, 1, 2, 3, 4, 5, 6];
                options.truncate(if length == 2 { 2 } else { 8 });
                let asked = asked(protocol, &options);
                assert_eq!(
                    asked == Err(Discard::Malformed),
                    !fits,
                    "{protocol:04x}, option {kind} of length {length}: {asked:?}"
                );
            }
        }
    }
}

/// Behind an option that fits, one that does not: nothing of the packet counts
#[test]
fn one_option_that_does_not_fit_spoils_those_before_it() {
    for (protocol, good) in
        [(frame::LCP, LCP_REQUEST), (frame::IPCP, PEER_ADDRESS), (frame::CCP, MPPE_128)]
    {
        for tail in [&[3][..], &[3, 0], &[3, 1], &[3, 3], &[3, 255, 0]] {
            let asked = asked(protocol, &[good, tail].concat());
            assert_eq!(asked, Err(Discard::Malformed), "{protocol:04x} {tail:02x?}");
        }
    }
}

/// Type, value, the answer's code, and its value if that is another
type Row<'a> = (u8, &'a [u8], u8, Option<&'a [u8]>);

fn check(protocol: u16, rows: &[Row<'_>]) {
    for (kind, value, code, other) in rows {
        let option =
            |value: &[u8]| [&[*kind, u8::try_from(value.len() + 2).unwrap()], value].concat();
        let context = format!("{protocol:04x}, option {kind} {value:02x?}");
        let (said, data) = asked(protocol, &option(value)).expect(&context);
        assert_eq!(said, *code, "{context}");
        assert_eq!(data, option(other.unwrap_or(value)), "{context}");
        // the second one of a type does not count, whatever it says: but an Ack repeats all
        let twice = [option(value), option(&[9; 6])].concat();
        let (said, data) = asked(protocol, &twice).expect(&context);
        assert_eq!(said, *code, "twice: {context}");
        let expected = if *code == ACK { twice } else { option(other.unwrap_or(value)) };
        assert_eq!(data, expected, "twice: {context}");
    }
}

#[test]
fn lcp_every_option_there_is() {
    let mru: Option<&[u8]> = Some(&[0x05, 0x78]);
    let chap: Option<&[u8]> = Some(&[0xC2, 0x23, 0x81]);
    check(
        frame::LCP,
        &[
            (0, &[], REJECT, None),
            (1, &[0, 128], ACK, None),
            (1, &[0xFF, 0xFF], ACK, None),
            (1, &[0, 127], NAK, mru),
            (1, &[0, 0], NAK, mru),
            (1, &[], NAK, mru),
            (1, &[0, 1, 0], NAK, mru),
            (2, &[0xFF; 4], ACK, None),
            (2, &[0; 3], REJECT, None),
            (2, &[], REJECT, None),
            (3, &[0xC2, 0x23, 0x81], ACK, None),
            (3, &[0xC2, 0x23], NAK, chap),
            (3, &[0xC2], NAK, chap),
            (3, &[], NAK, chap),
            (4, &[0xC0, 0x25, 0, 0, 0, 9], REJECT, None),
            (5, &[1, 2, 3, 4], ACK, None),
            (7, &[], ACK, None),
            (7, &[1], REJECT, None),
            (8, &[], ACK, None),
            (8, &[1], REJECT, None),
            (9, &[2], REJECT, None),
            (10, &[4], REJECT, None),
            (13, &[6], REJECT, None),
            (15, &[], REJECT, None),
            (17, &[0x06, 0x4E], REJECT, None),
            (18, &[], REJECT, None),
            (19, &[0], REJECT, None),
            (19, &[1; 21], REJECT, None),
            (23, &[0, 1], REJECT, None),
            (24, &[1], REJECT, None),
            (25, &[], REJECT, None),
            (26, &[0; 4], REJECT, None),
            (27, &[4, 1], REJECT, None),
            (28, &[0; 6], REJECT, None),
            (29, &[], REJECT, None),
            (30, &[], REJECT, None),
            (255, &[0; 253], REJECT, None),
        ],
    );
}

#[test]
fn ipcp_every_option_there_is() {
    check(
        frame::IPCP,
        &[
            (1, &[10, 0, 0, 1, 10, 0, 0, 2], REJECT, None),
            (2, &[0x00, 0x2D, 15, 1], REJECT, None),
            (2, &[0x00, 0x2D], REJECT, None),
            (3, &[10, 0, 0, 1], ACK, None),
            (3, &[0; 4], REJECT, None),
            (3, &[], REJECT, None),
            (3, &[10, 0, 0], REJECT, None),
            (4, &[10, 0, 0, 1], REJECT, None),
            (129, &[0; 4], REJECT, None),
            (130, &[0; 4], REJECT, None),
            (131, &[0; 4], REJECT, None),
            (132, &[0; 4], REJECT, None),
            (144, &[255, 255, 255, 0], REJECT, None),
        ],
    );
}

#[test]
fn ccp_every_compression_is_refused() {
    check(
        frame::CCP,
        &[
            (0, &[0, 0, 0, 1], REJECT, None),
            (1, &[], REJECT, None),
            (2, &[], REJECT, None),
            (3, &[], REJECT, None),
            (17, &[0, 1, 1], REJECT, None),
            (21, &[0x2C], REJECT, None),
            (24, &[0x78, 0], REJECT, None),
            (26, &[0x78, 0], REJECT, None),
        ],
    );
}

/// Magic-Numbers and interface identifiers are Nak'd with one at random
#[test]
fn zero_is_nobodys_number() {
    for (protocol, option) in
        [(frame::LCP, &[5, 6, 0, 0, 0, 0][..]), (frame::IPV6CP, &[1, 10, 0, 0, 0, 0, 0, 0, 0, 0])]
    {
        let (code, data) = asked(protocol, option).unwrap();
        assert_eq!((code, &data[..2]), (NAK, &option[..2]));
        assert!(data[2..].iter().any(|octet| *octet != 0), "{data:02x?}");
    }
}

#[test]
fn a_server_may_name_no_address_of_its_own() {
    for request in [&[][..], &[3, 6, 0, 0, 0, 0]] {
        let (mut script, _) = waiting_for(frame::IPCP);
        script.send(frame::IPCP, Code::ConfigureRequest, 1, request);
        let sent = script.sent();
        let (code, _) = answer(&sent, frame::IPCP, 1).unwrap();
        assert_eq!(code, if request.is_empty() { ACK } else { REJECT });
        script.send(frame::IPCP, Code::ConfigureRequest, 2, &[]);
        assert_eq!(answer(&script.sent(), frame::IPCP, 2), Some((ACK, Vec::new())));
    }
}

/// Of an address that a Configure-Nak names twice the first one is taken
#[test]
fn values_that_come_twice_count_once() {
    let (mut script, _) = waiting_for(frame::IPCP);
    script.send(frame::IPCP, Code::ConfigureRequest, 1, PEER_ADDRESS);
    let id = last_request(&script.sent(), frame::IPCP).id;
    let twice = [3, 6, 10, 0, 0, 5, 3, 6, 10, 0, 0, 6];
    script.send(frame::IPCP, Code::ConfigureNak, id, &twice);
    let sent = script.sent();
    let request = last_request(&sent, frame::IPCP);
    assert_eq!(request.data[..6], [3, 6, 10, 0, 0, 5]);
}
