//! The goodput of every cell of the grid, as a reviewed snapshot
//!
//! A cell may move by 10 %. When one moves farther, either something is worse, or the snapshot is to
//! be reviewed: `INSTA_UPDATE=always cargo test --release -p pptp-simulation --test grid`, then look
//! at the output of `git diff`.

use std::sync::{Mutex, PoisonError};

use insta::{
    Settings, Snapshot, assert_snapshot, comparator::Comparator, internals::SnapshotContents,
};
use pptp_simulation::grid::{Cell, Goodput};

/// Compares snapshots: figures may differ by a tenth, all else must be equal
#[derive(Debug, Clone, Copy)]
struct Tenth;

impl Comparator for Tenth {
    fn matches(&self, reference: &Snapshot, test: &Snapshot) -> bool {
        match (reference.contents(), test.contents()) {
            (SnapshotContents::Text(before), SnapshotContents::Text(after)) => {
                are_close(&before.to_string(), &after.to_string())
            }
            _ => false,
        }
    }

    fn dyn_clone(&self) -> Box<dyn Comparator> {
        Box::new(*self)
    }
}

fn are_close(before: &str, after: &str) -> bool {
    let (before, after) = (before.trim().lines(), after.trim().lines());
    before.clone().count() == after.clone().count()
        && before.zip(after).all(|(before, after)| is_close(before, after))
}

fn is_close(before: &str, after: &str) -> bool {
    let (Some((cell, before)), Some((same, after))) =
        (before.split_once(':'), after.split_once(':'))
    else {
        return before == after;
    };
    let figures = |text: &str| -> Vec<f64> {
        text.split_whitespace().map(|figure| figure.parse().unwrap_or(f64::NAN)).collect()
    };
    let (before, after) = (figures(before), figures(after));
    let close = |(before, after): (&f64, &f64)| (after - before).abs() <= before * 0.1;
    cell == same && before.len() == after.len() && before.iter().zip(&after).all(close)
}

#[test]
fn a_figure_may_move_by_a_tenth_and_a_cell_not_at_all() {
    assert!(is_close("1 ms: 100 10", "1 ms: 110 9"));
    assert!(!is_close("1 ms: 100 10", "1 ms: 111 10"));
    assert!(!is_close("1 ms: 100 10", "1 ms: 100 8.9"));
    assert!(!is_close("1 ms: 100 10", "2 ms: 100 10"));
    assert!(!is_close("1 ms: 100 10", "1 ms: 100"));
    assert!(!is_close("1 ms: 100 x", "1 ms: 100 x"));
    assert!(!are_close("1 ms: 1\n2 ms: 1", "1 ms: 1"));
}

#[test]
#[cfg_attr(debug_assertions, ignore = "minutes unless it is released, which `.ci/run` does")]
fn every_octet_arrives_and_the_goodput_is_what_it_was() {
    let cells = Cell::all();
    assert!(cells.len() >= 60);
    let (left, measured) = (Mutex::new(cells.into_iter()), Mutex::new(Vec::new()));
    let work = || {
        while let Some(cell) = lock(&left).next() {
            let goodput = cell.measure().unwrap_or_else(|error| panic!("{cell}: {error}"));
            lock(&measured).push((cell, goodput));
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    let mut measured = measured.into_inner().unwrap_or_else(PoisonError::into_inner);
    measured.sort_by_key(|(cell, _)| *cell);
    let mut settings = Settings::clone_current();
    settings.set_comparator(Box::new(Tenth));
    settings.bind(|| assert_snapshot!("goodput", table(&measured)));
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn table(measured: &[(Cell, Goodput)]) -> String {
    let rows = measured.iter().map(|(cell, goodput)| format!("{cell}: {goodput}\n"));
    format!("kbit/s down and up, 10 MiB each way\n{}", rows.collect::<String>())
}
