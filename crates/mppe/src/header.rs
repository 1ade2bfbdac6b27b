//! The MPPE header (RFC 3078 §3)

pub(crate) const COHERENCY_COUNT: u16 = 0x0FFF;

/// Values of the coherency count
pub(crate) const COUNTS: u64 = 4096;

/// The four bits and the coherency count in front of each encrypted frame
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// A: the sender started its cipher anew
    pub(crate) flushed: bool,
    /// B: MPPC moved to the front of its history
    pub(crate) at_front: bool,
    /// C: compressed by MPPC
    pub(crate) compressed: bool,
    /// D: the frame is encrypted
    pub(crate) encrypted: bool,
    /// 12 bits
    pub(crate) coherency_count: u16,
}

impl Header {
    /// The header of a frame in a stateless session, with the bits A and D
    pub(crate) const fn stateless(coherency_count: u16) -> Self {
        let coherency_count = coherency_count & COHERENCY_COUNT;
        Self { flushed: true, at_front: false, compressed: false, encrypted: true, coherency_count }
    }

    pub(crate) const fn parse(octets: [u8; 2]) -> Self {
        let bits = u16::from_be_bytes(octets);
        Self {
            flushed: bits & FLUSHED != 0,
            at_front: bits & AT_FRONT != 0,
            compressed: bits & COMPRESSED != 0,
            encrypted: bits & ENCRYPTED != 0,
            coherency_count: bits & COHERENCY_COUNT,
        }
    }

    pub(crate) fn emit(self) -> [u8; 2] {
        let flag = |set: bool, bit: u16| if set { bit } else { 0 };
        let bits = flag(self.flushed, FLUSHED)
            | flag(self.at_front, AT_FRONT)
            | flag(self.compressed, COMPRESSED)
            | flag(self.encrypted, ENCRYPTED)
            | self.coherency_count;
        bits.to_be_bytes()
    }
}

const FLUSHED: u16 = 0x8000;
const AT_FRONT: u16 = 0x4000;
const COMPRESSED: u16 = 0x2000;
const ENCRYPTED: u16 = 0x1000;
