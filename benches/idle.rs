//! Tunnels that do nothing: `cargo bench --bench idle`, as root

use pptp_benches::{idle::figures, process};

fn main() {
    if process::play() {
        return;
    }
    for figure in figures() {
        println!("{figure}\t{}", figure.detail);
    }
}
