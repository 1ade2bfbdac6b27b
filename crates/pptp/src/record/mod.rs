//! Records of a tunnel: its inner packets, and the messages of its connect
//!
//! A [`FlightRecord`] is kept by each tunnel, and is there when a connect has failed. A [`Capture`] is
//! begun when somebody wants to see the packets. Both are written as pcapng, which Wireshark reads.
//!
//! ```no_run
//! # async fn example(connecting: pptp::Connecting) -> Result<(), Box<dyn std::error::Error>> {
//! let record = connecting.flight_record();
//! if let Err(error) = connecting.await {
//!     println!("{error}");
//!     std::fs::write("failed.pcapng", record.pcapng())?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | private module | content |
//! |---|---|
//! | `capture` | [`Capture`]: the IP packets of both ways, as they pass |
//! | `captures` | the tunnel's side of its captures |
//! | `flight_record` | [`FlightRecord`]: the control messages and PPP frames that were kept |
//! | `pcapng` | the format of the files of both |

mod capture;
mod captures;
mod flight_record;
mod pcapng;

#[doc(inline)]
pub use pptp_tunnel::{Record, RecordKind, Transcript};

pub use self::{capture::Capture, captures::CaptureOptions, flight_record::FlightRecord};
pub(crate) use self::{captures::Captures, flight_record::Ends, pcapng::Direction};
