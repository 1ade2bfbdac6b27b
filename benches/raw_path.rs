//! The client over raw sockets: `cargo bench --bench raw_path`, as root

use pptp_benches::raw_path::figures;

fn main() {
    for figure in figures() {
        println!("{figure}\t{}", figure.detail);
    }
}
