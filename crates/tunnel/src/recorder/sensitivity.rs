//! The octets of a message that tell a secret

/// The part of a PPP frame that may be kept
pub(super) enum Sensitivity {
    Open,
    Echo,
    /// The first `open` octets may be kept
    Secret {
        open: usize,
    },
}

impl Sensitivity {
    /// Of a frame with or without address and control
    pub(super) fn of(frame: &[u8]) -> Self {
        let (open, body) = match frame {
            [0xFF, 0x03, body @ ..] => (ADDRESS_TO_LENGTH, body),
            body => (PROTOCOL_TO_LENGTH, body),
        };
        match body {
            [0xC0, 0x21, 9..=11, ..] => Self::Echo,
            // EAP-MSCHAPv2: what CHAP's rules below say, behind the header of its own
            [0xC2, 0x27, 2, _, _, _, 26, 2 | 5..=7, ..] => {
                Self::Secret { open: open.saturating_add(TYPE_TO_INNER_LENGTH) }
            }
            // acknowledgments without a value, and what is no method at all
            [0xC2, 0x27, 2, _, _, _, 26, _] | [0xC2, 0x27, 2, _, _, _, 1..=3, ..] => Self::Open,
            // CHAP Response and Change-Password, PAP Authenticate-Request, other EAP methods
            [0xC2, 0x23, 2 | 5..=7, ..] | [0xC0, 0x23, 1, ..] | [0xC2, 0x27, 2, ..] => {
                Self::Secret { open }
            }
            _ => Self::Open,
        }
    }
}

/// Returns true if these octets are one Echo-Request or Echo-Reply (RFC 2637 §2.5, §2.6)
pub(super) fn is_control_echo(octets: &[u8]) -> bool {
    matches!(octets.len(), 16 | 20) && matches!(octets.get(8..10), Some([0, 5 | 6]))
}

/// Protocol 2, code 1, identifier 1, length 2
const PROTOCOL_TO_LENGTH: usize = 6;
/// The same behind address 1 and control 1
const ADDRESS_TO_LENGTH: usize = 8;
/// EAP's type 1, operation code 1, identifier 1, length 2
const TYPE_TO_INNER_LENGTH: usize = 5;
