//! What the profile of a run costs: at the run's end, and together with the analysis that the first reader starts.
//!
//! | operations | at the end of a run | with the analysis |
//! |---|---|---|
//! | 1 | 0.12 µs | 0.8 µs |
//! | 9 | 0.8–1.5 µs | 5–9 µs |
//! | 101 | 14 µs | 50 µs |
//! | 10,001 | 1.5 ms | 9 ms |
//! | 100,001 | 17–37 ms | 120–185 ms |
//!
//! On a 2-core shared x86-64 VM that was busy with other work (load 4 to 8), November 2026: read them as upper bounds.

use std::hint::black_box;

use agent_sdk::profile::__profiler;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn profile(c: &mut Criterion) {
    let mut group = c.benchmark_group("profile");
    for operations in [1, 9, 101, 10_001, 100_001] {
        let profiler = __profiler(operations);
        group.bench_function(BenchmarkId::new("at_the_end_of_a_run", operations), |b| {
            b.iter(|| black_box(profiler()));
        });
        group.bench_function(BenchmarkId::new("with_the_analysis", operations), |b| {
            b.iter(|| black_box(profiler().bottleneck().len()));
        });
    }
    group.finish();
}

criterion_group!(benches, profile);
criterion_main!(benches);
