//! The client's request (RFC 1928 §4)

use crate::{Error, Target, greeting::VERSION, reader::Reader};

/// What a client wants
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The command
    pub command: Command,
    /// Where to; for [`Command::UdpAssociate`] the address that the client will send from, as far as it knows
    pub target: Target,
}

/// A command
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Open a TCP connection
    Connect,
    /// Accept a TCP connection
    Bind,
    /// Relay UDP datagrams
    UdpAssociate,
    /// None that is known
    Unknown(u8),
}

impl From<u8> for Command {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Connect,
            2 => Self::Bind,
            3 => Self::UdpAssociate,
            other => Self::Unknown(other),
        }
    }
}

impl Request {
    /// Reads a request; returns it with the number of its octets, or `None` while some are missing
    ///
    /// # Errors
    /// The octets are none. [`Reply::for_error`](crate::Reply::for_error) has the answer.
    pub fn read(octets: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let mut reader = Reader::new(octets);
        match reader.octet() {
            None => return Ok(None),
            Some(VERSION) => {}
            Some(other) => return Err(Error::Version(other)),
        }
        let Some(command) = reader.octet() else { return Ok(None) };
        match reader.octet() {
            None => return Ok(None),
            Some(0) => {}
            Some(_) => return Err(Error::Reserved),
        }
        let target = Target::read(&mut reader)?;
        Ok(target.map(|target| (Self { command: command.into(), target }, reader.used())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;

    fn whole(octets: &[u8]) -> Request {
        for length in 0..octets.len() {
            assert_eq!(Request::read(&octets[..length]), Ok(None), "{length}");
        }
        let (request, used) = Request::read(&[octets, b"more"].concat()).unwrap().unwrap();
        assert_eq!(used, octets.len(), "what follows is the client's own");
        request
    }

    #[test]
    fn rfc_1928_4_a_request_names_its_target_in_three_ways() {
        let by_address = whole(&[5, 1, 0, 1, 192, 168, 1, 3, 0x0E, 0x57]);
        assert_eq!(by_address.command, Command::Connect);
        assert_eq!(by_address.target.to_string(), "192.168.1.3:3671");
        let by_name = whole(b"\x05\x01\0\x03\x07knx.lan\0\x50");
        assert_eq!(by_name.target.host, Host::Name("knx.lan".to_owned()));
        assert_eq!(by_name.target.to_string(), "knx.lan:80");
        let mut octets = vec![5, 3, 0, 4];
        octets.extend([0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80]);
        let by_ipv6 = whole(&octets);
        assert_eq!(by_ipv6.command, Command::UdpAssociate);
        assert_eq!(by_ipv6.target.to_string(), "[fe80::1]:80");
        assert_eq!(whole(&[5, 9, 0, 1, 1, 2, 3, 4, 0, 1]).command, Command::Unknown(9));
        assert_eq!(whole(&[5, 2, 0, 1, 1, 2, 3, 4, 0, 1]).command, Command::Bind);
    }

    #[test]
    fn what_is_no_request_is_told() {
        assert_eq!(Request::read(&[4]), Err(Error::Version(4)));
        assert_eq!(Request::read(&[5, 1, 1]), Err(Error::Reserved));
        assert_eq!(Request::read(&[5, 1, 0, 2]), Err(Error::AddressKind(2)));
        for name in [&b"\0"[..], b"\x03a b", b"\x02a\0", b"\x02\xC3\xA4", b"\x01\n"] {
            let octets = [b"\x05\x01\0\x03", name, b"\0\x50"].concat();
            assert_eq!(Request::read(&octets), Err(Error::Name), "{name:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_octets_never_panic_and_what_was_read_stays_read(
            octets in proptest::collection::vec(0_u8.., 0..300),
        ) {
            if let Ok(Some((request, used))) = Request::read(&octets) {
                proptest::prop_assert!(used <= octets.len());
                proptest::prop_assert_eq!(Request::read(&octets[..used]), Ok(Some((request, used))));
            }
        }
    }
}
