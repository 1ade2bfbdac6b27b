//! One PPTP tunnel as one state machine without I/O: control connection, GRE and PPP
