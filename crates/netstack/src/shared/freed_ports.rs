//! Ports that were freed lately

use std::collections::VecDeque;

use super::random::Random;

/// The ports of the dynamic range (RFC 6335 §6) that were freed last
///
/// They rest for a while, so that a late answer reaches a port without a socket and not the next socket.
/// It needs no clock: a port rests until [`MAX_FREED`] others were freed.
#[derive(Debug, Default)]
pub(crate) struct FreedPorts {
    /// The port that was freed first comes first
    ports: VecDeque<u16>,
}

impl FreedPorts {
    /// Notes that a socket has left its port
    pub(crate) fn push(&mut self, port: u16) {
        if port < FIRST_DYNAMIC || self.ports.contains(&port) {
            return;
        }
        if self.ports.len() >= MAX_FREED {
            self.ports.pop_front();
        }
        self.ports.push_back(port);
    }

    /// Chooses a free port at random; a port that rests is chosen only if there is no other
    pub(crate) fn choose(&self, random: &mut Random, taken: impl Fn(u16) -> bool) -> Option<u16> {
        let rested = random.port(|port| self.ports.contains(&port) || taken(port));
        rested.or_else(|| random.port(taken))
    }
}

/// Ports that rest at once, in 256 octets
const MAX_FREED: usize = 128;

/// The first port of the dynamic range
const FIRST_DYNAMIC: u16 = 49_152;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_port_rests_while_there_are_others() {
        let (mut freed, mut random) = (FreedPorts::default(), Random::new(7));
        freed.push(50_000);
        let other = |port| !(50_000..=50_001).contains(&port);
        assert!((0..100).all(|_| freed.choose(&mut random, other) == Some(50_001)));
        let only = |port| port != 50_000;
        assert_eq!(freed.choose(&mut random, only), Some(50_000), "rather than none");
        assert_eq!(freed.choose(&mut random, |_| true), None);
    }

    #[test]
    fn the_rest_is_bounded() {
        let mut freed = FreedPorts::default();
        (0..1_000).for_each(|number| freed.push(50_000 + number));
        assert_eq!((freed.ports.len(), freed.ports.front()), (MAX_FREED, Some(&50_872)));
        freed.push(50_900);
        freed.push(80);
        assert_eq!(freed.ports.len(), MAX_FREED, "no port twice, and none that is not chosen here");
        assert!(freed.ports.capacity() <= 2 * MAX_FREED);
    }
}
