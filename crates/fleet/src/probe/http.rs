//! The question to an HTTP server: is there a page, or at least a server that is well

use std::{fmt, io, time::Duration};

use pptp::{Tunnel, net::TcpOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A page of an HTTP server
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    host: String,
    port: u16,
    /// Begins with a slash
    path: String,
}

impl Page {
    /// Reads `HOST[:PORT][/PATH]`, also behind two slashes
    ///
    /// Nothing is taken that could end a line of the request.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("//").unwrap_or(text);
        let (place, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let (host, port) = place.split_once(':').unwrap_or((place, "80"));
        let is_digits = port.bytes().all(|octet| octet.is_ascii_digit());
        let port = port.parse().ok().filter(|port| is_digits && *port != 0)?;
        let is_of_name = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
        let is_host = (1..=MAX_HOST).contains(&host.len()) && host.bytes().all(is_of_name);
        let is_of_path = |octet: u8| octet.is_ascii_graphic() && octet != b'#';
        let is_path = path.len() <= MAX_PATH && path.bytes().all(is_of_path);
        let path = if path.is_empty() { "/" } else { path };
        (is_host && is_path).then(|| Self { host: host.into(), port, path: path.into() })
    }

    /// Asks for it, and looks at the status alone
    pub(super) async fn get(&self, tunnel: &Tunnel) -> io::Result<()> {
        let options = TcpOptions::default()
            .receive_buffer(MAX_LINE)
            .send_buffer(MAX_HOST + MAX_PATH + MAX_LINE)
            .linger(LINGER);
        let mut stream = tunnel.tcp_connect_with((self.host.as_str(), self.port), options).await?;
        stream.write_all(self.request().as_bytes()).await?;
        let mut line = Vec::with_capacity(MAX_LINE);
        let mut stream = stream.take(MAX_LINE as u64);
        while !line.contains(&b'\n') && stream.read_buf(&mut line).await? > 0 {}
        match status(&line) {
            Some(..500) => Ok(()),
            Some(status) => Err(io::Error::other(format!("HTTP status {status}"))),
            None if line.is_empty() => Err(io::Error::other("it closes without an answer")),
            None => Err(io::Error::other("something else than HTTP answers")),
        }
    }

    fn request(&self) -> String {
        let Self { host, port, path } = self;
        let host = if *port == 80 { host.clone() } else { format!("{host}:{port}") };
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: pptp-fleet\r\nAccept: */*\r\n\
             Connection: close\r\n\r\n"
        )
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http:{}:{}{}", self.host, self.port, self.path)
    }
}

/// The status of a line that is a whole status line (RFC 9112 §4)
fn status(line: &[u8]) -> Option<u16> {
    let line = line.split_inclusive(|octet| *octet == b'\n').next()?;
    let (code, rest) = match line.strip_prefix(b"HTTP/1.")? {
        [b'0' | b'1', b' ', code @ ..] => code.split_first_chunk::<3>()?,
        _ => return None,
    };
    let is_whole = line.ends_with(b"\n") && rest.first().is_some_and(u8::is_ascii_whitespace);
    let is_code = code.iter().all(u8::is_ascii_digit) && code.first() != Some(&b'0');
    let digits = code.iter().map(|digit| u16::from(digit.wrapping_sub(b'0')));
    let code = digits.fold(0_u16, |sum, digit| sum.saturating_mul(10).saturating_add(digit));
    (is_whole && is_code).then_some(code)
}

/// Octets that are read of an answer
const MAX_LINE: usize = 1024;

/// Octets of a name of DNS as text (RFC 1035 §2.3.4)
const MAX_HOST: usize = 253;

const MAX_PATH: usize = 1024;

/// The rest of a request may take so long to leave, when the probe is over
const LINGER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_the_port_if_it_is_not_the_usual_one() {
        let request = |text| Page::parse(text).unwrap().request();
        assert_eq!(
            request("192.168.1.3/a?b=c"),
            "GET /a?b=c HTTP/1.1\r\nHost: 192.168.1.3\r\nUser-Agent: pptp-fleet\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n"
        );
        assert!(request("plc.lan:8080").contains("GET / HTTP/1.1\r\nHost: plc.lan:8080\r\n"));
    }

    #[test]
    fn nothing_gets_into_a_request_that_ends_a_line_of_it() {
        let long = format!("plc/{}", "a".repeat(1024));
        let wrong = [
            "",
            "/",
            ":80",
            "plc:",
            "plc:0",
            "plc:+80",
            "plc:65536",
            "plc:80:81",
            "a b",
            "plc/a b",
            "plc/\r\nX: y",
            "p\rlc",
            "plc/\u{e4}",
            "plc/#part",
            "[::1]",
            "user@plc",
            &long,
        ];
        for text in wrong {
            assert_eq!(Page::parse(text), None, "{text:?}");
        }
        assert!(Page::parse(&long[..1028]).is_none() && Page::parse(&long[..1027]).is_some());
    }

    #[test]
    fn a_status_line_has_a_status_or_is_none() {
        for (line, code) in [
            ("HTTP/1.1 200 OK\r\n", 200),
            ("HTTP/1.0 404 Not Found\r\nServer: x\r\n", 404),
            ("HTTP/1.1 503\r\n", 503),
            ("HTTP/1.1 401 \nrest", 401),
        ] {
            assert_eq!(status(line.as_bytes()), Some(code), "{line:?}");
        }
        let wrong = [
            "",
            "\n",
            "HTTP/1.1 200 OK",
            "HTTP/2 200\r\n",
            "HTTP/1.2 200\r\n",
            "HTTP/1.1 20\r\n",
            "HTTP/1.1 2000\r\n",
            "HTTP/1.1 2x0 OK\r\n",
            "HTTP/1.1 099 OK\r\n",
            "SSH-2.0-x\r\n",
            "\nHTTP/1.1 200 OK\r\n",
            "HTTP/1.1  200 OK\r\n",
        ];
        for line in wrong {
            assert_eq!(status(line.as_bytes()), None, "{line:?}");
        }
        assert_eq!(
            status(b"HTTP/1.1 500 \xE4\r\n"),
            Some(500),
            "words may be of any character set"
        );
    }
}
