//! The octets that tell one building from another

/// Octets of one [`block`]
pub const BLOCK: usize = 64 << 10;

/// Octets of the answer to `GET /16M`
pub const LENGTH: usize = 16 << 20;

/// The `index`-th 64 KiB of a building's content
///
/// The line `building N block I`, padded with dots to 64 octets, 1024 times: every block differs,
/// and so does every building's. `GET /16M` gives the first 256 blocks; the source on TCP port 19
/// goes on for as long as it is asked to.
pub fn block(building: u32, index: u64) -> Vec<u8> {
    let mut line = format!("building {building} block {index}\n");
    while line.len() < LINE {
        line.push('.');
    }
    line.repeat(LINES).into_bytes()
}

/// The datagram of `len` octets that a building's source on UDP port 19 sends
///
/// Each four octets are the building's number and where they are, so that a part in a wrong place
/// is seen.
pub fn datagram(building: u32, len: usize) -> Vec<u8> {
    let words = (0..u16::MAX).map(|place| building.wrapping_shl(16) | u32::from(place));
    words.flat_map(u32::to_be_bytes).take(len).collect()
}

const LINE: usize = 64;
const LINES: usize = BLOCK / LINE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_a_padded_line_a_thousand_times() {
        let block = block(2, 17);
        assert_eq!(block.len(), BLOCK);
        assert!(block.starts_with(b"building 2 block 17\n......"));
        assert_eq!(block[..LINE], block[BLOCK - LINE..]);
    }

    #[test]
    fn a_datagram_tells_its_building_and_every_place() {
        assert_eq!(datagram(7, 10), [0, 7, 0, 0, 0, 7, 0, 1, 0, 7]);
        assert_eq!(datagram(7, 65_507).len(), 65_507);
    }

    #[test]
    fn the_longest_line_fits() {
        assert_eq!(block(u32::MAX, u64::MAX).len(), BLOCK);
    }
}
