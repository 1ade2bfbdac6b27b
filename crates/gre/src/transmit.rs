//! Our sequence numbers and the window the peer gives them (RFC 2637 section 4.2)
