//! Takes octets until the peer closes its half, and answers their SHA-256

use std::{fmt::Write, io};

use pptp_netstack::TcpStream;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::content::BLOCK;

pub(super) async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let answer = digest(&mut stream, u64::MAX).await?;
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// The SHA-256 of the octets read, up to `most` of them or to the end, as a line
pub(super) async fn digest(from: impl AsyncRead + Unpin, most: u64) -> io::Result<String> {
    let (mut from, mut buffer) = (from.take(most), vec![0; BLOCK]);
    let mut sha256 = Sha256::new();
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(line(&sha256.finalize()));
        }
        sha256.update(buffer.get(..count).unwrap_or_default());
    }
}

/// The SHA-256 of a datagram, as a line
pub(super) fn answer(datagram: &[u8]) -> Vec<u8> {
    line(&Sha256::digest(datagram)).into_bytes()
}

fn line(digest: &[u8]) -> String {
    let mut line = String::new();
    for octet in digest {
        // writing to a string cannot fail
        let _ = write!(line, "{octet:02x}");
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fips_180_4_abc() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
        assert_eq!(digest(&b"abcdef"[..], 3).await.unwrap(), abc);
        assert_eq!(digest(&b"abc"[..], u64::MAX).await.unwrap(), abc);
        assert_eq!(answer(b"abc"), abc.as_bytes());
    }
}
