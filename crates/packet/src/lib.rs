//! Packet slots with headroom, their pool, and the way out: Egress
