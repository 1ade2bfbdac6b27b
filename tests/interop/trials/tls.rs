//! TLS from end to end through `pptp-connector`: the service's certificate stays valid, whoever owns the routes.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp_interop::{
    Building, Certificates, Daemon, Dockerd, Lab, Outcome, PASSWORD, USER, Vpn, trial,
};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

const SITES: [Building; 2] = [Building::ONE, Building::TWO];
const SOCKS: &str = "127.0.0.1:1080";
const HTTP: &str = "127.0.0.1:8080";
/// The HTTP proxy of the first site alone
const PINNED: &str = "127.0.0.1:8101";
/// The variables by which the environment of this run might name a proxy of its own
const PROXY_VARIABLES: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];
/// It names the address that the certificate names.
const URL: &str = "https://192.168.99.100:2376/version";
/// The same place with the site in its name
const RENAMED: &str = "https://192.168.99.100.b1.pptp.internal:2376/version";
const LIMIT: Duration = Duration::from_secs(40);
/// The exit code of curl if the certificate of the service cannot be verified
const WRONG_CERTIFICATE: i32 = 60;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("tls_keeps_its_certificate_while_another_vpn_owns_the_routes", certificate)]
}

/// The files of a client of dockerd
struct Client {
    certificate: PathBuf,
    key: PathBuf,
    /// Signed the certificate of dockerd
    authority: PathBuf,
    /// Did not
    stranger: PathBuf,
}

impl Client {
    fn new(certificates: &Certificates) -> Self {
        let [certificate, key] = certificates.client();
        let [authority, stranger] = [certificates.authority(), certificates.stranger()];
        Self { certificate, key, authority, stranger }
    }

    fn curl(&self, proxy: Option<&str>, authority: &Path, url: &str) -> io::Result<Output> {
        let mut command = without_proxy("curl");
        command.args(["-q", "-sS", "--fail", "-m", "20"]).arg("--cacert").arg(authority);
        command.arg("--cert").arg(&self.certificate).arg("--key").arg(&self.key);
        if let Some(proxy) = proxy {
            command.args(["-x", proxy]);
        }
        command.arg(url).output()
    }

    fn docker(&self, proxy: Option<&str>, authority: &Path, words: &[&str]) -> io::Result<Output> {
        let mut command = without_proxy("timeout");
        command.args(["20", "docker", "-H", &format!("tcp://{}", Dockerd::PLACE), "--tlsverify"]);
        command.arg("--tlscacert").arg(authority);
        command.arg("--tlscert").arg(&self.certificate).arg("--tlskey").arg(&self.key).args(words);
        command.env("DOCKER_CONFIG", "/nonexistent");
        if let Some(proxy) = proxy {
            command.env("HTTPS_PROXY", proxy);
        }
        command.output()
    }
}

/// A dockerd that can be reached in the first site only, whose certificate names its address only
async fn certificate(lab: &Lab) -> Outcome {
    let certificates = Certificates::new(Dockerd::ADDRESS)?;
    let _dockerd = Dockerd::start(lab, Building::ONE, &certificates).await?;
    let _vpn = Vpn::start(&SITES.map(Building::server))?;
    caught_by_the_vpn().await?;
    let before = routes()?;
    let daemon = Daemon::start(&configuration())?;
    for site in SITES {
        daemon.is_up(site, LIMIT).await?;
    }
    assert_eq!(routes()?, before);

    let client = Client::new(&certificates);
    let version = curl_verifies(&client)?;
    curl_sees_another_name(&client)?;
    curl_finds_nothing_elsewhere(&client)?;
    docker_verifies(&client, &version)?;
    assert_eq!(routes()?, before);

    hang_up(&daemon).await?;
    assert_eq!(routes()?, before);
    Ok(())
}

/// Without `[outer] device` nothing would reach the servers.
async fn caught_by_the_vpn() -> Outcome {
    for site in SITES {
        let connect = TcpStream::connect((site.server(), 1723));
        let connected = timeout(Duration::from_secs(2), connect).await;
        assert!(!matches!(connected, Ok(Ok(_))), "the other VPN lets b{} pass", site.number());
    }
    Ok(())
}

/// The version that dockerd tells curl, which is the same on each way
fn curl_verifies(client: &Client) -> Result<String, Failed> {
    let mut versions = Vec::new();
    for proxy in ways() {
        let told = printed(&client.curl(Some(&proxy), &client.authority, URL)?)?;
        let answer: serde_json::Value = serde_json::from_str(&told)?;
        let version = answer["Version"].as_str().ok_or("no version")?.to_owned();
        println!("  curl by {proxy}: dockerd {version}, API {}", answer["ApiVersion"]);
        versions.push(version);

        let mistrusted = client.curl(Some(&proxy), &client.stranger, URL)?;
        assert_eq!(mistrusted.status.code(), Some(WRONG_CERTIFICATE), "{mistrusted:?}");
    }
    versions.dedup();
    assert_eq!(versions.len(), 1, "{versions:?}");
    versions.pop().ok_or_else(|| "no way".into())
}

/// The same service under a name that its certificate does not have
fn curl_sees_another_name(client: &Client) -> Outcome {
    for proxy in [format!("socks5h://{SOCKS}"), format!("http://{HTTP}")] {
        let output = client.curl(Some(&proxy), &client.authority, RENAMED)?;
        assert_eq!(output.status.code(), Some(WRONG_CERTIFICATE), "{output:?}");
    }
    Ok(())
}

/// Neither the machine itself nor the other site reaches the address.
fn curl_finds_nothing_elsewhere(client: &Client) -> Outcome {
    let [socks, http] = [format!("socks5h://b2@{SOCKS}"), format!("http://b2:x@{HTTP}")];
    for (proxy, wanted) in
        [(None, "curl: (7)"), (Some(socks.as_str()), "curl: (97)"), (Some(http.as_str()), "502")]
    {
        let output = client.curl(proxy, &client.authority, URL)?;
        let told = String::from_utf8_lossy(&output.stderr);
        println!("  curl by {}: {}", proxy.unwrap_or("no proxy"), told.trim_end());
        assert!(!output.status.success() && told.contains(wanted), "{output:?}");
    }
    Ok(())
}

/// Docker's command line by each HTTP proxy
fn docker_verifies(client: &Client, version: &str) -> Outcome {
    let ask_version = ["version", "--format", "{{.Server.Version}}"];
    for proxy in ways().iter().filter(|proxy| proxy.starts_with("http:")) {
        let told = printed(&client.docker(Some(proxy), &client.authority, &ask_version)?)?;
        println!("  docker by {proxy}: {}", told.trim_end());
        assert_eq!(told.trim_end(), version);
        let listed = printed(&client.docker(Some(proxy), &client.authority, &["ps"])?)?;
        assert!(listed.starts_with("CONTAINER ID"), "{listed}");

        let mistrusted = client.docker(Some(proxy), &client.stranger, &ask_version)?;
        let told = String::from_utf8_lossy(&mistrusted.stderr);
        assert!(!mistrusted.status.success() && told.contains("certificate"), "{mistrusted:?}");
    }
    let direct = client.docker(None, &client.authority, &ask_version)?;
    assert!(!direct.status.success(), "{direct:?}");
    Ok(())
}

/// The ways to a site that leave the URL as it is
fn ways() -> [String; 4] {
    [
        format!("socks5h://b1@{SOCKS}"),
        format!("http://b1@{HTTP}"),
        format!("http://b1:any-password@{HTTP}"),
        format!("http://{PINNED}"),
    ]
}

fn without_proxy(program: &str) -> Command {
    let mut command = Command::new(program);
    for variable in PROXY_VARIABLES {
        command.env_remove(variable);
    }
    command
}

fn printed(output: &Output) -> Result<String, Failed> {
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{}: {said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout.clone())?)
}

/// All routes and rules of the lab's namespace
fn routes() -> Result<String, Failed> {
    let routes = printed(&Command::new("ip").args(["route", "show", "table", "all"]).output()?)?;
    let rules = printed(&Command::new("ip").args(["rule", "show"]).output()?)?;
    Ok(routes + &rules)
}

async fn hang_up(daemon: &Daemon) -> Outcome {
    daemon.program().terminate()?;
    let deadline = Instant::now() + LIMIT;
    for site in SITES {
        let told = format!("b{}: down: Closed", site.number());
        while !daemon.program().printed().contains(&told) {
            assert!(Instant::now() < deadline, "no {told:?} in: {}", daemon.program().printed());
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

fn configuration() -> String {
    let device = Vpn::OUTER_DEVICE;
    let site =
        |site: Building| format!("[site.b{}]\nserver = '{}'\n", site.number(), site.server());
    format!(
        "[outer]\ndevice = '{device}'\n\
         [[proxy]]\nsocks = '{SOCKS}'\n\
         [[proxy]]\nhttp = '{HTTP}'\n\
         [[proxy]]\nhttp = '{PINNED}'\nsites = ['b1']\n\
         [defaults]\nuser = '{USER}'\npassword = '{PASSWORD}'\n{}",
        SITES.map(site).concat()
    )
}
