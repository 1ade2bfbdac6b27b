//! ICMP: messages and echo requests

mod message;

pub(crate) use self::message::{Icmp, Quoted};
