//! Who gets how much of a line: `cargo bench --bench fairness`

use pptp_benches::{fairness::figures, print};

fn main() {
    print(&figures());
}
