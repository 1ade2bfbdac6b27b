//! Every authentication with every kind of encryption, and what a client has to opt in to for each
//!
//! Each cell is a whole link, this crate's client against this crate's server, which insists on what
//! it has; the last row is of servers that yield to a Configure-Nak. Every set of opt-ins is tried on
//! every cell: it comes up with exactly those that its table entry names, and with no fewer.

use std::{fmt::Write, time::Duration};

use pptp_mppe::{Arrival, KeyStrength, Order, StatefulReset};
use pptp_mschap::Password;
use pptp_packet::PacketBuf;

use super::wire::Wire;
use crate::{
    AuthenticationPolicy, AuthenticationProtocol, ClientConfig, Encryption, EncryptionDemand,
    EncryptionPolicy, Failure, Link, MppeBits, OnNak, Protocol, Received, ServerAuthentication,
    ServerConfig, ServerEncryption,
};

/// The allowances that a caller has to ask for by name
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OptIns {
    pap: bool,
    chap_md5: bool,
    mschap_v1: bool,
    least_key: KeyStrength,
    stateful: bool,
    clear: bool,
}

const NONE: OptIns = OptIns {
    pap: false,
    chap_md5: false,
    mschap_v1: false,
    least_key: KeyStrength::Bits128,
    stateful: false,
    clear: false,
};
const PAP: OptIns = OptIns { pap: true, ..NONE };
const CHAP_MD5: OptIns = OptIns { chap_md5: true, ..NONE };
const MSCHAP_V1: OptIns = OptIns { mschap_v1: true, ..NONE };

impl OptIns {
    /// Every set of them
    fn all() -> Vec<Self> {
        let strengths = [KeyStrength::Bits128, KeyStrength::Bits56, KeyStrength::Bits40];
        let flag = |bits: u8, bit: u8| bits & bit != 0;
        let of = |least_key, bits| Self {
            pap: flag(bits, 1),
            chap_md5: flag(bits, 2),
            mschap_v1: flag(bits, 4),
            least_key,
            stateful: flag(bits, 8),
            clear: flag(bits, 16),
        };
        strengths.into_iter().flat_map(|least| (0..32).map(move |bits| of(least, bits))).collect()
    }

    /// Returns true if these are all that `needed` are, and maybe more
    fn include(self, needed: Self) -> bool {
        self.pap >= needed.pap
            && self.chap_md5 >= needed.chap_md5
            && self.mschap_v1 >= needed.mschap_v1
            && self.least_key <= needed.least_key
            && self.stateful >= needed.stateful
            && self.clear >= needed.clear
    }

    /// Their names, as `TunnelConfig` has them
    fn names(self) -> String {
        let least = match self.least_key {
            KeyStrength::Bits128 => "",
            KeyStrength::Bits56 => "insecure_least_key(56)",
            KeyStrength::Bits40 => "insecure_least_key(40)",
        };
        let named = [
            (self.pap, "insecure_pap"),
            (self.chap_md5, "insecure_chap_md5"),
            (self.mschap_v1, "insecure_mschap_v1"),
            (!least.is_empty(), least),
            (self.stateful, "insecure_stateful_mppe"),
            (self.clear, "insecure_encryption"),
        ];
        let names: Vec<_> = named.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        if names.is_empty() { "by default".to_owned() } else { names.join(" + ") }
    }
}

/// The authentication of a server
#[derive(Clone, Copy, Debug)]
enum Row {
    Insists(AuthenticationProtocol),
    /// Asks for PAP and its own encryption first, and does as the client would rather have it
    Yields,
}

const ROWS: [(&str, Row, OptIns); 6] = [
    ("PAP", Row::Insists(AuthenticationProtocol::Pap), PAP),
    ("CHAP-MD5", Row::Insists(AuthenticationProtocol::ChapMd5), CHAP_MD5),
    ("MS-CHAPv1", Row::Insists(AuthenticationProtocol::MsChapV1), MSCHAP_V1),
    ("MS-CHAPv2", Row::Insists(AuthenticationProtocol::MsChapV2), NONE),
    ("EAP-MSCHAPv2", Row::Insists(AuthenticationProtocol::Eap), NONE),
    ("yields", Row::Yields, NONE),
];

/// A kind of encryption: what it takes beside the authentication, what it gives, and without opt-ins
/// why not
struct Column {
    name: &'static str,
    server: ServerEncryption,
    needs: OptIns,
    gives: Option<Encryption>,
    /// True if a server that yields encrypts as the client wants it
    has_better: bool,
    refused: fn() -> Option<Failure>,
}

const CLEAR: OptIns = OptIns { clear: true, ..NONE };
const KEY_40: OptIns = OptIns { least_key: KeyStrength::Bits40, ..NONE };
const KEY_56: OptIns = OptIns { least_key: KeyStrength::Bits56, ..NONE };
const STATEFUL: OptIns = OptIns { stateful: true, ..NONE };
const SAFE: Encryption = Encryption { strength: KeyStrength::Bits128, stateful: false };

const fn mppe(strength: KeyStrength, stateful: bool) -> Encryption {
    Encryption { strength, stateful }
}

fn unavailable(offered: Option<u32>) -> Failure {
    Failure::EncryptionUnavailable { offered: offered.map(MppeBits) }
}

const COLUMNS: [Column; 10] = [
    Column {
        name: "no CCP",
        server: ServerEncryption::NoCcp,
        needs: CLEAR,
        gives: None,
        has_better: false,
        refused: || Some(unavailable(None)),
    },
    Column {
        name: "silent",
        server: ServerEncryption::Silent,
        needs: CLEAR,
        gives: None,
        has_better: false,
        refused: || Some(Failure::NegotiationTimeout { protocol: Protocol::Ccp }),
    },
    Column {
        name: "rejected",
        server: ServerEncryption::None,
        needs: CLEAR,
        gives: None,
        has_better: false,
        refused: || Some(unavailable(None)),
    },
    Column {
        name: "40",
        server: ServerEncryption::Mppe40,
        needs: KEY_40,
        gives: Some(mppe(KeyStrength::Bits40, false)),
        has_better: true,
        refused: || Some(unavailable(Some(0x0100_0020))),
    },
    Column {
        name: "56",
        server: ServerEncryption::Mppe56,
        needs: KEY_56,
        gives: Some(mppe(KeyStrength::Bits56, false)),
        has_better: true,
        refused: || Some(unavailable(Some(0x0100_0080))),
    },
    Column {
        name: "128 stateful, Linux",
        server: ServerEncryption::Mppe128Stateful(StatefulReset::Linux),
        needs: STATEFUL,
        gives: Some(mppe(KeyStrength::Bits128, true)),
        has_better: true,
        refused: || Some(unavailable(Some(0x40))),
    },
    Column {
        name: "128 stateful, RFC",
        server: ServerEncryption::Mppe128Stateful(StatefulReset::Rfc),
        needs: STATEFUL,
        gives: Some(mppe(KeyStrength::Bits128, true)),
        has_better: true,
        refused: || Some(unavailable(Some(0x40))),
    },
    Column {
        name: "128 stateless",
        server: ServerEncryption::Mppe128,
        needs: NONE,
        gives: Some(SAFE),
        has_better: true,
        refused: || None,
    },
    Column {
        name: "zero bits",
        server: ServerEncryption::ZeroBits,
        needs: CLEAR,
        gives: None,
        has_better: true,
        refused: || Some(unavailable(Some(0))),
    },
    Column {
        name: "MPPC only",
        server: ServerEncryption::MppcOnly,
        needs: CLEAR,
        gives: None,
        has_better: true,
        refused: || Some(unavailable(Some(0x0100_0001))),
    },
];

/// Returns the options that this cell needs to come up; `None` if no option helps
fn needed(row: Row, of_row: OptIns, column: &Column) -> Option<OptIns> {
    match row {
        Row::Yields if column.has_better => Some(NONE),
        Row::Insists(AuthenticationProtocol::Pap | AuthenticationProtocol::ChapMd5)
            if column.gives.is_some() =>
        {
            None
        }
        _ => Some(OptIns {
            least_key: column.needs.least_key,
            stateful: column.needs.stateful,
            clear: column.needs.clear,
            ..of_row
        }),
    }
}

/// The reason why a cell does not come up without opt-ins
fn refused(row: Row, column: &Column) -> Option<Failure> {
    match row {
        Row::Insists(AuthenticationProtocol::MsChapV2 | AuthenticationProtocol::Eap) => {
            (column.refused)()
        }
        Row::Insists(offered) => Some(Failure::AuthProtocolRefused { offered: Some(offered) }),
        Row::Yields if column.has_better => None,
        Row::Yields => (column.refused)(),
    }
}

fn client(opt_ins: OptIns, reset: StatefulReset) -> Link {
    let demand =
        if opt_ins.clear { EncryptionDemand::InsecurePrefer } else { EncryptionDemand::Require };
    let config = ClientConfig {
        authentication: AuthenticationPolicy {
            insecure_mschap_v1: opt_ins.mschap_v1,
            insecure_chap_md5: opt_ins.chap_md5,
            insecure_pap: opt_ins.pap,
            ..AuthenticationPolicy::default()
        },
        encryption: EncryptionPolicy {
            demand,
            insecure_least_key: opt_ins.least_key,
            insecure_stateful: opt_ins.stateful.then_some(reset),
            insecure_stateful_first: false,
        },
        ..ClientConfig::new("testuser", Password::new("test123"))
    };
    Link::client(config, [1; 32])
}

fn server(row: Row, encryption: ServerEncryption) -> Link {
    let authentication = match row {
        Row::Insists(protocol) => ServerAuthentication::only(protocol),
        Row::Yields => ServerAuthentication {
            protocols: vec![AuthenticationProtocol::Pap, AuthenticationProtocol::MsChapV2],
            on_nak: OnNak::Yield,
            ..ServerAuthentication::default()
        },
    };
    let config = ServerConfig {
        secrets: vec![("testuser".to_owned(), Password::new("test123"))],
        authentication,
        encryption,
        encryption_yields: matches!(row, Row::Yields),
        ..ServerConfig::new([192, 168, 1, 1].into(), [192, 168, 1, 200].into())
    };
    Link::server(config, [2; 32])
}

fn reset_of(encryption: ServerEncryption) -> StatefulReset {
    match encryption {
        ServerEncryption::Mppe128Stateful(reset) => reset,
        _ => StatefulReset::Linux,
    }
}

/// The way in which a link came up, or the reason that it did not
type Outcome = Result<Option<Encryption>, Failure>;

fn dial(client: Link, server: Link) -> (Wire, Outcome) {
    let mut wire = Wire::new(client, server, Duration::from_millis(20));
    wire.connect().run_until_settled(Duration::from_mins(1));
    let outcome = match (wire.client.failure(), wire.client.up()) {
        (Some(failure), _) => Err(failure.clone()),
        (None, Some((_, negotiated))) => Ok(negotiated.encryption),
        (None, None) => panic!("neither up nor down\n{}", wire.ladder),
    };
    (wire, outcome)
}

/// An IPv4 header with a right checksum
const PACKET: [u8; 20] =
    [0x45, 0, 0, 0x14, 0, 0, 0, 0, 0x40, 1, 0x66, 0xE7, 0x0A, 0, 0, 1, 0x0A, 0, 0, 2];

/// A packet passes both ways, and on the way it is in the clear only if that was agreed on
pub(super) fn packets_pass(wire: &mut Wire, encryption: Option<Encryption>) {
    let Wire { client, server, now, .. } = wire;
    for sequence in 1000..1003 {
        let pass = |from: &mut Link, to: &mut Link| {
            let mut packet = PacketBuf::new();
            packet.reset(PACKET.len()).copy_from_slice(&PACKET);
            assert!(from.seal(&mut packet));
            let mut frame = packet.as_slice().to_vec();
            assert_eq!(frame.ends_with(&PACKET), encryption.is_none());
            let arrival = Arrival { sequence, order: Order::Ahead };
            let received = to.handle_frame(*now, arrival, &mut frame);
            assert_eq!(received, Received::Ip(&mut PACKET.clone()));
        };
        pass(&mut client.link, &mut server.link);
        pass(&mut server.link, &mut client.link);
    }
}

fn is_typed(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::AuthProtocolRefused { .. }
            | Failure::AuthProtocolWithoutKeys { .. }
            | Failure::EncryptionUnavailable { .. }
            | Failure::EncryptionDemanded { .. }
            | Failure::NegotiationTimeout { protocol: Protocol::Ccp }
    )
}

#[test]
fn exactly_two_cells_are_up_by_default_and_each_other_gives_its_reason() {
    let (mut up, mut table) = (Vec::new(), String::new());
    for (name, row, _) in ROWS {
        for column in &COLUMNS {
            let client = client(NONE, reset_of(column.server));
            let (mut wire, outcome) = dial(client, server(row, column.server));
            let said = outcome.as_ref().map_or_else(ToString::to_string, |it| {
                it.map_or_else(String::new, |it| it.to_string())
            });
            writeln!(table, "{name:12} x {:19}: {said}", column.name).unwrap();
            assert_eq!(outcome.clone().err(), refused(row, column), "{table}{}", wire.ladder);
            if let Ok(encryption) = outcome {
                assert_eq!(encryption, Some(SAFE), "{table}");
                packets_pass(&mut wire, encryption);
                up.push((name, column.name));
            }
        }
    }
    println!("{table}");
    let (insisting, yielding): (Vec<_>, Vec<_>) =
        up.into_iter().partition(|(row, _)| *row != "yields");
    assert_eq!(insisting, [("MS-CHAPv2", "128 stateless"), ("EAP-MSCHAPv2", "128 stateless")]);
    assert_eq!(yielding.len(), 7, "all that have something better: {yielding:?}");
}

#[test]
fn each_other_cell_comes_up_under_exactly_the_opt_ins_it_needs() {
    for (name, row, of_row) in ROWS {
        for column in &COLUMNS {
            let needed = needed(row, of_row, column);
            let told = needed.map_or_else(|| "never: no keys".to_owned(), OptIns::names);
            println!("{name:12} x {:19}: {told}", column.name);
            for opt_ins in OptIns::all() {
                let client = client(opt_ins, reset_of(column.server));
                let (mut wire, outcome) = dial(client, server(row, column.server));
                let is_enough = needed.is_some_and(|needed| opt_ins.include(needed));
                let cell = format!("{name} x {}, {}", column.name, opt_ins.names());
                assert_eq!(outcome.is_ok(), is_enough, "{cell}: {outcome:?}\n{}", wire.ladder);
                match outcome {
                    Ok(encryption) => {
                        check_strength(row, column, opt_ins, encryption);
                        packets_pass(&mut wire, encryption);
                    }
                    Err(failure) => assert!(is_typed(&failure), "{cell}: {failure}"),
                }
            }
        }
    }
}

/// A cell gives the encryption that its server insists on, or the best that server and policy have
fn check_strength(row: Row, column: &Column, opt_ins: OptIns, encryption: Option<Encryption>) {
    if matches!(row, Row::Insists(_)) {
        assert_eq!(encryption, column.gives, "{}", column.name);
    } else if column.has_better {
        let encryption = encryption.expect("encrypted, since the server yields");
        assert!(encryption.strength >= opt_ins.least_key, "{}: {encryption}", column.name);
        assert!(!encryption.stateful, "{}: stateless was asked for first", column.name);
    }
}

fn with_demand(demand: EncryptionDemand) -> Link {
    let mut config = ClientConfig::new("testuser", Password::new("test123"));
    config.encryption.demand = demand;
    Link::client(config, [1; 32])
}

const MS_CHAP_V2: Row = Row::Insists(AuthenticationProtocol::MsChapV2);

#[test]
fn allowed_encryption_is_what_the_server_asks_for() {
    for column in &COLUMNS {
        let client = with_demand(EncryptionDemand::InsecureAllow);
        let (mut wire, outcome) = dial(client, server(MS_CHAP_V2, column.server));
        println!("{:19}: {outcome:?}", column.name);
        match column.name {
            "40" | "56" | "128 stateful, Linux" | "128 stateful, RFC" => {
                assert_eq!(outcome.err(), (column.refused)(), "{}", wire.ladder);
            }
            _ => {
                assert_eq!(outcome, Ok(column.gives), "{}", wire.ladder);
                packets_pass(&mut wire, column.gives);
            }
        }
    }
}

#[test]
fn refused_encryption_is_told_to_the_server_as_a_protocol_it_does_not_know() {
    for column in &COLUMNS {
        let client = with_demand(EncryptionDemand::InsecureDeny);
        let (mut wire, outcome) = dial(client, server(MS_CHAP_V2, column.server));
        println!("{:19}: {outcome:?}", column.name);
        if column.gives.is_some() {
            let demanded = matches!(outcome, Err(Failure::EncryptionDemanded { offered: Some(_) }));
            assert!(demanded, "{outcome:?}\n{}", wire.ladder);
        } else {
            assert_eq!(outcome, Ok(None), "{}", wire.ladder);
            packets_pass(&mut wire, None);
        }
    }
}

/// Three requests, at 0, 3 and 6 s after the authentication, and three seconds more; what comes of
/// those that follow is taken up if anything does
#[test]
fn a_server_that_says_nothing_of_ccp_is_waited_for_for_nine_seconds() {
    let client = client(CLEAR, StatefulReset::Linux);
    let (wire, outcome) = dial(client, server(MS_CHAP_V2, ServerEncryption::Silent));
    assert_eq!(outcome, Ok(None));
    let (at, _) = wire.client.up().unwrap();
    assert!((9..10).contains(&at.as_secs()), "{at:?}\n{}", wire.ladder);
    assert_eq!(wire.ladder.matches("->     CCP  ConfigureRequest").count(), 4, "{}", wire.ladder);
}
