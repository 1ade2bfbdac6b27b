//! The program `pptp-connector`

use std::process::ExitCode;

fn main() -> ExitCode {
    pptp_connector::cli::main()
}
