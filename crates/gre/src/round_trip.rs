//! Round-trip time and the adaptive acknowledgment time-out (RFC 2637 section 4.4)
