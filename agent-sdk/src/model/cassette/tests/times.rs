//! When a replayed answer comes.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::*;
use crate::model::{ChatEvent, Timeouts};

/// A stream whose head comes after 1 s, and its two pieces after 2 s and after 30 s.
fn slow(ended: &str) -> Place {
    let place = Place::new();
    let (first, last) = pieces();
    let line = serde_json::json!({
        "cassette": 1,
        "request": {"method": "POST", "path": "/v1/chat/completions"},
        "response": {
            "status": 200,
            "headers": [["content-type", "text/event-stream"]],
            "after_us": 1_000_000,
            "chunks": [{"after_us": 2_000_000, "text": first}, {"after_us": 30_000_000, "text": last}],
        },
        "ended": ended,
    });
    place.write(&format!("{line}\n"));
    place
}

/// Which event came after how many milliseconds.
async fn times(replay: Replay, timeouts: Timeouts) -> (Vec<u128>, Option<ModelErrorKind>) {
    let builder = OpenAi::builder("m").replay(replay.ignoring(""));
    let client = builder.timeouts(timeouts).build().unwrap();
    let started = Instant::now();
    let request = ChatRequest::new("hi");
    let mut stream = match client.stream(&RunContext::new(), request).await {
        Ok(stream) => stream,
        Err(error) => return (vec![started.elapsed().as_millis()], Some(error.kind())),
    };
    let mut times = vec![started.elapsed().as_millis()];
    while let Some(event) = stream.next().await {
        times.push(started.elapsed().as_millis());
        match event {
            Ok(ChatEvent::Done(_)) => return (times, None),
            Ok(_) => {}
            Err(error) => return (times, Some(error.kind())),
        }
    }
    panic!("a stream ended without an end");
}

#[tokio::test(start_paused = true)]
async fn answers_come_at_once_or_when_they_did() {
    let place = slow("complete");
    let at_once = times(place.replay(), Timeouts::default()).await;
    assert_eq!(at_once, (vec![0, 0, 0], None));
    let then = times(place.replay().in_real_time(), Timeouts::default()).await;
    assert_eq!(then, (vec![1_000, 2_000, 30_000], None));
}

#[tokio::test(start_paused = true)]
async fn in_real_time_a_client_s_own_limits_count() {
    let place = slow("complete");
    let inter_chunk = Timeouts {
        inter_chunk: Duration::from_secs(5),
        ..Timeouts::default()
    };
    let timeout = Some(ModelErrorKind::Timeout);
    let late = times(place.replay().in_real_time(), inter_chunk).await;
    assert_eq!(late, (vec![1_000, 2_000, 7_000], timeout));
    let first_chunk = Timeouts {
        first_chunk: Duration::from_millis(500),
        ..Timeouts::default()
    };
    let late = times(place.replay().in_real_time(), first_chunk).await;
    assert_eq!(late, (vec![500], timeout));
}

#[tokio::test]
async fn a_silence_that_was_recorded_is_a_timeout_again_at_once_or_in_its_time() {
    let (first, _) = pieces();
    let brief = Timeouts {
        first_chunk: Duration::from_millis(200),
        inter_chunk: Duration::from_millis(200),
        ..Timeouts::default()
    };
    for pieces in [vec![], vec![first.as_bytes()]] {
        let place = Place::new();
        let script = match pieces.len() {
            0 => vec![Step::Hold],
            _ => [streamed(&pieces), vec![Step::Hold]].concat(),
        };
        let server = Server::start(script).await;
        let builder = OpenAi::builder("m")
            .base_url(&*server.base_url)
            .without_key();
        let builder = builder.timeouts(brief).recorder(place.recorder());
        let live = seen(&builder.build().unwrap(), "hi", true).await;
        assert!(live.1.contains("timeout"), "{}", live.1);
        assert_eq!(place.lines()[0]["ended"], "timed_out");
        for replay in [place.replay(), place.replay().in_real_time()] {
            let client = OpenAi::builder("m").timeouts(brief).replay(replay);
            let replayed = seen(&client.build().unwrap(), "hi", true).await;
            assert_eq!(replayed, live);
        }
    }
}

#[tokio::test]
async fn latency_is_recorded() {
    let place = Place::new();
    let (first, last) = pieces();
    let server = Server::start(streamed(&[first.as_bytes(), last.as_bytes()])).await;
    seen(&live(&server.base_url, &place.recorder()), "hi", true).await;
    let chunks = &place.lines()[0]["response"]["chunks"];
    let after = |at: usize| chunks[at]["after_us"].as_u64().unwrap();
    assert!(
        after(0) >= 20_000 && after(1) >= after(0) + 15_000,
        "{chunks}"
    );
    assert!(
        place.lines()[0]["recorded_at"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
}
