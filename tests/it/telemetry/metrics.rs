//! The whole `/metrics` page of one run.

use std::fmt::Write;

use futures_util::StreamExt;

use super::*;

#[tokio::test]
async fn one_run_fills_these_series() {
    let (collector, server) = (
        Collector::start(),
        ModelServer::start([(200, CALL), (200, ANSWER)]),
    );
    let telemetry = telemetry_to(&collector).build().unwrap();
    with_search(agent(&server, &telemetry))
        .run(PROMPT)
        .await
        .unwrap();
    assert!(telemetry.flush(std::time::Duration::from_secs(5)));
    let page = masked(&telemetry.metrics_text().unwrap());
    assert!(page == include_str!("metrics.txt"), "{page}");
}

#[tokio::test]
async fn a_stream_fills_the_series_of_its_pieces() {
    let (collector, server) = (Collector::start(), ModelServer::start([(200, STREAMED)]));
    let telemetry = telemetry_to(&collector).build().unwrap();
    let agent = agent(&server, &telemetry).build().unwrap();
    let mut events = agent.stream(PROMPT);
    while events.next().await.is_some() {}
    events.report().await.unwrap();
    let page = telemetry.metrics_text().unwrap();
    for family in ["inference", "operation"] {
        for (name, pieces) in [("time_to_first_chunk", 1), ("time_per_output_chunk", 2)] {
            let series = format!("gen_ai_client_{family}_{name}_seconds_count{{");
            let line = page.lines().find(|line| line.starts_with(&series)).unwrap();
            assert!(line.ends_with(&format!(" {pieces}")), "{line}");
        }
    }
    assert!(page.contains("gen_ai_client_inference_usage_reasoning_output_tokens_total{"));
}

#[tokio::test]
async fn the_name_of_a_tool_that_does_not_exist_is_no_label() {
    let (collector, server) = (
        Collector::start(),
        ModelServer::start([(200, CALL), (200, ANSWER)]),
    );
    let telemetry = telemetry_to(&collector).build().unwrap();
    agent(&server, &telemetry)
        .build()
        .unwrap()
        .run(PROMPT)
        .await
        .unwrap();
    let page = telemetry.metrics_text().unwrap();
    assert!(!page.contains("\"search\""), "{page}");
    let count = "gen_ai_execute_tool_duration_seconds_count{error_type=\"unknown_tool\"";
    let line = page.lines().find(|line| line.starts_with(count)).unwrap();
    assert!(line.contains("gen_ai_tool_name=\"other\""), "{line}");
}

/// The page without what differs from run to run: ports, and the values of what takes time.
fn masked(page: &str) -> String {
    let mut text = String::new();
    for line in page.lines() {
        let line = match line.split_once("server_port=\"") {
            Some((before, after)) => {
                let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
                format!("{before}server_port=\"…{after}")
            }
            None => line.to_owned(),
        };
        let timed = line.contains("_seconds_bucket{") || line.contains("_seconds_sum{");
        match line.rsplit_once(' ') {
            Some((series, _)) if timed && !line.starts_with('#') => writeln!(text, "{series} …"),
            _ if line.starts_with("target_info{") => writeln!(text, "target_info{{…}} 1"),
            _ => writeln!(text, "{line}"),
        }
        .unwrap();
    }
    text
}
