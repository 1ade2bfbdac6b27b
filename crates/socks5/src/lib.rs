//! SOCKS 5 for servers: the messages of RFC 1928 and RFC 1929 as a codec without I/O
//!
//! A client speaks first. Each of its messages is read by a function that returns `Ok(None)` while octets are missing,
//! and else the message and the number of its octets. Answers are made as octets.
//!
//! | the client sends | read by | the server answers |
//! |---|---|---|
//! | the methods that it offers | [`Greeting::read`] | [`choose`] |
//! | name and password, if that method was chosen | [`Login::read`] | [`login_answer`] |
//! | what it wants | [`Request::read`] | [`Reply::emit`] |
//! | UDP datagrams, after [`Command::UdpAssociate`] | [`Datagram::read`] | [`Datagram::emit`] |
//!
//! ```
//! use pptp_socks5::{Command, Greeting, Host, Method, Request};
//!
//! // curl -x socks5h://… http://192.168.1.3/
//! let (greeting, used) = Greeting::read(&[5, 2, 0, 2])?.expect("whole");
//! assert!(greeting.offers(Method::NoAuthentication) && used == 4);
//! let (request, _) = Request::read(&[5, 1, 0, 1, 192, 168, 1, 3, 0, 80])?.expect("whole");
//! assert_eq!(request.command, Command::Connect);
//! assert_eq!(request.target.host, Host::Ipv4([192, 168, 1, 3].into()));
//! # Ok::<_, pptp_socks5::Error>(())
//! ```
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod datagram;
mod error;
mod greeting;
mod login;
mod reader;
mod reply;
mod request;
mod target;

pub use self::{
    datagram::Datagram,
    error::Error,
    greeting::{Greeting, Method, choose},
    login::{Login, login_answer},
    reply::Reply,
    request::{Command, Request},
    target::{Host, Target},
};
