//! What is left of a password in this process's memory once everything that knew it is dropped
//!
//! Alone in its program, since it reads the memory of the whole process.

#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    net::Ipv4Addr,
};

use pptp::{
    Client, Password, TunnelConfig,
    config::{AuthenticationProtocol, EncryptionDemand},
};
use pptp_testkit::{Server, ServerAuthentication, ServerEncryption, memory::Network};
use pptp_tests::client_at;
use tokio::runtime;

/// A password that is nowhere in memory: its octets are kept with all bits of [`MASK`] turned
struct Masked(Vec<u8>);

const MASK: u8 = 0x55;

impl Masked {
    fn random(length: usize) -> Self {
        Self((0..length).map(|_| (b'a' + rand::random::<u8>() % 26) ^ MASK).collect())
    }

    /// The password itself, in one piece of memory that does not grow
    fn text(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        text.extend(self.0.iter().map(|octet| char::from(octet ^ MASK)));
        text
    }

    /// The same in UTF-16, as MS-CHAP hashes it
    fn wide(&self) -> Self {
        Self(self.0.iter().flat_map(|octet| [*octet, MASK]).collect())
    }

    fn is_at(&self, memory: &[u8], place: usize) -> bool {
        let octets = memory.get(place..place + self.0.len());
        octets.is_some_and(|octets| octets.iter().zip(&self.0).all(|(a, b)| a ^ MASK == *b))
    }
}

/// How often each of these is found in the memory that this process may write
fn count(wanted: [&Masked; 2]) -> [usize; 2] {
    let maps = fs::read_to_string("/proc/self/maps").expect("Linux");
    let mut memory = File::open("/proc/self/mem").expect("our own");
    let mut buffer = vec![0; 1 << 16];
    let own = buffer.as_ptr() as usize;
    let own = own..own + buffer.len();
    let overlap = wanted.map(|wanted| wanted.0.len()).into_iter().max().unwrap_or_default();
    let mut found = [0; 2];
    for line in maps.lines().filter(|line| line.contains("rw-p")) {
        let (range, _) = line.split_once(' ').expect("a range");
        let (from, to) = range.split_once('-').expect("its ends");
        let end = |digits| usize::from_str_radix(digits, 16).expect("an address");
        let (mut at, to) = (end(from), end(to));
        while at < to {
            let length = buffer.len().min(to - at);
            let there = SeekFrom::Start(at as u64);
            let read = memory.seek(there).and_then(|_| memory.read_exact(&mut buffer[..length]));
            if read.is_err() {
                break;
            }
            // pieces overlap, so that nothing hides between them
            let is_last = at + length == to;
            let new = if is_last { length } else { length - overlap };
            for (place, octet) in buffer[..new].iter().enumerate() {
                // both begin with the same octet
                if *octet ^ MASK == wanted[0].0[0] && !own.contains(&(at + place)) {
                    for (found, wanted) in found.iter_mut().zip(wanted) {
                        *found += usize::from(wanted.is_at(&buffer[..length], place));
                    }
                }
            }
            at += new;
        }
    }
    // what was read is a copy as well
    buffer.fill(0);
    std::hint::black_box(&buffer);
    found
}

/// A connect with this password, and everything about it dropped again
fn connect(password: &Masked, protocol: AuthenticationProtocol) {
    let runtime = runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let network = Network::new(0);
        let (at, from) = (Ipv4Addr::new(10, 99, 0, 1), Ipv4Addr::new(10, 99, 0, 2));
        let builder = Server::builder(1)
            .secret("somebody", password.text())
            .authentication(ServerAuthentication::only(protocol))
            .encryption(ServerEncryption::None);
        let _server = builder.serve_memory(&network, at).expect("a free address");
        let client: Client = client_at(&network, from);
        let config = TunnelConfig::new(at.to_string(), "somebody", password.text())
            .flight_recorder(65_536)
            .insecure_pap()
            .insecure_chap_md5()
            .insecure_mschap_v1()
            .insecure_encryption(EncryptionDemand::InsecureAllow);
        let mut connecting = client.connect(config);
        let tunnel = (&mut connecting).await.expect("a tunnel");
        let record = tunnel.flight_record().pcapng();
        assert!((0..record.len()).all(|place| !password.is_at(&record, place)), "{protocol:?}");
        tunnel.close().await;
        drop((connecting, tunnel));
        client.wait_idle().await;
    });
}

fn assert_found_where_it_is() {
    let password = Masked::random(24);
    let held = Password::from(password.text());
    let units = password.0.iter().map(|octet| u16::from(octet ^ MASK)).collect::<Vec<_>>();
    assert_eq!(count([&password, &password.wide()]), [1, 1], "{} units", units.len());
    drop(held);
    assert_eq!(count([&password, &password.wide()]), [0, 1], "{} units", units.len());
}

#[test]
fn nothing_is_left_of_a_password_once_everything_is_dropped() {
    use AuthenticationProtocol::{ChapMd5, MsChapV1, MsChapV2, Pap};
    assert_found_where_it_is();
    // the longest that a PAP request can hold is among them: buffers that grow leave copies behind
    for (length, protocol) in
        [(24, MsChapV2), (200, MsChapV2), (24, MsChapV1), (24, ChapMd5), (24, Pap), (200, Pap)]
    {
        let password = Masked::random(length);
        let wide = password.wide();
        connect(&password, protocol);
        assert_eq!(count([&password, &wide]), [0, 0], "of {length} characters, {protocol:?}");
    }
}
