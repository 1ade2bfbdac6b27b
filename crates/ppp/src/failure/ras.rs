//! The error codes with which Windows ends a protocol: what each number means
//!
//! RRAS sends them as the data of a Terminate-Request of LCP, CCP or IPCP, often in place of a CHAP
//! Failure: our Magic-Number, `00 3C CD 74`, and the code as four octets. The numbers are those of
//! Windows' `raserror.h`.

use std::fmt;

/// The octets between the Magic-Number and the code
pub(crate) const WINDOWS_MARK: [u8; 4] = [0x00, 0x3C, 0xCD, 0x74];

/// An error code of Windows' Remote Access Service
///
/// Displayed with its number and its meaning: `error 691 (wrong user name or password)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RasCode(pub u32);

/// The part of a connection that a code is about
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RasCause {
    /// User, password or account
    Login,
    /// The server has not proven who it is
    Server,
    /// The two ends have no authentication protocol in common
    AuthenticationProtocol,
    /// The server has no protocol for IP
    Protocols,
    /// The server has no address to give
    Address,
    /// The two ends have no encryption in common
    Encryption,
    /// The line
    Network,
    /// The peer has ended the link, without a reason
    Ended,
    /// A number without a meaning here
    Unknown,
}

impl RasCode {
    /// Reads the data of a Terminate-Request; `None` if it is not what Windows sends
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let (_magic, rest) = data.split_first_chunk::<4>()?;
        let (mark, rest) = rest.split_first_chunk::<4>()?;
        let code = rest.first_chunk::<4>().filter(|_| *mark == WINDOWS_MARK)?;
        Some(Self(u32::from_be_bytes(*code)))
    }

    /// The code's meaning in a few words
    pub const fn meaning(self) -> &'static str {
        self.look_up().1
    }

    /// The data of a Terminate-Request with this code, as Windows sends it
    #[cfg(feature = "server")]
    pub(crate) fn data(self) -> Vec<u8> {
        // the Magic-Number of its own LCP, which no client compares
        [&[0x12, 0x34, 0x56, 0x78], &WINDOWS_MARK[..], &self.0.to_be_bytes()].concat()
    }

    pub(crate) const fn cause(self) -> RasCause {
        self.look_up().0
    }

    const fn look_up(self) -> (RasCause, &'static str) {
        use RasCause::{
            Address, AuthenticationProtocol, Encryption, Ended, Login, Network, Protocols, Server,
            Unknown,
        };
        match self.0 {
            0 => (Ended, "the peer wished to end it"),
            619 => (Network, "the connection could not be established"),
            629 => (Network, "the connection was closed by the remote computer"),
            646 => (Login, "not at this hour"),
            647 => (Login, "the account is disabled"),
            648 => (Login, "the password has expired"),
            649 => (Login, "the account may not dial in"),
            691 => (Login, "wrong user name or password"),
            718 => (Network, "PPP got no answer in time"),
            720 => (Protocols, "the server has no PPP control protocol configured"),
            721 => (Network, "the remote computer does not answer"),
            732 => (Address, "the PPP negotiation does not converge"),
            733 => (Protocols, "the server has no PPP control protocol for this network protocol"),
            734 => (Ended, "LCP was terminated"),
            736 => (Ended, "the remote computer terminated the control protocol"),
            738 => (Address, "the server did not assign an address"),
            741 => (Encryption, "the server does not support the encryption that is required"),
            742 => (Encryption, "the client does not support the encryption that is required"),
            743 => (Encryption, "the other end requires encryption"),
            778 => (Server, "the server could not prove who it is"),
            919 => (AuthenticationProtocol, "no authentication protocol in common"),
            _ => (Unknown, "a code without a meaning here"),
        }
    }
}

impl fmt::Display for RasCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {} ({})", self.0, self.meaning())
    }
}

#[cfg(test)]
mod tests;
