//! The cipher against the `rc4` crate and against OpenSSL's assembler

use std::{array::from_fn, hint::black_box, process::Command};

use pptp_mppe::{Encryptor, KeyStrength, bench::Rc4};
use rc4::{KeyInit, StreamCipher};
use sha1::{Digest, Sha1};

use crate::{
    Figure, Goal,
    measure::{Ratio, Rounds, median, ratio},
};

/// Octets enciphered at once where only the keystream counts, as in `openssl speed`
const BULK: u16 = 16_384;

fn bulk() -> Vec<u8> {
    vec![0; BULK.into()]
}

/// All figures of the cipher
pub fn figures() -> Vec<Figure> {
    let mut figures = vec![
        against_crate("mppe/keystream", 2.0, keystream()),
        against_crate("mppe/key-schedule", 1.2, key_schedule()),
        against_crate("mppe/packet-1400", 1.8, packet(1400)),
        against_crate("mppe/packet-64", 1.55, packet(64)),
    ];
    match openssl() {
        Some(figure) => figures.push(figure),
        None => eprintln!("mppe/keystream-openssl: there is no openssl with RC4 here"),
    }
    figures
}

/// The bound of a packet: what it takes with the `rc4` crate and `sha1`'s digest
///
/// Both wipe their state, as ours does.
#[derive(Clone, Copy, Debug)]
pub struct CrateEncryptor {
    start: [u8; 16],
    key: [u8; 16],
}

impl CrateEncryptor {
    /// A stateless session of 128 bits
    pub fn new(start_key: [u8; 16]) -> Self {
        let unkeyed = Self { start: start_key, key: start_key };
        Self { key: unkeyed.digest(), ..unkeyed }
    }

    /// Enciphers the next packet in place
    pub fn seal(&mut self, inner: &mut [u8]) {
        let interim = self.digest();
        self.key = interim;
        schedule(&interim).apply_keystream(&mut self.key);
        schedule(&self.key).apply_keystream(inner);
    }

    fn digest(&self) -> [u8; 16] {
        let pieces: [&[u8]; 4] = [&self.start, &[0x00; 40], &self.key, &[0xF2; 40]];
        let digest = pieces.iter().fold(Sha1::new(), Sha1::chain_update).finalize();
        from_fn(|n| digest[n])
    }
}

/// The quickest way to key that crate's cipher
fn schedule(key: &[u8; 16]) -> rc4::Rc4 {
    rc4::Rc4::new(&from_fn(|n| key[n % 16]).into())
}

fn keystream() -> Ratio {
    let mut theirs = schedule(&KEY);
    let (mut a, mut b) = (bulk(), bulk());
    let theirs = || theirs.apply_keystream(black_box(&mut b));
    Rc4::with(&KEY, |mut ours| ratio(|| ours.apply(black_box(&mut a)), theirs))
}

/// With a new key each time, else the processor learns which way it goes
fn key_schedule() -> Ratio {
    let keys = || {
        let mut key = u128::from_le_bytes(KEY);
        move || {
            key = key.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(1);
            key.to_le_bytes()
        }
    };
    let (mut ours, mut theirs) = (keys(), keys());
    let ours = || Rc4::with(&ours(), |cipher| _ = black_box(cipher));
    ratio(ours, || _ = black_box(schedule(&theirs())))
}

/// Key change, key schedule and keystream of packets of that many octets
fn packet(length: usize) -> Ratio {
    let mut ours = Encryptor::stateless(&KEY, KeyStrength::Bits128);
    let mut theirs = CrateEncryptor::new(KEY);
    let (mut a, mut b) = (vec![0; length], vec![0; length]);
    let ours = || _ = ours.seal(black_box(&mut a));
    ratio(ours, || theirs.seal(black_box(&mut b)))
}

fn against_crate(name: &'static str, goal: f64, Ratio { ratio, a, b }: Ratio) -> Figure {
    let detail = format!("{:.0} ns, with the rc4 crate {:.0} ns", a * 1e9, b * 1e9);
    Figure { name, value: ratio, goal: Goal::AtLeast(goal), detail }
}

/// `None` where there is no OpenSSL, or it has no RC4
fn openssl() -> Option<Figure> {
    let rounds: Option<Vec<_>> = (0..5).map(|_| Some((speed(), openssl_speed()?))).collect();
    let (ours, theirs): (Vec<_>, Vec<_>) = rounds?.into_iter().unzip();
    let value = median(ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect());
    let (ours, theirs) = (median(ours) / 1e6, median(theirs) / 1e6);
    let detail = format!("{ours:.0} MB/s, OpenSSL {theirs:.0} MB/s");
    Some(Figure { name: "mppe/keystream-openssl", value, goal: Goal::AtLeast(0.85), detail })
}

/// Octets per second of CPU time
fn speed() -> f64 {
    let mut octets = bulk();
    let rounds = Rounds::default();
    let time = Rc4::with(&KEY, |mut cipher| rounds.time(|| cipher.apply(black_box(&mut octets))));
    f64::from(BULK) / time
}

/// Octets per second of CPU time
fn openssl_speed() -> Option<f64> {
    const ARGUMENTS: &str =
        "speed -mr -seconds 1 -bytes 16384 -provider legacy -provider default -evp rc4";
    let output = Command::new("openssl").args(ARGUMENTS.split(' ')).output().ok()?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = output.lines().find(|line| line.starts_with("+F:"))?;
    line.rsplit(':').next()?.parse().ok()
}

const KEY: [u8; 16] = *b"0123456789abcdef";
