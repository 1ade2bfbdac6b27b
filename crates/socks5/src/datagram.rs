//! The header of relayed UDP datagrams (RFC 1928 §7)

use crate::{Error, Target, reader::Reader};

/// A datagram between a client and the relay
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The number of the fragment; 0 for a whole datagram. A relay that joins none drops the others
    pub fragment: u8,
    /// From the client: where to. To the client: where from
    pub target: Target,
    /// The payload
    pub payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads a datagram
    ///
    /// # Errors
    /// The octets are none.
    pub fn read(octets: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(octets);
        match reader.array() {
            Some([0, 0]) => {}
            Some(_) => return Err(Error::Reserved),
            None => return Err(Error::CutOff),
        }
        let fragment = reader.octet().ok_or(Error::CutOff)?;
        let target = Target::read(&mut reader)?.ok_or(Error::CutOff)?;
        Ok(Self { fragment, target, payload: reader.rest() })
    }

    /// Returns the datagram as octets
    pub fn emit(&self) -> Vec<u8> {
        let mut octets = vec![0, 0, self.fragment];
        self.target.emit(&mut octets);
        octets.extend(self.payload);
        octets
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn rfc_1928_7_a_datagram_has_its_target_in_front() {
        let octets = b"\0\0\0\x01\xC0\xA8\x01\x03\x0E\x57payload";
        let datagram = Datagram::read(octets).unwrap();
        assert_eq!(datagram.target.to_string(), "192.168.1.3:3671");
        assert_eq!((datagram.fragment, datagram.payload), (0, &b"payload"[..]));
        assert_eq!(datagram.emit(), octets);
        for length in 0..10 {
            assert_eq!(Datagram::read(&octets[..length]), Err(Error::CutOff), "{length}");
        }
        assert_eq!(Datagram::read(&[0, 1, 0]), Err(Error::Reserved));
        assert_eq!(Datagram::read(&[0, 0, 0, 9]), Err(Error::AddressKind(9)));
        assert!(Datagram::read(&octets[..10]).unwrap().payload.is_empty());
    }

    proptest::proptest! {
        #[test]
        fn what_is_emitted_is_read_again(
            address: SocketAddr,
            fragment: u8,
            payload in proptest::collection::vec(0_u8.., 0..100),
        ) {
            let datagram = Datagram { fragment, target: address.into(), payload: &payload };
            let octets = datagram.emit();
            // an address of IPv6 has a scope and a flow label that SOCKS does not carry
            proptest::prop_assert_eq!(Datagram::read(&octets), Ok(datagram));
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(0_u8.., 0..300)) {
            if let Ok(datagram) = Datagram::read(&octets) {
                proptest::prop_assert_eq!(datagram.emit(), octets);
            }
        }
    }
}
