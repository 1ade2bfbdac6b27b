//! The decision to dial once more, and what a connect remembers for that until the tunnel is up

use std::net::SocketAddrV4;

use pptp_tunnel::{
    AuthenticationProtocol, ControlFailure, Failure, LinkFailure, Peer, Questions, Quirks,
    Recognized, TunnelError,
};
use tokio::time::Instant;

use crate::{TunnelConfig, connect::network::Network, known_quirks::KnownQuirks, state::Redial};

/// A connect under way
///
/// Gone as soon as the tunnel is up or over, so that an idle tunnel does not hold it.
pub(crate) struct Dialling {
    pub(crate) network: Network,
    pub(crate) config: TunnelConfig,
    /// The time by which the connect must be over, redials included
    pub(crate) deadline: Instant,
    /// The server that TCP was opened to last
    pub(crate) server: Option<SocketAddrV4>,
    /// The addresses to be tried; `None`: the name has not been resolved yet
    pub(crate) addresses: Option<Vec<SocketAddrV4>>,
    /// The quirks by which the server that was reached last was recognized
    pub(crate) learned: Quirks,
    has_recognized: bool,
    /// The method of EAP that was refused to a server, which is dialled without EAP since then
    refused_method: Option<AuthenticationProtocol>,
}

impl Dialling {
    pub(crate) fn new(network: Network, config: TunnelConfig) -> Self {
        Self {
            network,
            deadline: Instant::now().checked_add(config.connect_timeout).unwrap_or_else(far),
            server: None,
            addresses: None,
            learned: Quirks::NONE,
            has_recognized: false,
            refused_method: None,
            config,
        }
    }

    /// TCP is open to `server`: only those behind it are left
    pub(crate) fn reached(&mut self, server: SocketAddrV4) {
        self.server = Some(server);
        let Some(addresses) = &mut self.addresses else { return };
        if let Some(place) = addresses.iter().position(|address| *address == server) {
            addresses.drain(..=place);
        }
    }

    /// Returns the reason to dial once more after this end of a connect to `server`, if there is one
    pub(crate) fn again(&mut self, server: SocketAddrV4, error: &TunnelError) -> Option<Redial> {
        match &error.failure {
            Failure::Control(ControlFailure::Recognized(it)) if !self.has_recognized => {
                self.has_recognized = true;
                self.learned = self.quirks_of(it);
                self.addresses.get_or_insert_default().insert(0, server);
                Some(Redial::Recognized { kind: it.name.to_string() })
            }
            Failure::Link(LinkFailure::AuthProtocolWithdrawn { offered })
                if !self.config.machine.link.authentication.accept_first_offer =>
            {
                self.config.machine.link.authentication.accept_first_offer = true;
                self.addresses.get_or_insert_default().insert(0, server);
                Some(Redial::AsksOnce { offered: *offered })
            }
            Failure::Link(LinkFailure::AuthProtocolRefused {
                offered: Some(offered @ AuthenticationProtocol::EapMethod(_)),
            }) if self.config.machine.link.authentication.eap => {
                self.config.machine.link.authentication.eap = false;
                self.refused_method = Some(*offered);
                self.addresses.get_or_insert_default().insert(0, server);
                Some(Redial::WithoutEap { offered: *offered })
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

    /// The reason for the end, with the method of EAP that an earlier dial refused: without EAP, a server
    /// that has only that offers just EAP, or nothing
    pub(crate) fn explained(&self, mut error: TunnelError) -> TunnelError {
        if let Failure::Link(LinkFailure::AuthProtocolRefused {
            offered: offered @ (None | Some(AuthenticationProtocol::Eap)),
        }) = &mut error.failure
        {
            *offered = self.refused_method.or(*offered);
        }
        error
    }

    pub(crate) fn machine_config(&self) -> pptp_tunnel::Config {
        let config = &self.config;
        let mut machine = config.machine.clone();
        machine.connect_deadline = Some((self.deadline.into_std(), config.connect_timeout));
        machine.link.proof.has_answered = config.proof_memory > 0;
        machine.link.questions = Questions {
            new_password: config.callbacks.asks_for_password(),
            other_credentials: config.callbacks.asks_for_login(),
        };
        machine.quirks = self.quirks();
        if self.has_recognized {
            machine.recognitions.clear();
        }
        machine
    }

    /// Returns true if the server's GRE will carry 0 instead of our Call ID
    pub(crate) fn has_zero_call_id(&self) -> bool {
        self.quirks().control.zero_call_id == Some(true)
    }

    /// Returns the quirks that are named, then those learned just now, then those remembered
    fn quirks(&self) -> Quirks {
        let config = &self.config;
        let named = Quirks::from(config.own_texts.clone()).or(config.machine.quirks.clone());
        named.or(self.learned.clone()).or(config.remembered.clone())
    }

    /// Returns the quirks to remember for the next connect to the server
    pub(crate) fn lesson(&self, peer: Option<&Peer>) -> Option<KnownQuirks> {
        let peer = peer.filter(|peer| peer.recognized.is_some());
        let mut kinds = self.config.machine.recognitions.iter();
        let kind = peer.and_then(|peer| kinds.find(|it| it.fits(peer)));
        let recognized = kind.map(|it| it.quirks.clone()).unwrap_or_default();
        let lesson = self.learned.clone().or(recognized).or(self.config.remembered.clone());
        (!lesson.is_none()).then(|| lesson.into())
    }

    /// Returns all quirks of a kind of server, of which the control connection knows its own
    fn quirks_of(&self, recognized: &Recognized) -> Quirks {
        let Recognized { name, quirks } = recognized;
        let mut kinds = self.config.machine.recognitions.iter();
        let kind = kinds.find(|it| it.name == *name && it.quirks.control == *quirks);
        kind.map_or_else(|| quirks.clone().into(), |it| it.quirks.clone())
    }
}

/// So late that it does not matter
fn far() -> Instant {
    Instant::now() + std::time::Duration::from_hours(24 * 365)
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use pptp_tunnel::{ConnectTimeline, ControlQuirks, LinkQuirks, Pattern, Recognition};

    use super::*;

    fn server(last: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, last), 1723)
    }

    /// A connect to a name with these addresses, whose first has been reached
    fn dialling(addresses: &[u8]) -> Dialling {
        let network =
            Network::Virtual(Arc::new(pptp_memory_net::Network::new(0).host(Ipv4Addr::LOCALHOST)));
        let mut dialling = Dialling::new(network, TunnelConfig::new("name", "user", "secret"));
        dialling.addresses = Some(addresses.iter().copied().map(server).collect());
        dialling.reached(server(addresses[0]));
        dialling
    }

    fn error(failure: ControlFailure) -> TunnelError {
        TunnelError::new(failure.into(), ConnectTimeline::new(Instant::now().into_std()))
    }

    fn not_pptp() -> TunnelError {
        error(ControlFailure::NotPptp { first: b"HTTP".to_vec() })
    }

    fn recognized(quirks: ControlQuirks) -> TunnelError {
        let kind = Recognized { name: "kind".into(), quirks };
        error(ControlFailure::Recognized(Box::new(kind)))
    }

    #[test]
    fn each_address_of_a_name_is_tried_where_something_else_listens() {
        let mut dialling = dialling(&[1, 2, 3]);
        for (at, left) in [(1, &[2, 3][..]), (2, &[3])] {
            let why = dialling.again(server(at), &not_pptp());
            assert_eq!(why, Some(Redial::NotPptp { address: server(at) }));
            let expected = left.iter().copied().map(server).collect::<Vec<_>>();
            assert_eq!(dialling.addresses.as_deref(), Some(&expected[..]));
            dialling.reached(server(left[0]));
        }
        assert_eq!(dialling.again(server(3), &not_pptp()), None, "that was the last");
    }

    #[test]
    fn a_recognized_server_is_tried_again_once_and_before_any_other() {
        let mut dialling = dialling(&[1, 2]);
        let quirks = ControlQuirks::client_host_name("relay");
        let why = dialling.again(server(1), &recognized(quirks.clone()));
        assert_eq!(why, Some(Redial::Recognized { kind: "kind".to_owned() }));
        assert_eq!(dialling.addresses, Some(vec![server(1), server(2)]));
        let machine = dialling.machine_config();
        assert_eq!(machine.quirks, quirks.clone().into());
        assert!(machine.recognitions.is_empty(), "once");
        dialling.reached(server(1));
        assert_eq!(dialling.again(server(1), &recognized(quirks)), None);
    }

    #[test]
    fn a_recognized_server_is_tried_again_with_the_quirks_of_its_ppp_too() {
        let control = ControlQuirks::client_host_name("relay");
        let link = LinkQuirks { accept_first_offer: Some(true) };
        let quirks = Quirks { control: control.clone(), link };
        let mut dialling = dialling(&[1]);
        dialling.config = dialling.config.clone().recognize(Recognition {
            name: "kind".into(),
            vendor: Some(Pattern::Is("relay".into())),
            host_name: None,
            firmware: None,
            quirks: quirks.clone(),
        });
        dialling.again(server(1), &recognized(control));
        assert_eq!(dialling.machine_config().quirks, quirks);
    }

    #[test]
    fn what_is_named_goes_before_what_was_learned_and_that_before_what_is_remembered() {
        let mut dialling = dialling(&[1]);
        let remembered = ControlQuirks { firmware: Some(1), ..ControlQuirks::ORCKIT };
        dialling.config.remembered = remembered.into();
        dialling.config = dialling.config.clone().phone_number("1234");
        dialling.again(
            server(1),
            &recognized(ControlQuirks { firmware: Some(2), ..ControlQuirks::NONE }),
        );
        let quirks = dialling.machine_config().quirks.control;
        assert_eq!(quirks.phone_number.as_deref(), Some("1234"));
        assert_eq!((quirks.firmware, quirks.vendor), (Some(2), ControlQuirks::ORCKIT.vendor));
        let lesson = dialling.lesson(None).expect("something to remember");
        let lesson = lesson.get().control.clone();
        let phone_number = ControlQuirks::ORCKIT.phone_number;
        assert_eq!((lesson.firmware, lesson.phone_number), (Some(2), phone_number));
    }

    fn refused(offered: Option<AuthenticationProtocol>) -> TunnelError {
        let failure = LinkFailure::AuthProtocolRefused { offered };
        TunnelError::new(failure.into(), ConnectTimeline::new(Instant::now().into_std()))
    }

    #[test]
    fn a_method_of_eap_that_is_refused_leads_to_one_dial_without_eap() {
        let tls = AuthenticationProtocol::EapMethod(13);
        let mut dialling = dialling(&[1, 2]);
        assert!(dialling.machine_config().link.authentication.eap);
        let why = dialling.again(server(1), &refused(Some(tls)));
        assert_eq!(why, Some(Redial::WithoutEap { offered: tls }));
        assert_eq!(dialling.addresses, Some(vec![server(1), server(2)]), "the same server");
        assert!(!dialling.machine_config().link.authentication.eap);
        assert_eq!(dialling.again(server(1), &refused(Some(tls))), None, "once");
        for offered in [None, Some(AuthenticationProtocol::Eap)] {
            assert_eq!(dialling.explained(refused(offered)).failure, refused(Some(tls)).failure);
        }
        let pap = refused(Some(AuthenticationProtocol::Pap));
        assert_eq!(dialling.explained(pap.clone()), pap, "that tells more");
        let other = not_pptp();
        assert_eq!(dialling.explained(other.clone()), other);
    }

    #[test]
    fn without_an_option_control_echoes_are_those_of_the_control_connection_itself() {
        let times = dialling(&[1]).machine_config().control.timeouts;
        assert_eq!(times, pptp_tunnel::Config::new("", "".into()).control.timeouts);
    }

    #[test]
    fn no_other_end_is_a_reason_to_dial_again() {
        for failure in [ControlFailure::NoControlReply, ControlFailure::ConnectionLost] {
            assert_eq!(dialling(&[1, 2]).again(server(1), &error(failure)), None);
        }
    }
}
