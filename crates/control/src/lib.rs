//! The PPTP control connection (RFC 2637 sections 2 and 3): messages and automata
