//! The carrier of a session: the state machine that a driver drives

mod pptp;

use std::time::Instant;

use pptp_packet::{Egress, PacketBuf};
pub use pptp_tunnel::NotNow;

/// A state machine that carries IP packets in datagrams, beside a control connection
///
/// These are the methods that a driver needs. The machine has no I/O and no clock. It is driven in turns: any
/// number of inputs at one `now`, then all outputs once, in the order in which they stand here. The driver keeps
/// that order, so an implementor may depend on it.
///
/// The control connection's own input is not here: octets come by the task that reads the connection, which knows
/// the machine's type.
pub trait Carrier {
    /// A report of the machine to its owner
    type Event;

    /// Takes a datagram; returns the IP packet in it, in place
    ///
    /// `None` if the datagram has no packet, or one that waits for those before it: see [`Self::poll_ip`].
    fn handle_datagram<'p>(&mut self, now: Instant, datagram: &'p mut [u8])
    -> Option<&'p mut [u8]>;

    /// Does the work whose time has come; called at the begin of each turn's outputs
    fn handle_timeout(&mut self, now: Instant);

    /// Returns the next IP packet that had to wait for those before it
    fn poll_ip(&mut self, now: Instant) -> Option<Vec<u8>>;

    /// Returns the next event
    ///
    /// Events come before the packets of a turn, because they tell whether packets pass.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// Composes the frames that the peer must have before it takes packets
    fn poll_frames(&mut self, now: Instant, out: &mut impl Egress);

    /// Checks whether an IP packet may be sent now
    ///
    /// # Errors
    /// The reason why not, and until when if that is known.
    fn may_send(&self, now: Instant) -> Result<(), NotNow>;

    /// Makes an IP packet the datagram that carries it, in place
    ///
    /// Only for a machine that does not say [`NotNow::NotUp`].
    fn seal(&mut self, now: Instant, packet: &mut PacketBuf);

    /// Composes the datagrams of the machine's own that packets may have made needless: bare acknowledgments
    fn poll_datagrams(&mut self, now: Instant, out: &mut impl Egress);

    /// Appends octets for the control connection; returns true if there were any
    fn poll_control(&mut self, now: Instant, out: &mut Vec<u8>) -> bool;

    /// Returns the time of the next [`Self::handle_timeout`]
    fn poll_timeout(&self) -> Option<Instant>;

    /// Returns true if nothing more will happen
    fn is_finished(&self) -> bool;

    /// Returns the number of datagrams so far from which something came
    ///
    /// The driver pays for the others: a flood of them makes it pause.
    fn useful_datagrams(&self) -> u64;
}
