//! The parts that a process may play, by name

use crate::{connect_storm, idle, lossy_lab, process, servers};

/// Plays the part that this process was started for, if it was; true when that is done
///
/// # Panics
/// If it cannot: the process that started it is told on stderr.
pub fn play() -> bool {
    let Some(part) = process::requested() else { return false };
    let words: Vec<_> = part.split(' ').collect();
    let number = |index: usize| words.get(index).and_then(|word| word.parse().ok()).unwrap_or(0);
    match words.first() {
        Some(&"servers") => servers::play(number(1)),
        Some(&"idle") => idle::play(number(1), number(2), number(3)),
        Some(&"upload") => lossy_lab::play(number(1), words.get(2).copied()),
        Some(&"storm") => connect_storm::play(number(1)),
        _ => panic!("there is no part {part:?}"),
    }
    true
}
