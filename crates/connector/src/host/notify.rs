//! The service manager's socket: READY, RELOADING, STATUS, STOPPING, WATCHDOG

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::Arc,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, sleep};

/// The way to the service manager, as `sd_notify(3)` has it; a process without one tells nobody
///
/// A clone is the same way. It is opened before the process confines itself, and holds no thread while the manager
/// takes nothing.
#[derive(Debug, Clone, Default)]
pub struct Notifier(Option<Arc<UnixDatagram>>);

impl Notifier {
    /// Opens the way that `NOTIFY_SOCKET` names; none without it
    ///
    /// # Errors
    /// The variable names no socket of this machine, or nobody is there.
    pub fn of_process() -> io::Result<Self> {
        env::var_os("NOTIFY_SOCKET").map_or_else(|| Ok(Self::default()), |name| Self::to(&name))
    }

    /// Opens the way to a socket: a path, or `@` and the name of an abstract one
    ///
    /// # Errors
    /// The name is neither, or nobody is there.
    pub fn to(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::other("neither a path nor an abstract name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        Ok(Self(Some(Arc::new(socket))))
    }

    /// Returns true if somebody listens
    pub const fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Tells that the daemon is up, or that a reload is over
    pub async fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\n{}", status_line(status))).await;
    }

    /// Tells that a reload begins
    ///
    /// The time says to the manager that the reload is no older than its own request (`Type=notify-reload`).
    pub async fn reloading(&self) {
        let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}\n", now.as_micros())).await;
    }

    /// Tells that the daemon ends, for which it takes so long at most
    pub async fn stopping(&self, status: &str, within: Duration) {
        let patience = within.saturating_add(STOP_MARGIN).as_micros();
        let status = status_line(status);
        self.tell(&format!("STOPPING=1\n{status}EXTEND_TIMEOUT_USEC={patience}\n")).await;
    }

    /// Tells a sentence for people
    pub async fn status(&self, status: &str) {
        self.tell(&status_line(status)).await;
    }

    /// Feeds the watchdog; a sign of life for which there is no room is left out
    pub fn feed(&self) {
        if let Some(Err(error)) = self.0.as_ref().map(|socket| socket.send(b"WATCHDOG=1\n")) {
            tracing::warn!("the watchdog is not fed: {error}");
        }
    }

    /// Sends a message, and waits for room for a while
    async fn tell(&self, message: &str) {
        let Some(socket) = &self.0 else { return };
        let end = Instant::now() + PATIENCE;
        loop {
            match socket.send(message.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < end => {
                    sleep(PAUSE).await;
                }
                Err(error) => {
                    let first = message.lines().next().unwrap_or_default();
                    tracing::warn!("the service manager is not told {first}: {error}");
                    return;
                }
                Ok(_) => return,
            }
        }
    }
}

/// The line of a sentence, which must not begin another line
fn status_line(status: &str) -> String {
    let clean: String = status.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    format!("STATUS={clean}\n")
}

/// The time for a message for which there is no room yet
const PATIENCE: Duration = Duration::from_secs(5);

/// The time between two tries
const PAUSE: Duration = Duration::from_millis(20);

/// The time at the end beside that of the hang-ups
const STOP_MARGIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    /// A service manager's socket
    struct Manager {
        socket: UnixDatagram,
        name: OsString,
    }

    impl Manager {
        fn at_path(name: &str) -> Self {
            let name = format!("pptp-notify-{name}-{}", std::process::id());
            let path = env::temp_dir().join(name);
            let _ = std::fs::remove_file(&path);
            Self { socket: UnixDatagram::bind(&path).unwrap(), name: path.into() }
        }

        fn abstract_one() -> Self {
            let name = format!("pptp-notify-{}", std::process::id());
            let address = SocketAddr::from_abstract_name(&name).unwrap();
            let socket = UnixDatagram::bind_addr(&address).unwrap();
            Self { socket, name: format!("@{name}").into() }
        }

        fn receive(&self) -> String {
            let mut octets = [0; 1024];
            let length = self.socket.recv(&mut octets).unwrap();
            String::from_utf8(octets[..length].to_vec()).unwrap()
        }
    }

    impl Drop for Manager {
        fn drop(&mut self) {
            // an abstract one has no file
            let _ = std::fs::remove_file(&self.name);
        }
    }

    #[tokio::test]
    async fn each_message_is_one_datagram_at_a_path_and_at_an_abstract_name() {
        for manager in [Manager::at_path("messages"), Manager::abstract_one()] {
            let notifier = Notifier::to(&manager.name).unwrap();
            assert!(notifier.is_heard());
            notifier.ready("3 of 3 sites up").await;
            assert_eq!(manager.receive(), "READY=1\nSTATUS=3 of 3 sites up\n");
            notifier.status("a\nREADY=1").await;
            assert_eq!(manager.receive(), "STATUS=a READY=1\n");
            notifier.feed();
            assert_eq!(manager.receive(), "WATCHDOG=1\n");
            notifier.stopping("hanging up", Duration::from_secs(12)).await;
            let message = manager.receive();
            assert_eq!(message, "STOPPING=1\nSTATUS=hanging up\nEXTEND_TIMEOUT_USEC=17000000\n");
        }
    }

    #[tokio::test]
    async fn a_reload_has_the_time_of_the_clock_that_never_goes_back() {
        let manager = Manager::at_path("reload");
        let notifier = Notifier::to(&manager.name).unwrap();
        let now = || Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap().as_micros();
        let before = now();
        notifier.reloading().await;
        let message = manager.receive();
        let time = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("both at once");
        assert!((before..=now()).contains(&time.trim_end().parse().unwrap()), "{message}");
    }

    #[tokio::test]
    async fn a_manager_that_takes_nothing_is_waited_for_and_holds_no_thread() {
        let manager = Manager::at_path("full");
        let notifier = Notifier::to(&manager.name).unwrap();
        let mut fed = 0;
        while notifier.0.as_ref().is_some_and(|socket| socket.send(b"WATCHDOG=1\n").is_ok()) {
            fed += 1;
        }
        // no room: left out, at once
        notifier.feed();
        let telling = tokio::spawn({
            let notifier = notifier.clone();
            async move { notifier.ready("up").await }
        });
        // the only thread of this runtime runs both
        tokio::task::yield_now().await;
        assert!(!telling.is_finished());
        for _ in 0..fed {
            assert_eq!(manager.receive(), "WATCHDOG=1\n");
        }
        telling.await.unwrap();
        assert_eq!(manager.receive(), "READY=1\nSTATUS=up\n");
    }

    #[tokio::test]
    async fn nobody_is_told_where_nobody_listens() {
        let silent = Notifier::default();
        assert!(!silent.is_heard());
        silent.ready("up").await;
        silent.feed();
        for name in ["relative", "", "/nonexistent/socket", "@pptp-nobody-is-here", "vsock:2:1"] {
            assert!(Notifier::to(OsStr::new(name)).is_err(), "{name}");
        }
    }
}
