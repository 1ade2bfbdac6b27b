//! Readers of packets for tests

pub(crate) use smoltcp::wire::{IpAddress, Ipv4Packet, UdpPacket};
