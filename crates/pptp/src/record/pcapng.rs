//! Blocks of pcapng (draft-ietf-opsawg-pcapng), appended to a buffer
//!
//! Written here since no crate did it better when this was made: the stable release of `pcap-file` brings
//! a second generation each of syn and thiserror, the next one is a release candidate and
//! needs a newer Rust than the rest, and `pcap-parser` calls its writing half experimental. It reads what is
//! written here in the tests.

use std::{net::Ipv4Addr, time::Duration};

/// A section's beginning (§4.1): `comment` is for people
pub(crate) fn section(out: &mut Vec<u8>, comment: &str) {
    block(out, 0x0A0D_0D0A, |body| {
        body.extend(0x1A2B_3C4D_u32.to_le_bytes()); // the byte order of all that follows
        body.extend(1_u16.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        body.extend(u64::MAX.to_le_bytes()); // the section's length is not told
        text(body, OPT_COMMENT, comment);
        text(body, 4, concat!("pptp ", env!("CARGO_PKG_VERSION"))); // shb_userappl
        end_of_options(body);
    });
}

/// The interface at which packets were seen (§4.2): one behind each section's beginning
pub(crate) struct Interface<'a> {
    pub(crate) name: &'a str,
    /// Its own address
    pub(crate) address: Option<Ipv4Addr>,
    /// Octets of a packet that are kept at most; 0 is all
    pub(crate) snap_length: u32,
}

impl Interface<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        block(out, 1, |body| {
            body.extend(LINKTYPE_RAW.to_le_bytes());
            body.extend([0; 2]);
            body.extend(self.snap_length.to_le_bytes());
            text(body, 2, self.name); // if_name
            if let Some(address) = self.address {
                let mask = [0xFF; 4];
                option(body, 4, &[address.octets(), mask].concat()); // if_IPv4addr
            }
            option(body, 9, &[6]); // if_tsresol: microseconds
            end_of_options(body);
        });
    }
}

/// The direction of a packet
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound = 1,
    Outbound = 2,
}

/// An IP packet (§4.3)
pub(crate) struct Packet<'a> {
    /// Since 1970
    pub(crate) at: Duration,
    pub(crate) direction: Direction,
    pub(crate) octets: &'a [u8],
    /// Octets that it had on the wire; more than there are here if it was cut off
    pub(crate) length: usize,
    /// For people; none if empty
    pub(crate) comment: &'a str,
}

impl Packet<'_> {
    /// Octets of the block of a packet of which `captured` octets are kept, without a comment
    pub(crate) const fn block_length(captured: usize) -> usize {
        // header and trailer 12, interface and time 12, lengths 8, flags 8, end of options 4
        captured.next_multiple_of(4).saturating_add(44)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        block(out, 6, |body| {
            body.extend(0_u32.to_le_bytes()); // the only interface
            time(body, self.at);
            body.extend(length_of(self.octets.len()));
            body.extend(length_of(self.length));
            padded(body, self.octets);
            option(body, 2, &(self.direction as u32).to_le_bytes()); // epb_flags
            if !self.comment.is_empty() {
                text(body, OPT_COMMENT, self.comment);
            }
            end_of_options(body);
        });
    }
}

/// The counts of an interface (§4.6), behind its last packet
pub(crate) struct Statistics<'a> {
    /// Since 1970
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// Packets that passed
    pub(crate) seen: u64,
    /// Those of them that there was no room for
    pub(crate) dropped: u64,
    pub(crate) comment: &'a str,
}

impl Statistics<'_> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        block(out, 5, |body| {
            body.extend(0_u32.to_le_bytes()); // the only interface
            time(body, self.to);
            text(body, OPT_COMMENT, self.comment);
            for (code, at) in [(2, self.from), (3, self.to)] {
                let mut value = Vec::with_capacity(8);
                time(&mut value, at);
                option(body, code, &value); // isb_starttime, isb_endtime
            }
            for (code, count) in [(4, self.seen), (5, self.dropped)] {
                option(body, code, &count.to_le_bytes()); // isb_ifrecv, isb_ifdrop
            }
            end_of_options(body);
        });
    }
}

const OPT_COMMENT: u16 = 1;

/// Packets begin with their IP header
const LINKTYPE_RAW: u16 = 101;

/// Type, length, `body`, and the length again (§3.1)
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let length = length_of(out.len() - start + 4);
    out.extend(length);
    out[start + 4..start + 8].copy_from_slice(&length);
}

/// As the time stamps of packets have it: the upper half first, whatever the byte order
fn time(out: &mut Vec<u8>, since_1970: Duration) {
    let micros = u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX);
    let octets = micros.to_le_bytes();
    let (lower, upper) = octets.split_at(4);
    out.extend_from_slice(upper);
    out.extend_from_slice(lower);
}

/// An option (§3.5)
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend(code.to_le_bytes());
    out.extend(length.to_le_bytes());
    padded(out, &value[..length.into()]);
}

/// An option in UTF-8, cut off where an option must end
fn text(out: &mut Vec<u8>, code: u16, text: &str) {
    option(out, code, &text.as_bytes()[..text.floor_char_boundary(u16::MAX.into())]);
}

fn end_of_options(out: &mut Vec<u8>) {
    out.extend([0; 4]);
}

/// Octets, and zeros up to the next multiple of four
fn padded(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(octets);
    let padding = octets.len().next_multiple_of(4) - octets.len();
    out.extend(&[0; 3][..padding]);
}

fn length_of(octets: usize) -> [u8; 4] {
    u32::try_from(octets).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_as_long_as_foretold() {
        for captured in 0..20 {
            let mut out = Vec::new();
            let octets = vec![1; captured];
            let direction = Direction::Inbound;
            let at = Duration::from_secs(1);
            Packet { at, direction, octets: &octets, length: captured, comment: "" }
                .write(&mut out);
            assert_eq!(out.len(), Packet::block_length(captured));
        }
    }

    /// The octets of draft-ietf-opsawg-pcapng's figures, field by field
    #[test]
    fn a_packet_in_octets() {
        let mut out = Vec::new();
        let at = Duration::from_micros(0x1_0000_0002);
        let direction = Direction::Outbound;
        Packet { at, direction, octets: &[0x45, 0, 9], length: 7, comment: "" }.write(&mut out);
        let expected: [&[u8]; 10] = [
            &[6, 0, 0, 0, 48, 0, 0, 0],
            &[0; 4],
            &[1, 0, 0, 0, 2, 0, 0, 0],
            &[3, 0, 0, 0],
            &[7, 0, 0, 0],
            &[0x45, 0, 9, 0],
            &[2, 0, 4, 0, 2, 0, 0, 0],
            &[0; 4],
            &[48, 0, 0, 0],
            &[],
        ];
        assert_eq!(out, expected.concat());
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_off_between_characters() {
        let mut out = Vec::new();
        text(&mut out, OPT_COMMENT, &"ä".repeat(40_000));
        assert_eq!(out[..4], [1, 0, 0xFE, 0xFF]);
        assert_eq!(out.len(), 4 + 65_536);
    }
}
