//! Runs that fail, are dropped, or are not sampled.

use agent_sdk_otel::opentelemetry_sdk::trace::Sampler;
use opentelemetry_proto::tonic::trace::v1::Span;
use tracing_subscriber::prelude::*;

use super::render::attribute;
use super::*;

/// Status code, status words, `error.type` and outcome.
fn ending(span: &Span) -> (i32, String, Option<String>, Option<String>) {
    let status = span.status.clone().unwrap_or_default();
    let class = attribute(span, "error.type");
    (
        status.code,
        status.message,
        class,
        attribute(span, "agent_sdk.outcome"),
    )
}

fn failed(words: &str, class: &str) -> (i32, String, Option<String>, Option<String>) {
    (
        2,
        words.to_owned(),
        Some(format!("{class:?}")),
        Some("\"error\"".to_owned()),
    )
}

#[tokio::test]
async fn a_refused_request_says_why_on_every_span_around_it() {
    for (code, class) in [(429, "rate_limited"), (500, "overloaded")] {
        let collector = Collector::start();
        let server = ModelServer::start([(code, r#"{"error":{"message":"no"}}"#)]);
        let telemetry = telemetry_to(&collector).build().unwrap();
        let subscriber = tracing_subscriber::registry().with(telemetry.layer());
        let _guard = tracing::subscriber::set_default(subscriber);
        let agent = agent(&server, &telemetry).build().unwrap();
        let error = agent.run(PROMPT).await.unwrap_err();
        assert!(telemetry.shutdown().is_complete());

        let words = format!("the model request failed: {class}, status {code}");
        let attempt = collector.span("POST");
        assert_eq!(ending(&attempt), failed(&words, &code.to_string()));
        let status = attribute(&attempt, "http.response.status_code");
        assert_eq!(status, Some(code.to_string()));
        assert_eq!(
            ending(&collector.span("chat gpt-4o")),
            failed(&words, class)
        );
        let run = error.report().error.clone().unwrap();
        let words = format!("the run failed: {run}");
        assert_eq!(
            ending(&collector.span("invoke_agent triage")),
            failed(&words, &run)
        );
    }
}

#[tokio::test]
async fn a_dropped_run_ends_its_spans_as_cancelled() {
    let (collector, server) = (Collector::start(), ModelServer::start([]));
    let telemetry = telemetry_to(&collector).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let agent = agent(&server, &telemetry).build().unwrap();
    tokio::select! {
        ended = agent.run(PROMPT).into_future() => panic!("{ended:?}"),
        () = server.hangs() => {}
    }
    let report = telemetry.shutdown();
    assert!(report.is_complete(), "{report}");
    let spans = collector.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["POST", "chat gpt-4o", "invoke_agent triage"]);
    for span in &spans {
        let word = "\"cancelled\"".to_owned();
        let expected = (2, "cancelled".to_owned(), Some(word.clone()), Some(word));
        assert_eq!(ending(span), expected, "{}", span.name);
    }
}

#[tokio::test]
async fn what_is_not_sampled_is_counted_and_not_sent() {
    let (collector, server) = (
        Collector::start(),
        ModelServer::start([(200, CALL), (200, ANSWER)]),
    );
    let builder = telemetry_to(&collector).sampler(Sampler::AlwaysOff);
    let telemetry = builder.build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    with_search(agent(&server, &telemetry))
        .run(PROMPT)
        .await
        .unwrap();
    let page = telemetry.metrics_text().unwrap();
    let report = telemetry.shutdown();
    assert!(report.is_complete(), "{report}");
    assert_eq!((report.spans.ended, report.spans.unsampled), (6, 6));
    assert!(collector.spans().is_empty());
    let requests = page
        .lines()
        .find(|line| line.starts_with("gen_ai_client_inference_duration_seconds_count{"));
    assert!(requests.unwrap().ends_with(" 2"), "{requests:?}");
    assert!(page.contains("gen_ai_execute_tool_duration_seconds_count{"));
    let names = collector.metric_names();
    assert!(names.iter().any(|name| name == "agent_sdk.cost"));
}

#[tokio::test]
async fn every_operation_is_in_the_account_once() {
    let (collector, server) = (
        Collector::start(),
        ModelServer::start([(200, CALL), (500, "{}")]),
    );
    let telemetry = telemetry_to(&collector).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let error = with_search(agent(&server, &telemetry))
        .run(PROMPT)
        .await
        .unwrap_err();
    let account = telemetry.shutdown().spans;
    assert!(account.balances() && account.queued == 0);
    let operations = error.report().profile.tree().count();
    assert_eq!(account.ended, operations as u64);
    assert_eq!(collector.spans().len(), operations);
}
