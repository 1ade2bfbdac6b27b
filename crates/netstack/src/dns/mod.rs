//! The protocol of names, DNS (RFC 1035): answers are read, and equal questions are joined
//!
//! It sends and receives nothing: `net::lookup` does, with sockets of the stack.

pub(crate) mod answer;
pub(crate) mod error;
pub(crate) mod name;
pub(crate) mod question;
pub(crate) mod work;
