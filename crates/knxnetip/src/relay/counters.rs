//! The counters of a relay

/// The counters of a relay
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that are no frame, or whose endpoint cannot be read
    pub malformed: u64,
    /// Frames that would change a device without a login, and were dropped
    pub remote_configuration: u64,
    /// Frames of a channel that is not the sender's, and answers that nobody asked for
    pub no_connection: u64,
    /// Datagrams of other hosts than the device
    pub strangers: u64,
    /// Frames for which there was no room, or no socket
    pub no_room: u64,
    /// Connections that the relay ended in the name of a client that was gone
    pub released: u64,
    /// Connections that ended with their inner socket
    pub lost: u64,
}

impl Counters {
    /// Returns the frames that were dropped, for any reason
    pub const fn dropped(&self) -> u64 {
        self.malformed
            .saturating_add(self.remote_configuration)
            .saturating_add(self.no_connection)
            .saturating_add(self.strangers)
            .saturating_add(self.no_room)
    }
}
