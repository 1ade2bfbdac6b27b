//! The options of a relay

/// The options of a relay
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Our endpoint, as it is written towards the device
    pub endpoint: Endpoint,
    /// True if clients may change a device's IP configuration, restart it and reset it, for which it asks no login
    pub remote_configuration: bool,
    /// Clients at a time, 1 at least
    pub max_clients: usize,
}

/// Our endpoint, as it is written towards the device
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Endpoint {
    /// The device is asked once with the true address and, after 2 s, with zeros; what it answers to holds until the
    /// tunnel ends
    #[default]
    Auto,
    /// The address and the port of the inner socket
    True,
    /// 0.0.0.0:0, to which the device answers where the datagram came from
    Zero,
}
