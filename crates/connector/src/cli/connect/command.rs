//! The command `connect`: one tunnel, its ways in, and what to try

use std::{
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use pptp::{Client, Password};
use pptp_fleet::{Caller, EventKind, SiteFailure, SiteName, SiteState};
use tokio::time::{Instant, timeout};

use super::{arguments::ConnectArguments, configuration::configuration, settings::settings};
use crate::{
    cli::{
        client::{Failure, Terminal},
        control::{Folder, Serving},
        core_dumps,
        examination::examine,
        exit::Exit,
        privileges::RawSocket,
        signals::Signals,
    },
    daemon::{Daemon, Narrator, up_facts},
    settings::{ProxyKind, Settings},
    way_in::Way,
};

/// Connects to one server until a signal ends it
///
/// `environment` is the value of `PPTP_PASSWORD`, and `raw_socket` was opened by a process that may. A connect that fails is examined, and the exit is the layer that
/// failed.
pub async fn connect(
    arguments: &ConnectArguments,
    environment: Option<OsString>,
    raw_socket: RawSocket,
    terminal: &mut Terminal,
) -> Exit {
    let outcome = run(arguments, environment, raw_socket, terminal).await;
    terminal.finish(outcome)
}

async fn run(
    arguments: &ConnectArguments,
    environment: Option<OsString>,
    raw_socket: RawSocket,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    if let Some(file) = arguments.save.as_ref().filter(|file| file.exists()) {
        let message = format!("{} is there already, and is not replaced", file.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    core_dumps::forbid()?;
    let prompt = format!("Password of {} at {}: ", arguments.user, arguments.server);
    let password = arguments.password.find(environment, &prompt);
    let password = password.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let settings = settings(arguments, password.clone());
    check(&settings, &arguments.name).await?;
    let mut signals = Signals::new()?;
    let client = raw_socket.client().map_err(|error| {
        let mut failure = no_client(&error);
        failure.message.push_str(FOR_ONCE);
        failure
    })?;
    let daemon = Daemon::start(client.clone(), settings.clone()).await;
    let daemon = daemon.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let folder = Folder::make("connect")?;
    let serving = Serving::begin(&daemon, folder.bind()?);
    let session = Session { arguments, settings, daemon, client, folder };
    let exit = tokio::select! {
        biased;
        exit = session.serve(terminal, password) => exit,
        () = signals.end() => Ok(Exit::Success),
    };
    let exit = session.end(exit, &mut signals, terminal).await;
    serving.end().await;
    exit
}

/// A `connect` that is under way
struct Session<'a> {
    arguments: &'a ConnectArguments,
    settings: Settings,
    daemon: Arc<Daemon>,
    client: Client,
    folder: Folder,
}

impl Session<'_> {
    /// Tells what happens until a signal comes; returns if the first connect fails
    async fn serve(&self, terminal: &mut Terminal, password: Password) -> Result<Exit, Failure> {
        // before the first look at the state: no change in between is missed
        let mut events = self.daemon.fleet().events();
        terminal.line(format_args!("connecting to {}", self.arguments.server))?;
        if let Err(failure) = self.first_up().await {
            return self.explain(terminal, failure).await;
        }
        self.introduce(terminal).await?;
        self.save(terminal, &password)?;
        let mut narrator = Narrator::default();
        // that it is up was told with what there is to try
        let up = EventKind::Site {
            name: self.arguments.name.clone(),
            state: SiteState::Up { since: Instant::now() },
        };
        narrator.line(&up, None, Instant::now());
        while let Some(event) = events.next().await {
            let up = up_facts(self.daemon.fleet(), &event.kind);
            if let Some(line) = narrator.line(&event.kind, up, Instant::now()) {
                terminal.line(line)?;
            }
        }
        Ok(Exit::Program)
    }

    /// Waits until the site is up for the first time; returns what went wrong instead
    async fn first_up(&self) -> Result<(), Option<SiteFailure>> {
        let site = self.daemon.fleet().site(self.arguments.name.as_str()).ok_or(None)?;
        let mut state = site.state();
        let decided = state.wait_for(|state| state.is_up() || state.failure().is_some());
        let wait = Duration::from_secs(self.arguments.wait);
        match timeout(wait, decided).await {
            Ok(Ok(state)) => state.failure().map_or(Ok(()), |failure| Err(Some(failure.clone()))),
            Ok(Err(_)) | Err(_) => Err(None),
        }
    }

    /// Looks for the reason, layer by layer; the exit is the layer that failed
    async fn explain(
        &self,
        terminal: &mut Terminal,
        failure: Option<SiteFailure>,
    ) -> Result<Exit, Failure> {
        let wait = self.arguments.wait;
        match &failure {
            Some(failure) => terminal.complain(format_args!("not connected: {failure}")),
            None => terminal.complain(format_args!("not connected within {wait} s")),
        }
        let name = &self.arguments.name;
        // a second dial beside the site's own would end it at many servers
        self.daemon.fleet().down(name, Caller("the doctor".to_owned())).await;
        self.until_down(name).await;
        terminal.complain("looking for the reason:");
        let dial = self.settings.sites.get(name).map(|site| site.dial.clone());
        let Some(dial) = dial else { return Ok(Exit::Program) };
        let options = dial.dial_options().await;
        let options = options.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let doctor = pptp::doctor(options).client(self.client.clone());
        let found = examine(doctor, terminal).await?;
        let failed = match failure {
            Some(SiteFailure::Tunnel(error)) => Exit::Layer(error.layer()),
            _ => Exit::NotInTime,
        };
        Ok(found.unwrap_or(failed))
    }

    async fn until_down(&self, name: &SiteName) {
        let Some(site) = self.daemon.fleet().site(name.as_str()) else { return };
        let is_down = |state: &SiteState| matches!(state, SiteState::Down { .. });
        // a hang-up takes 11 s at most; the doctor dials all the same
        let _ = timeout(HANG_UP, site.state().wait_for(is_down)).await;
    }

    /// Prints what has come up, and lines to try
    async fn introduce(&self, terminal: &mut Terminal) -> Result<(), Failure> {
        let name = &self.arguments.name;
        let Some(lease) = self.daemon.fleet().site(name.as_str()).and_then(|site| site.lease())
        else {
            return Ok(());
        };
        let info = lease.info();
        let took = info.connect_time.as_millis();
        terminal.line(format_args!("up as {}, connected in {took} ms", info.inner_address))?;
        let peer = info.peer_address;
        if let Some(peer) = peer {
            let answer = lease.ping(peer, PING).await;
            terminal.line(match answer {
                Ok(time) => format!("the router {peer} answers a ping in {} ms", time.as_millis()),
                Err(_) => format!("the router {peer} answers no ping; many do not"),
            })?;
        }
        drop(lease);
        let host = peer.map_or_else(|| "HOST".to_owned(), |peer| peer.to_string());
        terminal.line("try in another terminal:")?;
        for status in self.daemon.ways().status().await {
            let Some(bound) = status.bound else { continue };
            terminal.line(format_args!("  {}", line_to_try(bound, &status.way, &host)))?;
        }
        let ask = self.folder.ask();
        terminal.line(format_args!("  {ask} show"))?;
        terminal.line(format_args!("  ssh -o ProxyCommand='{ask} nc {name} %h:%p' USER@{host}"))?;
        terminal.line("Ctrl-C ends it, and prints the configuration that does the same")
    }

    /// Writes the configuration and the password to files, if that is wanted
    fn save(&self, terminal: &mut Terminal, password: &Password) -> Result<(), Failure> {
        let Some(file) = &self.arguments.save else { return Ok(()) };
        let secret = password_file(file, &self.arguments.name);
        let shown = secret.display().to_string();
        // a path in a configuration is relative to its own folder
        let name = secret.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        let text = configuration(self.arguments, &self.settings, &name);
        write_new(&secret, 0o600, &password.octets(pptp::config::PasswordEncoding::Utf16))?;
        write_new(file, 0o644, text.as_bytes())?;
        terminal.line(format_args!(
            "written: {}, and the password to {shown}, which only you can read",
            file.display()
        ))
    }

    async fn end(
        &self,
        exit: Result<Exit, Failure>,
        signals: &mut Signals,
        terminal: &mut Terminal,
    ) -> Result<Exit, Failure> {
        if matches!(exit, Ok(Exit::Success)) && self.arguments.save.is_none() {
            let secret = format!("{}.password", self.arguments.name);
            terminal.line("\n# the configuration that does the same")?;
            terminal.line(configuration(self.arguments, &self.settings, &secret).trim_end())?;
        }
        tokio::select! {
            biased;
            is_done = self.daemon.shut_down() => {
                if !is_done {
                    terminal.complain("the server did not take the hang-up in time");
                }
            }
            // a second signal: at once
            () = signals.end() => {}
        }
        exit
    }
}

fn line_to_try(bound: SocketAddr, way: &Way, host: &str) -> String {
    match way {
        Way::Proxy(proxy) if proxy.kind == ProxyKind::Socks => {
            format!("curl -x socks5h://{bound} http://{host}/")
        }
        Way::Proxy(_) => format!("curl -x http://{bound} http://{host}/"),
        Way::Forward { forward, .. } => {
            format!("{} {bound} leads to {}", forward.protocol.name(), forward.target)
        }
    }
}

/// Refuses what can never work before anything is dialled
async fn check(settings: &Settings, name: &SiteName) -> Result<(), Failure> {
    let Some(site) = settings.sites.get(name) else { return Ok(()) };
    let usage = |error: String| Failure::new(Exit::Usage, error);
    let options = site.dial.dial_options().await.map_err(|error| usage(error.to_string()))?;
    options.check().map_err(|failure| usage(failure.to_string()))
}

/// Tells how this very program gets the capability
pub(crate) fn no_client(error: &pptp::ClientError) -> Failure {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("PROGRAM"));
    let message =
        format!("{error}\nallow it once with: sudo setcap cap_net_raw+ep {}", program.display());
    Failure::new(Exit::Layer(pptp::error::Layer::Host), message)
}

/// The file of the password beside that of the configuration
fn password_file(configuration: &Path, name: &SiteName) -> PathBuf {
    configuration.with_file_name(format!("{name}.password"))
}

fn write_new(path: &Path, mode: u32, octets: &[u8]) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(octets));
    written.map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot write {}: {error}", path.display()))
    })
}

/// The other way to the capability
const FOR_ONCE: &str =
    "\nor for once: sudo pptp-connector connect …, which becomes your user before it dials";

/// The time for the router's answer to a ping
const PING: Duration = Duration::from_secs(2);

/// The longest hang-up
const HANG_UP: Duration = Duration::from_secs(12);
