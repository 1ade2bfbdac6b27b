//! How large buffers have to be: `cargo bench --bench window`

use pptp_benches::{print, window::figures};

fn main() {
    print(&figures());
}
