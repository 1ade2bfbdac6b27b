//! The client's greeting, and the choice of a method (RFC 1928 §3)

use crate::{Error, reader::Reader};

/// A client's first message: the methods of authentication that it offers
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    methods: Vec<u8>,
}

/// A method of authentication
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// None
    NoAuthentication,
    /// Name and password (RFC 1929)
    Login,
}

impl Method {
    const fn number(self) -> u8 {
        match self {
            Self::NoAuthentication => 0,
            Self::Login => 2,
        }
    }
}

impl Greeting {
    /// Reads a greeting; returns it with the number of its octets, or `None` while some are missing
    ///
    /// # Errors
    /// The octets are none.
    pub fn read(octets: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let mut reader = Reader::new(octets);
        match reader.octet() {
            None => return Ok(None),
            Some(VERSION) => {}
            Some(b'A'..=b'Z') => return Err(Error::Http),
            Some(other) => return Err(Error::Version(other)),
        }
        match reader.counted() {
            None => Ok(None),
            Some([]) => Err(Error::NoMethods),
            Some(methods) => Ok(Some((Self { methods: methods.to_vec() }, reader.used()))),
        }
    }

    /// Returns true if the client offers this method
    pub fn offers(&self, method: Method) -> bool {
        self.methods.contains(&method.number())
    }
}

/// Makes the answer to a greeting: the method that is chosen; `None` if none will do, and the connection is closed
pub const fn choose(method: Option<Method>) -> [u8; 2] {
    match method {
        Some(method) => [VERSION, method.number()],
        None => [VERSION, NO_ACCEPTABLE_METHOD],
    }
}

/// SOCKS 5
pub(crate) const VERSION: u8 = 5;

const NO_ACCEPTABLE_METHOD: u8 = 0xFF;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_1928_3_the_methods_are_read_and_one_is_chosen() {
        // curl -x socks5h://b17@…: no authentication, GSSAPI, and name and password
        let curl = [5, 3, 0, 1, 2];
        for length in 0..curl.len() {
            assert_eq!(Greeting::read(&curl[..length]), Ok(None), "{length}");
        }
        let (greeting, used) = Greeting::read(&[&curl[..], b"more"].concat()).unwrap().unwrap();
        assert!(greeting.offers(Method::Login) && greeting.offers(Method::NoAuthentication));
        assert_eq!(used, 5);
        let (only, _) = Greeting::read(&[5, 1, 2]).unwrap().unwrap();
        assert!(only.offers(Method::Login) && !only.offers(Method::NoAuthentication));
        assert_eq!(choose(Some(Method::NoAuthentication)), [5, 0]);
        assert_eq!(choose(Some(Method::Login)), [5, 2]);
        assert_eq!(choose(None), [5, 0xFF]);
    }

    #[test]
    fn what_is_no_greeting_is_told_by_its_first_octets() {
        assert_eq!(Greeting::read(&[4, 1]), Err(Error::Version(4)));
        assert_eq!(Greeting::read(b"GET / HTTP/1.1"), Err(Error::Http));
        assert_eq!(Greeting::read(&[0x16, 3, 1]), Err(Error::Version(0x16)), "TLS");
        assert_eq!(Greeting::read(&[5, 0]), Err(Error::NoMethods));
    }
}
