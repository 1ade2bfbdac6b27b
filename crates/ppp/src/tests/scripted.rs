//! Peers that follow a script, some of them bad
