//! A client's link, brought to a phase by a server that behaves, and then spoken to by a script
//!
//! What holds in all targets that use it:
//!
//! - no IP packet in the clear is taken or sent once MPPE is required, and it is required by the
//!   policy, or for good once the link was encrypted;
//! - a link that comes up has what its policy asks for, and no less;
//! - there is a deadline until the link has ended, it lies ahead, and silence ends the link;
//! - what the link holds on the heap is within its cap;
//! - a link that has ended says that once, and nothing afterwards.

mod bench;
mod said;
mod server;
mod setting;
mod step;
mod told;

use self::bench::Bench;
pub use self::{
    setting::{PASSWORD, Reach, Setting, Spoken},
    step::Step,
};
use crate::script::Script;

/// Runs a script: a [`Setting`], then [`Step`]s
pub fn run(data: &[u8], reach: Reach, spoken: Spoken) {
    let mut script = Script::new(data);
    let setting = Setting::new(script.array(), spoken);
    let mut bench = Bench::new(setting, reach);
    for step in script.steps(MOST_STEPS) {
        bench.take(&step);
        bench.settle();
    }
    bench.end();
}

const MOST_STEPS: usize = 128;
