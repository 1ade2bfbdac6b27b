//! Certificates for a trial, made by openssl.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

/// The certificates of a service and its clients, two days long, gone when dropped
///
/// The service's names its address and nothing else. They are in a folder of the host that other users
/// cannot read, and the lab's guest can.
#[derive(Debug)]
pub struct Certificates(PathBuf);

impl Certificates {
    /// New keys and certificates for a service at `address`
    pub fn new(address: Ipv4Addr) -> io::Result<Self> {
        // not the host's TMPDIR: the guest sees this one
        let folder = Path::new("/tmp").join(format!("pptp-interop-certificates-{}", process::id()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let certificates = Self(folder);
        fs::write(certificates.configuration(), CONFIGURATION)?;
        for authority in ["ca", "stranger"] {
            certificates.make(authority, &["basicConstraints=critical,CA:TRUE"], None)?;
        }
        let name = format!("subjectAltName=IP:{address}");
        let ca = Some("ca");
        certificates.make("service", &[&name, NO_CA, "extendedKeyUsage=serverAuth"], ca)?;
        certificates.make("client", &[NO_CA, "extendedKeyUsage=clientAuth"], ca)?;
        Ok(certificates)
    }

    /// The authority that signed the certificates of the service and of the client
    pub fn authority(&self) -> PathBuf {
        self.certificate("ca")
    }

    /// An authority that signed neither
    pub fn stranger(&self) -> PathBuf {
        self.certificate("stranger")
    }

    /// Certificate and key of a client
    pub fn client(&self) -> [PathBuf; 2] {
        [self.certificate("client"), self.key("client")]
    }

    /// Certificate and key of the service
    pub fn service(&self) -> [PathBuf; 2] {
        [self.certificate("service"), self.key("service")]
    }

    fn make(&self, name: &str, extensions: &[&str], signed_by: Option<&str>) -> io::Result<()> {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-days", "2", "-subj", &format!("/CN={name}")]);
        command.arg("-config").arg(self.configuration());
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        command.arg("-keyout").arg(self.key(name)).arg("-out").arg(self.certificate(name));
        for extension in extensions {
            command.args(["-addext", extension]);
        }
        if let Some(authority) = signed_by {
            command.arg("-CA").arg(self.certificate(authority));
            command.arg("-CAkey").arg(self.key(authority));
        }
        let output = command.output()?;
        let told = || format!("openssl: {}", String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(()) } else { Err(io::Error::other(told())) }
    }

    fn configuration(&self) -> PathBuf {
        self.0.join("openssl.conf")
    }

    fn certificate(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pem"))
    }

    fn key(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}-key.pem"))
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const NO_CA: &str = "basicConstraints=critical,CA:FALSE";
/// The least that openssl asks for: the system's own would make each certificate one of an authority.
const CONFIGURATION: &str = "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = none\n";
