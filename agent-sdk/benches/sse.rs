//! What decoding an event stream costs.
//!
//! `cargo bench -p agent-sdk --bench sse`, on a 2-core shared x86-64 VM with other work on it, so
//! to be read as upper bounds:
//!
//! | Stream | Per event of 200 bytes |
//! |---|---|
//! | in chunks of 16 KiB | 0.05 µs |
//! | the same, each event with a name | 0.09 µs |
//! | one event per chunk | 0.06 µs |
//! | in chunks of 64 bytes, so every line is cut | 0.12 µs |
//!
//! A line of 0.5, 1, 2 and 4 MiB in chunks of 1 KiB: 0.31, 0.70, 1.48 and 3.04 ms, which is linear.

use std::hint::black_box;

use agent_sdk::model::sse::{SseDecoder, SseError};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const EVENTS: u32 = 1000;

/// A chat completion chunk; with `data: ` and the blank line it is 200 bytes long.
const CHUNK: &str = r#"{"id":"chatcmpl-0123456789abcdefghij","object":"chat.completion.chunk","created":1700000000,"model":"some-model","choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]}      "#;

fn feed(body: &[u8], chunk_bytes: usize) -> u64 {
    let mut decoder = SseDecoder::new();
    for chunk in body.chunks(chunk_bytes) {
        let fed = decoder.feed(chunk, |event| {
            black_box(event);
            Ok::<(), SseError>(())
        });
        assert!(fed.is_ok());
    }
    decoder.finish().events
}

fn events(c: &mut Criterion) {
    let plain = format!("data: {CHUNK}\n\n");
    let named = format!("event: content_block_delta\ndata: {CHUNK}\n\n");
    let mut group = c.benchmark_group("sse/1000_events");
    group.throughput(Throughput::Elements(EVENTS.into()));
    for (name, event, chunk_bytes) in [
        ("in_16_kib_chunks", &plain, 16 * 1024),
        ("named_in_16_kib_chunks", &named, 16 * 1024),
        ("one_per_chunk", &plain, plain.len()),
        ("in_64_byte_chunks", &plain, 64),
    ] {
        let body = event.repeat(EVENTS as usize).into_bytes();
        group.bench_function(name, |b| b.iter(|| feed(black_box(&body), chunk_bytes)));
    }
    group.finish();
}

fn long_line(c: &mut Criterion) {
    let mut group = c.benchmark_group("sse/line_in_1_kib_chunks");
    for kibibytes in [512_usize, 1024, 2048, 4096] {
        let mut body = b"data: ".to_vec();
        body.resize(kibibytes << 10, b'x');
        body.extend_from_slice(b"\n\n");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(kibibytes), &body, |b, body| {
            b.iter(|| feed(black_box(body), 1024));
        });
    }
    group.finish();
}

criterion_group!(benches, events, long_line);
criterion_main!(benches);
