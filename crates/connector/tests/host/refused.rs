//! What a reload cannot have any more

use std::fs;

use crate::{
    folder::Folder,
    stage::server,
    starter::{Daemon, ask},
};

pub(crate) fn refused() {
    let _server = server();
    let folder = Folder::new();
    folder.write(
        "elsewhere/more.toml",
        "[site.b3]\nserver = \"x\"\nuser = \"x\"\npassword = \"x\"\n",
    );
    folder.write("elsewhere/b2", "geheim");
    let daemon = Daemon::start(&folder);
    daemon.is_up();
    let b2 = "[site.b2]\nserver = \"127.0.0.9\"\nuser = \"x\"\nconnect = \"manual\"\n";
    let elsewhere = folder.path("elsewhere");
    let elsewhere = elsewhere.display();
    for (keys, tables, said) in [
        ("", "[outer]\ndevice = \"lo\"\n".to_owned(), "[outer] has changed"),
        (
            "",
            "[[proxy]]\nsocks = \"127.0.0.1:80\"\n".to_owned(),
            "cannot bind ports below 1024 since its start",
        ),
        (
            "",
            "[metrics]\nlisten = \"127.0.0.1:80\"\n".to_owned(),
            "metrics 127.0.0.1:80: the daemon cannot bind ports below 1024 since its start",
        ),
        (
            "",
            format!("[[proxy]]\nsocks = {{ unix = \"{elsewhere}/a.sock\" }}\n"),
            "cannot write to this folder since its start",
        ),
        ("include = [\"../elsewhere/*.toml\"]", String::new(), "elsewhere since its start"),
        (
            "",
            format!("{b2}password = {{ file = \"{elsewhere}/b2\" }}\n"),
            "elsewhere since its start",
        ),
    ] {
        folder.configure(keys, &tables);
        for arguments in [&["diff"][..], &["reload"]] {
            let refused = ask(&folder, arguments);
            let printed = &refused.printed;
            assert!(!refused.status.success(), "{keys}{tables}: {printed}");
            assert!(printed.contains(said), "{keys}{tables}: {printed}");
            assert!(printed.contains("needs a restart"), "{keys}{tables}: {printed}");
        }
    }
    let shown = ask(&folder, &["show"]).printed;
    assert!(shown.contains("b1") && !shown.contains("b2"), "{shown}");
    // in the folders of the start there is room for more
    let tables = format!(
        "{b2}password = {{ file = \"secrets/b2\" }}\n[[proxy]]\nsocks = {{ unix = \"{}\" }}\n",
        folder.path("run/socks.sock").display()
    );
    folder.write("etc/secrets/b2", "geheim");
    folder.write(
        "etc/more.toml",
        "[site.b3]\nserver = \"x\"\nuser = \"x\"\npassword = \"x\"\nconnect = \"manual\"\n",
    );
    folder.configure("include = [\"*re.toml\"]", &tables);
    let done = ask(&folder, &["reload"]);
    assert!(done.status.success(), "{}", done.printed);
    assert!(folder.path("run/socks.sock").exists());
    assert!(fs::read_to_string(folder.path("state/last-good.json")).unwrap().contains("b3"));
    daemon.stop();
}

pub(crate) fn unwanted() {
    let _server = server();
    let folder = Folder::new();
    let daemon = Daemon::start_with(&folder, "net_raw,net_bind_service", &["--no-sandbox"]);
    daemon.is_up();
    assert!(daemon.log().contains("not confined: --no-sandbox"), "{}", daemon.log());
    let tables = format!(
        "[site.b2]\nserver = \"127.0.0.9\"\nuser = \"x\"\nconnect = \"manual\"\n\
         password = {{ file = \"{}\" }}\n[[proxy]]\nsocks = \"127.0.0.1:80\"\n",
        folder.path("elsewhere/b2").display()
    );
    folder.write("elsewhere/b2", "geheim");
    folder.configure("", &tables);
    let done = ask(&folder, &["reload"]);
    assert!(done.status.success(), "{}", done.printed);
    daemon.stop();
}
