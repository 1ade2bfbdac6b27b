//! Every seed through its target, what once crashed among them

use std::{fs, panic, path::Path};

use pptp_fuzz_targets::TARGETS;

/// Octets of all seeds together
const MOST: usize = 300 << 10;

/// One test, since a target counts what the whole process holds
#[test]
fn every_target_has_seeds_and_each_seed_passes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds");
    let mut total = 0;
    for (name, target) in TARGETS {
        let entries = fs::read_dir(folder.join(name)).map(Iterator::collect::<Vec<_>>);
        let entries = entries.unwrap_or_default();
        assert!(!entries.is_empty(), "{name} has no seeds in fuzz/seeds/{name}");
        for entry in entries {
            let path = entry.expect("an entry of a folder").path();
            let seed = fs::read(&path).expect("a seed");
            total += seed.len();
            let outcome = panic::catch_unwind(|| target(&seed));
            assert!(outcome.is_ok(), "{} fails in {name}", path.display());
        }
    }
    assert!(total <= MOST, "{total} octets of seeds");
    let known = fs::read_dir(&folder).expect("the seeds").count();
    assert_eq!(known, TARGETS.len(), "a folder of seeds without a target");
}
