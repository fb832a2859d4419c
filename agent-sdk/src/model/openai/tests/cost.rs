//! What a piece of a stream costs, from its bytes to its event.

use std::time::Instant;

use super::*;

/// Run it with `cargo test --release -p agent-sdk piece_of_a_stream -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_piece_of_a_stream_costs_little() {
    const PIECES: usize = 20_000;
    let piece = |choice: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-0123456789abcdefghijklmnopqrs\",\"object\":\"chat.completion.chunk\",\
             \"created\":1730000000,\"model\":\"m-2024-07-18\",\"system_fingerprint\":\"fp_0123456789\",\
             \"choices\":[{{\"index\":0,\"delta\":{choice},\"logprobs\":null,\"finish_reason\":null}}]}}\n\n"
        )
    };
    let call = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}"#;
    let rows = [
        ("text", piece(r#"{"content":" word"}"#)),
        ("escaped text", piece(r#"{"content":" \"word\"\n"}"#)),
        (
            "arguments",
            piece(r#"{"tool_calls":[{"index":0,"function":{"arguments":" word"}}]}"#),
        ),
    ];
    for (what, body) in rows {
        let client = offline().build().unwrap();
        let mut chunks = vec![piece(call).into_bytes()];
        chunks.extend(vec![body.clone().into_bytes(); PIECES]);
        let last = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
        chunks.push(sse(&[last, "[DONE]"]).into_bytes());
        let mut best = f64::MAX;
        for _ in 0..10 {
            let mut reply = reply(&client, chunks.clone());
            let start = Instant::now();
            let mut events = 0;
            while let Some(event) = reply.next().await {
                events += usize::from(!matches!(event.unwrap(), ChatEvent::Done(_)));
            }
            assert_eq!(events, PIECES + 1);
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let nanoseconds = start.elapsed().as_nanos() as f64 / PIECES as f64;
            best = best.min(nanoseconds);
        }
        println!("{what}: {best:.0} ns for each of {} bytes", body.len());
    }
}
