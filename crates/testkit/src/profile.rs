//! Real servers by their names

use std::{net::Ipv4Addr, ops::RangeInclusive, time::Duration};

use pptp_ppp::{
    Extras, MppeBits, OnNak, ServerAuthentication, ServerEncryption, ServerOrder, StartupDelays,
};
use pptp_tunnel::{Acknowledgments, AuthenticationProtocol, RasCode, StatefulReset};

use crate::{Closes, Control, ControlQuirks, ServerBuilder};

/// A real server, as logs of its sessions show it
///
/// [`ServerBuilder::profile`] copies it. Where a log tells nothing, the server is like the others of
/// the testkit: 128-bit stateless MPPE, MS-CHAPv2, a control connection as in the RFC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Windows RRAS
    ///
    /// Vendor "Microsoft", any number of channels; a Set-Link-Info with both ACCMs `FFFFFFFF` after
    /// the Outgoing-Call-Reply, then LCP in the same round trip, its first identifier 0. LCP asks
    /// for MRU 1400, EAP, Magic-Number, PFC, ACFC, callback, MRRU 1614, an endpoint and a link
    /// discriminator; a Nak gets MS-CHAPv2 instead of EAP. The Challenge has no name, a Success no
    /// message, a Failure reads `E=691 R=1 C=… V=3`. IPCP runs beside CCP, which offers `+H+M+S+L+C`
    /// and is talked down to `+H+S`.
    Rras,
    /// Windows RRAS with encryption switched off: [`Profile::Rras`] whose CCP offers `+H+C` only,
    /// and rejects a client's MPPE
    RrasWithoutEncryption,
    /// A router of `MikroTik`
    ///
    /// LCP asks for MRU 1450, Magic-Number and MS-CHAPv2, and rejects a client's ACCM, PFC and ACFC.
    /// The Challenge comes from `MikroTik` with identifier 1. CCP offers 128 and 40 bit, stateless,
    /// and acknowledges 128. No log shows when IPCP begins; here it runs beside CCP.
    MikroTik,
    /// accel-ppp
    ///
    /// Vendor "accel-ppp", one channel; GRE by Linux's pptp.ko, whose first sequence number is 1 and
    /// which acknowledges only with data of its own. LCP asks for MRU 1436, Magic-Number and
    /// MS-CHAPv2; a Failure reads `E=691 R=0 V=3 M=Authentication failure`, without `C=`. CCP has
    /// 128-bit stateless MPPE only, and IPCP waits for it. Its Call-Disconnect-Notify carries the
    /// client's Call ID.
    AccelPpp,
    /// accel-ppp on a busy machine: [`Profile::AccelPpp`] whose network phase starts slowly
    ///
    /// It discards CCP and IPCP for 1 to 30 ms, the time from its CHAP Success to its CCP
    /// Configure-Request. A Configure-Ack that comes within 0 to 2.4 ms after that request is not seen
    /// by its kernel. Then the kernel never opens the client's encrypted packets, and the server answers
    /// each with a Protocol-Reject of 0x00FD ([`StartupDelays`]). The times follow from
    /// [`ServerBuilder::seed`]. So the round trip decides how many tunnels fail in this way: one in six
    /// with 2 ms, none from 3 ms on.
    AccelPppOnBusyMachine,
    /// A server that Naks the DNS options with the same values for ever
    ///
    /// It tells the client's address only in answer to a request without them ([`Extras::dns_naks`]).
    NaksDnsForever,
    /// A server that answers IPCP by Terminate-Ack until CCP is open, after it has sent its own request:
    /// early accel-ppp, and routers ([`Extras::turns_ipcp_away`])
    TurnsIpcpAway,
    /// An old router that has stateful MPPE only
    ///
    /// LCP asks for MRU 1500, Magic-Number, MS-CHAPv2, PFC and ACFC, CCP for `-H+S`, and a stateless
    /// request gets a Nak. After a loss it chooses its keys by [`StatefulReset::Linux`];
    /// [`ServerBuilder::encryption`] sets the other reading.
    StatefulRouter,
    /// A router of the export days: [`Profile::StatefulRouter`]'s LCP, and 40-bit stateless MPPE only
    FortyBitRouter,
    /// Orckit's ATUR3, an ADSL modem that serves only its provider's own relay
    ///
    /// Any Start-Control-Connection-Request and Outgoing-Call-Request but those of
    /// [`ControlQuirks::ORCKIT`] are refused, and the call begins with the client's Set-Link-Info. Real PPP
    /// through it comes from the provider.
    Orckit,
    /// Windows RRAS that refuses a login, as it often does, by a Terminate-Request of LCP with error 691,
    /// and without a CHAP Failure
    RrasRefusesInLcp,
    /// pptpd that offers EAP first, has nothing but EAP-TLS in it, and MS-CHAPv2 behind a Nak
    EapFirst,
    /// Windows RRAS that has EAP-TLS and nothing else
    EapTlsOnly,
    /// A router that has PAP only, and ignores that it is refused: it asks every 3 s
    DeafPap,
    /// pptpd whose connections are all in use: it closes each further one without a message
    ClosesAtOnce,
    /// A router with two lines, whose GRE leaves from the other one: [`GRE_ELSEWHERE`]
    GreFromElsewhere,
    /// A server whose GRE carries a checksum (RFC 1701)
    GreChecksums,
    /// A server whose GRE never arrives, as behind a firewall that passes TCP only
    NeverSendsGre,
    /// A server that acknowledges no GRE datagram at all, and offers a window of 16
    NeverAcknowledges,
    /// A server that sends everything twice: [`ServerBuilder::says_twice`]
    SaysEverythingTwice,
}

impl ServerBuilder {
    /// Makes the server like this real server
    ///
    /// Sets the options that [`Profile`] describes; later calls of the builder replace them.
    #[must_use]
    pub fn profile(self, profile: Profile) -> Self {
        match profile {
            Profile::Rras => rras(self),
            Profile::RrasWithoutEncryption => rras(self).encryption(ServerEncryption::MppcOnly),
            Profile::MikroTik => mikrotik(self),
            Profile::AccelPpp => accel_ppp(self),
            Profile::AccelPppOnBusyMachine => accel_ppp(self).extras(Extras {
                startup_delays: Some(StartupDelays { deaf: DEAF, unready: UNREADY }),
                ..Extras::default()
            }),
            Profile::NaksDnsForever => {
                self.extras(Extras { dns_naks: u8::MAX, ..Extras::default() })
            }
            Profile::TurnsIpcpAway => self
                .order(ServerOrder::Rras)
                .extras(Extras { turns_ipcp_away: true, ..Extras::default() }),
            Profile::StatefulRouter => {
                router(self).encryption(ServerEncryption::Mppe128Stateful(StatefulReset::Linux))
            }
            Profile::FortyBitRouter => router(self).encryption(ServerEncryption::Mppe40),
            Profile::Orckit => orckit(self),
            Profile::RrasRefusesInLcp => {
                let refuses_with = Some(RasCode(691));
                rras(self).authentication(ServerAuthentication {
                    refuses_with,
                    ..ServerAuthentication::default()
                })
            }
            Profile::EapFirst => self.authentication(ServerAuthentication {
                protocols: vec![AuthenticationProtocol::Eap, AuthenticationProtocol::MsChapV2],
                on_nak: OnNak::Yield,
                ..eap_tls()
            }),
            Profile::EapTlsOnly => rras(self).authentication(eap_tls()),
            Profile::DeafPap => deaf_pap(self),
            Profile::ClosesAtOnce => self.closes(Closes::AtOnce),
            Profile::GreFromElsewhere => self.gre_source(GRE_ELSEWHERE),
            Profile::GreChecksums => self.gre_checksums(),
            Profile::NeverSendsGre => self.mute_gre(true),
            Profile::NeverAcknowledges => self
                .control(Control { receive_window: Some(16), ..Control::default() })
                .never_acknowledges(),
            Profile::SaysEverythingTwice => self.says_twice(),
        }
    }
}

fn rras(builder: ServerBuilder) -> ServerBuilder {
    let mut builder = builder.order(ServerOrder::Rras);
    builder.options.control.sends_link_info = true;
    let authentication = ServerAuthentication {
        protocols: vec![AuthenticationProtocol::Eap, AuthenticationProtocol::MsChapV2],
        on_nak: OnNak::Yield,
        ..ServerAuthentication::default()
    };
    builder
        .authentication(authentication)
        .extras(Extras { first_identifier: Some(0), ..Extras::default() })
        .challenge_name("")
        .mru(1400)
}

fn mikrotik(builder: ServerBuilder) -> ServerBuilder {
    let extras = Extras {
        omits_usual_options: true,
        rejected_options: vec![ACCM, PFC, ACFC],
        first_offer: Some(STATELESS_128_AND_40),
        ..Extras::default()
    };
    let control = Control { vendor: "MikroTik".to_owned(), ..Control::default() };
    builder
        .order(ServerOrder::Rras)
        .control(control)
        .extras(extras)
        .challenge_name("MikroTik")
        .mru(1450)
}

fn accel_ppp(builder: ServerBuilder) -> ServerBuilder {
    builder
        .order(ServerOrder::AccelPpp)
        .challenge_name("accel-ppp")
        .mru(1436)
        .first_sequence(1)
        .acknowledgments(Acknowledgments::WithData)
}

/// The order of options in the devices of several makers, whose only distinction it is
fn router(builder: ServerBuilder) -> ServerBuilder {
    let extras = Extras {
        omits_usual_options: true,
        link_options: vec![(PFC, Vec::new()), (ACFC, Vec::new())],
        ..Extras::default()
    };
    let control = Control { vendor: "router".to_owned(), ..Control::default() };
    builder.control(control).extras(extras).challenge_name("router").mru(1500)
}

/// EAP with EAP-TLS (RFC 5216) in it
fn eap_tls() -> ServerAuthentication {
    ServerAuthentication {
        eap_proposals: vec![EAP_TLS],
        eap_has_mschap_v2: false,
        ..ServerAuthentication::only(AuthenticationProtocol::Eap)
    }
}

fn deaf_pap(builder: ServerBuilder) -> ServerBuilder {
    let authentication = ServerAuthentication {
        on_nak: OnNak::Deaf,
        ..ServerAuthentication::only(AuthenticationProtocol::Pap)
    };
    let control = Control { vendor: "router".to_owned(), ..Control::default() };
    builder.control(control).authentication(authentication).encryption(ServerEncryption::NoCcp)
}

fn orckit(builder: ServerBuilder) -> ServerBuilder {
    builder.control(Control {
        vendor: "Orckit ATUR3".to_owned(),
        insists_on: ControlQuirks::ORCKIT,
        ..Control::default()
    })
}

/// accel-ppp's silence behind its CHAP Success, and the time that its kernel's decryptor needs
const DEAF: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_millis(30);
const UNREADY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_micros(2400);

/// The source address of GRE in [`Profile::GreFromElsewhere`]
pub const GRE_ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 250);

/// Type of EAP-TLS (RFC 5216 §3.1)
const EAP_TLS: u8 = 13;

/// Types of LCP options (RFC 1661 §6, RFC 1662 §7.1)
const ACCM: u8 = 2;
const PFC: u8 = 7;
const ACFC: u8 = 8;

/// H, S and L (RFC 3078 §2.1)
const STATELESS_128_AND_40: MppeBits = MppeBits(0x0100_0060);
