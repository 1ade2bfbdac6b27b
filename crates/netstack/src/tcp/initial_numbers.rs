//! Initial sequence numbers (RFC 6528)

use std::{fmt, net::IpAddr};

use crate::{
    ip::Flow,
    shared::{
        random::{Random, sip_hash},
        time::Time,
    },
};

/// Chooses the initial sequence number of each connection (RFC 6528 §3, RFC 9293 §3.4.1)
///
/// The number is a clock plus a keyed hash of addresses and ports. So the numbers of one peer do not reveal those
/// of another, and between the same two ports each connection begins above the one before.
pub(super) struct InitialNumbers {
    key: (u64, u64),
}

impl InitialNumbers {
    pub(super) fn new(random: &mut Random) -> Self {
        Self { key: random.key() }
    }

    /// The initial sequence number of a connection that begins now
    pub(super) fn number(&self, flow: &Flow, now: Time) -> i32 {
        let mut ends = Vec::with_capacity(size_of::<Flow>());
        for end in [flow.local, flow.peer] {
            match end.address().into() {
                IpAddr::V4(address) => ends.extend(address.octets()),
                IpAddr::V6(address) => ends.extend(address.octets()),
            }
            ends.extend(end.port().to_be_bytes());
        }
        low_half(sip_hash(self.key, &ends)).wrapping_add(low_half(now / TICK))
    }
}

/// Prints no key: with it a host could forge segments of others
impl fmt::Debug for InitialNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitialNumbers").finish_non_exhaustive()
    }
}

/// The first number above `last` for another connection between the same ports (RFC 1122 §4.2.2.13)
///
/// Further above it than a window without scaling reaches, as Linux has it.
pub(super) const fn above(last: i32, number: i32) -> i32 {
    if number.wrapping_sub(last) > MARGIN { number } else { last.wrapping_add(MARGIN) }
}

/// The low 32 bits
fn low_half(number: u64) -> i32 {
    let [.., a, b, c, d] = number.to_be_bytes();
    i32::from_be_bytes([a, b, c, d])
}

/// The clock's period in microseconds (RFC 9293 §3.4.1)
const TICK: Time = 4;

const MARGIN: i32 = 65_537;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ip::Endpoint;

    fn flow(port: u16) -> Flow {
        let local = Endpoint::new(std::net::Ipv4Addr::new(192, 168, 1, 234).into(), port);
        Flow { local, peer: "192.168.1.1:80".parse().unwrap() }
    }

    /// The key of the known answers: octets 0 to 15
    fn numbers() -> InitialNumbers {
        InitialNumbers { key: (0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908) }
    }

    #[test]
    fn known_answers() {
        // computed by another implementation of SipHash-2-4
        let number = |port, now| numbers().number(&flow(port), now).cast_unsigned();
        assert_eq!(number(50_000, 0), 0xC625_FD5F);
        assert_eq!(number(50_000, 3), 0xC625_FD5F);
        assert_eq!(number(50_000, 4_000_000), 0xC625_FD5F + 1_000_000);
        assert_eq!(number(50_001, 0), 0x560E_6DB2);
    }

    #[test]
    fn each_end_and_each_port_counts() {
        let other = |change: fn(&mut Flow)| {
            let mut flow = flow(50_000);
            change(&mut flow);
            numbers().number(&flow, 0)
        };
        let all = [
            other(|_| {}),
            other(|flow| flow.local = "192.168.1.234:50001".parse().unwrap()),
            other(|flow| flow.peer = "192.168.1.1:81".parse().unwrap()),
            other(|flow| flow.local = "192.168.1.235:50000".parse().unwrap()),
            other(|flow| flow.peer = "192.168.1.2:80".parse().unwrap()),
            other(|flow| flow.local = "[::c0a8:1ea]:50000".parse().unwrap()),
            other(|flow| flow.peer = "[::c0a8:101]:80".parse().unwrap()),
            other(|flow| std::mem::swap(&mut flow.local, &mut flow.peer)),
        ];
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>().len(), all.len());
    }

    #[test]
    fn another_stack_has_another_key() {
        let of = |seed| InitialNumbers::new(&mut Random::new(seed)).number(&flow(50_000), 0);
        assert_ne!(of(1), of(2));
        assert_eq!(of(1), of(1));
    }

    #[test]
    fn the_next_connection_begins_above_the_last() {
        assert_eq!(above(1_000, 2_000_000), 2_000_000, "the clock alone is enough");
        assert_eq!(above(1_000, 1_001), 1_000 + MARGIN);
        assert_eq!(above(1_000, -5), 1_000 + MARGIN);
        assert_eq!(above(i32::MAX, i32::MIN), i32::MAX.wrapping_add(MARGIN), "numbers wrap");
    }

    #[test]
    fn debug_output_has_no_key() {
        assert_eq!(format!("{:?}", numbers()), "InitialNumbers { .. }");
    }
}
