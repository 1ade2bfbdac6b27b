//! A web server of the simplest kind (RFC 9112), for the pages of a building

use std::io;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream,
};

use super::sink;
use crate::content::{BLOCK, LENGTH, block};

/// Answers requests until the client has no more
pub(super) async fn serve(
    building: u32,
    stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut stream = BufStream::new(stream);
    while let Some(request) = Request::read(&mut stream).await? {
        answer(building, &mut stream, &request).await?;
        stream.flush().await?;
        if !request.keep_alive {
            break;
        }
    }
    stream.shutdown().await
}

async fn answer(
    building: u32,
    stream: &mut (impl AsyncBufRead + AsyncWrite + Unpin),
    request: &Request,
) -> io::Result<()> {
    match (request.method.as_str(), request.path.as_str(), request.length) {
        ("GET", "/", _) => page(stream, "200 OK", &format!("building {building}\n")).await,
        ("GET", "/16M", _) => {
            head(stream, "200 OK", LENGTH).await?;
            for index in 0..LENGTH / BLOCK {
                stream.write_all(&block(building, index as u64)).await?;
            }
            Ok(())
        }
        ("GET", _, _) => page(stream, "404 Not Found", "not found\n").await,
        ("PUT", _, Some(length)) => {
            if request.expects_continue {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
                stream.flush().await?;
            }
            let digest = sink::digest(&mut *stream, length).await?;
            page(stream, "200 OK", &digest).await
        }
        ("PUT", _, None) => page(stream, "411 Length Required", "length required\n").await,
        _ => page(stream, "501 Not Implemented", "not implemented\n").await,
    }
}

async fn page(to: &mut (impl AsyncWrite + Unpin), status: &str, body: &str) -> io::Result<()> {
    head(to, status, body.len()).await?;
    to.write_all(body.as_bytes()).await
}

async fn head(to: &mut (impl AsyncWrite + Unpin), status: &str, length: usize) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
    to.write_all(head.as_bytes()).await
}

/// A request, as far as it matters here
#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: String,
    path: String,
    length: Option<u64>,
    expects_continue: bool,
    keep_alive: bool,
}

impl Request {
    /// The next request's head; `None` at the end of the connection
    async fn read(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let mut from = from.take(MAX_HEAD_LEN);
        let mut first = String::new();
        if from.read_line(&mut first).await? == 0 {
            return Ok(None);
        }
        let mut request = Self::parse(&first).ok_or(io::ErrorKind::InvalidData)?;
        loop {
            let mut line = String::new();
            from.read_line(&mut line).await?;
            if !line.ends_with('\n') {
                // cut off, or longer than a head may be
                return Err(io::ErrorKind::InvalidData.into());
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) => request.note(name, value.trim()),
                None if line.trim_end().is_empty() => break,
                None => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        // the octets of a body that is not read would be taken for a request
        request.keep_alive &= request.length.is_none() || request.method == "PUT";
        Ok(Some(request))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (method, path, version) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            length: None,
            expects_continue: false,
            keep_alive: version == "HTTP/1.1",
        })
    }

    fn note(&mut self, name: &str, value: &str) {
        match name.to_ascii_lowercase().as_str() {
            "content-length" => self.length = value.parse().ok(),
            "transfer-encoding" => self.keep_alive = false,
            "expect" => self.expects_continue = value.eq_ignore_ascii_case("100-continue"),
            "connection" => self.keep_alive = value.eq_ignore_ascii_case("keep-alive"),
            _ => {}
        }
    }
}

/// Octets of the longest head of a request
const MAX_HEAD_LEN: u64 = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers of building 3 to these octets, followed by the end of the connection
    async fn answers(to: &str) -> String {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(to.as_bytes()).await.unwrap();
        client.shutdown().await.unwrap();
        // an error closes the connection, and earlier answers stay
        let _ = serve(3, server).await;
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        answers
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn a_connection_is_kept_for_the_next_request() {
        let two = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        assert_eq!(answers(two).await, ok("building 3\n").repeat(2));
        let closed = "GET / HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        assert_eq!(answers(closed).await, ok("building 3\n"));
        let old = "GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n";
        assert_eq!(answers(old).await, ok("building 3\n"));
    }

    #[tokio::test]
    async fn what_is_put_is_digested_and_the_next_request_read_behind_it() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
        let put = "PUT /x HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n";
        assert_eq!(answers(put).await, ok(digest) + &ok("building 3\n"));
        let expecting = "PUT /x HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(
            answers(expecting).await,
            "HTTP/1.1 100 Continue\r\n\r\n".to_owned() + &ok(digest)
        );
    }

    #[tokio::test]
    async fn other_pages_and_methods_are_refused() {
        assert!(answers("GET /x HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
        assert!(answers("PUT /x HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.1 411 "));
        assert!(answers("BREW / HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.1 501 "));
    }

    #[tokio::test]
    async fn what_is_no_request_ends_the_connection() {
        assert_eq!(answers("hello\r\n\r\n").await, "");
        assert_eq!(answers("GET / HTTP/1.1\r\nHost: cut").await, "");
        assert_eq!(answers("GET / HTTP/1.1\r\nno header\r\n\r\n").await, "");
        let endless = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(9000));
        assert_eq!(answers(&endless).await, "");
    }
}
