//! The packets of PAP and EAP, and the bodies of Change-Password (RFC 1334, RFC 3748, RFC 2433, RFC 2759)

use pptp_mschap::PasswordChange;
use pptp_packet::Redacted;

use crate::wire::packet::{Packet, ParseError};

/// Codes of CHAP; EAP-MSCHAPv2 has the same as its operation codes
pub(crate) mod chap {
    pub(crate) const CHALLENGE: u8 = 1;
    pub(crate) const RESPONSE: u8 = 2;
    pub(crate) const SUCCESS: u8 = 3;
    pub(crate) const FAILURE: u8 = 4;
    /// Version 2 of MS-CHAPv1's (RFC 2433 §9)
    pub(crate) const CHANGE_PASSWORD_V1: u8 = 6;
    /// MS-CHAPv2's (RFC 2759 §7)
    pub(crate) const CHANGE_PASSWORD_V2: u8 = 7;
}

/// Codes of PAP (RFC 1334 §2.2)
pub(crate) mod pap {
    pub(crate) const REQUEST: u8 = 1;
    pub(crate) const ACK: u8 = 2;
    pub(crate) const NAK: u8 = 3;
}

/// Codes and types of EAP (RFC 3748 §4, §5)
pub(crate) mod eap {
    pub(crate) const REQUEST: u8 = 1;
    pub(crate) const RESPONSE: u8 = 2;
    pub(crate) const SUCCESS: u8 = 3;
    pub(crate) const FAILURE: u8 = 4;

    pub(crate) const IDENTITY: u8 = 1;
    pub(crate) const NOTIFICATION: u8 = 2;
    pub(crate) const NAK: u8 = 3;
    #[cfg(feature = "server")]
    pub(crate) const MD5_CHALLENGE: u8 = 4;
    pub(crate) const MSCHAP_V2: u8 = 26;
}

/// The data of a PAP Authenticate-Request: the user name, and the password itself (RFC 1334 §2.2.1)
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PapRequest<'a> {
    pub(crate) peer_id: &'a [u8],
    pub(crate) password: &'a [u8],
}

impl PapRequest<'_> {
    /// Appends both; each is cut off if it does not fit its length field
    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        // reserved at once: a vector that grows leaves a copy of its octets behind
        let length = self.peer_id.len().saturating_add(self.password.len()).saturating_add(2);
        out.reserve_exact(length);
        for field in [self.peer_id, self.password] {
            let field = field.get(..usize::from(u8::MAX)).unwrap_or(field);
            out.push(u8::try_from(field.len()).unwrap_or_default());
            out.extend(field);
        }
    }
}

#[cfg(any(test, feature = "server"))]
impl<'a> PapRequest<'a> {
    pub(crate) fn parse(data: &'a [u8]) -> Result<Self, ParseError> {
        let field = |data: &'a [u8]| {
            let (length, rest) = data.split_first()?;
            rest.split_at_checked(usize::from(*length))
        };
        let parsed = field(data).and_then(|(peer_id, rest)| {
            field(rest).map(|(password, _)| Self { peer_id, password })
        });
        parsed.ok_or(ParseError::new("PAP request"))
    }
}

/// Returns the text of a PAP Ack or Nak, whose length in front may be wrong or missing
pub(crate) fn pap_message(data: &[u8]) -> &[u8] {
    match data.split_first() {
        Some((length, rest)) => match rest.get(..usize::from(*length)) {
            Some(message) => message,
            // No text begins with a control character: another first octet is the text already.
            None if *length >= b' ' && !rest.is_empty() => data,
            None => rest,
        },
        None => data,
    }
}

/// The body of a Change-Password packet of either version
pub(crate) struct ChangePassword<'a> {
    pub(crate) change: &'a PasswordChange,
    /// The peer's challenge, in MS-CHAPv2 only
    pub(crate) peer_challenge: Option<&'a [u8; 16]>,
    pub(crate) nt_response: &'a [u8; 24],
}

impl ChangePassword<'_> {
    /// The code and the body, 582 octets in MS-CHAPv2 and 1114 in MS-CHAPv1
    pub(crate) fn emit(&self) -> (u8, Vec<u8>) {
        let mut body = self.change.encrypted_password().to_vec();
        body.extend(self.change.encrypted_hash());
        if let Some(peer_challenge) = self.peer_challenge {
            body.extend(peer_challenge);
            body.extend([0; 8]);
            body.extend(self.nt_response);
            body.extend([0; 2]);
            return (chap::CHANGE_PASSWORD_V2, body);
        }
        // All that is LAN Manager's is zero, and the flags say so.
        body.resize(body.len().saturating_add(LAN_MANAGER), 0);
        body.extend(self.nt_response);
        body.extend(NT_RESPONSE_IS_VALID.to_be_bytes());
        (chap::CHANGE_PASSWORD_V1, body)
    }
}

/// The part of a Change-Password body that a server reads
#[cfg(any(test, feature = "server"))]
pub(crate) struct PasswordChanged {
    pub(crate) change: PasswordChange,
    pub(crate) peer_challenge: Option<[u8; 16]>,
    pub(crate) nt_response: [u8; 24],
}

#[cfg(any(test, feature = "server"))]
impl PasswordChanged {
    pub(crate) fn parse(code: u8, body: &[u8]) -> Option<Self> {
        let (password, rest) = body.split_first_chunk()?;
        let (hash, rest) = rest.split_first_chunk()?;
        let change = PasswordChange::from_fields(password, hash);
        if code == chap::CHANGE_PASSWORD_V2 {
            let (peer_challenge, rest) = rest.split_first_chunk()?;
            let (_, rest) = rest.split_first_chunk::<8>()?;
            let (nt_response, flags) = rest.split_first_chunk()?;
            let (peer_challenge, nt_response) = (Some(*peer_challenge), *nt_response);
            return (flags.len() == 2).then_some(Self { change, peer_challenge, nt_response });
        }
        let rest = rest.get(LAN_MANAGER..)?;
        let (nt_response, flags) = rest.split_first_chunk()?;
        let nt_response = *nt_response;
        (flags.len() == 2).then_some(Self { change, peer_challenge: None, nt_response })
    }
}

/// An EAP packet with a type: a Request or a Response (RFC 3748 §4.1)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeData<'a> {
    pub(crate) kind: u8,
    pub(crate) data: Redacted<&'a [u8]>,
}

impl<'a> TypeData<'a> {
    pub(crate) fn parse(packet: &Packet<'a>) -> Result<Self, ParseError> {
        let (kind, data) = packet.data.split_first().ok_or(ParseError::new("EAP packet"))?;
        Ok(Self { kind: *kind, data: Redacted(data) })
    }
}

/// The LAN Manager block, its hash and the response of MS-CHAPv1's packet (RFC 2433 §9)
const LAN_MANAGER: usize = 516 + 16 + 24;
/// The NT response is the one to look at, and there is nothing of LAN Manager's (RFC 2433 §9)
const NT_RESPONSE_IS_VALID: u16 = 1;

#[cfg(test)]
mod tests {
    use pptp_mschap::{NtHash, Password, PasswordEncoding};
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn a_pap_request_is_read_as_it_was_written(
            peer_id in vec(any::<u8>(), 0..256), password in vec(any::<u8>(), 0..256),
        ) {
            let request = PapRequest { peer_id: &peer_id, password: &password };
            let mut octets = Vec::new();
            request.emit(&mut octets);
            prop_assert!(PapRequest::parse(&octets) == Ok(request));
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..64), code: u8) {
            let _ = PapRequest::parse(&octets);
            let _ = pap_message(&octets);
            let _ = PasswordChanged::parse(code, &octets);
            let _ = TypeData::parse(&Packet { code, id: 0, data: &octets });
        }
    }

    #[test]
    fn rfc1334_section_2_2_1_lengths_at_their_edges() {
        for (octets, good) in [
            (&[][..], false),
            (&[0], false),
            (&[0, 0], true),
            (&[1, b'u', 1, b'p'], true),
            (&[1, b'u', 2, b'p'], false),
            (&[2, b'u', 1, b'p'], false),
            (&[255, b'u'], false),
            (&[1, b'u', 0, 9], true),
        ] {
            assert_eq!(PapRequest::parse(octets).is_ok(), good, "{octets:02x?}");
        }
    }

    #[test]
    fn a_pap_message_may_lack_its_length_or_lie() {
        for (data, message) in [
            (&b""[..], &b""[..]),
            (b"\x00", b""),
            (b"\x05Hello", b"Hello"),
            (b"\x05Hello and more", b"Hello"),
            (b"\x09Hello", b"Hello"),
            (b"Login incorrect", b"Login incorrect"),
        ] {
            assert_eq!(pap_message(data), message, "{data:02x?}");
        }
    }

    fn old() -> NtHash {
        Password::new("clientPass").nt_hash(PasswordEncoding::Utf16)
    }

    fn change() -> PasswordChange {
        let new = Password::new("newPass1");
        PasswordChange::new(&old(), &new, PasswordEncoding::Utf16, &[0; 512]).unwrap()
    }

    #[test]
    fn rfc2759_section_7_the_fields_stand_where_they_should() {
        let (change, peer_challenge, nt_response) = (change(), [0xA1; 16], [0xB2; 24]);
        let packet = ChangePassword {
            change: &change,
            peer_challenge: Some(&peer_challenge),
            nt_response: &nt_response,
        };
        let (code, body) = packet.emit();
        assert_eq!((code, body.len() + 4), (7, 586));
        assert_eq!(body[..516], change.encrypted_password()[..]);
        assert_eq!(body[516..532], change.encrypted_hash()[..]);
        assert_eq!(body[532..548], peer_challenge);
        assert_eq!(body[548..556], [0; 8]);
        assert_eq!(body[556..580], nt_response);
        assert_eq!(body[580..], [0, 0]);
        let read = PasswordChanged::parse(code, &body).unwrap();
        assert_eq!((read.peer_challenge, read.nt_response), (Some(peer_challenge), nt_response));
        assert!(read.change.open(&old()).is_some());
        assert!(PasswordChanged::parse(code, &body[1..]).is_none());
    }

    #[test]
    fn rfc2433_section_9_nothing_of_lan_manager_is_sent() {
        let (change, nt_response) = (change(), [0xB2; 24]);
        let packet =
            ChangePassword { change: &change, peer_challenge: None, nt_response: &nt_response };
        let (code, body) = packet.emit();
        assert_eq!((code, body.len() + 4), (6, 1118));
        assert!(body[532..1088].iter().all(|octet| *octet == 0));
        assert_eq!((&body[1088..1112], &body[1112..]), (&nt_response[..], &[0, 1][..]));
        let read = PasswordChanged::parse(code, &body).unwrap();
        assert_eq!((read.peer_challenge, read.nt_response), (None, nt_response));
        assert!(read.change.open(&old()).is_some());
        assert!(PasswordChanged::parse(code, &body[1..]).is_none());
    }
}
