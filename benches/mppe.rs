//! The cipher: `cargo bench --bench mppe`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use pptp_benches::{
    mppe::{CrateEncryptor, figures},
    print,
};
use pptp_mppe::{Encryptor, KeyStrength};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    packets(&mut criterion);
    criterion.final_summary();
    print(&figures());
}

fn packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mppe packet");
    for length in [64, 576, 1400] {
        group.throughput(Throughput::Bytes(length));
        let mut inner = vec![0; usize::try_from(length).expect("a packet's length")];
        let mut encryptor = Encryptor::stateless(&[7; 16], KeyStrength::Bits128);
        group.bench_function(BenchmarkId::new("ours", length), |bencher| {
            bencher.iter(|| encryptor.seal(black_box(&mut inner)));
        });
        let mut encryptor = CrateEncryptor::new([7; 16]);
        group.bench_function(BenchmarkId::new("rc4 crate", length), |bencher| {
            bencher.iter(|| encryptor.seal(black_box(&mut inner)));
        });
    }
}
