//! The daemon on a host: what it gives up, what it tells its service manager, and its unit
//!
//! Needs root, `unshare`, `setpriv`, `systemd-analyze` and `PPTP_INTEROP=1`. Each trial is a process of its own, in a
//! network namespace and a mount namespace of its own; without the variable all are ignored.
//!
//! | file | content |
//! |---|---|
//! | `stage` | the processes that this program plays |
//! | `folder` | the files of a daemon |
//! | `starter` | the daemon, started as its unit does it, with a service manager's socket |
//! | `inside` | a confined process that tries in each of its threads what it must not do |
//! | `life` | a start, reloads and an end, as the service manager sees them |
//! | `outer` | the outer network after the capabilities are gone: devices, marks, names |
//! | `refused` | what a reload cannot have any more |
//! | `manager` | the manager's API of a confined daemon |
//! | `called_by_sudo` | `connect` and `demo` of a user who called `sudo` |
//! | `units` | the unit files |

mod called_by_sudo;
mod folder;
mod inside;
mod life;
mod manager;
mod outer;
mod refused;
mod stage;
mod starter;
mod units;

use std::process::ExitCode;

use self::stage::{Trial, run};

/// All trials, with what the shell does before each
const TRIALS: [Trial; 14] = [
    Trial::new("the_unit_is_clean_and_no_worse_than_it_was", units::analyzed),
    Trial::new("no_thread_of_a_confined_process_has_anything_left", inside::of_user),
    Trial::new("a_confined_process_of_root_has_nothing_but_its_own_files", inside::of_root),
    Trial::new("the_manager_is_told_of_start_reloads_and_end", life::told),
    Trial::new("each_thread_of_the_daemon_has_given_all_up", life::given_up),
    Trial::new("a_signal_during_the_start_is_not_lost", life::early_signal),
    Trial::new("a_second_signal_ends_it_at_once", life::second_signal),
    Trial::new("a_mark_keeps_one_capability", outer::mark),
    Trial::new("a_name_server_that_replaces_another_is_asked", outer::resolver).after(OWN_ETC),
    Trial::new("what_needs_a_restart_is_refused_and_changes_nothing", refused::refused),
    Trial::new("no_sandbox_keeps_everything", refused::unwanted),
    Trial::new("the_api_of_a_confined_daemon_keeps_its_sites", manager::kept_key),
    Trial::new("the_key_of_the_api_may_be_a_credential", manager::key_of_credentials),
    Trial::new("connect_and_demo_become_the_user_who_called_sudo", called_by_sudo::dropped),
];

fn main() -> ExitCode {
    run(&TRIALS)
}

/// A copy of `/etc` in memory, so that the trial may change it
const OWN_ETC: &str =
    "mount -t tmpfs -o mode=755 none /mnt && cp -a /etc/. /mnt/ && mount --bind /mnt /etc";
