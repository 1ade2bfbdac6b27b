//! The client over raw sockets: `cargo bench --bench raw_path`, as root

use pptp_benches::{print, raw_path::figures};

fn main() {
    print(&figures());
}
