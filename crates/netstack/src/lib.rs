//! A TCP/IP stack and tokio sockets over any source of IP packets
