//! Records of a tunnel: its inner packets, and the messages of its connect
//!
//! | module | content |
//! |---|---|
//! | `capture` | [`Capture`]: the IP packets of both ways, as they pass |
//! | `flight_record` | [`FlightRecord`]: the control messages and PPP frames that were kept |
//! | `pcapng` | the format of the files of both |

mod capture;
mod flight_record;
mod pcapng;

pub(crate) use self::{capture::Captures, flight_record::Ends, pcapng::Direction};
pub use self::{
    capture::{Capture, CaptureOptions},
    flight_record::FlightRecord,
};
