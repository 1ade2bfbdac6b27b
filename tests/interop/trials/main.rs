//! The interop tests: this client against pptpd, pppd and the kernel's MPPE.

use std::process::ExitCode;

fn main() -> ExitCode {
    pptp_interop::run(vec![pptp_interop::trial("wire", async |_lab: &pptp_interop::Lab| {
        for b in pptp_interop::Building::ORDINARY {
            tokio::net::TcpStream::connect((b.server(), 1723)).await?;
        }
        Ok(())
    })])
}
