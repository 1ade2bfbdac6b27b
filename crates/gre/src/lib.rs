//! Enhanced GRE (RFC 2637 section 4): header, sequence and acknowledgment bookkeeping
