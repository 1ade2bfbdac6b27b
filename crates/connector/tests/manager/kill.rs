//! A process that is killed while it writes sites: each is old or new, never torn and never lost

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use pptp_connector::{
    daemon::{SiteStore, StoreChange},
    state_dir::StateDir,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::world::parent;

/// The sites that are changed together
const TOGETHER: [&str; 3] = ["t1", "t2", "t3"];

fn store(folder: &Path) -> SiteStore {
    SiteStore::new(StateDir::new(folder))
}

/// The text of write `number`: whole only if its end is that of its beginning
fn text(number: u64) -> String {
    let padding = "x".repeat(usize::try_from(number * 37 % 9000).unwrap());
    format!("{number} {padding} {number}")
}

fn number_of(text: &str) -> u64 {
    let number = text.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(text, self::text(number), "a text is whole");
    number
}

/// Every third write is one of three sites together, of which one is removed every now and then
fn change(number: u64) -> StoreChange {
    let text = text(number);
    if number.is_multiple_of(3) {
        TOGETHER.iter().map(|name| (name.parse().unwrap(), Some(text.clone()))).collect()
    } else {
        [("one".parse().unwrap(), Some(text))].into()
    }
}

/// The number of the last write of each kind that is on the disk
fn kept(store: &SiteStore) -> (u64, u64) {
    let sites = store.read().unwrap();
    let number = |name: &str| sites.get(name).map_or(0, |text| number_of(text));
    let together = TOGETHER.map(number);
    assert!(together.iter().all(|it| *it == together[0]), "all or none: {together:?}");
    (number("one"), together[0])
}

#[test]
#[ignore = "it is the process that the test below kills"]
fn writes_until_it_is_killed() {
    let folder = PathBuf::from(env::var_os("PPTP_STORE").expect("the test below sets it"));
    let first: u64 = env::var("PPTP_FIRST").unwrap().parse().unwrap();
    let (store, mut out) = (store(&folder), std::io::stdout());
    for number in first.. {
        store.change(&change(number)).unwrap();
        writeln!(out, "kept {number}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_process_that_is_killed_at_any_moment_of_1000_writes_loses_and_tears_nothing() {
    let folder = parent().join(format!("pptp-kill-{}", std::process::id()));
    let seed = u64::from(std::process::id());
    let mut chance = StdRng::seed_from_u64(seed);
    let (mut told, mut kills) = (0_u64, 0);
    while told < 1000 {
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["kill::writes_until_it_is_killed", "--exact", "--ignored", "--nocapture"]);
        child.env("PPTP_STORE", &folder).env("PPTP_FIRST", (told + 1).to_string());
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut wanted = chance.random_range(1..40);
        while wanted > 0 {
            let line = lines.next().expect("it goes on until it is killed").unwrap();
            if let Some(number) = line.strip_prefix("kept ") {
                told = number.parse().unwrap();
                wanted -= 1;
            }
        }
        sleep(Duration::from_micros(chance.random_range(0..2000)));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("kept ") {
                told = number.parse().unwrap();
            }
        }
        kills += 1;
        let (one, together) = kept(&store(&folder));
        let latest = one.max(together);
        assert!((told..=told + 1).contains(&latest), "seed {seed}: {latest} after {told}");
        // the one before the latest is of the other kind, or of the same
        let before = if latest.is_multiple_of(3) { latest - 1 } else { latest - latest % 3 };
        let other = if latest.is_multiple_of(3) { one } else { together };
        assert_eq!(other, before, "seed {seed}: nothing is lost");
        told = latest;
    }
    fs::remove_dir_all(&folder).unwrap();
    assert!(kills >= 20, "{kills}");
}
