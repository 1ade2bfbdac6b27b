//! The ways of a socket to its protocol

use std::io;

use super::Stack;
use crate::{icmp::IcmpCalls, tcp::TcpCalls, udp::UdpCalls};

impl Stack {
    /// Fails if the stack has been shut down
    pub(crate) fn check_ended(&self) -> io::Result<()> {
        self.ended.clone().map_or(Ok(()), |ended| Err(ended.into()))
    }

    /// The calls of TCP sockets; an error if the stack has been shut down
    pub(crate) fn tcp(&mut self) -> io::Result<TcpCalls<'_>> {
        self.check_ended()?;
        Ok(self.tcp_after_end())
    }

    /// The calls of TCP sockets that are of use even after the stack has been shut down
    pub(crate) const fn tcp_after_end(&mut self) -> TcpCalls<'_> {
        TcpCalls { tcp: &mut self.tcp, shared: &mut self.shared }
    }

    /// The calls of UDP sockets; an error if the stack has been shut down
    pub(crate) fn udp(&mut self) -> io::Result<UdpCalls<'_>> {
        self.check_ended()?;
        Ok(self.udp_after_end())
    }

    /// The calls of UDP sockets that are of use even after the stack has been shut down
    pub(crate) const fn udp_after_end(&mut self) -> UdpCalls<'_> {
        UdpCalls { udp: &mut self.udp, shared: &mut self.shared }
    }

    /// The calls of echo requests; an error if the stack has been shut down
    pub(crate) fn icmp(&mut self) -> io::Result<IcmpCalls<'_>> {
        self.check_ended()?;
        Ok(self.icmp_after_end())
    }

    /// The calls of echo requests that are of use even after the stack has been shut down
    pub(crate) const fn icmp_after_end(&mut self) -> IcmpCalls<'_> {
        IcmpCalls { echoes: &mut self.echoes, shared: &mut self.shared }
    }
}
