//! Uploads over lines that lose packets: `cargo bench --bench lossy`, in memory
//!
//! `cargo bench --bench lossy -- lab` against Linux, in a lab of its own: twenty-two minutes, as root;
//! `-- bottlenecks` the last nine of them.

use pptp_benches::{lossy, lossy_lab, parts, print};

fn main() {
    if parts::play() {
        return;
    }
    let asks = |what: &str| std::env::args().any(|word| word == what);
    let figures = if asks("lab") {
        lossy_lab::figures()
    } else if asks("bottlenecks") {
        lossy_lab::bottlenecks()
    } else {
        lossy::figures()
    };
    print(&figures);
}
