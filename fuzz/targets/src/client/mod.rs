//! The whole client without its sockets
//!
//! A [`Tunnel`](pptp_tunnel::Tunnel) stands between lines that lose, double, delay and forge.
//!
//! Either a server that behaves is at the other end, and the script comes on top of what it says, or
//! there is none, and the script is all that the client hears.

mod checked;
mod line;
mod records;
mod secrecy;
mod server;
mod setting;
mod step;
mod world;

use self::world::World;
pub use self::{checked::CALL_ID, setting::Setting, step::Step};
use crate::script::Script;

/// A [`Setting`], then a script of [`Step`]s
///
/// Holds: no IP packet in the clear comes up or goes out once MPPE is required; what comes up keeps to
/// the policy; each turn settles all that was due, leaves few events and has a deadline unless the
/// tunnel is finished; what the tunnel holds is within its cap; left alone or closed it ends in time;
/// the end is told once, and nothing comes of whatever follows it; the flight recorder keeps to its size and
/// holds no password.
pub fn target(data: &[u8]) {
    let mut script = Script::new(data);
    let mut world = World::new(Setting::new(script.array(), script.octet()));
    world.begin();
    for step in script.steps(MOST_STEPS) {
        world.take(&step);
        if !matches!(step, Step::Room(_)) {
            world.turn();
        }
    }
    world.end();
}

const MOST_STEPS: usize = 128;
