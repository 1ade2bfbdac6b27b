//! Acknowledgments and wakes for what comes together: `cargo bench --bench batches`

use pptp_benches::batches::figures;

fn main() {
    for figure in figures() {
        println!("{figure}\t{}", figure.detail);
    }
}
