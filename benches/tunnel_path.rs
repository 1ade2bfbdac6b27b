//! A packet's whole way in memory: `cargo bench --bench tunnel_path`

use criterion::{Criterion, Throughput};
use pptp_benches::{
    path::{Direction, ROUND, runtime},
    print,
    tunnel_path::{Bench, figures},
};

fn main() {
    let runtime = runtime();
    let entered = runtime.enter();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("tunnel_path, 64 packets");
    group.throughput(Throughput::Elements(ROUND.into()));
    let mut bench = Bench::new();
    for direction in [Direction::Download, Direction::Upload] {
        group.bench_function(format!("{direction:?}"), |bencher| {
            bencher.iter_custom(|rounds| bench.time(direction, rounds));
        });
    }
    group.finish();
    criterion.final_summary();
    drop(entered);
    print(&figures());
}
