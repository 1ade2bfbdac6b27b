//! The way to the daemon: requests and their failures

use std::{
    fmt::Write,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use pptp_fleet::SiteName;
use rustix::fs::{Access, access};
use serde::de::DeserializeOwned;
use tokio::{net::UnixStream, time::timeout};

use crate::{
    api::Problem,
    cli::exit::Exit,
    target::Target,
    unix::{group_name, user_name},
};

/// The reason why a command has failed
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit of the command
    pub exit: Exit,
    /// The reason, for people; empty: there is nothing to tell
    pub message: String,
}

impl Failure {
    /// Makes a failure
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// Makes an end without a message
    pub(super) const fn silent(exit: Exit) -> Self {
        Self { exit, message: String::new() }
    }

    fn of_problem(problem: &Problem) -> Self {
        let mut message = problem.detail.to_string();
        for error in &problem.errors {
            let text = if error.rendered.is_empty() { &error.message } else { &error.rendered };
            message.push('\n');
            message.push_str(text.trim_end());
        }
        Self::new(Exit::of_code(problem.exit), message)
    }
}

/// The daemon behind a control socket
#[derive(Debug, Clone)]
pub struct Daemon {
    socket: PathBuf,
}

impl Daemon {
    /// Names the daemon behind a socket
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Asks for an object
    ///
    /// # Errors
    /// The daemon is not reached, or it refuses.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, &[]).await?.object().await
    }

    /// Asks for a deed, and for the object that answers it
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::POST, path, &[]).await?.object().await
    }

    /// Asks, and returns the answer before its body has come
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Failure> {
        let response = self.send(method, path, headers).await?;
        if response.status().is_success() {
            return Ok(Answer { body: response.into_body(), rest: Vec::new() });
        }
        Err(self.refused(response).await)
    }

    /// Connects to a target behind a site: what is written and read afterwards are the octets of TCP
    ///
    /// # Errors
    /// The daemon is not reached, the site is not up in time, or the target is not reached.
    pub async fn tcp(&self, site: &SiteName, to: &Target) -> Result<TokioIo<Upgraded>, Failure> {
        let path = format!("/v1/sites/{site}/tcp?to={}", encode(&to.to_string()));
        let headers = [("connection", "upgrade"), ("upgrade", "tcp")];
        let response = self.send(Method::GET, &path, &headers).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(self.refused(response).await);
        }
        let upgraded = hyper::upgrade::on(response).await;
        upgraded.map(TokioIo::new).map_err(|error| self.broken(&error))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response<Incoming>, Failure> {
        let stream = UnixStream::connect(&self.socket).await;
        let stream = stream.map_err(|error| not_reached(&self.socket, &error))?;
        let connected = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connected.map_err(|error| self.broken(&error))?;
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::HOST, "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let response = timeout(PATIENCE, sender.send_request(request)).await;
        let response = response.map_err(|_| {
            let (path, seconds) = (self.socket.display(), PATIENCE.as_secs());
            let message = format!("the daemon at {path} has not answered within {seconds} s");
            Failure::new(Exit::Daemon, message)
        })?;
        response.map_err(|error| self.broken(&error))
    }

    async fn refused(&self, response: Response<Incoming>) -> Failure {
        let status = response.status();
        let answer = Answer { body: response.into_body(), rest: Vec::new() };
        let problem = answer.object::<Problem>().await;
        problem.map_or_else(
            |_| {
                let path = self.socket.display();
                let message = format!("what listens at {path} is no pptp-connector: {status}");
                Failure::new(Exit::Daemon, message)
            },
            |problem| Failure::of_problem(&problem),
        )
    }

    fn broken(&self, error: &hyper::Error) -> Failure {
        let path = self.socket.display();
        Failure::new(Exit::Daemon, format!("the connection to the daemon at {path} broke: {error}"))
    }
}

/// An answer whose body is read as it comes
#[derive(Debug)]
pub struct Answer {
    body: Incoming,
    /// The beginning of a line that is not whole yet
    rest: Vec<u8>,
}

impl Answer {
    /// Reads the whole body
    ///
    /// # Errors
    /// The connection breaks, or the body has more octets than the bound.
    pub async fn octets(self) -> Result<Bytes, Failure> {
        let body = Limited::new(self.body, MAX_BODY).collect().await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| Failure::new(Exit::Daemon, format!("the answer broke off: {error}")))
    }

    /// Waits for the next octets of the body; `None` at its end
    ///
    /// # Errors
    /// The connection breaks.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = self.body.frame().await {
            let broken =
                |error| Failure::new(Exit::Daemon, format!("the answer broke off: {error}"));
            if let Ok(piece) = frame.map_err(broken)?.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    /// Waits for the next line of the body, without its end; `None` at the end of the body
    ///
    /// # Errors
    /// The connection breaks, or a line is longer than the bound.
    pub async fn line(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(end) = self.rest.iter().position(|octet| *octet == b'\n') {
                let rest = self.rest.split_off(end.saturating_add(1));
                let line = std::mem::replace(&mut self.rest, rest);
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                return Ok(Some(String::from_utf8_lossy(line).into_owned()));
            }
            if self.rest.len() > MAX_LINE {
                return Err(Failure::new(Exit::Daemon, "the daemon sends a line without an end"));
            }
            let Some(piece) = self.piece().await? else { return Ok(None) };
            self.rest.extend_from_slice(&piece);
        }
    }

    /// Waits for the next line that is an object; `None` at the end of the body
    ///
    /// # Errors
    /// As [`Self::line`], and if the line is no such object.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
        match self.line().await? {
            Some(line) => parse(line.as_bytes()).map(Some),
            None => Ok(None),
        }
    }

    async fn object<T: DeserializeOwned>(self) -> Result<T, Failure> {
        parse(&self.octets().await?)
    }
}

/// Reads an object of JSON
pub(super) fn parse<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(octets).map_err(|error| {
        let message = format!(
            "the answer of the daemon is not understood ({error}); is it of another version?"
        );
        Failure::new(Exit::Daemon, message)
    })
}

/// Encodes a value of a query (RFC 3986 §2.1)
pub(super) fn encode(value: &str) -> String {
    value.bytes().fold(String::new(), |mut encoded, octet| {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            encoded.push(char::from(octet));
        } else {
            // a text takes everything
            let _ = write!(encoded, "%{octet:02X}");
        }
        encoded
    })
}

/// The daemon is not reached: says where, whose the socket is, and what to do
fn not_reached(socket: &Path, error: &io::Error) -> Failure {
    let path = socket.display();
    let message = match error.kind() {
        io::ErrorKind::NotFound => format!(
            "there is no daemon at {path}: start `pptp-connector run`, or name its socket with --socket"
        ),
        io::ErrorKind::ConnectionRefused => format!(
            "no daemon listens at {path} any more: start `pptp-connector run`{}",
            owner(socket)
        ),
        io::ErrorKind::PermissionDenied => match closed_folder(socket, may_enter) {
            Some(folder) => format!(
                "the daemon at {path} is not for this user, who may not enter {}{}: \
                 run as its owner or as root, or become a member of its group",
                folder.display(),
                owner(folder)
            ),
            None => format!(
                "the daemon at {path} is not for this user{}: run as that user or as root, \
                 or become a member of that group",
                owner(socket)
            ),
        },
        _ => format!("the daemon at {path} is not reached: {error}{}", owner(socket)),
    };
    Failure::new(Exit::Daemon, message)
}

/// Finds the first folder on the way to a socket that may not be entered
fn closed_folder(socket: &Path, may_enter: impl Fn(&Path) -> bool) -> Option<&Path> {
    let folders = socket.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    // the outermost that is closed hides those within it
    folders.filter(|folder| !may_enter(folder)).last()
}

fn may_enter(folder: &Path) -> bool {
    access(folder, Access::EXEC_OK) != Err(rustix::io::Errno::ACCESS)
}

/// The owner, the group and the mode of a socket or a folder, in brackets
fn owner(path: &Path) -> String {
    // the folder may be closed to us, too
    let Ok(file) = fs::metadata(path) else { return String::new() };
    let mode = file.permissions().mode() & 0o777;
    let (user, group) = (user_name(file.uid()), group_name(file.gid()));
    format!(" (owner {user}, group {group}, mode {mode:04o})")
}

/// The time for the head of an answer: longer than the longest wait for a site
const PATIENCE: Duration = Duration::from_mins(11);

/// The octets of a body that is read whole: more than a page of sites, and than a flight record
const MAX_BODY: usize = 64 << 20;

/// The octets of a line
const MAX_LINE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_folder_that_may_not_be_entered_is_named() {
        let socket = Path::new("/run/closed/inner/control.sock");
        let closed = |names: &'static [&str]| {
            closed_folder(socket, |folder| !names.iter().any(|name| folder.ends_with(name)))
        };
        assert_eq!(closed(&[]), None);
        assert_eq!(closed(&["inner"]), Some(Path::new("/run/closed/inner")));
        assert_eq!(closed(&["inner", "closed"]), Some(Path::new("/run/closed")));
        assert_eq!(closed(&["control.sock"]), None, "the socket is no folder");
        assert_eq!(closed_folder(Path::new("control.sock"), |_| false), None);
    }

    #[test]
    fn values_are_encoded() {
        assert_eq!(encode("@city=Köln b-1._~"), "%40city%3DK%C3%B6ln%20b-1._~");
    }
}
