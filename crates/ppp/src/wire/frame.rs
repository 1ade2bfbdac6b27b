//! The PPP header in its four forms, and the protocol numbers (RFC 1661 §2, §6.5, §6.6)

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::tag,
    combinator::{map, opt, verify},
    number::complete::{be_u8, be_u16},
};

use crate::wire::packet::{Packet, ParseError};

/// IPv4, 0021
pub const IP: u16 = 0x0021;
/// IPv6, 0057
pub const IPV6: u16 = 0x0057;
/// A compressed or encrypted datagram, here always MPPE, 00FD
pub const MPPE: u16 = 0x00FD;
/// IP Control Protocol, 8021
pub const IPCP: u16 = 0x8021;
/// IPv6 Control Protocol, 8057
pub const IPV6CP: u16 = 0x8057;
/// Compression Control Protocol, 80FD
pub const CCP: u16 = 0x80FD;
/// Link Control Protocol, C021
pub const LCP: u16 = 0xC021;
/// Password Authentication Protocol, C023
pub const PAP: u16 = 0xC023;
/// Link-Quality-Report, C025
pub const LQR: u16 = 0xC025;
/// Challenge Handshake Authentication Protocol, C223
pub const CHAP: u16 = 0xC223;
/// Extensible Authentication Protocol, C227
pub const EAP: u16 = 0xC227;

/// The first number of a control protocol; those below carry network-layer packets (RFC 1661 §2)
pub const FIRST_CONTROL_PROTOCOL: u16 = 0x4000;

/// Returns true if a frame carries a control protocol: one from [`FIRST_CONTROL_PROTOCOL`] on
///
/// Looks at the first octets alone. An odd first octet is a protocol field that was compressed to one
/// octet (RFC 1661 §6.5), as the FD of an encrypted packet, and control protocols are never compressed
/// so far.
pub const fn is_control_frame(frame: &[u8]) -> bool {
    let [first, _] = FIRST_CONTROL_PROTOCOL.to_be_bytes();
    matches!(frame, [0xFF, 0x03, high, ..] | [high, ..] if *high >= first && *high & 1 == 0)
}

/// Returns true if a frame answers an LCP packet: Configure-Ack, -Nak, -Reject or Code-Reject
pub const fn is_lcp_answer(frame: &[u8]) -> bool {
    matches!(frame, [0xFF, 0x03, 0xC0, 0x21, 2..=4 | 7, ..] | [0xC0, 0x21, 2..=4 | 7, ..])
}

/// Address and control field: all stations, unnumbered information
pub const ADDRESS_AND_CONTROL: [u8; 2] = [0xFF, 0x03];

/// The compressions of the PPP header that are used when sending
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Address-and-Control-Field-Compression: FF03 is left out
    pub acfc: bool,
    /// Protocol-Field-Compression: a leading 00 is left out
    pub pfc: bool,
}

impl Form {
    /// Octets of a header of this form in front of MPPE or IP
    pub const fn header_len(self) -> u16 {
        match (self.acfc, self.pfc) {
            (false, false) => 4,
            (false, true) => 3,
            (true, false) => 2,
            (true, true) => 1,
        }
    }
}

/// Splits a frame into its protocol and the Information field, whatever form its header has
///
/// Protocol 00FF is reserved, so that a frame without address and control field never begins with
/// FF.
pub fn parse(frame: &mut [u8]) -> Result<(u16, &mut [u8]), ParseError> {
    let (protocol, header) = header(frame)?;
    let information = frame.get_mut(header..).ok_or(ParseError::new("PPP frame"))?;
    Ok((protocol, information))
}

/// The protocol, and the octets of the header
fn header(frame: &[u8]) -> Result<(u16, usize), ParseError> {
    let parsed: IResult<&[u8], u16> = (|frame| {
        let (frame, _) = opt(tag(&ADDRESS_AND_CONTROL[..])).parse(frame)?;
        // The least significant octet of a protocol is odd, the most significant one even: that is
        // how one octet is told from two.
        let one = map(verify(be_u8, |octet| octet & 1 == 1), u16::from);
        let two = verify(be_u16, |protocol| protocol & 0x0101 == 1);
        alt((one, two)).parse(frame)
    })(frame);
    let (rest, protocol) = parsed.map_err(|_| ParseError::new("PPP frame"))?;
    Ok((protocol, frame.len().saturating_sub(rest.len())))
}

/// A control frame: header without compression, and a packet (RFC 1661 §6.5 wants it so for LCP)
pub fn control(protocol: u16, packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(packet.len().saturating_add(4));
    frame.extend(ADDRESS_AND_CONTROL);
    frame.extend(protocol.to_be_bytes());
    frame.extend(packet);
    frame
}

/// A control frame around a packet that is still to be written, in one piece
pub(crate) fn of_packet(protocol: u16, packet: &Packet<'_>) -> Vec<u8> {
    let mut frame = Vec::with_capacity(packet.data.len().saturating_add(HEADERS));
    frame.extend(ADDRESS_AND_CONTROL);
    frame.extend(protocol.to_be_bytes());
    packet.emit(&mut frame);
    frame
}

/// Octets in front of the data of a packet in a control frame: 4 of PPP, 4 of the packet
const HEADERS: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn emit(form: Form, protocol: u16, information: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        if !form.acfc {
            frame.extend(ADDRESS_AND_CONTROL);
        }
        let octets = protocol.to_be_bytes();
        frame.extend(if form.pfc && octets[0] == 0 { &octets[1..] } else { &octets[..] });
        frame.extend(information);
        frame
    }

    proptest! {
        #[test]
        fn all_four_forms_are_read(
            acfc: bool, pfc: bool, high in 0..=0x7f_u8, low in 0..=0x7f_u8,
            mut information in vec(any::<u8>(), 0..40),
        ) {
            let protocol = u16::from_be_bytes([high << 1, low << 1 | 1]);
            prop_assume!(protocol != 0x00FF);
            let mut frame = emit(Form { acfc, pfc }, protocol, &information);
            prop_assert_eq!(parse(&mut frame), Ok((protocol, &mut information[..])));
        }

        #[test]
        fn a_control_frame_is_read_as_it_was_written(mut packet in vec(any::<u8>(), 0..40)) {
            let mut frame = control(LCP, &packet);
            prop_assert_eq!(parse(&mut frame), Ok((LCP, &mut packet[..])));
        }

        #[test]
        fn a_frame_is_control_exactly_if_its_protocol_is(
            acfc: bool, pfc: bool, high in 0..=0x7f_u8, low in 0..=0x7f_u8,
        ) {
            let protocol = u16::from_be_bytes([high << 1, low << 1 | 1]);
            prop_assume!(protocol != 0x00FF);
            let frame = emit(Form { acfc, pfc }, protocol, &[1, 2]);
            prop_assert_eq!(is_control_frame(&frame), protocol >= FIRST_CONTROL_PROTOCOL);
        }

        #[test]
        fn arbitrary_octets_never_panic(mut octets in vec(any::<u8>(), 0..9)) {
            let _ = parse(&mut octets);
        }
    }

    #[test]
    fn a_frame_is_written_in_one_piece() {
        let packet = Packet { code: 1, id: 2, data: &[7; 300] };
        let mut octets = Vec::new();
        packet.emit(&mut octets);
        let frame = of_packet(PAP, &packet);
        assert_eq!(frame, control(PAP, &octets));
        assert_eq!(frame.capacity(), frame.len(), "it did not grow");
    }

    #[test]
    fn the_length_of_a_form_is_what_is_written() {
        for (acfc, pfc) in [(false, false), (false, true), (true, false), (true, true)] {
            let form = Form { acfc, pfc };
            assert_eq!(emit(form, MPPE, &[]).len(), usize::from(form.header_len()));
        }
    }

    #[test]
    fn control_begins_at_4000_and_answers_are_told_by_their_code() {
        for (frame, is_control) in [
            (&[0xFF, 0x03, 0x40, 0x01, 1][..], true),
            (&[0x7E, 0x01], true),
            (&[0x80, 0xFD], true),
            (&[0x3E, 0x01], false),
            (&[0xFD, 0x90], false),
            (&[0xFF, 0x03, 0x00, 0xFD], false),
            (&[0xFF, 0x03], false),
            (&[], false),
        ] {
            assert_eq!(is_control_frame(frame), is_control, "{frame:02x?}");
        }
        for code in 0..=u8::MAX {
            let is_answer = matches!(code, 2 | 3 | 4 | 7);
            assert_eq!(is_lcp_answer(&control(LCP, &[code, 1, 0, 4])), is_answer, "{code}");
            assert_eq!(is_lcp_answer(&[0xC0, 0x21, code]), is_answer, "{code}");
            assert!(!is_lcp_answer(&control(IPCP, &[code, 1, 0, 4])), "{code}");
        }
    }

    #[test]
    fn rfc1661_section_2_what_is_no_protocol() {
        for mut frame in
            [vec![], vec![0xFF, 0x03], vec![0xFF, 0x03, 0xC0], vec![0xC0, 0x20], vec![0]]
        {
            assert!(parse(&mut frame).is_err(), "{frame:02x?}");
        }
    }
}
