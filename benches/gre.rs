//! GRE's bookkeeping: `cargo bench --bench gre`

use criterion::{Criterion, Throughput};
use pptp_benches::{
    gre::{Sessions, figures},
    path::ROUND,
    print,
};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("gre, 64 packets");
    group.throughput(Throughput::Elements(ROUND.into()));
    let mut ends = Sessions::new();
    group.bench_function("receive", |bencher| {
        bencher.iter_custom(|rounds| (0..rounds).map(|_| ends.receive()).sum());
    });
    group.bench_function("send", |bencher| {
        bencher.iter_custom(|rounds| (0..rounds).map(|_| ends.send()).sum());
    });
    group.finish();
    criterion.final_summary();
    print(&figures());
}
