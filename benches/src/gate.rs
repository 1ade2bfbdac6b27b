//! What a change has to keep: the goals with a margin for another CPU and a noisy machine

use crate::{Figure, Goal, suite::PARTS};

/// The gates: names of figures, and what each has to be
///
/// What does not depend on the machine is exact and a test: allocations in `tests/allocations.rs`,
/// raw sockets among the interop tests.
pub const GATES: &[(&str, Goal)] = &[
    ("mppe/keystream", Goal::AtLeast(1.5)),
    ("mppe/packet-1400", Goal::AtLeast(1.5)),
    ("mppe/packet-64", Goal::AtLeast(1.35)),
    ("tunnel_path/download", Goal::AtLeast(0.65)),
    ("tunnel_path/upload", Goal::AtLeast(0.65)),
    ("per_tunnel_throughput/10000", Goal::AtMost(1.35)),
];

/// Measures what has a gate, prints a line for each, and tells whether all held
///
/// What misses its gate is measured again, and the best of three counts: noise only ever makes a
/// figure worse.
pub fn holds() -> bool {
    let mut all_hold = true;
    for part in PARTS.iter().filter(|part| has_gate(part.name)) {
        let mut best = gated((part.figures)());
        for _ in 1..ATTEMPTS {
            if best.iter().all(Figure::is_ok) {
                break;
            }
            best = better(best, gated((part.figures)()));
        }
        for figure in &best {
            println!("{figure}");
        }
        all_hold &= is_complete(part.name, &best) && best.iter().all(Figure::is_ok);
    }
    all_hold
}

fn has_gate(part: &str) -> bool {
    gates_of(part).next().is_some()
}

fn gates_of(part: &str) -> impl Iterator<Item = &'static str> {
    let names = GATES.iter().map(|(name, _)| *name);
    names.filter(move |name| name.split('/').next() == Some(part))
}

/// Those that have a gate, with the gate instead of the goal
fn gated(figures: Vec<Figure>) -> Vec<Figure> {
    let gate = |figure: &Figure| GATES.iter().find(|(name, _)| *name == figure.name);
    let figures = figures.into_iter();
    figures.filter_map(|figure| Some(Figure { goal: gate(&figure)?.1, ..figure })).collect()
}

/// Of two measurements of the same figures the better ones
fn better(one: Vec<Figure>, other: Vec<Figure>) -> Vec<Figure> {
    let pairs = one.into_iter().zip(other);
    pairs
        .map(|(one, other)| if one.goal.prefers(other.value, one.value) { other } else { one })
        .collect()
}

/// Whether each gate of a part was measured: a figure that was renamed must not lose its gate
fn is_complete(part: &str, figures: &[Figure]) -> bool {
    gates_of(part).all(|name| figures.iter().any(|figure| figure.name == name))
}

const ATTEMPTS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &'static str, value: f64) -> Figure {
        Figure { name, value, goal: Goal::AtLeast(9.0), detail: String::new() }
    }

    #[test]
    fn every_gate_belongs_to_a_part() {
        let gated = PARTS.iter().flat_map(|part| gates_of(part.name)).count();
        assert_eq!(gated, GATES.len());
    }

    #[test]
    fn the_better_of_two_counts() {
        let names = ["mppe/keystream", "per_tunnel_throughput/10000"];
        let run = |values: [f64; 2]| {
            gated(names.into_iter().zip(values).map(|(name, value)| figure(name, value)).collect())
        };
        let best = better(run([1.4, 1.5]), run([1.6, 1.2]));
        assert_eq!(best.iter().map(|figure| figure.value).collect::<Vec<_>>(), [1.6, 1.2]);
        let best = better(best, run([1.5, 1.3]));
        assert_eq!(best.iter().map(|figure| figure.value).collect::<Vec<_>>(), [1.6, 1.2]);
        assert!(best.iter().all(Figure::is_ok), "the gate counts, not the goal");
    }

    #[test]
    fn a_gate_without_a_figure_does_not_hold() {
        assert!(!is_complete("mppe", &gated(vec![figure("mppe/keystream", 2.0)])));
        assert!(gated(vec![figure("mppe/key-schedule", 2.0)]).is_empty());
    }
}
