//! The stack alone: `cargo bench --bench netstack`

use criterion::{Criterion, Throughput};
use pptp_benches::{
    netstack::{Stacks, figures},
    path::{Direction, ROUND, runtime},
    print,
};

fn main() {
    let runtime = runtime();
    let entered = runtime.enter();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("netstack, 64 segments");
    group.throughput(Throughput::Elements(ROUND.into()));
    for direction in [Direction::Download, Direction::Upload] {
        let mut stacks = Stacks::new();
        group.bench_function(format!("{direction:?}"), |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| stacks.round(direction)).sum());
        });
    }
    group.finish();
    criterion.final_summary();
    drop(entered);
    print(&figures());
}
