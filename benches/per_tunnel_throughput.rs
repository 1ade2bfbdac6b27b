//! A packet's way with many tunnels around: `cargo bench --bench per_tunnel_throughput`

use criterion::{BenchmarkId, Criterion, Throughput};
use pptp_benches::{
    path::{ROUND, Road, runtime},
    per_tunnel_throughput::{TUNNELS, Tunnels, figures},
    print,
};

fn main() {
    let runtime = runtime();
    let entered = runtime.enter();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("64 packets, 8 a batch and tunnel");
    group.throughput(Throughput::Elements(ROUND.into()));
    for count in TUNNELS.map(|(count, _)| count) {
        let mut road = Road::new();
        let mut tunnels = Tunnels::new(&mut road, count);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| tunnels.round(&mut road)).sum());
        });
    }
    group.finish();
    criterion.final_summary();
    drop(entered);
    print(&figures());
}
