//! One run, its whole trace, and its ids.

use super::render::{attribute, hex, tree};
use super::*;
use agent_sdk::model::ChatSettings;
use agent_sdk::operation::RunContext;
use futures_util::StreamExt;
use tracing_subscriber::prelude::*;

#[tokio::test]
async fn a_run_is_one_trace_of_agent_chat_attempt_and_tool() {
    let (collector, server) = (
        Collector::start(),
        ModelServer::start([(200, CALL), (200, ANSWER)]),
    );
    let telemetry = telemetry_to(&collector).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let agent = with_search(agent(&server, &telemetry).tag("team", "search"));

    let report = agent.run(PROMPT).await.unwrap();
    let account = telemetry.shutdown();
    assert!(account.is_complete(), "{account}");
    assert_eq!((account.spans.ended, account.spans.exported), (6, 6));

    let spans = collector.spans();
    let mut exported: Vec<_> = spans.iter().map(|span| hex(&span.span_id)).collect();
    let nodes = report.profile.tree();
    let mut reported: Vec<_> = nodes
        .map(|node| node.operation.span_id.to_string())
        .collect();
    exported.sort();
    reported.sort();
    assert_eq!(exported, reported);
    for span in &spans {
        assert_eq!(hex(&span.trace_id), report.trace_id.to_string());
        let run = format!("{:?}", report.run_id.as_str());
        assert_eq!(attribute(span, "agent_sdk.run.id"), Some(run));
    }
    let root = collector.span("invoke_agent triage");
    let length = root.end_time_unix_nano - root.start_time_unix_nano;
    assert_eq!(u128::from(length), report.duration.as_nanos());

    let path = attribute(&root, "agent_sdk.critical_path").unwrap();
    assert!(
        path.contains(&format!("{:?}", hex(&root.span_id))),
        "{path}"
    );
    for id in path.trim_matches(['[', ']']).split(", ") {
        assert!(
            exported.iter().any(|known| format!("{known:?}") == id),
            "{id}"
        );
    }

    let text = tree(spans);
    assert!(text == include_str!("trace.txt"), "{text}");
}

#[tokio::test]
async fn a_streamed_answer_says_when_it_began() {
    let (collector, server) = (Collector::start(), ModelServer::start([(200, STREAMED)]));
    let telemetry = telemetry_to(&collector).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let settings = ChatSettings::new()
        .with_max_output_tokens(200)
        .with_temperature(0.5)
        .with_seed(7)
        .with_reasoning_effort("low");
    let agent = agent(&server, &telemetry)
        .chat_settings(settings)
        .build()
        .unwrap();
    let context = RunContext::builder()
        .observers(telemetry.observers())
        .conversation("conv-1")
        .session("sess-1")
        .user("u-1")
        .build();
    let mut events = agent.run(PROMPT).context(&context).stream();
    while events.next().await.is_some() {}
    assert_eq!(events.report().await.unwrap().text, "canary-answer-91be");
    assert!(telemetry.shutdown().is_complete());
    let text = tree(collector.spans());
    assert!(text == include_str!("streamed.txt"), "{text}");
}
