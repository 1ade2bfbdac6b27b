//! Acknowledgments and wakes for what comes together: `cargo bench --bench batches`

use pptp_benches::{batches::figures, print};

fn main() {
    print(&figures());
}
