//! LCP of the side that authenticates the other

use crate::{
    context::random::Random,
    failure::Failure,
    negotiation::{
        lcp::{
            AUTHENTICATION_PROTOCOL,
            common::{Common, MAGIC_NUMBER},
        },
        negotiator::option_set::{Judgement, OptionSet},
        role_options::{LinkFacts, LinkOptions},
    },
    server::{
        behavior::{OnNak, ServerAuthentication, ServerOrder},
        config::{Extras, ServerConfig},
    },
    wire::{
        frame,
        options::{ConfigurationOption, Options, OptionsBuf},
        protocol::{AuthenticationProtocol, Protocol},
    },
};

/// Beside MRU and Magic-Number the options that a real server asks for
#[derive(Debug)]
pub(crate) struct ServerLcp {
    common: Common,
    order: ServerOrder,
    configured: Extras,
    extras: Vec<(u8, Vec<u8>)>,
    authentication: ServerAuthentication,
    /// The protocol that is asked for; `None`: there is no request any more
    asked: Option<AuthenticationProtocol>,
}

type Extra = (u8, &'static [u8]);

impl ServerLcp {
    pub(crate) fn new(config: &ServerConfig) -> Self {
        Self {
            common: Common::new(config.mru),
            order: config.order,
            configured: config.extras.clone(),
            extras: Vec::new(),
            authentication: config.authentication.clone(),
            asked: None,
        }
    }

    /// Returns the protocol to ask a client for that named this one instead
    fn ask_instead(&self, named: Option<AuthenticationProtocol>) -> Option<AuthenticationProtocol> {
        let protocols = &self.authentication.protocols;
        match self.authentication.on_nak {
            OnNak::Insist | OnNak::Deaf => self.asked,
            OnNak::Withdraw => None,
            OnNak::Yield => {
                let is_had = |named: &AuthenticationProtocol| protocols.contains(named);
                let mut behind = protocols.iter().skip_while(|it| Some(**it) != self.asked).skip(1);
                named.filter(is_had).or_else(|| behind.next().copied()).or(self.asked)
            }
        }
    }
}

impl OptionSet for ServerLcp {
    const PROTOCOL: Protocol = Protocol::Lcp;
    const NUMBER: u16 = frame::LCP;

    fn restart(&mut self, random: &mut Random) {
        self.common.restart(random);
        if self.configured.rejects_magic {
            self.common.drop_magic();
        }
        let usual = if self.configured.omits_usual_options { &[] } else { extras(self.order) };
        let usual = usual.iter().map(|(kind, value)| (*kind, value.to_vec()));
        self.extras = usual.chain(self.configured.link_options.iter().cloned()).collect();
        self.asked = self.authentication.protocols.first().copied();
    }

    fn request(&self) -> OptionsBuf {
        let mut request = self.common.request();
        if let Some(protocol) = self.asked {
            request.push(AUTHENTICATION_PROTOCOL, protocol.option_value());
        }
        for (kind, value) in &self.extras {
            request.push(*kind, value);
        }
        request
    }

    fn judge(
        &mut self,
        option: &ConfigurationOption<'_>,
        random: &mut Random,
    ) -> Result<Judgement, Failure> {
        let configured = &self.configured;
        let is_deaf = option.kind == MAGIC_NUMBER && configured.rejects_magic;
        if is_deaf || configured.rejected_options.contains(&option.kind) {
            return Ok(Judgement::Reject);
        }
        self.common.judge(option, random)
    }

    fn on_ack_sent(&mut self, request: &Options<'_>) {
        self.common.on_ack_sent(request);
    }

    fn on_nak(&mut self, options: &Options<'_>, random: &mut Random) -> Result<(), Failure> {
        if let Some(option) = options.find(AUTHENTICATION_PROTOCOL) {
            self.asked = self.ask_instead(AuthenticationProtocol::parse(option.value));
        }
        self.common.on_nak(options, random)
    }

    fn on_reject(&mut self, options: &Options<'_>) -> Result<(), Failure> {
        if options.find(AUTHENTICATION_PROTOCOL).is_some() {
            return Err(Failure::AuthProtocolRefused { offered: self.asked });
        }
        self.common.on_reject(options);
        self.extras.retain(|(kind, _)| options.find(*kind).is_none());
        Ok(())
    }
}

impl LinkOptions for ServerLcp {
    fn facts(&self) -> Result<LinkFacts, Failure> {
        let refused = Failure::AuthProtocolRefused { offered: None };
        self.asked.map(|protocol| self.common.facts(protocol)).ok_or(refused)
    }
}

const fn extras(order: ServerOrder) -> &'static [Extra] {
    match order {
        ServerOrder::Pppd => &[ACCM, PFC, ACFC],
        ServerOrder::AccelPpp => &[],
        ServerOrder::Rras => &[PFC, ACFC, CALLBACK, MRRU, ENDPOINT, LINK_DISCRIMINATOR],
    }
}

const ACCM: Extra = (2, &[0; 4]);
const PFC: Extra = (7, &[]);
const ACFC: Extra = (8, &[]);
const CALLBACK: Extra = (13, &[6]);
const MRRU: Extra = (17, &[0x06, 0x4E]);
const ENDPOINT: Extra = (19, &[1; 21]);
const LINK_DISCRIMINATOR: Extra = (23, &[0, 1]);
