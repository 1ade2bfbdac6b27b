//! `token`, `keygen`, `seal`: secrets of the control interface

use std::{fmt::Write, os::unix::fs::MetadataExt, path::PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use pptp_fleet::SiteName;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    client::{Daemon, Failure, Terminal},
    exit::Exit,
    password::{PasswordArguments, VARIABLE},
    run::FileArgument,
};
use crate::{
    api::view::KeyView,
    configuration::Sources,
    hex::hex,
    seal::{Bound, KEY_ID, KeyPlace, PrivateKey, PublicKey, Sealed},
    settings::{Insecure, Role},
    unix::user_name,
};

/// The arguments of `token`
#[derive(Debug, Clone, Args)]
pub struct TokenArguments {
    /// The name of who gets it, for the log
    name: String,
    /// What who has it may do
    #[arg(long, value_enum, default_value_t = RoleArgument::Read)]
    role: RoleArgument,
    /// The sites for which the role counts: a name or @label=value; all without it
    #[arg(long, value_name = "SITE")]
    sites: Vec<String>,
}

/// A role, as an argument
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum RoleArgument {
    Read,
    Operate,
    Reach,
    Admin,
}

/// The arguments of `keygen`
#[derive(Debug, Clone, Args)]
pub struct KeygenArguments {
    #[command(flatten)]
    file: FileArgument,
    /// The state folder, in place of that of the configuration
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Print the private key and write no file, for `systemd-creds encrypt --name=sealing-key - FILE`
    #[arg(long, conflicts_with = "state")]
    print: bool,
}

/// The arguments of `seal`
#[derive(Debug, Clone, Args)]
pub struct SealArguments {
    /// The name of the site
    site: SiteName,
    /// The server, as the site has it: host or host:port
    #[arg(long)]
    server: String,
    /// The user at the server
    #[arg(short, long)]
    user: String,
    /// A weaker login or encryption that the site agrees to; several times for several
    #[arg(long, value_enum, value_name = "WEAKER")]
    insecure: Vec<Insecure>,
    /// The public key (`k1.` and Base64); without it the daemon is asked
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    password: PasswordArguments,
}

/// Makes a token, and prints it and the lines of the configuration
pub fn token(arguments: &TokenArguments, terminal: &mut Terminal) -> Exit {
    let outcome = make_token(arguments, terminal).map(|()| Exit::Success);
    terminal.finish(outcome)
}

/// Makes the key of sealed passwords
pub fn keygen(arguments: &KeygenArguments, terminal: &mut Terminal) -> Exit {
    let outcome = make_key(arguments, terminal).map(|()| Exit::Success);
    terminal.finish(outcome)
}

/// Seals a password for a site
pub async fn seal(
    socket: &std::path::Path,
    arguments: &SealArguments,
    terminal: &mut Terminal,
) -> Exit {
    let outcome = make_sealed(socket, arguments, terminal).await.map(|()| Exit::Success);
    terminal.finish(outcome)
}

fn make_token(arguments: &TokenArguments, terminal: &mut Terminal) -> Result<(), Failure> {
    let TokenArguments { name, role, sites } = arguments;
    let is_one = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_one) {
        let message = "the name of a token has letters, digits, `.`, `_` and `-`, 64 at most";
        return Err(Failure::new(Exit::Usage, message));
    }
    let selector = crate::settings::Selector::parse(sites);
    selector.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let token = random_token();
    let mut lines = format!("[[api.token]]\nname = \"{name}\"\nsha256 = \"{}\"\n", hash(&token));
    // writing to a text cannot fail
    let _ = writeln!(lines, "role = \"{}\"", role.role());
    if !sites.is_empty() {
        let sites: Vec<_> = sites.iter().map(|site| format!("{site:?}")).collect();
        let _ = writeln!(lines, "sites = [{}]", sites.join(", "));
    }
    terminal.complain("the token, which is kept nowhere:");
    terminal.line(&*token)?;
    terminal.complain("below an [[api]] with `listen` in the configuration, and then `reload`:");
    terminal.line(lines.trim_end())
}

/// Makes a token of 256 random bits
///
/// The random octets are those of the system that a private key is made of.
fn random_token() -> Zeroizing<String> {
    let key = PrivateKey::generate();
    let digest = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(key.to_text().as_bytes())));
    Zeroizing::new(format!("pptp_{}", URL_SAFE_NO_PAD.encode(digest.as_slice())))
}

fn hash(token: &str) -> String {
    hex(Sha256::digest(token.as_bytes()))
}

fn make_key(arguments: &KeygenArguments, terminal: &mut Terminal) -> Result<(), Failure> {
    let KeygenArguments { file, state, print } = arguments;
    if *print {
        let key = PrivateKey::generate();
        terminal.line(&*key.to_text())?;
        terminal.complain(format_args!("public key: {}", key.public()));
        terminal.complain(BACKUP);
        return Ok(());
    }
    let state = match state {
        Some(state) => state.clone(),
        None => state_of(file)?,
    };
    let made = KeyPlace::create(&state);
    let key = made.map_err(|error| Failure::new(Exit::Program, error.to_string()))?;
    terminal.line(format_args!("public key: {}", key.public()))?;
    let place = state.join("key");
    let owner = std::fs::metadata(&place).map(|facts| user_name(facts.uid())).unwrap_or_default();
    terminal.line(format_args!("private key: {}, for {owner} alone", place.display()))?;
    terminal.line(BACKUP)
}

/// Returns the state folder that a configuration names
fn state_of(file: &FileArgument) -> Result<PathBuf, Failure> {
    let sources = Sources::load(&file.config);
    let sources = sources.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    sources.state_folder().ok_or_else(|| {
        let message = "the configuration names no `state` folder: write it there, or give --state";
        Failure::new(Exit::Usage, message)
    })
}

async fn make_sealed(
    socket: &std::path::Path,
    arguments: &SealArguments,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let SealArguments { site, server, user, insecure, key, password } = arguments;
    let key = if let Some(key) = key {
        key.clone()
    } else {
        let view = Daemon::new(socket).get::<KeyView>("/v1/key").await?;
        format!("{KEY_ID}.{}", view.public_key)
    };
    let key: PublicKey = key
        .parse()
        .map_err(|error: crate::seal::InvalidKey| Failure::new(Exit::Usage, error.to_string()))?;
    let password = password.find(std::env::var_os(VARIABLE), "Password: ");
    let password = password.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let bound = Bound::new(site, server, user, insecure.iter().copied());
    let sealed = Sealed::seal(&key, &bound, &password);
    let sealed = sealed.map_err(|error| Failure::new(Exit::Program, error.to_string()))?;
    terminal.line(sealed)
}

impl RoleArgument {
    const fn role(self) -> Role {
        match self {
            Self::Read => Role::Read,
            Self::Operate => Role::Operate,
            Self::Reach => Role::Reach,
            Self::Admin => Role::Admin,
        }
    }
}

/// The words about a key that is lost
const BACKUP: &str = "keep a copy of it elsewhere: without it no sealed password can be read, and whoever has it and the \
                      sealed passwords has the passwords";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_bits_and_the_lines_have_its_hash() {
        let (mut terminal, captured) = Terminal::captured();
        let sites = vec!["@city=Berlin".to_owned()];
        let arguments = TokenArguments { name: "manager".into(), role: RoleArgument::Admin, sites };
        assert_eq!(token(&arguments, &mut terminal), Exit::Success);
        let out = captured.out();
        let (token, lines) = out.split_once('\n').unwrap();
        assert_eq!(token.len(), "pptp_".len() + 43);
        let text = format!("[[api]]\nlisten = \"127.0.0.1:9090\"\n{lines}");
        let sources = Sources::of_text("x.toml".as_ref(), text);
        let read = crate::configuration::Configuration::read(sources, None);
        assert!(read.is_good(), "{}", read.rendered());
        assert!(lines.contains(&hash(token)), "{lines}");
        let (mut terminal, again) = Terminal::captured();
        super::token(&arguments, &mut terminal);
        assert!(!again.out().contains(token), "another one each time");
        let wrong = TokenArguments { name: "a\"b".into(), ..arguments };
        assert_eq!(super::token(&wrong, &mut terminal), Exit::Usage);
    }

    #[tokio::test]
    async fn a_password_that_the_command_seals_is_opened_by_the_key_that_it_made() {
        let state = std::env::temp_dir().join(format!("pptp-keygen-{}", std::process::id()));
        let (mut terminal, captured) = Terminal::captured();
        let file = FileArgument { config: "/nonexistent".into() };
        let arguments = KeygenArguments { file, state: Some(state.clone()), print: false };
        assert_eq!(keygen(&arguments, &mut terminal), Exit::Success);
        assert_eq!(keygen(&arguments, &mut terminal), Exit::Program, "never replaced");
        let key = KeyPlace::new(Some(state.clone())).read().unwrap();
        let password = state.join("password");
        std::fs::write(&password, "geheim\n").unwrap();
        let public = key.public().to_string();
        assert!(captured.out().contains(&public));
        let (mut terminal, captured) = Terminal::captured();
        let words = ["seal", "b1", "--server", "VPN", "-u", "svc", "--key", &public];
        let words = words.iter().map(ToString::to_string);
        let words = words.chain(["--password-file".into(), password.display().to_string()]);
        let command = SealArguments::augment_args(clap::Command::new("seal"));
        let matches = command.try_get_matches_from(words).unwrap();
        let arguments = <SealArguments as clap::FromArgMatches>::from_arg_matches(&matches);
        let exit = seal("/nonexistent".as_ref(), &arguments.unwrap(), &mut terminal).await;
        std::fs::remove_dir_all(&state).unwrap();
        assert_eq!(exit, Exit::Success, "{}", captured.err());
        let sealed: Sealed = captured.out().trim().parse().unwrap();
        let bound = Bound::new(&"b1".parse().unwrap(), "vpn:1723", "svc", []);
        assert_eq!(sealed.open(&key, &bound), Ok(pptp::Password::new("geheim")));
    }
}
