//! The HTTP proxy: CONNECT, and requests in absolute form (RFC 9110, RFC 9112)
//!
//! | file | content |
//! |---|---|
//! | `route` | the site and the target of a request, from its head alone |
//! | `basic` | user name and password of a request |
//! | `answer` | refusals in the words of HTTP |
//! | `serve` | a client from its first octet on |
//! | `exchange` | a request in absolute form, its way to the target and back |
//! | `body` | the bodies of answers |
//! | `stream` | the stream of a client as hyper sees it, and the times that it takes |

mod answer;
mod basic;
mod body;
mod exchange;
pub(super) mod route;
mod serve;
mod stream;

pub(super) use self::serve::serve;
