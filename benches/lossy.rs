//! Uploads over lines that lose packets: `cargo bench --bench lossy`, in memory
//!
//! `cargo bench --bench lossy -- lab` against Linux, in a lab of its own: twenty minutes, as root.

use pptp_benches::{lossy, lossy_lab, process};

fn main() {
    if process::play() {
        return;
    }
    let in_lab = std::env::args().any(|word| word == "lab");
    for figure in if in_lab { lossy_lab::figures() } else { lossy::figures() } {
        println!("{figure}\t{}", figure.detail);
    }
}
