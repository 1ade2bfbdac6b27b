//! A peer whose window shrinks below the octets in flight (RFC 9293 §3.8.6)
#![allow(missing_docs, reason = "tests")]

mod peer;

use std::{io::ErrorKind, time::Duration};

use peer::*;
use pptp_netstack::{CongestionControl, TcpOptions, TcpStream};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const CONTROLS: [CongestionControl; 4] = [
    CongestionControl::Westwood,
    CongestionControl::None,
    CongestionControl::Reno,
    CongestionControl::Cubic,
];

/// A device with a small TCP: it takes some octets, then shows a window of 0 for a time, and tells nothing
/// of its own accord when it has room again
///
/// It answers only segments that hold something, as many devices do.
struct Device {
    line: Line,
    /// Octets taken
    taken: Vec<u8>,
    /// Octets that the peer takes before the window closes
    room: usize,
    /// The window once it is open again
    window: u16,
    opens: Instant,
    finished: bool,
    /// The times at which something came while the window was closed
    probes: Vec<Instant>,
}

impl Device {
    fn new(line: Line, room: usize, closed: Duration) -> Self {
        let opens = Instant::now() + closed;
        let (taken, probes) = (Vec::new(), Vec::new());
        Self { line, taken, room, window: 8_000, opens, finished: false, probes }
    }

    fn next(&self) -> u32 {
        let taken = u32::try_from(self.taken.len()).unwrap();
        self.line.sent.wrapping_add(taken).wrapping_add(self.finished.into())
    }

    fn on_segment(&mut self, segment: &Segment) -> Vec<Segment> {
        if segment.octets.is_empty() && !segment.has(FIN) {
            return Vec::new();
        }
        let is_open = Instant::now() >= self.opens;
        let free = if is_open { usize::MAX } else { self.room.saturating_sub(self.taken.len()) };
        if free == 0 {
            self.probes.push(Instant::now());
        }
        let skipped = self.next().wrapping_sub(segment.sequence);
        if let Some(new) = segment.octets.get(usize::try_from(skipped).unwrap()..)
            && !self.finished
        {
            let takes = new.len().min(free);
            self.taken.extend(&new[..takes]);
            self.finished = segment.has(FIN) && takes == new.len() && (is_open || free > 0);
        }
        let is_closed = !is_open && self.taken.len() >= self.room;
        let window = if is_closed { 0 } else { self.window };
        vec![Segment { acknowledgment: self.next(), window, ..self.line.segment(ACK) }]
    }
}

fn options(congestion_control: CongestionControl) -> TcpOptions {
    TcpOptions::default().congestion_control(congestion_control).nodelay(true)
}

fn octets(count: u32) -> Vec<u8> {
    (0..count).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

/// Writes all of it, as the stack takes it
fn write(stream: &TcpStream, octets: &[u8]) {
    assert_eq!(stream.try_write(octets).unwrap(), octets.len());
}

/// The report: it took 1,000 octets of those in flight and closed the window for 12 s
#[tokio::test(start_paused = true)]
async fn a_window_that_shrank_to_zero_is_probed_until_it_opens() {
    for control in CONTROLS {
        for (written, room) in [(3_000, 1_000), (1_001, 1_000), (30_000, 1_000), (8_000, 7_999)] {
            let host = Host::new();
            let (stream, line) = host.connect(options(control), 8_000, &MSS).await;
            let mut device = Device::new(line, room, 12 * SECOND);
            let octets = octets(written);
            write(&stream, &octets);
            host.run(40 * SECOND, |segment| device.on_segment(segment)).await;
            assert!(device.taken == octets, "{control:?} {written}: {}", device.taken.len());
            let probes = device.probes.len();
            assert!((3..=20).contains(&probes), "{control:?} {written}: {probes} in 12 s");
        }
    }
}

/// A FIN behind the octets, in flight or not, goes with them
#[tokio::test(start_paused = true)]
async fn a_fin_behind_a_shrunk_window_arrives() {
    for control in CONTROLS {
        for (written, room) in [(3_000, 1_000), (3_000, 2_999), (1_001, 1_000), (30_000, 5_000)] {
            let host = Host::new();
            let (stream, line) = host.connect(options(control), 8_000, &MSS).await;
            let mut device = Device::new(line, room, 12 * SECOND);
            let octets = octets(written);
            write(&stream, &octets);
            drop(stream);
            host.run(40 * SECOND, |segment| device.on_segment(segment)).await;
            assert!(device.taken == octets, "{control:?} {written}: {}", device.taken.len());
            assert!(device.finished, "{control:?} {written}");
        }
    }
}

/// A window that shrinks to a little: nothing new leaves beyond it
///
/// With Reno and CUBIC smoltcp's fast retransmission is a full segment, whatever was in flight.
#[tokio::test(start_paused = true)]
async fn nothing_new_leaves_beyond_a_window_that_shrank() {
    for control in [CongestionControl::Westwood, CongestionControl::None] {
        let host = Host::new();
        let (stream, line) = host.connect(options(control), 8_000, &MSS).await;
        write(&stream, &octets(30_000));
        let sent = host.turn().last().unwrap().end();
        let small = Segment { acknowledgment: line.sent + 1_360, window: 100, ..line.segment(ACK) };
        host.give(&small.packet());
        let mut highest = sent;
        host.run(30 * SECOND, |segment| {
            highest = highest.max(segment.end());
            vec![small.clone()]
        })
        .await;
        assert_eq!(highest, sent, "{control:?}");
    }
}

/// RFC 9293 §3.8.6.1: for as long as the probes are answered, the connection stays
#[tokio::test(start_paused = true)]
async fn a_connection_whose_probes_are_answered_stays() {
    let user_timeouts = [Duration::from_mins(2), 10 * SECOND, SECOND];
    for (user_timeout, keepalive) in
        user_timeouts.into_iter().flat_map(|it| [(it, None), (it, Some(SECOND))])
    {
        // octets in flight, and none in flight as the window closes
        for room in [1_000, 8_000] {
            let host = Host::new();
            let options = options(CongestionControl::default())
                .user_timeout(user_timeout)
                .keepalive(keepalive);
            let (stream, line) = host.connect(options, 8_000, &MSS).await;
            let mut device = Device::new(line, room, Duration::from_mins(20));
            let octets = octets(20_000);
            write(&stream, &octets);
            host.run(Duration::from_mins(19), |segment| device.on_segment(segment)).await;
            let what = format!("{user_timeout:?} {keepalive:?} {room}");
            let error = stream.try_read(&mut [0; 1]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{what}");
            // as far apart as RFC 9293 §3.8.6.1 and RFC 6298 §2.5 have it: a minute at the most
            let gaps = device.probes.windows(2).map(|pair| pair[1] - pair[0]);
            let longest = gaps.max().unwrap();
            assert!(longest <= 61 * SECOND && longest >= 16 * SECOND, "{what}: {longest:?}");
            assert!(device.probes.len() <= 60, "{what}: {}", device.probes.len());
            host.run(Duration::from_mins(4), |segment| device.on_segment(segment)).await;
            assert!(device.taken == octets, "{what}: {}", device.taken.len());
        }
    }
}

/// A peer that answers no probe any more is given up after the user timeout
#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_no_probe_is_given_up() {
    for room in [1_000, 8_000] {
        let host = Host::new();
        let user_timeout = 20 * SECOND;
        let options = options(CongestionControl::default()).user_timeout(user_timeout);
        let (stream, line) = host.connect(options, 8_000, &MSS).await;
        let mut device = Device::new(line, room, Duration::from_hours(1));
        write(&stream, &octets(20_000));
        host.run(30 * SECOND, |segment| device.on_segment(segment)).await;
        let dead = Instant::now();
        let mut unanswered = None;
        host.run(Duration::from_mins(3), |segment| {
            if !segment.octets.is_empty() {
                unanswered.get_or_insert_with(Instant::now);
            }
            Vec::new()
        })
        .await;
        let unanswered = unanswered.expect("a probe");
        assert!(unanswered - dead < 61 * SECOND);
        let error = stream.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
