//! Cuts captures into seeds
//!
//! `cut OUTSIDE.pcap INSIDE… SEEDS` reads a capture of the lab's wire, as tcpdump writes it, and those
//! of the tunnels' insides that `dial` wrote, and writes a file for each control connection and target
//! below `SEEDS`. What is no capture, such as scripts of time and loss, is composed here too.

mod captures;
mod composed;

use std::{collections::BTreeMap, env, error::Error, fs, path::Path};

use pptp::record::RecordKind;
use pptp_fuzz_targets::{client, gre, link, mppe, netstack, record::Recorded, script::Writer};
use pptp_gre::Header;
use pptp_mschap::{Password, PasswordEncoding, Side};
use pptp_ppp::frame;

use crate::captures::{read_pcap, read_pcapng};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [outside, insides @ .., seeds] = arguments.as_slice() else {
        return Err("cut OUTSIDE.pcap INSIDE… SEEDS".into());
    };
    let seeds = Seeds(Path::new(seeds));
    for (name, dialogue) in dialogues(&read_pcap(Path::new(outside))?) {
        dialogue.cut(&seeds, &name)?;
    }
    for inside in insides {
        let path = Path::new(inside);
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        seeds.inside(&short(&name), &read_pcapng(path)?)?;
    }
    seeds.composed()
}

/// The folder of all seeds
struct Seeds<'a>(&'a Path);

/// All that two hosts said to each other outside, in order
#[derive(Default)]
struct Dialogue {
    /// From the server, octets of TCP, in order
    control: Vec<u8>,
    /// Everything, as it came: whether the server said it, and what
    said: Vec<(bool, Said)>,
    /// Beyond those that were resent
    next: BTreeMap<bool, u32>,
}

enum Said {
    Control(Vec<u8>),
    Gre(Vec<u8>),
}

/// What is in the GRE of a dialogue: number, protocol, what is behind it
struct Spoken {
    by_server: bool,
    sequence: u32,
    protocol: u16,
    information: Vec<u8>,
}

/// By control connection: the server's last octet, and which of the connections to it
fn dialogues(packets: &[Vec<u8>]) -> BTreeMap<String, Dialogue> {
    let mut dialogues: BTreeMap<String, Dialogue> = BTreeMap::new();
    let mut connections: BTreeMap<u8, Vec<u16>> = BTreeMap::new();
    for packet in packets {
        let header = usize::from(packet[0] & 0xF) * 4;
        let total = usize::from(u16::from_be_bytes([packet[2], packet[3]])).min(packet.len());
        let by_server = packet[15] != CLIENT;
        let server = if by_server { packet[15] } else { packet[19] };
        let payload = &packet[header..total];
        let known = connections.entry(server).or_default();
        if packet[9] == 6 {
            let port = if by_server { &payload[2..4] } else { &payload[..2] };
            let port = u16::from_be_bytes([port[0], port[1]]);
            if known.last() != Some(&port) && !known.contains(&port) {
                known.push(port);
            }
        }
        let dialogue = dialogues.entry(format!("{server}-{}", known.len())).or_default();
        match packet[9] {
            6 => dialogue.segment(by_server, payload),
            _ => dialogue.said.push((by_server, Said::Gre(payload.to_vec()))),
        }
    }
    dialogues
}

impl Dialogue {
    /// Takes what is new in a TCP segment
    fn segment(&mut self, by_server: bool, segment: &[u8]) {
        let sequence = u32::from_be_bytes([segment[4], segment[5], segment[6], segment[7]]);
        let octets = &segment[usize::from(segment[12] >> 4) * 4..];
        let next = self.next.entry(by_server).or_insert(sequence);
        if segment[13] & SYN != 0 {
            *next = sequence.wrapping_add(1);
        } else if *next == sequence && !octets.is_empty() {
            *next = sequence.wrapping_add(u32::try_from(octets.len()).unwrap_or_default());
            if by_server {
                self.control.extend_from_slice(octets);
            }
            self.said.push((by_server, Said::Control(octets.to_vec())));
        }
    }

    fn cut(&self, seeds: &Seeds<'_>, name: &str) -> Outcome<()> {
        seeds.write("control", name, &self.control)?;
        self.cut_gre(seeds, name)?;
        self.cut_client(seeds, name)?;
        self.cut_record(seeds, name)?;
        let spoken = self.spoken();
        for (target, protocols) in LINKS {
            cut_link(seeds, target, protocols, name, &spoken)?;
        }
        cut_failures(seeds, name, &spoken)?;
        cut_mppe(seeds, name, &spoken)
    }

    fn cut_gre(&self, seeds: &Seeds<'_>, name: &str) -> Outcome<()> {
        let mut writer = Writer::default();
        for datagram in self.gre(true).take(24) {
            gre::Step::datagram(&mut writer, datagram);
        }
        seeds.write("gre", name, &writer.0)
    }

    fn gre(&self, by_server: bool) -> impl Iterator<Item = &Vec<u8>> {
        self.said.iter().filter_map(move |(by, said)| match said {
            Said::Gre(datagram) if *by == by_server => Some(datagram),
            _ => None,
        })
    }

    /// What the server said, to a client alone with it
    fn cut_client(&self, seeds: &Seeds<'_>, name: &str) -> Outcome<()> {
        let mut writer = Writer::default();
        writer.raw(&link::Setting::octets(0, 0, true)).raw(&[client::Setting::octet(false, false)]);
        for (_, said) in self.said.iter().filter(|(by_server, _)| *by_server).take(40) {
            match said {
                Said::Control(octets) => client::Step::control(&mut writer, octets),
                Said::Gre(datagram) => {
                    let mut datagram = datagram.clone();
                    datagram[6..8].copy_from_slice(&client::CALL_ID.to_be_bytes());
                    client::Step::gre(&mut writer, &datagram);
                }
            }
        }
        seeds.write("client", name, &writer.0)
    }

    fn cut_record(&self, seeds: &Seeds<'_>, name: &str) -> Outcome<()> {
        let mut writer = Writer::default();
        for (place, (by_server, said)) in self.said.iter().enumerate().take(24) {
            let at = std::time::Duration::from_millis(u64::try_from(place)?);
            let (kind, sequence, octets) = match said {
                Said::Control(octets) if *by_server => {
                    (RecordKind::ControlReceived, 0, octets.clone())
                }
                Said::Control(octets) => (RecordKind::ControlSent, 0, octets.clone()),
                Said::Gre(datagram) => {
                    let Ok((header, payload)) = Header::parse(datagram) else { continue };
                    let kind =
                        if *by_server { RecordKind::FrameReceived } else { RecordKind::FrameSent };
                    (kind, header.sequence.unwrap_or_default(), datagram[payload].to_vec())
                }
            };
            Recorded::write(&mut writer, at, kind, sequence, &octets);
        }
        seeds.write("record", name, &writer.0)
    }

    fn spoken(&self) -> Vec<Spoken> {
        let mut all = Vec::new();
        for (by_server, said) in &self.said {
            let Said::Gre(datagram) = said else { continue };
            let Ok((header, payload)) = Header::parse(datagram) else { continue };
            let mut octets = datagram[payload].to_vec();
            let Ok((protocol, information)) = frame::parse(&mut octets) else { continue };
            let (information, sequence) = (information.to_vec(), header.sequence);
            let sequence = sequence.unwrap_or_default();
            all.push(Spoken { by_server: *by_server, sequence, protocol, information });
        }
        all
    }
}

/// The targets of a link, and whose packets are theirs
const LINKS: [(&str, &[u16]); 6] = [
    ("lcp", &[frame::LCP]),
    ("auth", &[frame::PAP, frame::CHAP]),
    ("eap", &[frame::CHAP]),
    ("ccp", &[frame::CCP]),
    ("ipcp", &[frame::IPCP]),
    ("ipv6cp", &[frame::IPV6CP]),
];

/// What the server said in a protocol; EAP, which pppd has not, is MS-CHAPv2 in its envelope
fn cut_link(
    seeds: &Seeds<'_>,
    target: &str,
    protocols: &[u16],
    name: &str,
    spoken: &[Spoken],
) -> Outcome<()> {
    let mut writer = Writer::default();
    let (mut authentication, mut any) = (0, false);
    let mut packets = Writer::default();
    for said in spoken.iter().filter(|it| it.by_server && protocols.contains(&it.protocol)) {
        let mut packet = said.information.clone();
        authentication = if said.protocol == frame::PAP { 3 } else { authentication };
        if target == "eap" {
            let length = u16::try_from(packet.len() + 5)?.to_be_bytes();
            packet = [&[1, packet[1], length[0], length[1], 26][..], &packet].concat();
        }
        match packet.first() {
            Some(2..=4) => link::Step::same(&mut packets, &packet),
            _ => link::Step::packet(&mut packets, &packet),
        }
        any = true;
    }
    if !any {
        return Ok(());
    }
    writer.raw(&link::Setting::octets(authentication, 0, true)).raw(&packets.0);
    seeds.write(target, name, &writer.0)
}

/// The texts of Success and Failure
fn cut_failures(seeds: &Seeds<'_>, name: &str, spoken: &[Spoken]) -> Outcome<()> {
    let chap = spoken.iter().filter(|it| it.by_server && it.protocol == frame::CHAP);
    for said in chap.filter(|it| matches!(it.information.first(), Some(3 | 4))) {
        seeds.write("failure", name, said.information.get(4..).unwrap_or_default())?;
    }
    Ok(())
}

/// What the server encrypted, with the key that the capture's own MS-CHAPv2 leads to
fn cut_mppe(seeds: &Seeds<'_>, name: &str, spoken: &[Spoken]) -> Outcome<()> {
    let response = spoken.iter().find_map(|it| {
        let is_response = !it.by_server
            && it.protocol == frame::CHAP
            && it.information.first() == Some(&2)
            && it.information.get(4) == Some(&49);
        is_response.then(|| it.information.get(29..53)?.try_into().ok()).flatten()
    });
    let bits = spoken.iter().rev().find_map(|it| {
        let is_ack =
            !it.by_server && it.protocol == frame::CCP && it.information.first() == Some(&2);
        is_ack.then(|| it.information.get(6..10).map(<[u8]>::to_vec)).flatten()
    });
    let (Some(response), Some(bits)) = (response, bits) else { return Ok(()) };
    let hash = Password::new(PASSWORD).nt_hash(PasswordEncoding::default());
    let keys = pptp_mschap::master_key(&hash, &response).start_keys(Side::Client);
    let is_stateless = bits[0] & 1 == 1;
    let strength = match bits[3] {
        0x40 => 0,
        0x80 => 1,
        _ => 2,
    };
    let mut writer = Writer::default();
    writer.raw(&[strength]).raw(keys.receive.as_bytes());
    let frames = spoken.iter().filter(|it| it.by_server && it.protocol == frame::MPPE);
    for said in frames.take(12) {
        mppe::Step::raw(&mut writer, said.sequence, &said.information);
    }
    let target = if is_stateless { "mppe_stateless" } else { "mppe_stateful" };
    seeds.write(target, name, &writer.0)
}

impl Seeds<'_> {
    fn write(&self, target: &str, name: &str, octets: &[u8]) -> Outcome<()> {
        if octets.is_empty() {
            return Ok(());
        }
        let folder = self.0.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), octets)?;
        Ok(())
    }

    /// What came out of a tunnel
    fn inside(&self, name: &str, packets: &[(bool, Vec<u8>)]) -> Outcome<()> {
        let mut writer = Writer::default();
        writer.raw(&[EVERYBODY]);
        for (_, packet) in packets.iter().filter(|(is_inbound, _)| *is_inbound) {
            netstack::Step::packet(&mut writer, packet);
        }
        self.write("netstack", name, &writer.0)
    }
}

/// A file's name without what all of them begin with
fn short(name: &str) -> String {
    name.rsplit('.').next().unwrap_or(name).to_owned()
}

/// All users of a stack's sockets
const EVERYBODY: u8 = 0xFF;
/// The last octet of our address in the lab
const CLIENT: u8 = 1;
/// The lab's password, which is no secret
const PASSWORD: &str = "test123";
const SYN: u8 = 0x02;
