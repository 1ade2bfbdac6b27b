//! The password of a command: an option's file, the environment, or typed

use std::{ffi::OsString, fs, io, path::PathBuf};

use clap::Args;
use pptp::Password;

/// The ways to give a password; a terminal is asked where there is none
#[derive(Debug, Clone, Default, Args)]
pub struct PasswordArguments {
    /// A file that holds the password; `-` is standard input. Without it: `PPTP_PASSWORD`, or it is asked for
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// The reason why there is no password
#[derive(Debug, thiserror::Error)]
pub enum NoPassword {
    /// The file could not be read
    #[error("the password could not be read from {}: {error}", file.display())]
    File {
        /// The file
        file: PathBuf,
        /// The reason
        error: io::Error,
    },
    /// The environment's is not UTF-8
    #[error("{VARIABLE} of the environment is not UTF-8")]
    Environment,
    /// There is no terminal to ask
    #[error(
        "no password: set {VARIABLE}, give --password-file FILE, or run it in a terminal ({0})"
    )]
    Terminal(io::Error),
}

impl PasswordArguments {
    /// Finds the password; `environment` is the value of `PPTP_PASSWORD`, and `prompt` what a terminal is asked
    ///
    /// # Errors
    /// See [`NoPassword`].
    pub fn find(
        &self,
        environment: Option<OsString>,
        prompt: &str,
    ) -> Result<Password, NoPassword> {
        let text = match (&self.password_file, environment) {
            (Some(file), _) => read(file)?,
            (None, Some(value)) => value.into_string().map_err(|_| NoPassword::Environment)?,
            (None, None) => rpassword::prompt_password(prompt).map_err(NoPassword::Terminal)?,
        };
        Ok(Password::new(text))
    }
}

fn read(file: &PathBuf) -> Result<String, NoPassword> {
    let text = if file.as_os_str() == "-" {
        io::read_to_string(io::Read::take(io::stdin(), MAX_PASSWORD_FILE))
    } else {
        fs::File::open(file)
            .and_then(|file| io::read_to_string(io::Read::take(file, MAX_PASSWORD_FILE)))
    };
    let text = text.map_err(|error| NoPassword::File { file: file.clone(), error })?;
    Ok(text.strip_suffix('\n').map_or(&*text, |line| line.trim_end_matches('\r')).to_owned())
}

/// The variable of the environment that may hold the password
pub const VARIABLE: &str = "PPTP_PASSWORD";

/// Octets of a password file: far more than any password has
const MAX_PASSWORD_FILE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_before_the_environment_and_loses_its_line_end() {
        let file = std::env::temp_dir().join(format!("pptp-password-{}", std::process::id()));
        fs::write(&file, "geheim \r\n").unwrap();
        let arguments = PasswordArguments { password_file: Some(file.clone()) };
        let found = arguments.find(Some("other".into()), "").unwrap();
        fs::remove_file(&file).unwrap();
        assert!(found == Password::new("geheim "));
        let found = PasswordArguments::default().find(Some("other".into()), "").unwrap();
        assert!(found == Password::new("other"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let arguments = PasswordArguments { password_file: Some("/no/such/file".into()) };
        let error = arguments.find(None, "").unwrap_err().to_string();
        assert!(error.contains("/no/such/file"), "{error}");
    }
}
