//! The long run in small: a minute of weather.

use libtest_mimic::Trial;
use pptp_interop::{Lab, Outcome, Soak, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("fault_for_a_minute_no_living_tunnel_is_taken_for_dead", minute)]
}

async fn minute(lab: &Lab) -> Outcome {
    Soak::of_minutes(1).run(lab).await
}
