//! Our example beside what people use now, in the same run
//!
//! | scene | clients | servers |
//! |---|---|---|
//! | the lab's guest | the connector, the library, pptp-linux + pppd | Debian's pptpd, pppd and the kernel's MPPE, in the lab's other guest |
//! | natively | the connector, and onetun | the testkit's server for the one, boringtun-cli for the other |
//!
//! All clients of a scene take turns, each with the same user, and the median of the rounds
//! counts. A scene that something is missing for is an error which says what.

mod client;
mod cost;
pub mod inside;
mod lab;
mod measure;
mod native;
mod need;
pub mod page;
mod scene;
mod table;
mod user;

use std::{io, path::Path};

pub use lab::in_guest;
pub use measure::{Measure, Sample};
pub use scene::Scene;
pub use table::{lines, section};

impl Scene {
    /// Measures all its clients; `connector` is our example, `tools` the folder of onetun and boringtun-cli
    ///
    /// # Errors
    /// What is missing, or what failed. Nothing of what was started is left.
    pub fn measure(self, connector: &Path, tools: &Path) -> io::Result<Vec<Sample>> {
        match self {
            Self::Guest => lab::measure(connector),
            Self::Native => native::measure(connector, tools),
        }
    }
}
