//! Who gets how much of a line: `cargo bench --bench fairness`

use pptp_benches::fairness::figures;

fn main() {
    for figure in figures() {
        println!("{figure}\t{}", figure.detail);
    }
}
