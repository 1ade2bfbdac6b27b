//! Tunnels that do nothing: `cargo bench --bench idle`, as root

use pptp_benches::{idle::figures, parts, print};

fn main() {
    if parts::play() {
        return;
    }
    print(&figures());
}
