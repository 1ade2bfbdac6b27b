//! The SOCKS 5 proxy
//!
//! | file | content |
//! |---|---|
//! | `handshake` | greeting, login and request of a client |
//! | `connect` | CONNECT: a connection to a target |
//! | `associate` | UDP ASSOCIATE: datagrams to and from any targets of a site |
//! | `serve` | a client from its first octet on |
//! | `answer` | refusals in the words of SOCKS |

mod answer;
mod associate;
mod connect;
mod handshake;
mod serve;

pub(super) use self::serve::serve;
