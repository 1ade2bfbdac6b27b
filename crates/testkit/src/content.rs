//! The octets that tell one building from another

/// Octets of one [`block`]
pub const BLOCK: usize = 64 << 10;

/// Octets of what `GET /16M` gives
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
    fn the_longest_line_fits() {
        assert_eq!(block(u32::MAX, u64::MAX).len(), BLOCK);
    }
}
