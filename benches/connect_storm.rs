//! Many connects at once: `cargo bench --bench connect_storm`, as root

use pptp_benches::{connect_storm::figures, process};

fn main() {
    if process::play() {
        return;
    }
    for figure in figures() {
        println!("{figure}\t{}", figure.detail);
    }
}
