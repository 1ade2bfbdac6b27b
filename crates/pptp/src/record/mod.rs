//! Records of a tunnel: its inner packets, and the messages of its connect
//!
//! | module | content |
//! |---|---|
//! | `capture` | [`Capture`]: the IP packets of both ways, as they pass |
//! | `captures` | the tunnel's side of its captures |
//! | `flight_record` | [`FlightRecord`]: the control messages and PPP frames that were kept |
//! | `pcapng` | the format of the files of both |

mod capture;
mod captures;
mod flight_record;
mod pcapng;

pub use self::{capture::Capture, captures::CaptureOptions, flight_record::FlightRecord};
pub(crate) use self::{captures::Captures, flight_record::Ends, pcapng::Direction};
