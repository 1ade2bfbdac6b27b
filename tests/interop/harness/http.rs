//! The least HTTP client that a building's device understands.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// GET `path` over `stream` and return the body; anything but 200 is an error.
pub async fn get(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
) -> io::Result<Vec<u8>> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let head_end = answer.windows(4).position(|octets| octets == b"\r\n\r\n");
    match head_end {
        Some(end) if answer.starts_with(b"HTTP/1.1 200 ") => Ok(answer.split_off(end + 4)),
        _ => {
            let head = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("answered {head:?}")))
        }
    }
}
