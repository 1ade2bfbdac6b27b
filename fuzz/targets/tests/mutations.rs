//! A few thousand random changes of the seeds through their targets: what stable can do of fuzzing

use std::{env, fs, panic, path::Path};

use pptp_fuzz_targets::TARGETS;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// For each target
const MUTANTS: u32 = 200;

/// One test, since a target counts what the whole process holds
#[test]
fn changed_seeds_pass() {
    let seed = env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    println!("FUZZ_SEED={seed}");
    for (name, target) in TARGETS {
        let mut random = StdRng::seed_from_u64(seed);
        let seeds = seeds(name);
        for number in 0..MUTANTS {
            let mutant = mutant(&seeds, &mut random);
            let outcome = panic::catch_unwind(|| target(&mutant));
            if outcome.is_err() {
                let file = env::temp_dir().join(format!("{name}-{seed}-{number}"));
                let kept = fs::write(&file, &mutant);
                panic!("FUZZ_SEED={seed}: {name} fails: {} ({kept:?})", file.display());
            }
        }
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds").join(name);
    let entries = fs::read_dir(folder).expect("a folder of seeds");
    let mut paths: Vec<_> = entries.map(|it| it.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a seed")).collect()
}

/// A seed cut off, changed in a few places, or crossed with another
fn mutant(seeds: &[Vec<u8>], random: &mut impl Rng) -> Vec<u8> {
    let mut mutant = seeds[random.random_range(0..seeds.len())].clone();
    if random.random_bool(0.3) {
        let other = &seeds[random.random_range(0..seeds.len())];
        mutant.truncate(random.random_range(0..=mutant.len()));
        mutant.extend(&other[random.random_range(0..=other.len())..]);
    }
    for _ in 0..random.random_range(0..8) {
        if mutant.is_empty() {
            break;
        }
        let at = random.random_range(0..mutant.len());
        match random.random_range(0..4) {
            0 => mutant[at] = random.random(),
            1 => mutant[at] ^= 1 << random.random_range(0..8),
            2 => drop(mutant.remove(at)),
            _ => mutant.insert(at, random.random()),
        }
    }
    mutant
}
