//! Initial sequence numbers of the stack's choice

/// The seed of an interface that gives `number` to the next connection as its initial sequence number
///
/// smoltcp draws that number from a generator of its own (`rand.rs`), whose next outputs follow from a few
/// that were seen, and has no other hook. So the generator is made to give it: a state is chosen that the
/// output `number` is taken from, and the steps before it are undone. There are two, for an interface that
/// is made draws an IPv4 identification, again if that is 0.
pub(super) fn seed_for(number: i32) -> u64 {
    let mut seeds = (0..MAX_DRAWS).map(|spare| {
        // of a state that begins with three set bits, bits 22 to 53 are the output; those below are spare
        let second = (0b111 << 61) | (u64::from(number.cast_unsigned()) << 22) | spare;
        let first = step_back(second);
        (first, step_back(first))
    });
    seeds.find(|(first, _)| identification(output(*first)) != 0).map_or(0, |(_, seed)| seed)
}

/// The output of smoltcp's generator in a state
const fn output(state: u64) -> u32 {
    let shift = 29_u64.saturating_sub(state >> 61);
    let [.., a, b, c, d] = (state >> shift).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The IPv4 identification that an interface makes of an output
const fn identification(output: u32) -> u16 {
    let [.., high, low] = (output ^ (output >> 16)).to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// The state before `state`
const fn step_back(state: u64) -> u64 {
    state.wrapping_sub(INCREMENT).wrapping_mul(inverse(MULTIPLIER))
}

/// The inverse of an odd number modulo 2^64, by Newton's method
const fn inverse(odd: u64) -> u64 {
    // right in three bits, and in twice as many after each step
    let mut inverse = odd;
    let mut bits = 3_u32;
    while bits < u64::BITS {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        bits = bits.saturating_mul(2);
    }
    inverse
}

/// The constants of smoltcp's generator
const MULTIPLIER: u64 = 0xBB2E_FCEC_3C39_611D;
const INCREMENT: u64 = 0x7590_EF39;

/// States tried for one number: one in 65,536 gives the identification 0, and 64 in a row do not
const MAX_DRAWS: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_number_after_the_identification() {
        let step = |state: u64| state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        // two numbers whose first state gives the identification 0 are among 200,000
        let many = (0..200_000).map(|number: i32| number.wrapping_mul(21_475));
        for number in many.chain([0, 1, -1, i32::MIN, i32::MAX, 0x1234_5678]) {
            let first = step(seed_for(number));
            assert_ne!(identification(output(first)), 0, "{number}");
            assert_eq!(output(step(first)), number.cast_unsigned());
        }
        assert_eq!(inverse(MULTIPLIER).wrapping_mul(MULTIPLIER), 1);
    }
}
