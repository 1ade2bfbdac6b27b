//! Failures of a server that are switched while it runs

use pptp_control::{Decoder, Message};
use pptp_ppp::{Deafness, Echoes, LinkFaults};

/// Faults of a server, from the moment on at which they are set
///
/// None by default. [`ServerBuilder::faults`](crate::ServerBuilder::faults) gives a server its
/// faults from the start. [`Server::set_faults`](crate::Server::set_faults) changes them while
/// clients are connected, for all tunnels at once: those that are up and later ones. Negotiations
/// go on as usual.
///
/// ```
/// use pptp_testkit::{Deafness, Echoes, Faults};
///
/// // the data path towards the server fails, but messages in the clear go on, as with Windows servers
/// let deaf = Faults { deaf: Some(Deafness::ResetRequests), ..Faults::default() };
/// // only control messages of the server still come
/// let dead = Faults { mute: Some(pptp_testkit::Muteness::Silent), lcp_echoes: Echoes::Unanswered, ..deaf };
/// # let _ = dead;
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// The way in which the server reports that it cannot open its clients' encrypted packets;
    /// `None` if it opens them
    ///
    /// The GRE datagrams are acknowledged as before.
    pub deaf: Option<Deafness>,
    /// The fault of the server's own inner packets
    pub mute: Option<Muteness>,
    /// The answer to LCP Echo-Requests
    pub lcp_echoes: Echoes,
    /// The Echo-Requests of the control connection are not answered (RFC 2637 §2.5)
    pub ignores_control_echoes: bool,
    /// The building's router, 192.168.1.1, which is the server's inner address, answers no ping
    pub ignores_pings: bool,
    /// The router sends no message about packets whose time to live is over (RFC 792, type 11)
    pub hides_expired: bool,
    /// The building's device and all other hosts behind the router are gone: packets to them vanish
    ///
    /// The router's own services, DNS among them, go on.
    pub hosts_are_dead: bool,
}

/// Faults of the direction from a server to its clients, inside the tunnel
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Muteness {
    /// The server sends no inner packet any more
    Silent,
    /// The server encrypts them with another key: none of them opens
    Garbled,
}

impl Faults {
    /// The faults that belong to PPP
    pub(crate) const fn link(self) -> LinkFaults {
        LinkFaults {
            deaf: self.deaf,
            corrupts: matches!(self.mute, Some(Muteness::Garbled)),
            echoes: self.lcp_echoes,
        }
    }

    pub(crate) const fn is_silent(self) -> bool {
        matches!(self.mute, Some(Muteness::Silent))
    }
}

/// Removes the Echo-Replies from octets that a server is about to send on its control connection
pub(crate) fn without_echo_replies(octets: &[u8]) -> Vec<u8> {
    let (mut decoder, mut rest, mut kept) = (Decoder::default(), octets, Vec::new());
    while let Ok(Some(message)) = decoder.decode(&mut rest) {
        if !matches!(message, Message::EchoReply(_)) {
            message.emit(&mut kept);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use pptp_control::{EchoReply, EchoRequest};

    use super::*;

    fn emitted(messages: &[Message]) -> Vec<u8> {
        let mut octets = Vec::new();
        for message in messages {
            message.emit(&mut octets);
        }
        octets
    }

    #[test]
    fn only_echo_replies_are_taken_out() {
        let request = |identifier| Message::from(EchoRequest { identifier });
        let reply = Message::from(EchoReply { identifier: 7, result: 1.into(), error: 0.into() });
        let said = emitted(&[request(1), reply, request(2)]);
        assert_eq!(without_echo_replies(&said), emitted(&[request(1), request(2)]));
        assert!(without_echo_replies(&[]).is_empty());
    }
}
