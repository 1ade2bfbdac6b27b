//! The counters of a stack

/// The counters of a stack since it was made
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// IP packets that came in
    pub packets_in: u64,
    /// IP packets that were composed
    pub packets_out: u64,
    /// Packets dropped for a bad header or checksum, or because they are not IPv4
    pub malformed: u64,
    /// IP fragments that came in
    pub fragments_in: u64,
    /// IP fragments that were composed
    pub fragments_out: u64,
    /// Datagrams that were put together from fragments
    pub reassembled: u64,
    /// Datagrams given up because a fragment of theirs had not come after 30 s
    pub reassembly_timeouts: u64,
    /// Datagrams given up because their fragments overlap or contradict each other
    pub reassembly_conflicts: u64,
    /// Datagrams given up because more than four were incomplete, or came in more than 128 pieces
    pub reassembly_overflows: u64,
    /// Packets dropped because their source is an address that no other host can have: 0/8, 127/8,
    /// 240/4, a group, the stack's own, or a broadcast address; and those to 0/8, 127/8 and 240/4,
    /// which are unclaimed as well
    pub martians: u64,
    /// Packets that were for no socket
    pub unclaimed: u64,
    /// Packets for no socket that were not answered, because a thousand answers had left in that second
    pub unanswered: u64,
    /// UDP datagrams dropped because their socket's receive buffer was full
    pub udp_overflows: u64,
    /// SYNs dropped because the listener's backlog was full
    pub backlog_overflows: u64,
    /// The most work that one poll of a lookup had with DNS answers: a record that is looked at, a label
    /// or pointer that is walked, a comparison of two names, and an octet that is copied or compared are
    /// one each. Never more than [`MAX_DNS_WORK`](crate::MAX_DNS_WORK)
    pub dns_work_most: u64,
    /// TCP connections now, those being flushed after they were dropped included
    pub connections: usize,
    /// UDP sockets now
    pub udp_sockets: usize,
}
