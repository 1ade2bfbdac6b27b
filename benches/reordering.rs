//! Goodput of a line that reorders: `cargo bench --bench reordering`

use pptp_benches::reordering::figures;

fn main() {
    for figure in figures() {
        println!("{figure}\t{}", figure.detail);
    }
}
