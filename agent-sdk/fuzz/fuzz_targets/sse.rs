//! Any bytes, in any chunks, decode like the reference, and no byte stops the process.
//!
//! The first byte says how the rest is cut. Run with `cargo +nightly fuzz run sse` in `agent-sdk`.
#![no_main]

#[path = "../../src/model/sse/reference.rs"]
mod reference;

use agent_sdk::model::sse::{SseDecoder, SseError};
use libfuzzer_sys::fuzz_target;

fn decode(body: &[u8], mut chunk_seed: u8) -> reference::Decoded {
    let mut decoder = SseDecoder::new();
    let mut events = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at((usize::from(chunk_seed % 32) + 1).min(rest.len()));
        rest = tail;
        chunk_seed = chunk_seed.wrapping_mul(181).wrapping_add(59);
        decoder
            .feed(chunk, |event| {
                events.push((
                    event.event.to_owned(),
                    event.data.to_owned(),
                    event.id.to_owned(),
                ));
                Ok::<(), SseError>(())
            })
            .expect("a fuzz input is below the limits");
    }
    reference::Decoded {
        events,
        last_id: decoder.last_event_id().to_owned(),
        retry: decoder
            .retry()
            .map(|retry| u64::try_from(retry.as_millis()).expect("made of u64")),
        unfinished: decoder.finish().unfinished,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&seed, body)) = input.split_first() else {
        return;
    };
    let expected = reference::decode(body);
    assert_eq!(decode(body, seed), expected);
    assert_eq!(decode(body, 0), expected);
});
