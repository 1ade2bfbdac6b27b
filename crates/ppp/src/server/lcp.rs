//! LCP of the side that authenticates the other

use crate::config::ServerOrder;
use crate::failure::{Failure, Protocol};
use crate::frame;
use crate::lcp::{AUTHENTICATION_PROTOCOL, Common, LinkFacts, MS_CHAP_V2};
use crate::negotiator::{Judgement, OptionSet};
use crate::packet::{ConfigurationOption, Options, OptionsBuf};
use crate::random::Random;
use crate::role::LinkOptions;

/// Beside MRU and Magic-Number the options that a real server asks for
#[derive(Debug)]
pub(crate) struct Lcp {
    common: Common,
    order: ServerOrder,
    extras: Vec<Extra>,
}

type Extra = (u8, &'static [u8]);

impl Lcp {
    pub(crate) fn new(mru: u16, order: ServerOrder) -> Self {
        Self { common: Common::new(mru), order, extras: Vec::new() }
    }
}

impl OptionSet for Lcp {
    const PROTOCOL: Protocol = Protocol::Lcp;
    const NUMBER: u16 = frame::LCP;

    fn restart(&mut self, random: &mut Random) {
        self.common.restart(random);
        self.extras = extras(self.order).to_vec();
    }

    fn request(&self) -> OptionsBuf {
        let mut request = self.common.request();
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
        self.common.judge(option, random)
    }

    fn agree(&mut self, request: &Options<'_>) {
        self.common.agree(request);
    }

    /// The only authentication there is stays, whatever the client would like better
    fn naked(&mut self, options: &Options<'_>, random: &mut Random) -> Result<(), Failure> {
        self.common.naked(options, random)
    }

    fn rejected(&mut self, options: &Options<'_>) -> Result<(), Failure> {
        if options.find(AUTHENTICATION_PROTOCOL).is_some() {
            return Err(Failure::AuthProtocolRefused { offered: None });
        }
        self.common.rejected(options);
        self.extras.retain(|(kind, _)| options.find(*kind).is_none());
        Ok(())
    }
}

impl LinkOptions for Lcp {
    fn facts(&self) -> Result<LinkFacts, Failure> {
        Ok(self.common.facts())
    }
}

const fn extras(order: ServerOrder) -> &'static [Extra] {
    match order {
        ServerOrder::Pppd => &[ACCM, AUTHENTICATION, PFC, ACFC],
        ServerOrder::AccelPpp => &[AUTHENTICATION],
        ServerOrder::Rras => {
            &[AUTHENTICATION, PFC, ACFC, CALLBACK, MRRU, ENDPOINT, LINK_DISCRIMINATOR]
        }
    }
}

const ACCM: Extra = (2, &[0; 4]);
const AUTHENTICATION: Extra = (AUTHENTICATION_PROTOCOL, &MS_CHAP_V2);
const PFC: Extra = (7, &[]);
const ACFC: Extra = (8, &[]);
const CALLBACK: Extra = (13, &[6]);
const MRRU: Extra = (17, &[0x06, 0x4E]);
const ENDPOINT: Extra = (19, &[1; 21]);
const LINK_DISCRIMINATOR: Extra = (23, &[0, 1]);
