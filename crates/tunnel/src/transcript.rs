//! The course of a connect as a flight record tells it: the peer's wishes, and the agreements

use std::time::Duration;

use pptp_packet::Counter;
use pptp_ppp::{
    AuthenticationProtocol, MppeBits, frame,
    options::Options,
    packet::{Code, Packet},
};

use crate::{Record, RecordKind as Kind};

/// The story of PPP's negotiation, as the flight record has it
///
/// Of a link that was negotiated anew, what holds is what was said last. A record whose connect did not
/// fit lacks what came last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transcript {
    /// The protocols that the peer asked for to authenticate us, in order, each once (RFC 1661 §6.2)
    pub authentication_offered: Vec<AuthenticationProtocol>,
    /// The one of them that we agreed to
    pub authentication_chosen: Option<AuthenticationProtocol>,
    /// The Maximum-Receive-Unit of the peer's latest LCP Configure-Request, if it has one
    pub peer_mru: Option<u16>,
    /// The MPPE bits that the peer asked for, in order, each once (RFC 3078 §2.1)
    pub encryption_offered: Vec<MppeBits>,
    /// The MPPE bits of what the peer may send us, agreed to by us
    pub encryption_in: Option<MppeBits>,
    /// The MPPE bits of what we may send, agreed to by the peer
    pub encryption_out: Option<MppeBits>,
    /// From the first frame of CCP to the acknowledgment that opened it
    pub encryption_took: Option<Duration>,
    /// PPP control frames sent
    pub frames_sent: usize,
    /// PPP control frames received
    pub frames_received: usize,
    /// From the first frame sent to the first received; zero if the peer was first
    pub first_answer: Option<Duration>,
}

impl Transcript {
    /// Reads a flight record
    pub fn of(records: &[Record]) -> Self {
        let mut transcript = Self { first_answer: first_answer(records), ..Self::default() };
        let mut encryption_began = None;
        for record in records.iter().filter(|record| record.kind.is_frame()) {
            let mut octets = record.octets.clone();
            if is_ccp(&octets) {
                encryption_began.get_or_insert(record.at);
            }
            let was_agreed = transcript.is_encryption_agreed();
            match record.kind {
                Kind::FrameSent => transcript.sent(&mut octets),
                _ => transcript.received(&mut octets),
            }
            if transcript.is_encryption_agreed() && !was_agreed {
                let began = encryption_began.unwrap_or_default();
                transcript.encryption_took = Some(record.at.saturating_sub(began));
            }
        }
        transcript
    }

    const fn is_encryption_agreed(&self) -> bool {
        self.encryption_in.is_some() && self.encryption_out.is_some()
    }

    fn sent(&mut self, frame: &mut [u8]) {
        self.frames_sent.increment();
        let Some((protocol, code, options)) = configuration(frame) else { return };
        match (protocol, code) {
            (frame::LCP, Code::ConfigureAck) => {
                self.authentication_chosen = authentication(options);
            }
            (frame::CCP, Code::ConfigureAck) => self.encryption_in = mppe(options),
            _ => {}
        }
    }

    fn received(&mut self, frame: &mut [u8]) {
        self.frames_received.increment();
        let Some((protocol, code, options)) = configuration(frame) else { return };
        match (protocol, code) {
            (frame::LCP, Code::ConfigureRequest) => {
                note(&mut self.authentication_offered, authentication(options));
                self.peer_mru = options.find(OPTION_MRU).and_then(|option| option.u16());
            }
            (frame::CCP, Code::ConfigureRequest) => {
                note(&mut self.encryption_offered, mppe(options));
            }
            (frame::CCP, Code::ConfigureAck) => self.encryption_out = mppe(options),
            _ => {}
        }
    }
}

fn first_answer(records: &[Record]) -> Option<Duration> {
    let first = |kind| records.iter().find(|record| record.kind == kind).map(|record| record.at);
    Some(first(Kind::FrameReceived)?.saturating_sub(first(Kind::FrameSent)?))
}

fn is_ccp(octets: &[u8]) -> bool {
    let mut octets = octets.to_vec();
    frame::parse(&mut octets).is_ok_and(|(protocol, _)| protocol == frame::CCP)
}

/// The protocol, the code and the options of a packet that has options
fn configuration(frame: &mut [u8]) -> Option<(u16, Code, Options<'_>)> {
    let (protocol, information) = frame::parse(frame).ok()?;
    let packet = Packet::parse(information).ok()?;
    let code = Code::from(packet.code);
    let has_options = matches!(code, Code::ConfigureRequest | Code::ConfigureAck);
    let options = Options::parse(packet.data).ok().filter(|_| has_options)?;
    Some((protocol, code, options))
}

fn authentication(options: Options<'_>) -> Option<AuthenticationProtocol> {
    AuthenticationProtocol::parse(options.find(OPTION_AUTHENTICATION)?.value)
}

fn mppe(options: Options<'_>) -> Option<MppeBits> {
    options.find(OPTION_MPPE)?.u32().map(MppeBits)
}

fn note<T: PartialEq>(list: &mut Vec<T>, item: Option<T>) {
    list.extend(item.filter(|item| !list.contains(item)));
}

/// RFC 1661 §6.1, §6.2
const OPTION_MRU: u8 = 1;
const OPTION_AUTHENTICATION: u8 = 3;
/// RFC 3078 §2.1
const OPTION_MPPE: u8 = 18;

#[cfg(all(test, feature = "server"))]
mod tests {
    use pptp_ppp::ServerOrder;

    use super::*;
    use crate::tests::pair::{ORDERS, Pair};

    #[test]
    fn a_connect_is_read_from_its_record() {
        for order in ORDERS {
            let pair = Pair::up(order);
            let transcript = Transcript::of(&pair.client.tunnel.recorder().records());
            let chosen = AuthenticationProtocol::MsChapV2;
            assert_eq!(transcript.authentication_chosen, Some(chosen), "{order:?}");
            assert!(transcript.authentication_offered.contains(&chosen), "{order:?}");
            let both = (transcript.encryption_in, transcript.encryption_out);
            let stateless = Some(MppeBits::STATELESS_128);
            assert_eq!(both, (stateless, stateless), "{order:?}");
            let waited = transcript.first_answer.expect("an answer");
            assert!(waited <= crate::tests::pair::ROUND_TRIP, "{order:?}: {waited:?}");
            let agreed = transcript.encryption_took.expect("agreed");
            assert!(agreed <= 2 * crate::tests::pair::ROUND_TRIP, "{order:?}: {agreed:?}");
            assert!(transcript.frames_sent > 5 && transcript.frames_received > 5, "{order:?}");
            if order == ServerOrder::Rras {
                let offered = transcript.encryption_offered;
                assert_eq!(offered.first(), Some(&MppeBits::ANY), "{offered:?}");
            }
        }
    }

    #[test]
    fn records_that_hold_anything_else_say_nothing() {
        let (at, kind) = (Duration::ZERO, Kind::FrameReceived);
        let record = |octets: &[u8]| Record { at, kind, sequence: None, octets: octets.into() };
        let records = [
            record(b""),
            record(b"\xFF\x03\xC0\x21\x01"),
            record(b"\xC0\x21\x01\x01\x00\x08\x03\x09\xC2\x23"),
            record(b"\xC0\x21\x01\x01\x00\x06\x03\x02"),
            record(b"\xC0\x21\x01\x01\x00\x07\x03\x03\xC2"),
        ];
        let transcript = Transcript::of(&records);
        assert_eq!(transcript, Transcript { frames_received: 5, ..Transcript::default() });
    }
}
