//! What a connect has to remember until the tunnel is up: whether, and how, to dial once more

use std::net::SocketAddrV4;

use pptp_tunnel::{
    AuthenticationProtocol, ControlFailure, Failure, LinkFailure, Questions, Quirks, TunnelError,
};
use tokio::time::Instant;

use crate::{TunnelConfig, network::Network};

/// A connect under way
///
/// Gone as soon as the tunnel is up or over, so that an idle tunnel does not hold it.
#[derive(Debug)]
pub(crate) struct Dialling {
    pub(crate) network: Network,
    pub(crate) config: TunnelConfig,
    /// Until when the connect has to be over, however often is dialled
    pub(crate) deadline: Instant,
    /// The addresses to be tried; `None`: the name has not been resolved yet
    pub(crate) addresses: Option<Vec<SocketAddrV4>>,
    /// What the server that was reached last was recognised to want
    pub(crate) learned: Quirks,
    has_recognized: bool,
}

/// Why a tunnel is dialled once more
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Redial {
    /// The server was recognised as one of this kind, which wants other words from the start on
    Recognized {
        /// The kind's name, see [`Recognition`](crate::Recognition)
        kind: String,
    },
    /// The server asked for a way to authenticate that is allowed, and for none any more when it was asked for
    /// MS-CHAPv2: it is agreed with at its first asking now
    AsksOnce {
        /// What it had asked for
        offered: AuthenticationProtocol,
    },
    /// What listens at this address is no PPTP server, and the name has further addresses
    NotPptp {
        /// The address tried
        address: SocketAddrV4,
    },
}

impl Dialling {
    pub(crate) fn new(network: Network, config: TunnelConfig) -> Self {
        Self {
            network,
            deadline: Instant::now().checked_add(config.connect_timeout).unwrap_or_else(far),
            addresses: None,
            learned: Quirks::NONE,
            has_recognized: false,
            config,
        }
    }

    /// TCP is open to `server`: only those behind it are left
    pub(crate) fn reached(&mut self, server: SocketAddrV4) {
        let Some(addresses) = &mut self.addresses else { return };
        if let Some(place) = addresses.iter().position(|address| *address == server) {
            addresses.drain(..=place);
        }
    }

    /// Whether there is another way to try after a connect to `server` ended like this, and why
    pub(crate) fn again(&mut self, server: SocketAddrV4, error: &TunnelError) -> Option<Redial> {
        match &error.failure {
            Failure::Control(ControlFailure::Recognized(it)) if !self.has_recognized => {
                self.has_recognized = true;
                self.learned = it.quirks.clone();
                self.addresses.get_or_insert_default().insert(0, server);
                Some(Redial::Recognized { kind: it.name.to_string() })
            }
            Failure::Link(LinkFailure::AuthProtocolWithdrawn { offered })
                if !self.config.authentication.at_first_asking =>
            {
                self.config.authentication.at_first_asking = true;
                self.addresses.get_or_insert_default().insert(0, server);
                Some(Redial::AsksOnce { offered: *offered })
            }
            Failure::Control(ControlFailure::NotPptp { .. }) => {
                let others_follow = self.addresses.as_ref().is_some_and(|left| !left.is_empty());
                self.learned = Quirks::NONE;
                self.has_recognized = false;
                others_follow.then_some(Redial::NotPptp { address: server })
            }
            _ => None,
        }
    }

    pub(crate) fn machine_config(&self) -> pptp_tunnel::Config {
        let config = &self.config;
        let mut machine = pptp_tunnel::Config::new(&config.user, config.password.clone());
        machine.connect_deadline = Some((self.deadline.into_std(), config.connect_timeout));
        machine.recorder = config.flight_recorder;
        machine.link.mru = config.mru;
        machine.link.echo = config.echo;
        machine.link.addresses = config.addresses;
        machine.link.authentication = config.authentication;
        machine.link.questions = Questions {
            new_password: config.callbacks.asks_for_password(),
            other_credentials: config.callbacks.asks_for_login(),
        };
        machine.link.encryption = config.encryption;
        machine.link.ipv6 = config.ipv6;
        machine.link.header_compression = config.header_compression;
        machine.reordering = config.reordering;
        machine.link.hash_name = config.hash_name;
        machine.link.password_encoding = config.password_encoding;
        machine.control.quirks = self.quirks();
        if self.has_recognized {
            machine.control.recognitions.clear();
        } else {
            machine.control.recognitions.splice(..0, config.recognitions.iter().cloned());
        }
        machine
    }

    /// Whether the server's GRE will carry 0 instead of our Call ID
    pub(crate) fn has_zero_call_id(&self) -> bool {
        self.quirks().zero_call_id == Some(true)
    }

    /// What is named goes before what was learned just now, and that before what was remembered
    fn quirks(&self) -> Quirks {
        let named = |text: &str| (!text.is_empty()).then(|| text.to_owned().into());
        let texts = Quirks {
            host_name: named(&self.config.client_host_name),
            phone_number: named(&self.config.phone_number),
            ..Quirks::NONE
        };
        let named = texts.or(self.config.quirks.clone());
        named.or(self.learned.clone()).or(self.config.remembered.clone())
    }

    /// What is worth remembering for the next connect to the server
    pub(crate) fn lesson(&self, peer: Option<&pptp_tunnel::Peer>) -> Option<Box<Quirks>> {
        let recognized = peer.and_then(|peer| peer.recognized.as_ref());
        let recognized = recognized.map(|it| it.quirks.clone()).unwrap_or_default();
        let lesson = self.learned.clone().or(recognized).or(self.config.remembered.clone());
        (!lesson.is_none()).then(|| Box::new(lesson))
    }
}

/// So late that it does not matter
fn far() -> Instant {
    Instant::now() + std::time::Duration::from_hours(24 * 365)
}
