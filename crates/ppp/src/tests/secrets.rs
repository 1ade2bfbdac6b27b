//! The output of `Debug` while a login is under way

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use pptp_mschap::Password;

use super::wire::Wire;
use crate::{
    AuthenticationPolicy,
    AuthenticationProtocol::{self, ChapMd5, Eap, MsChapV1, MsChapV2, Pap},
    ClientConfig, EncryptionDemand, Event, Link, Phase, ServerAuthentication, ServerConfig,
    wire::{
        frame,
        packet::{ChapValue, Packet},
    },
};

const PASSWORD: &str = "correct horse";

/// Turns of either end that are looked at; a login is over after half of them
const STEPS: usize = 24;

/// A client that agrees to everything, and a server that wants this protocol
fn wire(protocol: AuthenticationProtocol) -> Wire {
    let mut config = ClientConfig::new("testuser", Password::new(PASSWORD));
    config.authentication = AuthenticationPolicy {
        eap: true,
        insecure_mschap_v1: true,
        insecure_chap_md5: true,
        insecure_pap: true,
        accept_first_offer: false,
    };
    config.encryption.demand = EncryptionDemand::InsecureAllow;
    let server = ServerConfig {
        secrets: vec![("testuser".to_owned(), Password::new(PASSWORD))],
        authentication: ServerAuthentication::only(protocol),
        ..ServerConfig::new([192, 168, 1, 1].into(), [192, 168, 1, 200].into())
    };
    let (client, server) = (Link::client(config, [1; 32]), Link::server(server, [2; 32]));
    Wire::new(client, server, Duration::from_millis(20))
}

/// Returns the part of a control frame that belongs to a login: a challenge, a response, a proof, a password
fn login_octets(frame: &[u8]) -> Option<Vec<u8>> {
    let mut frame = frame.to_vec();
    let (protocol, information) = frame::parse(&mut frame).ok()?;
    let packet = Packet::parse(information).ok()?;
    let is_long = |octets: &Vec<u8>| octets.len() >= 8;
    let chap = |packet: Packet<'_>| match packet.code {
        1 | 2 => Some(ChapValue::parse(packet.data).ok()?.value.to_vec()),
        3 | 4 => Some(packet.data.to_vec()),
        _ => None,
    };
    match protocol {
        frame::PAP if packet.code == 1 => Some(PASSWORD.as_bytes().to_vec()),
        frame::CHAP => chap(packet),
        frame::EAP => match packet.data {
            [26, inner @ ..] => chap(Packet::parse(inner).ok()?),
            _ => None,
        },
        _ => None,
    }
    .filter(is_long)
}

/// Returns true if `told` has eight of these octets in a row, in whatever way `Debug` may write them
///
/// Looked for at each eighth octet: what is told is told whole.
fn tells(told: &str, octets: &[u8]) -> bool {
    let told = told.to_lowercase();
    let dense = told.split_whitespace().collect::<String>();
    octets.chunks_exact(8).any(|part| {
        let list = |write: fn(&u8) -> String, between| {
            part.iter().map(write).collect::<Vec<_>>().join(between)
        };
        dense.contains(&list(|octet| format!("{octet}"), ","))
            || dense.contains(&list(|octet| format!("0x{octet:02x}"), ","))
            || dense.contains(&list(|octet| format!("{octet:02x}"), ","))
            || dense.contains(&list(|octet| format!("{octet:02x}"), ""))
            || told.contains(&String::from_utf8_lossy(part).to_lowercase())
            || told.contains(&part.escape_ascii().to_string().to_lowercase())
    })
}

#[test]
fn octets_are_found_in_whatever_way_they_are_told() {
    let octets = *b"\x00\x01\xFFcorrect horse";
    let (boxed, text) = (octets.to_vec().into_boxed_slice(), String::from_utf8_lossy(&octets));
    for told in [
        format!("{octets:?}"),
        format!("{octets:#?}"),
        format!("{octets:02x?}"),
        format!("{boxed:#04X?}"),
        format!("{:?}", Some(&boxed)),
        format!("{:?}", octets.escape_ascii().to_string()),
        text.into_owned(),
        boxed.iter().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().concat(),
    ] {
        assert!(tells(&told, &octets), "{told}");
    }
    assert!(!tells("[16 octets] 1, 2, 3", &octets));
}

#[test]
fn nothing_of_a_login_is_told() {
    for protocol in [Pap, ChapMd5, MsChapV1, MsChapV2, Eap] {
        let mut wire = wire(protocol);
        let mut login = BTreeSet::from([PASSWORD.as_bytes().to_vec()]);
        let (mut states, mut seen) = (BTreeSet::new(), 0);
        wire.connect();
        for _ in 0..STEPS {
            let frames = wire.client.frames().chain(wire.server.frames());
            let of_login = frames.filter_map(login_octets).collect::<Vec<_>>();
            seen += of_login.len();
            login.extend(of_login);
            // before the frames are collected, and so with what waits to be sent
            wire.step(|wire| {
                for end in [&wire.client, &wire.server] {
                    states.insert(end.link.details());
                    states.insert(format!("{:?} {:#?} {:?}", end.link, end.link, end.events));
                }
            });
        }
        let network =
            (wire.client.events.iter()).any(|(_, event)| *event == Event::Phase(Phase::Network));
        assert!(network && seen >= 1, "{protocol:?} did not log in:\n{}", wire.ladder);
        for (state, octets) in
            states.iter().flat_map(|it| login.iter().map(move |octets| (it, octets)))
        {
            assert!(!tells(state, octets), "{protocol:?} tells {octets:02x?}:\n{state}");
        }
        let link = format!("{:#?}", wire.client.link);
        assert!(link.len() < 200 && link.lines().count() == 1, "{link}");
    }
}

/// A type that holds a login's octets has them in a `Redacted` field, if it derives `Debug`
#[test]
fn no_type_of_a_login_derives_debug_over_its_octets() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = ["authentication", "server/authentication"].map(|folder| source.join(folder));
    let files = ["context/mod.rs", "machine/early.rs", "wire/authentication.rs"];
    let mut files = files.map(|file| source.join(file)).to_vec();
    for folder in folders {
        files.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    let mut seen = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (_, item) in text.match_indices("#[derive(").map(|(at, _)| text.split_at(at)) {
            let (derived, item) = item.split_once(']').unwrap();
            let end = item.find("\n}").unwrap_or(item.len());
            let fields = item[..end].lines().filter(|line| line.contains(": "));
            for field in fields.filter(|_| derived.contains("Debug")) {
                seen += 1;
                let is_octets = field.contains("[u8") || field.contains("Vec<u8>");
                let is_open = OPEN.iter().any(|open| field.contains(open));
                let is_fine = field.contains("Redacted<") || is_open;
                assert!(is_fine || !is_octets, "{}: {field}", file.display());
            }
        }
    }
    assert!(seen > 40, "{seen} fields");
}

/// Numbers of EAP methods, and a user's name
const OPEN: [&str; 2] = [" proposals: Vec<u8>", " expired: Option<Vec<u8>>"];
