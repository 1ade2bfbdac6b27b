//! A PPTP client: thousands of tunnels in one process, entirely in userspace
