//! The ways in of `pptp-connector run`, used by the programs that the book names.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use pptp_interop::{
    Building, Daemon, Finished, Lab, Outcome, PASSWORD, Program, USER, download, sha256, trial,
    upload,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The sites of the daemon
pub(crate) static SITES: [Building; 2] = [Building::ONE, Building::TWO];
const SOCKS: u16 = 11080;
const HTTP: u16 = 18080;
const KNX: u16 = 13671;
const ECHO: u16 = 10007;
const POSTGRES: u16 = 15432;
const LIMIT: Duration = Duration::from_mins(1);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("curl_through_SOCKS_by_the_user_name_and_by_the_host_name", socks),
        trial("curl_through_the_HTTP_proxy_by_whole_URLs_and_by_CONNECT", http),
        trial("curl_is_told_why_a_host_is_not_reached", refusals),
        trial("PySocks_sends_datagrams_to_two_sites_at_once", datagrams),
        trial("ssh_and_scp_by_the_proxy_command", ssh),
        trial("psql_through_a_forward", psql),
        trial("xknx_tunnels_with_route_back_through_a_forward", knx),
        trial("a_WebSocket_through_CONNECT", websocket),
        trial("two_hundred_connections_at_once_through_one_forward", many),
    ]
}

/// The configuration of two sites with all ways in
pub(crate) fn configuration() -> String {
    let mut text = format!(
        "[[proxy]]\nsocks = '127.0.0.1:{SOCKS}'\n[[proxy]]\nhttp = '127.0.0.1:{HTTP}'\n\
         [defaults]\nuser = '{USER}'\npassword = '{PASSWORD}'\n"
    );
    for building in SITES {
        text += &site(building, "");
    }
    text
}

/// The part of one site, with more keys
pub(crate) fn site(building: Building, keys: &str) -> String {
    let (number, server) = (building.number(), building.server());
    let forward = |port: u16, to: &str| {
        let port = port + u16::try_from(number).unwrap_or_default();
        format!("[[site.b{number}.forward]]\nlisten = '127.0.0.1:{port}'\nto = '{to}'\n")
    };
    let forwards = [
        forward(KNX, "udp:gateway:3671"),
        forward(ECHO, "tcp:gateway:7"),
        forward(POSTGRES, "tcp:gateway:5432"),
    ]
    .concat();
    format!(
        "[site.b{number}]\nserver = '{server}'\nhosts = {{ gateway = '192.168.1.3' }}\n{keys}{forwards}"
    )
}

/// A daemon whose two sites are up
pub(crate) async fn connected() -> Result<Daemon, Failed> {
    let daemon = Daemon::start(&configuration())?;
    for site in SITES {
        daemon.is_up(site, LIMIT).await?;
    }
    Ok(daemon)
}

/// A proxy of the daemon for curl, with the site as the user name
pub(crate) fn by_user(scheme: &str, site: Building) -> String {
    let port = if scheme == "http" { HTTP } else { SOCKS };
    format!("{scheme}://b{}@127.0.0.1:{port}", site.number())
}

async fn socks(_: &Lab) -> Outcome {
    let _daemon = connected().await?;
    for site in SITES {
        let number = site.number();
        let named = format!("building {number}\n");
        let proxy = by_user("socks5h", site);
        for url in ["http://192.168.1.3/", "http://gateway/", "http://knx.lan/"] {
            assert_eq!(body(&["-x", &proxy, url]).await?, named, "{url}");
        }
        let nobody = format!("socks5h://127.0.0.1:{SOCKS}");
        for host in ["192.168.1.3", "gateway", "knx.lan"] {
            let url = format!("http://{host}.b{number}.pptp.internal/");
            assert_eq!(body(&["-x", &nobody, &url]).await?, named, "{url}");
        }
        pass_all(site, &["-x", &proxy]).await?;
    }
    Ok(())
}

async fn http(_: &Lab) -> Outcome {
    let _daemon = connected().await?;
    for site in SITES {
        let number = site.number();
        let (proxy, nobody) = (by_user("http", site), format!("http://127.0.0.1:{HTTP}"));
        let url = format!("http://gateway.b{number}.pptp.internal/");
        for arguments in [
            ["-x", &proxy, "http://192.168.1.3/"].as_slice(),
            &["-x", &proxy, "-p", "http://192.168.1.3/"],
            &["-x", &nobody, &url],
            &["-x", &nobody, "-p", &url],
        ] {
            let told = body(arguments).await?;
            assert_eq!(told, format!("building {number}\n"), "{arguments:?}");
        }
        pass_all(site, &["-x", &proxy]).await?;
        pass_all(site, &["-x", &proxy, "-p"]).await?;
    }
    Ok(())
}

/// Sixteen MiB each way, of the right site
async fn pass_all(site: Building, proxy: &[&str]) -> Outcome {
    let folder = std::env::temp_dir();
    let [down, up] = ["down", "up"].map(|way| folder.join(format!("pptp-interop-curl-{way}")));
    let (down_path, up_path) = (down.to_string_lossy(), up.to_string_lossy());
    fs::write(&up, upload(site.number()))?;
    let downloaded = curl(&[proxy, &["-o", &down_path, "http://192.168.1.3/16M"]].concat()).await;
    let uploaded = body(&[proxy, &["-T", &up_path, "http://192.168.1.3/upload"]].concat()).await;
    let got = fs::read(&down);
    let _ = (fs::remove_file(&down), fs::remove_file(&up));
    assert!(downloaded?.status.success());
    assert_eq!(sha256(&got?), sha256(&download(site.number())));
    assert_eq!(uploaded?.trim_end(), sha256(&upload(site.number())));
    Ok(())
}

/// What curl prints and its exit code, for each reason that the book lists
async fn refusals(_: &Lab) -> Outcome {
    let daemon = connected().await?;
    let [one, two] = SITES;
    daemon.ask(&["down", "b2"]).await?;
    let nowhere = format!("socks5h://b7@127.0.0.1:{SOCKS}");
    let told = |proxy: String, url: &'static str| async move {
        let finished = curl(&["-x", &proxy, "-p", "-i", url]).await?;
        Ok::<_, Failed>((finished.status.code(), finished.printed))
    };
    for (proxy, url, code, words) in [
        (by_user("socks5h", one), "http://192.168.1.3:81/", 97, "(5)"),
        (by_user("socks5h", one), "http://nobody.lan/", 97, "(4)"),
        (by_user("socks5h", two), "http://192.168.1.3/", 97, "(3)"),
        (nowhere, "http://192.168.1.3/", 97, "(2)"),
        (by_user("http", one), "http://192.168.1.3:81/", 56, "502"),
        (by_user("http", two), "http://192.168.1.3/", 56, "503"),
        (format!("http://127.0.0.1:{HTTP}"), "http://192.168.1.3/", 56, "407"),
    ] {
        let (exit, printed) = told(proxy.clone(), url).await?;
        println!("  {}", printed.lines().next().unwrap_or_default());
        assert_eq!(exit, Some(code), "{proxy} {url}: {printed}");
        assert!(printed.contains(words), "{proxy} {url}: {printed}");
    }
    Ok(())
}

async fn datagrams(_: &Lab) -> Outcome {
    let _daemon = connected().await?;
    let port = SOCKS.to_string();
    let finished = python("udp_by_socks.py", &[&port, "b1", "b2"]).await?;
    assert!(finished.printed.contains("heard all"), "{}", finished.printed);
    Ok(())
}

/// A key of its own, a host key that is remembered by the site's name, and a file both ways
async fn ssh(lab: &Lab) -> Outcome {
    let daemon = connected().await?;
    let folder = std::env::temp_dir().join(format!("pptp-interop-ssh-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = ssh_in(lab, &daemon, &folder).await;
    fs::remove_dir_all(&folder)?;
    outcome
}

async fn ssh_in(lab: &Lab, daemon: &Daemon, folder: &Path) -> Outcome {
    let [key, sent, back] = ["key", "sent", "back"].map(|name| folder.join(name));
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
    assert!(Program::run(make, LIMIT).await?.status.success());
    let public = fs::read_to_string(key.with_extension("pub"))?;
    let server = format!("$LAB/ssh-device {}", public.trim());
    let device = lab.start_on_device(Building::ONE, &server).await?;
    // the guest's kernel has random numbers for a key only some time after its start
    device.wait_for("Server listening", LIMIT * 2).await?;
    let nc = daemon.command(&["nc", "b1", "%h:%p"])?;
    let words = [nc.get_program()].into_iter().chain(nc.get_args());
    let nc = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let known = folder.join("known");
    let options = |program: &str| {
        let mut command = Command::new(program);
        command.args(["-F", "none", "-i"]).arg(&key).args(["-o", &format!("ProxyCommand={nc}")]);
        command.args(["-o", &format!("UserKnownHostsFile={}", known.display())]);
        command.args(["-o", "StrictHostKeyChecking=accept-new", "-o", "HostKeyAlias=b1-gateway"]);
        command.args(["-o", "BatchMode=yes", "-o", "LogLevel=ERROR"]);
        command
    };
    let mut ask = options("ssh");
    ask.args(["root@192.168.1.3", "ip -4 -br addr show eth0; exit 7"]);
    let finished = Program::run(ask, LIMIT).await?;
    assert!(finished.printed.contains("192.168.1.3/24"), "{}", finished.printed);
    assert_eq!(finished.status.code(), Some(7), "{}", finished.printed);
    assert!(fs::read_to_string(&known)?.starts_with("b1-gateway "));
    fs::write(&sent, &upload(1)[..1 << 20])?;
    fs::set_permissions(&sent, fs::Permissions::from_mode(0o600))?;
    let there = "root@192.168.1.3:/run/ssh-device/file".to_owned();
    let [sent_path, back_path] = [&sent, &back].map(|path| path.to_string_lossy().into_owned());
    for (from, to) in [(&sent_path, &there), (&there, &back_path)] {
        let mut copy = options("scp");
        copy.args([from, to]);
        let finished = Program::run(copy, LIMIT).await?;
        assert!(finished.status.success(), "{}", finished.printed);
    }
    assert_eq!(sha256(&fs::read(&back)?), sha256(&fs::read(&sent)?));
    Ok(())
}

/// A table is made, and comes back whole
async fn psql(lab: &Lab) -> Outcome {
    let _daemon = connected().await?;
    let device = lab.start_on_device(Building::ONE, "$LAB/postgres-device").await?;
    device.wait_for("ready to accept connections", LIMIT * 2).await?;
    let ask = async |statement: &str| {
        let mut command = Command::new("psql");
        let port = (POSTGRES + 1).to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-X", "-q", "-At"]);
        command.args(["-v", "ON_ERROR_STOP=1", "-c", statement]);
        let finished = Program::run(command, LIMIT).await?;
        if finished.status.success() { Ok(finished.printed) } else { Err(finished.printed) }
            .map_err(Failed::from)
    };
    ask("create table t as select i, md5(i::text) h from generate_series(1, 20000) i").await?;
    let digest = "select encode(sha256(string_agg(h, E'\\n' order by i)::bytea), 'hex') from t";
    let (digest, rows) = (ask(digest).await?, ask("select h from t order by i").await?);
    assert_eq!(rows.lines().count(), 20_000);
    assert_eq!(sha256(rows.trim_end().as_bytes()), digest.trim_end());
    Ok(())
}

async fn knx(_: &Lab) -> Outcome {
    let _daemon = connected().await?;
    for site in SITES {
        let port = KNX + u16::try_from(site.number())?;
        let finished = python("knx.py", &[&port.to_string()]).await?;
        println!("  b{}: {}", site.number(), finished.printed.trim_end().replace('\n', ", "));
        assert!(finished.printed.contains("connected as 1.1."), "{}", finished.printed);
        assert!(finished.printed.contains("sent 3 refused 0"), "{}", finished.printed);
    }
    Ok(())
}

async fn websocket(lab: &Lab) -> Outcome {
    let _daemon = connected().await?;
    let server = "/usr/bin/python3 $LAB/websocket-device";
    let device = lab.start_on_device(Building::TWO, server).await?;
    device.wait_for("listens", LIMIT).await?;
    let finished = python("websocket.py", &[&HTTP.to_string(), "b2"]).await?;
    let log = device.log().await?;
    assert!(finished.printed.contains("closed with 1000"), "{}\n{log}", finished.printed);
    Ok(())
}

/// All are open before the first says anything
async fn many(_: &Lab) -> Outcome {
    const CONNECTIONS: usize = 200;
    let _daemon = connected().await?;
    let mut opening = JoinSet::new();
    for number in 0..CONNECTIONS {
        opening.spawn(async move {
            let mut stream = TcpStream::connect(("127.0.0.1", ECHO + 1)).await?;
            let mut heard = [0; 4];
            stream.write_all(&u32::try_from(number).unwrap_or_default().to_be_bytes()).await?;
            stream.read_exact(&mut heard).await?;
            Ok::<_, std::io::Error>((stream, heard))
        });
    }
    let mut streams = Vec::new();
    while let Some(opened) = timeout(LIMIT, opening.join_next()).await? {
        let (stream, heard) = opened??;
        streams.push((stream, u32::from_be_bytes(heard)));
    }
    let numbers =
        streams.iter().map(|(_, number)| *number).collect::<std::collections::HashSet<_>>();
    assert_eq!((streams.len(), numbers.len()), (CONNECTIONS, CONNECTIONS));
    let mut talking = JoinSet::new();
    for (mut stream, number) in streams {
        talking.spawn(async move {
            let said = number.to_be_bytes().repeat(4 << 10);
            let mut heard = vec![0; said.len()];
            let (mut from, mut to) = stream.split();
            tokio::try_join!(to.write_all(&said), from.read_exact(&mut heard))?;
            Ok::<_, std::io::Error>(said == heard)
        });
    }
    while let Some(talked) = timeout(LIMIT, talking.join_next()).await? {
        assert!(talked??);
    }
    Ok(())
}

/// The body that curl prints; an error if it fails
pub(crate) async fn body(arguments: &[&str]) -> Result<String, Failed> {
    let finished = curl(&[&["--fail"], arguments].concat()).await?;
    if finished.status.success() {
        return Ok(finished.printed);
    }
    Err(format!("curl {arguments:?}: {}", finished.printed).into())
}

pub(crate) async fn curl(arguments: &[&str]) -> Result<Finished, Failed> {
    let mut command = Command::new("curl");
    command.args(["-sS", "-m", "60"]).args(arguments);
    Ok(Program::run(command, LIMIT * 2).await?)
}

/// Runs a script of the folder `clients/` with Debian's Python and the packages that `lab setup` installs.
async fn python(script: &str, arguments: &[&str]) -> Result<Finished, Failed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(script);
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).args(arguments).env("PYTHONPATH", "/usr/local/lib/pptp-interop");
    Ok(Program::run(command, LIMIT * 2).await?)
}
