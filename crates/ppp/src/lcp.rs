//! LCP's options: MRU, Magic-Number, the compressions, and who authenticates how (RFC 1661 §6)

use crate::failure::{AuthenticationProtocol, Failure, Protocol};
use crate::frame;
use crate::negotiator::{Judgement, MAX_FAILURE, OptionSet};
use crate::packet::{ConfigurationOption, Options, OptionsBuf};
use crate::random::Random;
use crate::role::LinkOptions;

pub(crate) const MRU: u8 = 1;
const ACCM: u8 = 2;
pub(crate) const AUTHENTICATION_PROTOCOL: u8 = 3;
pub(crate) const MAGIC_NUMBER: u8 = 5;
const PFC: u8 = 7;
const ACFC: u8 = 8;

/// CHAP with algorithm 81: MS-CHAPv2 (RFC 2759 §3)
pub(crate) const MS_CHAP_V2: [u8; 3] = [0xC2, 0x23, 0x81];

/// The MRU of a peer that names none (RFC 1661 §6.1)
pub(crate) const DEFAULT_MRU: u16 = 1500;
/// No real link has a smaller one; pppd's limit too
const LEAST_MRU: u16 = 128;

/// What LCP found out: the same for both roles
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkFacts {
    /// What the peer keeps to
    pub(crate) mru: u16,
    pub(crate) magic: Option<u32>,
    pub(crate) peer_mru: u16,
    pub(crate) peer_magic: Option<u32>,
    pub(crate) form: frame::Form,
}

/// LCP options that neither role treats differently
#[derive(Debug)]
pub(crate) struct Common {
    wanted_mru: u16,
    preferred_mru: u16,
    wants_mru: bool,
    wants_magic: bool,
    magic: u32,
    peer_mru: u16,
    peer_magic: Option<u32>,
    form: frame::Form,
    /// The Magic-Number we last proposed to the peer in a Configure-Nak
    proposed: Option<u32>,
    /// Times in a row that our own Magic-Number came back
    echoes: u8,
}

impl Common {
    pub(crate) const fn new(mru: u16) -> Self {
        Self {
            wanted_mru: mru,
            preferred_mru: mru,
            wants_mru: true,
            wants_magic: true,
            magic: 0,
            peer_mru: DEFAULT_MRU,
            peer_magic: None,
            form: frame::Form { acfc: false, pfc: false },
            proposed: None,
            echoes: 0,
        }
    }

    pub(crate) fn facts(&self) -> LinkFacts {
        LinkFacts {
            mru: if self.wants_mru { self.wanted_mru } else { DEFAULT_MRU },
            magic: self.wants_magic.then_some(self.magic),
            peer_mru: self.peer_mru,
            peer_magic: self.peer_magic,
            form: self.form,
        }
    }

    pub(crate) fn restart(&mut self, random: &mut Random) {
        let echoes = self.echoes;
        *self = Self::new(self.preferred_mru);
        self.echoes = echoes;
        self.magic = random.magic();
    }

    pub(crate) fn request(&self) -> OptionsBuf {
        let mut request = OptionsBuf::default();
        if self.wants_mru {
            request.push(MRU, &self.wanted_mru.to_be_bytes());
        }
        if self.wants_magic {
            request.push(MAGIC_NUMBER, &self.magic.to_be_bytes());
        }
        request
    }

    pub(crate) fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        random: &mut Random,
    ) -> Result<Judgement, Failure> {
        Ok(match (option.kind, option.value.len()) {
            (MRU, _) => self.judge_mru(option),
            (MAGIC_NUMBER, _) => return self.judge_magic(option, random),
            // No octet is escaped in GRE, so that any map will do.
            (ACCM, 4) | (PFC | ACFC, 0) => Judgement::Ack,
            _ => Judgement::Reject,
        })
    }

    fn judge_mru(&self, option: &ConfigurationOption<'_>) -> Judgement {
        match option.u16() {
            Some(mru) if mru >= LEAST_MRU => Judgement::Ack,
            _ => Judgement::Nak(self.preferred_mru.to_be_bytes().into()),
        }
    }

    /// A peer with our own Magic-Number may be ourselves (RFC 1661 §6.4)
    fn judge_magic(
        &mut self,
        option: &ConfigurationOption<'_>,
        random: &mut Random,
    ) -> Result<Judgement, Failure> {
        match option.u32() {
            Some(magic) if magic != 0 && !(self.wants_magic && magic == self.magic) => {
                self.echoes = 0;
                return Ok(Judgement::Ack);
            }
            Some(magic) if magic != 0 => self.count_echo()?,
            _ => {}
        }
        let proposed = random.magic();
        self.proposed = Some(proposed);
        Ok(Judgement::Nak(proposed.to_be_bytes().into()))
    }

    fn count_echo(&mut self) -> Result<(), Failure> {
        self.echoes = self.echoes.saturating_add(1);
        if self.echoes >= MOST_ECHOES { Err(Failure::Loopback) } else { Ok(()) }
    }

    pub(crate) fn agree(&mut self, request: &Options<'_>) {
        let number = |kind| request.find(kind).and_then(|option| option.u32());
        self.peer_mru = request.find(MRU).and_then(|option| option.u16()).unwrap_or(DEFAULT_MRU);
        self.peer_magic = number(MAGIC_NUMBER);
        self.form.pfc = request.find(PFC).is_some();
        self.form.acfc = request.find(ACFC).is_some();
    }

    pub(crate) fn naked(
        &mut self,
        options: &Options<'_>,
        random: &mut Random,
    ) -> Result<(), Failure> {
        for option in options {
            match option.kind {
                MRU => self.take_mru(option.u16()),
                MAGIC_NUMBER => {
                    let magic = option.u32();
                    if magic.is_some() && (magic == self.proposed || magic == Some(self.magic)) {
                        self.count_echo()?;
                    }
                    self.magic = random.magic();
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The peer would like to send less, or more; more than an Ethernet frame we do not take
    fn take_mru(&mut self, hint: Option<u16>) {
        self.wanted_mru = match hint {
            Some(mru) if (LEAST_MRU..=DEFAULT_MRU).contains(&mru) => mru,
            _ => self.wanted_mru,
        };
    }

    pub(crate) fn rejected(&mut self, options: &Options<'_>) {
        for option in options {
            match option.kind {
                MRU => self.wants_mru = false,
                MAGIC_NUMBER => self.wants_magic = false,
                _ => {}
            }
        }
    }
}

/// LCP of the side that has to authenticate itself
#[derive(Debug)]
pub(crate) struct Lcp {
    common: Common,
    /// Whether the peer asked for MS-CHAPv2, and was told yes
    authenticates: bool,
    /// What it asked for when that was something else
    offered: Option<AuthenticationProtocol>,
    /// Times it was told no
    refusals: u8,
}

impl Lcp {
    pub(crate) const fn new(mru: u16) -> Self {
        Self { common: Common::new(mru), authenticates: false, offered: None, refusals: 0 }
    }

    fn refused(&self) -> Failure {
        Failure::AuthProtocolRefused { offered: self.offered }
    }

    /// A Nak with MS-CHAPv2 as long as RFC 1661 lets us, then a Reject, then the end
    fn judge_authentication(
        &mut self,
        option: &ConfigurationOption<'_>,
    ) -> Result<Judgement, Failure> {
        if option.value == MS_CHAP_V2 {
            return Ok(Judgement::Ack);
        }
        self.offered = authentication_protocol(option.value);
        self.refusals = self.refusals.saturating_add(1);
        match self.refusals {
            ..=MAX_FAILURE => Ok(Judgement::Nak(MS_CHAP_V2.into())),
            refusals if refusals <= MAX_FAILURE.saturating_add(1) => Ok(Judgement::Reject),
            _ => Err(self.refused()),
        }
    }
}

impl OptionSet for Lcp {
    const PROTOCOL: Protocol = Protocol::Lcp;
    const NUMBER: u16 = frame::LCP;

    fn restart(&mut self, random: &mut Random) {
        self.common.restart(random);
        self.authenticates = false;
        self.refusals = 0;
    }

    fn request(&self) -> OptionsBuf {
        self.common.request()
    }

    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        random: &mut Random,
    ) -> Result<Judgement, Failure> {
        match option.kind {
            AUTHENTICATION_PROTOCOL => self.judge_authentication(option),
            _ => self.common.judge(option, random),
        }
    }

    fn agree(&mut self, request: &Options<'_>) {
        self.common.agree(request);
        self.authenticates = request.find(AUTHENTICATION_PROTOCOL).is_some();
    }

    fn naked(&mut self, options: &Options<'_>, random: &mut Random) -> Result<(), Failure> {
        self.common.naked(options, random)
    }

    fn rejected(&mut self, options: &Options<'_>) -> Result<(), Failure> {
        self.common.rejected(options);
        Ok(())
    }
}

impl LinkOptions for Lcp {
    /// Nothing but MS-CHAPv2 gives the keys that MPPE needs: a link without is open for nothing
    fn facts(&self) -> Result<LinkFacts, Failure> {
        if self.authenticates { Ok(self.common.facts()) } else { Err(self.refused()) }
    }

    fn disagreement(&self) -> Option<Failure> {
        let is_at_odds = self.refusals > 0 && !self.authenticates;
        is_at_odds.then(|| self.refused())
    }
}

/// The meaning of an Authentication-Protocol option's value
fn authentication_protocol(value: &[u8]) -> Option<AuthenticationProtocol> {
    let (protocol, rest) = value.split_first_chunk()?;
    Some(match (u16::from_be_bytes(*protocol), rest) {
        (frame::PAP, _) => AuthenticationProtocol::Pap,
        (frame::EAP, _) => AuthenticationProtocol::Eap,
        (frame::CHAP, [0x05, ..]) => AuthenticationProtocol::ChapMd5,
        (frame::CHAP, [0x80, ..]) => AuthenticationProtocol::MsChapV1,
        (frame::CHAP, [0x81, ..]) => AuthenticationProtocol::MsChapV2,
        (frame::CHAP, [algorithm, ..]) => AuthenticationProtocol::ChapOther(*algorithm),
        (other, _) => AuthenticationProtocol::Other(other),
    })
}

/// Our own Magic-Number this often in a row: the line is looped back
const MOST_ECHOES: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn lcp() -> (Lcp, Random) {
        let mut random = Random::new([1; 32]);
        let mut lcp = Lcp::new(1400);
        lcp.restart(&mut random);
        (lcp, random)
    }

    fn judge(kind: u8, value: &[u8]) -> Judgement {
        let (mut lcp, mut random) = lcp();
        lcp.judge(&ConfigurationOption { kind, value }, &mut random).unwrap()
    }

    #[test]
    fn the_option_table_every_option_of_a_real_server() {
        let nak_mru = || Judgement::Nak(vec![0x05, 0x78]);
        let nak_auth = || Judgement::Nak(vec![0xC2, 0x23, 0x81]);
        let table: [(u8, &[u8], Judgement); 22] = [
            (1, &[0x05, 0x78], Judgement::Ack),
            (1, &[0x00, 0x80], Judgement::Ack),
            (1, &[0x00, 0x7F], nak_mru()),
            (1, &[0x05], nak_mru()),
            (2, &[0; 4], Judgement::Ack),
            (2, &[0; 3], Judgement::Reject),
            (3, &[0xC2, 0x23, 0x81], Judgement::Ack),
            (3, &[0xC2, 0x23, 0x80], nak_auth()),
            (3, &[0xC2, 0x23, 0x05], nak_auth()),
            (3, &[0xC0, 0x23], nak_auth()),
            (3, &[0xC2, 0x27], nak_auth()),
            (3, &[], nak_auth()),
            (4, &[0xC0, 0x25, 0, 0, 0, 1], Judgement::Reject),
            (5, &[1, 2, 3, 4], Judgement::Ack),
            (7, &[], Judgement::Ack),
            (8, &[], Judgement::Ack),
            (9, &[1], Judgement::Reject),
            (13, &[6], Judgement::Reject),
            (17, &[0x06, 0x4E], Judgement::Reject),
            (18, &[], Judgement::Reject),
            (19, &[1; 18], Judgement::Reject),
            (23, &[0, 1], Judgement::Reject),
        ];
        for (kind, value, expected) in table {
            assert_eq!(judge(kind, value), expected, "option {kind} {value:02x?}");
        }
    }

    #[test]
    fn a_magic_number_of_zero_or_our_own_is_refused() {
        assert!(matches!(judge(5, &[0; 4]), Judgement::Nak(_)));
        let (mut lcp, mut random) = lcp();
        let own = lcp.common.magic.to_be_bytes();
        let option = ConfigurationOption { kind: MAGIC_NUMBER, value: &own };
        let Judgement::Nak(other) = lcp.judge(&option, &mut random).unwrap() else { panic!() };
        assert_ne!(other, own);
    }

    #[test]
    fn an_unwanted_protocol_is_naked_five_times_then_rejected_then_the_end() {
        let (mut lcp, mut random) = lcp();
        let pap = ConfigurationOption { kind: AUTHENTICATION_PROTOCOL, value: &[0xC0, 0x23] };
        for _ in 0..5 {
            assert!(matches!(lcp.judge(&pap, &mut random), Ok(Judgement::Nak(_))));
        }
        assert_eq!(lcp.judge(&pap, &mut random), Ok(Judgement::Reject));
        let offered = Some(AuthenticationProtocol::Pap);
        let refused = Err(Failure::AuthProtocolRefused { offered });
        assert_eq!(lcp.judge(&pap, &mut random), refused);
    }

    #[test]
    fn rejected_options_are_not_asked_for_again() {
        let (mut lcp, _) = lcp();
        assert_eq!(lcp.request().into_vec().len(), 10);
        lcp.rejected(&Options::parse(&[1, 4, 5, 0x78, 5, 6, 0, 0, 0, 1]).unwrap()).unwrap();
        assert!(lcp.request().is_empty());
        let facts = lcp.common.facts();
        assert_eq!((facts.mru, facts.magic), (1500, None));
    }
}
