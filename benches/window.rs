//! How large buffers have to be: `cargo bench --bench window`

use pptp_benches::window::figures;

fn main() {
    for figure in figures() {
        println!("{figure}\t{}", figure.detail);
    }
}
