//! The outer network after the capabilities are gone: marks, names

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    thread,
    time::Duration,
};

use crate::{
    folder::Folder,
    stage::server,
    starter::{Daemon, ask},
};

/// A mark is set at each dial
pub(crate) fn mark() {
    let _server = server();
    let folder = Folder::new();
    folder.configure("", "[outer]\nfwmark = 7\n");
    let checked =
        ask(&folder, &["check", "-c", &folder.path("etc/connector.toml").to_string_lossy()]);
    assert!(checked.printed.contains("keeps CAP_NET_ADMIN"), "{}", checked.printed);
    let daemon = Daemon::start_with(&folder, "net_raw,net_admin", &[]);
    daemon.is_up();
    assert!(daemon.log().contains("no capability but CAP_NET_ADMIN"), "{}", daemon.log());
    for thread in daemon.threads(&["CapEff", "CapPrm"]) {
        for line in thread {
            assert!(line.ends_with("\t0000000000001000"), "{line}");
        }
    }
    daemon.stop();
}

/// As editors, DHCP clients and resolvers replace it: by renaming another file
pub(crate) fn resolver() {
    let _server = server();
    let folder = Folder::new();
    let text = fs::read_to_string(folder.path("etc/connector.toml")).unwrap();
    let named = text.replace("server = \"127.0.0.2\"", "server = \"vpn.example\"");
    assert_ne!(text, named);
    folder.write("etc/connector.toml", &named);
    name_server(OLD, None);
    name_server(NEW, Some(Ipv4Addr::new(127, 0, 0, 2)));
    // the lab's machine may have links here
    let _ = fs::remove_file("/etc/resolv.conf");
    fs::write("/etc/nsswitch.conf", "hosts: files dns\n").unwrap();
    fs::write("/etc/resolv.conf", format!("nameserver {OLD}\n")).unwrap();
    let daemon = Daemon::start(&folder);
    daemon.messages_until("READY=1");
    daemon.messages_until("WATCHDOG=1");
    thread::sleep(Duration::from_secs(1));
    let shown = ask(&folder, &["show"]).printed;
    assert!(shown.contains("NameNotResolved"), "{shown}");
    fs::write("/etc/resolv.conf.new", format!("nameserver {NEW}\n")).unwrap();
    fs::rename("/etc/resolv.conf.new", Path::new("/etc/resolv.conf")).unwrap();
    let up = ask(&folder, &["up", "b1"]);
    assert!(up.status.success(), "{}", up.printed);
    daemon.is_up();
    daemon.stop();
}

/// Answers each question for an IPv4 address with this one, and others with nothing (RFC 1035 §4.1)
fn name_server(at: Ipv4Addr, address: Option<Ipv4Addr>) {
    let socket = UdpSocket::bind((at, 53)).expect("a port of this namespace");
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            let Some(asked) = question.get(12..length) else { continue };
            let name = asked.iter().position(|octet| *octet == 0).map_or(0, |end| end + 5);
            let asked = &asked[..name.min(asked.len())];
            let found = address.filter(|_| asked.ends_with(&[0, 1, 0, 1]));
            let code = if address.is_some() { 0 } else { 3 };
            let mut answer = question[..2].to_vec();
            answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(found.is_some()), 0, 0, 0, 0]);
            answer.extend(asked);
            if let Some(found) = found {
                answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                answer.extend(found.octets());
            }
            socket.send_to(&answer, from).expect("sent");
        }
    });
}

const OLD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
const NEW: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 54);
