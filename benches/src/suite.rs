//! All that is measured

use crate::{
    Figure, allocations, batches, connect_storm, fairness, gre, idle, lossy, lossy_lab, mppe,
    netstack, per_tunnel_throughput, ppp, raw_path, reordering, socket, tunnel_path, window,
};

/// A part of the suite: its name, which begins those of its figures, and what measures them
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The name
    pub name: &'static str,
    /// Measures all its figures
    pub figures: fn() -> Vec<Figure>,
}

/// All parts, in the order of the report
pub const PARTS: &[Part] = &[
    Part { name: "mppe", figures: mppe::figures },
    Part { name: "gre", figures: gre::figures },
    Part { name: "ppp", figures: ppp::figures },
    Part { name: "netstack", figures: netstack::figures },
    Part { name: "tunnel_path", figures: tunnel_path::figures },
    Part { name: "allocations", figures: allocations::figures },
    Part { name: "per_tunnel_throughput", figures: per_tunnel_throughput::figures },
    Part { name: "raw_path", figures: raw_path::figures },
    Part { name: "batches", figures: batches::figures },
    Part { name: "fairness", figures: fairness::figures },
    Part { name: "reordering", figures: reordering::figures },
    Part { name: "lossy", figures: lossy::figures },
    Part { name: "lossy_lab", figures: lossy_lab::figures },
    Part { name: "connect_storm", figures: connect_storm::figures },
    Part { name: "idle", figures: idle::figures },
    Part { name: "socket", figures: socket::figures },
    Part { name: "window", figures: window::figures },
];

/// Why a figure misses its goal, by its name
pub const REASONS: &[(&str, &str)] = &[
    (
        "mppe/keystream",
        "The loop is at the end of what its order of reads and writes allows. With the swap's writes \
         sent to a copy that nobody reads (a wrong stream, but as many instructions, and no read waits \
         for a write) it comes to 1.98 times the crate, so the cipher itself has no room left; some \
         forty other forms of the loop (octets, u64, two and four positions at a time, the next word \
         read earlier or later) are slower. Two streams interleaved take 1.01 of the time of one after \
         the other. OpenSSL's assembler is slower than this loop: mppe/keystream-openssl.",
    ),
    (
        "raw_path/download-as-it-comes",
        "The testkit's server, which pays for the delivery of what it sends, is slower than the client: \
         nine datagrams are queued when it wakes, not 64. For each packet it makes 0.2 calls of \
         epoll_wait, 0.11 of recvmmsg and 0.09 of sendmmsg (perf, system call tracepoints), and each \
         acknowledgment wakes the server's thread, which is charged to the client and takes twice what \
         sending does. With datagrams queued none of this counts: raw_path/download.",
    ),
    (
        "lossy_lab/upload-of-kernel",
        "The median of the cells with loss is 0.94 on a quiet machine and 0.86 beside builds. The \
         kernel is ahead where it repairs several losses in one round trip by SACK, which smoltcp's \
         sender ignores: with many losses a window of ours is repaired one a round trip. And at a round \
         trip of 10 ms the guest's pptpd and pppd are what takes the time, which the kernel's own \
         connection does not pass.",
    ),
];

impl Part {
    /// Whether figures that begin with `prefix` may be among its own
    pub fn may_have(&self, prefix: &str) -> bool {
        self.name.starts_with(prefix) || prefix.split('/').next() == Some(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(prefix: &str) -> Vec<&'static str> {
        PARTS.iter().filter(|part| part.may_have(prefix)).map(|part| part.name).collect()
    }

    #[test]
    fn a_prefix_names_parts_or_figures_of_one() {
        assert_eq!(parts(""), PARTS.iter().map(|part| part.name).collect::<Vec<_>>());
        assert_eq!(parts("mpp"), ["mppe"]);
        assert_eq!(parts("mppe/packet"), ["mppe"]);
        assert_eq!(parts("mppe2"), [""; 0]);
    }
}
