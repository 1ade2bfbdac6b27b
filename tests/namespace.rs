//! Tests that need root, in namespaces of their own

use std::{env, process::Command};

use tokio::runtime::Builder;

/// Runs `body` in a new network and mount namespace, after a shell's `script`, as a test process of its own
///
/// Without root and `PPTP_INTEROP=1` it says that it did nothing.
///
/// # Panics
/// If anything fails in there.
pub fn in_namespace(test: &str, script: &str, body: impl Future<Output = ()>) {
    if env::var_os(INSIDE).is_some() {
        let mut runtime = Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build();
        return runtime.expect("a runtime").block_on(body);
    }
    if !nix::unistd::geteuid().is_root() || env::var("PPTP_INTEROP").as_deref() != Ok("1") {
        return println!("{test} did nothing: it needs root and PPTP_INTEROP=1");
    }
    let script = format!("ip link set lo up && {script} && exec \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "sh", "-c", &script, "sh"]);
    command.arg(env::current_exe().expect("a program"));
    command.args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
    assert!(command.status().expect("unshare").success(), "{test} failed");
}

/// Set in the process that has namespaces of its own
const INSIDE: &str = "PPTP_TEST_INSIDE";
