//! The manager's API of a confined daemon: what it makes is kept, and its socket lasts

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    process::Command,
    time::Duration,
};

use serde_json::Value as Json;

use crate::{
    folder::{Folder, own},
    stage::server,
    starter::Daemon,
};

/// With the key in the state folder
pub(crate) fn kept_key() {
    let folder = Folder::new();
    let state = folder.path("state");
    let made = Command::new(folder.program()).args(["keygen", "--state"]).arg(&state).output();
    let made = made.expect("the program");
    assert!(made.status.success(), "{made:?}");
    makes_a_site(&folder, Daemon::start);
}

/// With the key among the credentials of the service
pub(crate) fn key_of_credentials() {
    let folder = Folder::new();
    let credentials = folder.path("credentials");
    fs::create_dir(&credentials).expect("a folder");
    own(&credentials, 0, 0o750);
    let made = Command::new(folder.program()).args(["keygen", "--print"]).output();
    let made = made.expect("the program");
    assert!(made.status.success(), "{made:?}");
    folder.write("credentials/sealing-key", &String::from_utf8_lossy(&made.stdout));
    makes_a_site(&folder, |folder| Daemon::start_with_credentials(folder, &credentials));
    assert!(!folder.path("state/key").exists());
}

fn makes_a_site(folder: &Folder, start: impl Fn(&Folder) -> Daemon) {
    let _server = server();
    let socket = folder.path("run/api.sock");
    let table = format!("[[api]]\nunix = \"{}\"\nrole = \"admin\"\n", socket.display());
    folder.configure("", &table);
    let daemon = start(folder);
    daemon.is_up();
    let site = r#"{"server":"127.0.0.9","user":"x","password":"geheim","connect":"manual"}"#;
    for path in ["/v1/sites/b7", "/v1/sites/b8"] {
        let answer = asked(folder, "PUT", path, site);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}; the log:\n{}", daemon.log());
    }
    let sites = format!(r#"{{"sites":{{"b8":{site},"b9":{site}}}}}"#);
    let answer = asked(folder, "PUT", "/v1/sites", &sites);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}; the log:\n{}", daemon.log());
    let kept = fs::read_dir(folder.path("state/sites")).expect("the folder was made");
    let mut kept: Vec<_> = kept.map(|file| file.expect("a file").file_name()).collect();
    kept.sort();
    assert_eq!(kept, ["b8.toml", "b9.toml"]);
    daemon.stop();
    assert!(!socket.exists(), "the socket is left");
    let daemon = start(folder);
    daemon.messages_until("READY=1");
    let answer = asked(folder, "GET", "/v1/sites", "");
    assert!(answer.contains("\"b1\"") && answer.contains("\"b9\""), "{answer}");
    assert!(!answer.contains("\"b7\""), "{answer}");
    daemon.stop();
}

/// Sends a request to the API's socket, with the version of the set; returns the answer
fn asked(folder: &Folder, method: &str, path: &str, body: &str) -> String {
    let version = match method {
        "PUT" => {
            let answer = asked(folder, "GET", "/v1/sites", "");
            let json = answer.split("\r\n\r\n").nth(1).expect("a body");
            let json: Json = serde_json::from_str(json).unwrap_or_else(|it| panic!("{it}: {json}"));
            format!("If-Match: {}\r\n", json["version"].as_str().expect("a version"))
        }
        _ => String::new(),
    };
    let mut stream = UnixStream::connect(folder.path("run/api.sock")).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\n{version}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
