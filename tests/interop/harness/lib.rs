//! What the interop tests stand on: the lab with its real servers, and a test runner that starts it.
//!
//! A run goes through two processes. The first, [`run()`] as `cargo test` starts it, checks that
//! everything needed is there, builds the examples, brings the lab up, and starts the same program
//! again inside the lab's network namespace. The second runs the trials, so that the library under
//! test is called in the very process that reports. The first takes the lab down, whatever happened.
//!
//! Without `PPTP_INTEROP=1` in the environment nothing is started and every trial is ignored. With it
//! whatever is missing is a failure.

mod capture;
mod dial;
mod end;
mod fault;
mod http;
mod lab;
mod network;
mod program;
mod resolver;
mod run;
mod soak;
mod transfer;
mod trial;

pub use capture::{Capture, Recording};
pub use dial::{config, dial, dial_with};
pub use end::{End, detection};
pub use fault::{Mortal, Moved, Pause, Process, Unplugged, WithoutEchoes};
pub use http::get;
pub use lab::{Building, DEVICE, Delay, Journal, Lab, PASSWORD, ROUTER, USER};
pub use network::{Nft, Route, Way};
pub use program::{Example, Finished, Program};
pub use resolver::Resolver;
pub use run::{Stage, run};
pub use soak::Soak;
pub use transfer::{SIXTEEN_MEBIBYTES, Transfer};
pub use trial::{Outcome, trial, trial_beside, trial_within};

use sha2::{Digest, Sha256};

/// The 16 MiB that a building serves at `http://192.168.1.3/16M`, other octets in each building.
pub fn download(building: u32) -> Vec<u8> {
    patterned(&format!("building {building}"))
}

/// 16 MiB to send to a building, other octets for each building and other than it serves.
pub fn upload(building: u32) -> Vec<u8> {
    patterned(&format!("upload to building {building}"))
}

/// The SHA-256 of `octets` in lower-case hexadecimal, as the buildings' devices write it.
pub fn sha256(octets: &[u8]) -> String {
    let nibble = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    Sha256::digest(octets)
        .iter()
        .flat_map(|octet| [nibble(octet >> 4), nibble(octet & 15)])
        .collect()
}

/// 256 blocks of 64 KiB, no two alike: a line that names the block, padded and repeated.
fn patterned(name: &str) -> Vec<u8> {
    let block = |index: u32| {
        let mut line = format!("{name} block {index}\n").into_bytes();
        line.resize(64, b'.');
        line.repeat(1024)
    };
    // joined by the block: octet by octet takes a second of a thread of the driver's in a build for tests
    (0..256).map(block).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_sixteen_mebibytes_and_differs_between_buildings() {
        let (first, second) = (download(1), download(2));
        assert_eq!(first.len(), 16 << 20);
        assert!(first.starts_with(b"building 1 block 0\n..."));
        assert!(
            first.chunks(1 << 16).zip(second.chunks(1 << 16)).all(|(ours, theirs)| ours != theirs)
        );
    }

    #[test]
    fn a_digest_is_written_as_the_device_writes_it() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
    }
}
