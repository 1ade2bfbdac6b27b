//! Many connects at once: `cargo bench --bench connect_storm`, as root

use pptp_benches::{connect_storm::figures, parts, print};

fn main() {
    if parts::play() {
        return;
    }
    print(&figures());
}
