//! The advice for people, for each failure

use pptp_control::{Failure as ControlFailure, GeneralError, OutgoingCallResult, StartResult};
use pptp_ppp::{AuthenticationProtocol, Failure as LinkFailure, Protocol, RasCode};

use super::Failure;
use crate::Phase;

impl Failure {
    /// Returns the advice, in one sentence without a period
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Control(failure) => control_advice(failure),
            Self::GreBlocked { heard: true, .. } => {
                "the server's GRE arrives and ours does not: let IP protocol 47 leave this machine and pass \
                 every firewall and NAT on the way to the server"
            }
            Self::GreBlocked { .. } => {
                "let IP protocol 47 pass both ways in every firewall and NAT on the path, this machine's own \
                 included"
            }
            Self::GreFromElsewhere { .. } => {
                "have the server send its GRE from the address that was dialled, or dial the one that its GRE \
                 comes from: a server with two lines needs a route or a listening address for each"
            }
            Self::GreUnsupported { .. } => {
                "the server, or a device on the way, sends GRE otherwise than RFC 2637 has it: switch \
                 checksums of GRE off there, or update it"
            }
            Self::Link(failure) => link_advice(failure),
            Self::ConnectTimeout { .. } => {
                "look at where the time went; a slow line needs a longer connect timeout"
            }
            Self::Closed => "nothing: this side hung up",
        }
    }

    /// Returns the advice for a failure in `phase`, where the peer may have said an error code of Windows
    pub const fn advice_in(&self, phase: Phase, ras_code: Option<RasCode>) -> &'static str {
        match ras_code {
            Some(code) => self.advice_after(code, phase),
            None => self.advice_during(phase),
        }
    }

    /// Returns the advice for a hang-up of the peer in the middle of something
    const fn advice_during(&self, phase: Phase) -> &'static str {
        match phase {
            _ if !self.is_hang_up() => self.advice(),
            Phase::ControlConnection if self.is_connection_lost() => {
                "its limit of connections is reached, or an access list does not let this client in: dial \
                 again later; its log says why"
            }
            Phase::Call if self.is_connection_lost() => {
                "all its sessions may be in use, or it could not start its PPP: dial again later; its log says \
                 why"
            }
            Phase::LinkControl => {
                "the server hung up during LCP: it may want an option that this client does not have; its \
                 log says which"
            }
            Phase::Authentication => {
                "the server hung up during authentication: check user and password, and the server's log"
            }
            Phase::Network => {
                "the server hung up during CCP and IPCP: it may want other encryption, or have no address \
                 left; its log says which"
            }
            _ => self.advice(),
        }
    }
}

impl Failure {
    const fn is_connection_lost(&self) -> bool {
        matches!(self, Self::Control(ControlFailure::ConnectionLost))
    }

    /// The advice where the peer has said an error code of Windows
    const fn advice_after(&self, RasCode(code): RasCode, phase: Phase) -> &'static str {
        let is_encryption = matches!(
            self,
            Self::Link(
                LinkFailure::EncryptionUnavailable { .. } | LinkFailure::EncryptionDemanded { .. }
            )
        );
        let is_known =
            matches!(self, Self::Link(LinkFailure::AuthProtocolRefused { offered: Some(_) }));
        match code {
            _ if is_known => self.advice_during(phase),
            732 | 741..=743 if is_encryption => {
                "let the server's network policy allow strong encryption (MPPE 128 bit): it and this client \
                 have none in common"
            }
            0 => {
                "somebody or something at the server ended it on purpose: an administrator, an idle or a \
                 session limit, a restart; dial again"
            }
            619 | 629 | 718 | 721 => {
                "the server lost its line to this client: dial again; if it comes back, look at firewalls and \
                 NATs for IP protocol 47"
            }
            720 | 733 => "give the server TCP/IP for its dial-in clients: it has no IPCP",
            732 | 738 => {
                "the server's address pool or its DHCP server may have none left, or this user may need a fixed \
                 address there"
            }
            734 | 736 => "the server ended it: dial again; its log says why",
            919 => {
                "switch MS-CHAPv2 on at the server and in its network policy: it and this client have no \
                 authentication protocol in common"
            }
            _ => self.advice_during(phase),
        }
    }
}

const fn control_advice(failure: &ControlFailure) -> &'static str {
    match failure {
        ControlFailure::NotPptp { .. } => {
            "something else than a PPTP server listens on this port: check host and port"
        }
        ControlFailure::NoControlReply => {
            "the server accepts TCP but does not speak PPTP: is this the right host and port?"
        }
        ControlFailure::VersionUnsupported { .. } => {
            "only version 1.0 of PPTP is known: check that this is a PPTP server"
        }
        ControlFailure::ControlRefused { result: StartResult::NotAuthorized, .. } => {
            "the server does not let this client in: some choose by the client host name, some by address"
        }
        ControlFailure::ControlRefused { error: GeneralError::NoResource, .. }
        | ControlFailure::CallRefused { error: GeneralError::NoResource, .. } => {
            "the server is full: try again later"
        }
        ControlFailure::ControlRefused { result: StartResult::ChannelExists, .. } => {
            "the server has a control connection with this address already: end the other one, or wait until \
             the server has noticed that it is gone"
        }
        ControlFailure::ControlRefused { .. } => {
            "the server's log says why; some want a certain client host name or vendor"
        }
        ControlFailure::NoCallReply => {
            "the server answers and does not take calls: restart it, or look into its log"
        }
        ControlFailure::CallRefused { result: OutgoingCallResult::Busy, .. } => {
            "all lines of the server are taken: try again later, or give it more sessions"
        }
        ControlFailure::CallRefused { result: OutgoingCallResult::DoNotAccept, .. } => {
            "the server is set not to take calls: some want a phone number in the call"
        }
        ControlFailure::CallRefused { .. } => {
            "some servers want a phone number in the call; the server's log says why"
        }
        ControlFailure::CallDisconnected { .. }
        | ControlFailure::StoppedByPeer { .. }
        | ControlFailure::ConnectionLost => "the server ended it: dial again; its log says why",
        ControlFailure::EchoTimeout => {
            "the server or the line is gone: dial again; a NAT that forgets idle connections needs more echoes"
        }
        ControlFailure::Recognized(_) => "name its quirks before the next connect",
        ControlFailure::PeerMisbehaved(_) => {
            "the server breaks RFC 2637: update its firmware, and report this with the flight record"
        }
        _ => "look into the server's log",
    }
}

const fn link_advice(failure: &LinkFailure) -> &'static str {
    match failure {
        LinkFailure::AuthFailed { code, .. } => login_advice(*code),
        LinkFailure::ServerNotAuthentic => {
            "do not send this password there again: somebody may play the server; if it is the right one, \
             its stored password differs, or it hashes the user's domain too"
        }
        LinkFailure::AuthProtocolRefused { offered: None } => {
            "switch authentication by MS-CHAPv2 on at the server: it lets everybody in"
        }
        LinkFailure::AuthProtocolRefused { offered: Some(offered) } => refusal_advice(*offered),
        LinkFailure::AuthProtocolWithdrawn { .. } => {
            "have what is allowed agreed to at the first asking: the server does not ask twice"
        }
        LinkFailure::AuthProtocolWithoutKeys { .. } => {
            "switch MS-CHAPv2 on at the server; only without encryption, an option that says insecure, is \
             this protocol enough"
        }
        LinkFailure::EncryptionUnavailable { .. } => {
            "switch MPPE with 128 bits, stateless, on at the server, or allow less by an option that says \
             insecure"
        }
        LinkFailure::EncryptionDemanded { .. } => {
            "do not refuse encryption, and let the server authenticate with MS-CHAPv2, which gives keys"
        }
        LinkFailure::EncryptionLost => {
            "nothing was sent in the clear; dial again, and look into the server's log why it stopped to \
             encrypt"
        }
        LinkFailure::Undecryptable(_) => {
            "dial again; if it comes back, the line loses or doubles too much"
        }
        LinkFailure::WrongKey(_) => {
            "the two ends made different keys of the same login: a RADIUS server that sends wrong MPPE keys, \
             or a server with a fault in this authentication protocol; update it or use another protocol"
        }
        LinkFailure::NothingPasses(_) => {
            "the tunnel came up and carried nothing: the server lost its keys or its way; dial again, \
             and if it comes back each time, look at the server's log, its firewall and its MPPE"
        }
        LinkFailure::NoAddress => {
            "the server's address pool may be empty, or this user may need a fixed address there"
        }
        LinkFailure::AddressChanged { .. } => {
            "dial again; if this server does move its clients while they are connected, allow it by the \
             option address_may_change: otherwise somebody on the path has forged its answer"
        }
        LinkFailure::Loopback => "a modem or a line on the way sends everything back: check it",
        LinkFailure::EchoTimeout { .. } => {
            "the server or the line is gone: dial again; if it happens when idle, a NAT forgets GRE"
        }
        LinkFailure::NegotiationTimeout {
            protocol: Protocol::Pap | Protocol::Chap | Protocol::Eap,
        } => "the server does not judge the login: its RADIUS or account server may not answer",
        LinkFailure::NegotiationTimeout { .. } => {
            "the server fell silent, or GRE is lost on the way: look into its log, and at firewalls"
        }
        LinkFailure::NoAgreement { .. } => {
            "both ends insist on what they want: the flight record shows which option it is"
        }
        LinkFailure::TerminatedByPeer { message, .. } if is_pppds_last_word(message.as_bytes()) => {
            "the server ended it; pppd says these words at each orderly hang-up, because its CCP goes down \
             first: look in its log for idle and maxconnect limits, unanswered echoes or a restart; dial again"
        }
        LinkFailure::TerminatedByPeer { .. } => {
            "the server ended it: its words, or its log, say why"
        }
        LinkFailure::RejectedProtocol { protocol: Protocol::Ccp } => {
            "the server cannot encrypt: switch MPPE on there"
        }
        LinkFailure::RejectedProtocol { .. } | LinkFailure::RejectedCode { .. } => {
            "the server lacks what every PPP has: update its firmware"
        }
        LinkFailure::PeerMisbehaved(_) => {
            "the server breaks RFC 1661: update its firmware, and report this with the flight record"
        }
        _ => "look into the server's log",
    }
}

/// Returns the advice for a server that has only this
const fn refusal_advice(offered: AuthenticationProtocol) -> &'static str {
    use AuthenticationProtocol::{ChapMd5, Eap, EapMethod, MsChapV1, Pap};
    match offered {
        Pap | ChapMd5 | MsChapV1 => {
            "switch MS-CHAPv2 on at the server, or allow what it offers by an option that says insecure"
        }
        Eap => {
            "switch MS-CHAPv2 on at the server, alone or in EAP; in EAP it has to be allowed here too"
        }
        EapMethod(13 | 25) => {
            "this client has no certificates, and so neither EAP-TLS nor PEAP: add MS-CHAPv2 to the server's \
             authentication methods and to its network policy"
        }
        EapMethod(_) => {
            "this client has no other method of EAP than MS-CHAPv2: add that, or MS-CHAPv2 without EAP, to the \
             server's authentication methods"
        }
        _ => "switch MS-CHAPv2 on at the server: this client does not have what it offers",
    }
}

const fn is_pppds_last_word(message: &[u8]) -> bool {
    matches!(message, b"MPPE disabled")
}

/// The codes of RFC 2759 §6, as an administrator meets them
const fn login_advice(code: u32) -> &'static str {
    match code {
        646 => "the account may not log in at this hour: wait, or change its hours on the server",
        647 => "the account is disabled: enable it on the server",
        648 => "the password has expired: change it, on the server or in another session",
        649 => {
            "the account lacks the permission to dial in: grant it on the server (Dial-in, Remote Access)"
        }
        691 => {
            "one of three: the user is unknown, or wants its domain (DOMAIN\\user); the password is wrong, \
             upper and lower case count; or the server's policy does not allow this account or this \
             authentication protocol; besides, an earlier session of this user may still be alive on a \
             server that allows only one, which passes by itself"
        }
        709 => "the new password was not taken: it may be too short, too simple or used before",
        _ => {
            "check user and password; the account's settings and the log on the server decide this; an \
             earlier session of this user may still be alive, which passes by itself"
        }
    }
}
