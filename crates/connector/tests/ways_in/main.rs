//! The ways in from a client's first octet to the building's last, in virtual time

mod http;
mod kernel;
mod knx;
mod socks;
mod table;
mod tcp;
mod udp;
mod world;
