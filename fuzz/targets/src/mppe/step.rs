//! The steps of a script for MPPE

use arbitrary::{Arbitrary, Unstructured};

use crate::script::{Writer, long};

/// Something that happens on the line
#[derive(Debug, PartialEq)]
pub enum Step<'a> {
    /// The sender seals so many frames, 64 at most, each a packet of this length
    Seal(u8, u16),
    /// The sender seals so many that are lost, 5000 in all
    Lose(u16),
    /// One of the latest frames arrives
    Deliver(Pick),
    /// One of the latest frames arrives with this octet of it changed
    Damage(Pick, u16, u8),
    /// Octets arrive behind this carrier's number
    Raw(u32, &'a [u8]),
    /// Hundredths of a second
    Wait(u16),
    /// A Reset-Request of the receiver arrives at the sender, if it has one
    Reset,
}

/// A frame that was sealed, counted from the latest, and what the carrier makes of its number
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    /// From the latest on
    pub age: u8,
    /// Added to the carrier's number
    pub shift: i16,
}

impl<'a> Arbitrary<'a> for Step<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let kind: u8 = u.arbitrary()?;
        let shifted = kind & 0x80 != 0;
        let pick = |u: &mut Unstructured<'a>| {
            let age = u.arbitrary()?;
            Ok(Pick { age, shift: if shifted { u.arbitrary()? } else { 0 } })
        };
        Ok(match kind % 8 {
            0 => Self::Seal(u.arbitrary()?, u.arbitrary()?),
            1 => Self::Lose(u.arbitrary()?),
            2 | 3 => Self::Deliver(pick(u)?),
            4 => Self::Damage(pick(u)?, u.arbitrary()?, u.arbitrary()?),
            5 => Self::Raw(u.arbitrary()?, long(u)?),
            6 => Self::Wait(u.arbitrary()?),
            _ => Self::Reset,
        })
    }
}

impl Step<'_> {
    /// A frame of a capture, from the MPPE header on, as a step of a seed
    pub fn raw(writer: &mut Writer, sequence: u32, frame: &[u8]) {
        writer.raw(&[5]).raw(&sequence.to_le_bytes()).long(frame);
    }

    /// The sender seals one frame more than this, each a packet of this length
    pub fn seal(writer: &mut Writer, count: u8, length: u16) {
        writer.raw(&[0, count]).raw(&length.to_le_bytes());
    }

    /// The sender seals frames that are lost
    pub fn lose(writer: &mut Writer, count: u16) {
        writer.raw(&[1]).raw(&count.to_le_bytes());
    }

    /// A frame arrives, counted back from the latest
    pub fn deliver(writer: &mut Writer, age: u8) {
        writer.raw(&[2, age]);
    }

    /// A frame arrives with an octet of it changed
    pub fn damage(writer: &mut Writer, age: u8, at: u16, change: u8) {
        writer.raw(&[4, age]).raw(&at.to_le_bytes()).raw(&[change]);
    }

    /// A Reset-Request reaches the sender
    pub fn reset(writer: &mut Writer) {
        writer.raw(&[7]);
    }

    /// Time passes
    pub fn wait(writer: &mut Writer, time: u16) {
        writer.raw(&[6]).raw(&time.to_le_bytes());
    }
}
