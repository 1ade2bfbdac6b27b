//! The number of datagrams that the kernel dropped for want of room
//!
//! The kernel also tells with each datagram (`SO_RXQ_OVFL`), but the headers of the batch call lose
//! that after the first batch without drops.

use std::{
    fs,
    os::fd::{AsRawFd, BorrowedFd},
};

/// The number of a socket in the kernel's tables
pub(super) fn inode(socket: BorrowedFd<'_>) -> Option<u64> {
    let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// Datagrams dropped because the socket's receive buffer was full
pub(super) fn kernel_drops(inode: u64) -> Option<u64> {
    drops_in(&fs::read_to_string("/proc/self/net/raw").ok()?, inode)
}

/// Reads the last column of the line whose tenth column is `inode`
fn drops_in(table: &str, inode: u64) -> Option<u64> {
    let line = table.lines().skip(1).find(|line| {
        line.split_ascii_whitespace().nth(9).and_then(|field| field.parse().ok()) == Some(inode)
    })?;
    line.split_ascii_whitespace().nth(12)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
        retrnsmt   uid  timeout inode ref pointer drops
   1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 8212 2 \
        0000000000000000 5
  47: 0100007F:002F 00000000:0000 07 00000000:00034B00 00:00000000 00000000     0        0 8213 2 \
        0000000000000000 1617
";

    #[test]
    fn drops_are_those_of_the_line_with_the_inode() {
        assert_eq!(drops_in(TABLE, 8213), Some(1617));
        assert_eq!(drops_in(TABLE, 8212), Some(5));
        assert_eq!(drops_in(TABLE, 47), None, "not a line's first column");
        assert_eq!(drops_in("", 8213), None);
        assert_eq!(drops_in("header\n 1: 2 3\n", 3), None);
    }

    #[test]
    fn a_sockets_inode_is_in_its_link() {
        use std::os::fd::AsFd;
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(inode(socket.as_fd()).is_some());
        assert_eq!(inode(fs::File::open("/proc/self/stat").unwrap().as_fd()), None);
    }
}
