//! Round trips, golden layouts, and every length of every type
