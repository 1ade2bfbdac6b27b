//! The user and the password on the command line of each example

use std::{ffi::OsString, io, path::PathBuf};

use clap::{
    Args,
    builder::{PathBufValueParser, TypedValueParser},
};
use pptp::TunnelConfig;

/// The ways to give a password: an option, a file, or `PPTP_PASSWORD` in the environment
#[derive(Args)]
pub(crate) struct Password {
    /// The password on all servers; without any, that of `PPTP_PASSWORD` in the environment
    #[arg(long)]
    password: Option<String>,
    /// A file that holds it
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "password",
        value_parser = PathBufValueParser::new().try_map(read_password)
    )]
    password_file: Option<String>,
}

impl Password {
    /// The password of the command line, or else of the environment, if there is any
    pub(crate) fn find(&self, environment: Option<OsString>) -> Result<Option<String>, String> {
        if let Some(password) = self.password.as_ref().or(self.password_file.as_ref()) {
            return Ok(Some(password.clone()));
        }
        let password = environment.map(OsString::into_string).transpose();
        password.map_err(|_| format!("{VARIABLE} is not UTF-8"))
    }
}

/// A user's name that can be sent
pub(crate) fn user(name: &str) -> Result<String, String> {
    let config = TunnelConfig::new("server", name, "");
    config.check().map(|()| name.to_owned()).map_err(|failure| failure.to_string())
}

fn read_password(file: PathBuf) -> io::Result<String> {
    Ok(std::fs::read_to_string(file)?.trim_end_matches(['\r', '\n']).to_owned())
}

/// The variable of the environment that may hold the password
pub(crate) const VARIABLE: &str = "PPTP_PASSWORD";
