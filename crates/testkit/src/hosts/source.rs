//! A service that sends as many octets as it is asked for, to measure downloads

use std::io;

use pptp_netstack::TcpStream;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::content::{block, datagram};

/// Reads a line with a decimal number of octets, or an empty one for no end, and sends them
pub(super) async fn serve(building: u32, stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(MAX_LINE_LEN).read_line(&mut line).await?;
    let mut left = match line.trim() {
        "" => u64::MAX,
        number => number.parse().map_err(io::Error::other)?,
    };
    for index in 0.. {
        let mut octets = block(building, index);
        octets.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        stream.write_all(&octets).await?;
        left = left.saturating_sub(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        if left == 0 {
            break;
        }
    }
    stream.shutdown().await
}

/// A datagram with the number of octets that the question names in decimal
pub(super) fn answer(building: u32, question: &[u8]) -> Option<Vec<u8>> {
    let len = std::str::from_utf8(question).ok()?.trim().parse().ok()?;
    Some(datagram(building, len))
}

/// Octets of the longest line
const MAX_LINE_LEN: u64 = 32;
