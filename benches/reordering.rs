//! Goodput of a line that reorders: `cargo bench --bench reordering`

use pptp_benches::{print, reordering::figures};

fn main() {
    print(&figures());
}
