//! Uploads over a line that loses packets, with the default controller

mod common;

use std::time::Duration;

use common::*;
use pptp_netstack::{CongestionControl, TcpOptions, TcpStream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

const OCTETS: usize = WINDOWS as usize * (64 << 10);

/// Octets of an upload: of the buffer that the default options have
const WINDOWS: u32 = 64;

#[tokio::test(start_paused = true)]
async fn a_line_that_loses_one_of_a_hundred_keeps_half_of_its_speed() {
    for nodelay in [false, true] {
        let options = TcpOptions::default().nodelay(nodelay);
        let took = upload(options, OCTETS, one_of_a_hundred()).await;
        let bound = TRIP * WINDOWS;
        assert!(took < 2 * bound, "{took:?}, without loss {bound:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn smoltcps_own_controllers_are_slower_there() {
    let default = upload(TcpOptions::default(), OCTETS, one_of_a_hundred()).await;
    for congestion_control in [CongestionControl::Cubic, CongestionControl::Reno] {
        let options = TcpOptions::default().congestion_control(congestion_control);
        let took = upload(options, OCTETS, one_of_a_hundred()).await;
        assert!(took > 3 * default, "{congestion_control:?}: {took:?}, default {default:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_segment_is_sent_again_before_a_second_has_passed() {
    // the first flight tells the round trip, the last segment of the second has nothing behind it
    let took = upload(TcpOptions::default(), 30 * SEGMENT, lose(&[(29, 1)])).await;
    assert!(took < 4 * TRIP + Duration::from_millis(250), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_twice_is_sent_again_before_a_second_has_passed() {
    let took = upload(TcpOptions::default(), 60 * SEGMENT, lose(&[(20, 2)])).await;
    assert!(took < 8 * TRIP + Duration::from_millis(250), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn each_loss_of_a_flight_is_repaired_without_a_timeout() {
    let lost = lose(&[(20, 1), (22, 1), (23, 1), (25, 1)]);
    let took = upload(TcpOptions::default(), 60 * SEGMENT, lost).await;
    assert!(took < 10 * TRIP, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_was_cut_for_a_while_is_used_again() {
    let begin = Instant::now();
    let cut = Duration::from_millis(300)..Duration::from_secs(3);
    let filter = move |_, _: &[u8]| !cut.contains(&begin.elapsed());
    let took = upload(TcpOptions::default(), OCTETS / 4, filter).await;
    assert!(took < Duration::from_secs(9), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_lost_is_told_again_before_a_second_has_passed() {
    for segments in [0, 30] {
        let mut lost = false;
        let lose_end = move |to_server, packet: &[u8]| {
            let ends = to_server && packet[33] & 1 != 0;
            lost || !ends || std::mem::replace(&mut lost, true)
        };
        let took = upload_to_the_end(segments * SEGMENT, lose_end).await;
        assert!(took < 5 * TRIP + Duration::from_millis(250), "{segments} segments: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_overtakes_octets_is_told_again_before_a_second_has_passed() {
    let took = upload_to_the_end(30 * SEGMENT, lose(&[(28, 1)])).await;
    assert!(took < 6 * TRIP + 2 * Duration::from_millis(250), "{took:?}");
}

/// The time that an upload takes until its end has arrived
async fn upload_to_the_end(
    octets: usize,
    passes: impl FnMut(bool, &[u8]) -> bool + Send + 'static,
) -> Duration {
    let (pair, mut client, mut server) = connected(TcpOptions::default()).await;
    // from these on the round trip is known
    client.write_all(&[0; 2]).await.unwrap();
    server.read_exact(&mut [0; 2]).await.unwrap();
    sleep(TRIP).await;
    pair.set_filter(passes);
    let begin = Instant::now();
    let sending = async {
        client.write_all(&vec![7; octets]).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let ((), read) = tokio::join!(sending, server.read_to_end(&mut received));
    assert_eq!(read.unwrap(), octets);
    begin.elapsed()
}

/// The time that an upload takes until the last octet has arrived
async fn upload(
    options: TcpOptions,
    octets: usize,
    passes: impl FnMut(bool, &[u8]) -> bool + Send + 'static,
) -> Duration {
    let (pair, mut client, mut server) = connected(options).await;
    pair.set_filter(passes);
    let sent = pattern(octets, 1);
    let begin = Instant::now();
    let sending = async {
        client.write_all(&sent).await.unwrap();
        client
    };
    let mut got = vec![0; octets];
    let (_client, read) = tokio::join!(sending, server.read_exact(&mut got));
    read.unwrap();
    assert!(got == sent, "as it was sent");
    begin.elapsed()
}

async fn connected(options: TcpOptions) -> (Pair, TcpStream, TcpStream) {
    let pair = Pair::new();
    pair.set_latency(TRIP / 2);
    let listener = pair.server.tcp_listen(any(80), 4, TcpOptions::default()).unwrap();
    let connecting = pair.client.tcp_connect(at(SECOND, 80), options);
    let (client, server) = tokio::join!(connecting, listener.accept());
    (pair, client.unwrap(), server.unwrap().0)
}

fn one_of_a_hundred() -> impl FnMut(bool, &[u8]) -> bool + Send + 'static {
    let mut state = 1_u32;
    move |_, _: &[u8]| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16 >= 655
    }
}

/// Loses segments by their number, each so many times
fn lose(which: &[(usize, usize)]) -> impl FnMut(bool, &[u8]) -> bool + Send + 'static {
    let mut left = which.to_vec();
    let mut first = None;
    move |to_server, packet: &[u8]| {
        if !to_server || packet.len() < 100 {
            return true;
        }
        let sequence = u32::from_be_bytes([packet[24], packet[25], packet[26], packet[27]]);
        let number = sequence.wrapping_sub(*first.get_or_insert(sequence)) as usize / SEGMENT;
        let entry = left.iter_mut().find(|(lost, times)| *lost == number && *times > 0);
        entry.map(|(_, times)| *times -= 1).is_none()
    }
}

/// Round trip
const TRIP: Duration = Duration::from_millis(50);

/// Octets of a full one
const SEGMENT: usize = MTU - 40;
