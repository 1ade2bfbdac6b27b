//! Who uses a tunnel: the same for all clients, so that no difference is theirs

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    thread::sleep,
    time::{Duration, Instant},
};

use pptp_testkit::content::{BLOCK, LENGTH, block};

/// Which way the octets go
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the building
    Download,
    /// To it
    Upload,
}

/// Where a device of the building is reached: two ports of it, or what is forwarded there
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    /// TCP 7
    pub(super) echo: SocketAddr,
    /// TCP 80
    pub(super) http: SocketAddr,
}

impl Ports {
    /// Waits for the first octet from the building, and tries again while there is no way
    pub(super) fn await_answer(self) -> io::Result<()> {
        let begin = Instant::now();
        loop {
            match echo(self.echo) {
                Err(error) if begin.elapsed() > PATIENCE => return Err(error),
                Err(_) => sleep(AGAIN),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Moves [`LENGTH`] octets and checks what arrived
    pub(super) fn transfer(self, direction: Direction) -> io::Result<()> {
        let stream = TcpStream::connect_timeout(&self.http, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        match direction {
            Direction::Download => download(stream),
            Direction::Upload => upload(stream),
        }
    }
}

fn echo(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(b"?")?;
    stream.read_exact(&mut [0])
}

fn download(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(GET.as_bytes())?;
    let mut answer = BufReader::with_capacity(BLOCK, stream);
    if body_length(&mut answer)? != LENGTH {
        return Err(wrong("not sixteen MiB"));
    }
    let mut came = vec![0; BLOCK];
    for index in 0..LENGTH / BLOCK {
        answer.read_exact(&mut came)?;
        if came != block(1, index as u64) {
            return Err(wrong("not what the building sent"));
        }
    }
    Ok(())
}

fn upload(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(put().as_bytes())?;
    let zeros = vec![0; BLOCK];
    for _ in 0..LENGTH / BLOCK {
        stream.write_all(&zeros)?;
    }
    let mut answer = BufReader::new(stream);
    let mut digest = vec![0; body_length(&mut answer)?.min(BLOCK)];
    answer.read_exact(&mut digest)?;
    check_digest(&digest)
}

/// Reads a response's head; octets of the body that follows
fn body_length(answer: &mut impl BufRead) -> io::Result<usize> {
    let mut head = String::new();
    while answer.read_line(&mut head)? > 2 {}
    length_in(&head)
}

/// What a response's head says of its body
pub(super) fn length_in(head: &str) -> io::Result<usize> {
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    head.lines().find_map(field).ok_or_else(|| wrong("a response without a length"))
}

pub(super) fn put() -> String {
    format!(
        "PUT /zeros HTTP/1.1\r\nHost: device\r\nConnection: close\r\nContent-Length: {LENGTH}\r\n\r\n"
    )
}

pub(super) fn check_digest(answer: &[u8]) -> io::Result<()> {
    if answer.trim_ascii() == ZEROS { Ok(()) } else { Err(wrong("not what was sent has arrived")) }
}

pub(super) fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

pub(super) const GET: &str = "GET /16M HTTP/1.1\r\nHost: device\r\nConnection: close\r\n\r\n";

/// The SHA-256 of sixteen MiB of zeros
const ZEROS: &[u8] = b"080acf35a507ac9849cfcba47dc2ad83e01b75663a516279c8b9d243b719643e";

/// For all that a client does
const PATIENCE: Duration = Duration::from_mins(1);

/// For one attempt to reach the building
const ANSWER: Duration = Duration::from_secs(5);

/// Between two attempts
const AGAIN: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_found_whatever_its_case() {
        let head = "HTTP/1.1 200 OK\r\ncontent-LENGTH: 65\r\n\r\n";
        assert_eq!(length_in(head).unwrap(), 65);
        assert!(length_in("HTTP/1.1 200 OK\r\nServer: 7\r\n\r\n").is_err());
    }

    #[test]
    fn what_has_not_arrived_is_told() {
        assert!(check_digest(b"080acf\n").is_err());
        assert!(check_digest(&[ZEROS, b"\n"].concat()).is_ok());
    }
}
