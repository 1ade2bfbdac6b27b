//! LCP's options that neither role treats differently: MRU, Magic-Number and the compressions

use pptp_packet::Counter;

use crate::{
    context::random::Random,
    failure::Failure,
    negotiation::{negotiator::option_set::Judgement, role_options::LinkFacts},
    wire::{
        frame,
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::AuthenticationProtocol,
    },
};

/// The type of the option Magic-Number (RFC 1661 §6.4)
pub(crate) const MAGIC_NUMBER: u8 = 5;

/// LCP options that neither role treats differently
#[derive(Debug)]
pub(crate) struct Common {
    wanted_mru: u16,
    preferred_mru: u16,
    wants_mru: bool,
    wants_magic: bool,
    /// The compression of headers that we want, and the part that the peer has not rejected
    preferred_form: frame::Form,
    wanted_form: frame::Form,
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
            preferred_form: frame::Form { acfc: false, pfc: false },
            wanted_form: frame::Form { acfc: false, pfc: false },
            magic: 0,
            peer_mru: DEFAULT_MRU,
            peer_magic: None,
            form: frame::Form { acfc: false, pfc: false },
            proposed: None,
            echoes: 0,
        }
    }

    /// Asks the peer to compress its headers, or does not
    pub(crate) const fn compressing(self, wanted: bool) -> Self {
        let form = frame::Form { acfc: wanted, pfc: wanted };
        Self { preferred_form: form, ..self }
    }

    /// Stops asking for a Magic-Number
    #[cfg(feature = "server")]
    pub(crate) const fn drop_magic(&mut self) {
        self.wants_magic = false;
    }

    /// Our Magic-Number
    #[cfg(test)]
    pub(super) const fn magic(&self) -> u32 {
        self.magic
    }

    pub(crate) fn facts(&self, authentication: AuthenticationProtocol) -> LinkFacts {
        LinkFacts {
            authentication,
            mru: if self.wants_mru { self.wanted_mru } else { DEFAULT_MRU },
            magic: self.wants_magic.then_some(self.magic),
            peer_mru: self.peer_mru,
            peer_magic: self.peer_magic,
            form: self.form,
        }
    }

    pub(crate) fn restart(&mut self, random: &mut Random) {
        let echoes = self.echoes;
        let form = self.preferred_form;
        *self = Self { preferred_form: form, wanted_form: form, ..Self::new(self.preferred_mru) };
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
        if self.wanted_form.pfc {
            request.push(PFC, &[]);
        }
        if self.wanted_form.acfc {
            request.push(ACFC, &[]);
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
            Some(mru) if mru >= MIN_MRU => Judgement::Ack,
            _ => Judgement::Nak(self.preferred_mru.to_be_bytes().into()),
        }
    }

    /// Judges the peer's Magic-Number: if it is ours, the line may be looped back (RFC 1661 §6.4)
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
        self.echoes.increment();
        if self.echoes >= MAX_ECHOES { Err(Failure::Loopback) } else { Ok(()) }
    }

    pub(crate) fn on_ack_sent(&mut self, request: &Options<'_>) {
        let number = |kind| request.find(kind).and_then(|option| option.u32());
        self.peer_mru = request.find(MRU).and_then(|option| option.u16()).unwrap_or(DEFAULT_MRU);
        self.peer_magic = number(MAGIC_NUMBER);
        self.form.pfc = request.find(PFC).is_some();
        self.form.acfc = request.find(ACFC).is_some();
    }

    pub(crate) fn on_nak(
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

    /// Takes the MRU of the peer's Nak, at most that of an Ethernet frame
    fn take_mru(&mut self, hint: Option<u16>) {
        self.wanted_mru = match hint {
            Some(mru) if (MIN_MRU..=DEFAULT_MRU).contains(&mru) => mru,
            _ => self.wanted_mru,
        };
    }

    pub(crate) fn on_reject(&mut self, options: &Options<'_>) {
        for option in options {
            match option.kind {
                MRU => self.wants_mru = false,
                MAGIC_NUMBER => self.wants_magic = false,
                PFC => self.wanted_form.pfc = false,
                ACFC => self.wanted_form.acfc = false,
                _ => {}
            }
        }
    }
}

const MRU: u8 = 1;
const ACCM: u8 = 2;
const PFC: u8 = 7;
const ACFC: u8 = 8;
/// The MRU of a peer that names none (RFC 1661 §6.1)
const DEFAULT_MRU: u16 = 1500;
/// The smallest MRU that is taken: no real link has a smaller one, and pppd has the same limit
const MIN_MRU: u16 = 128;
/// Times in a row that our own Magic-Number comes back until the line counts as looped back
const MAX_ECHOES: u8 = 10;
