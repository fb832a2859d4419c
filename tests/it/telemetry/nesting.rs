//! Operations and the user's own spans in one trace.

use std::time::Duration;

use agent_sdk::agent::Agent;
use agent_sdk::operation::Kind;
use agent_sdk::tool::ToolError;
use tracing::{Instrument, info_span};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

use super::*;

/// An agent whose tool is this function.
fn with_tool<F, Marker: 'static>(builder: AgentBuilder, function: F) -> Agent
where
    F: agent_sdk::tool::ToolFn<Marker>,
{
    let tool = FnTool::new("search", "Searches the archive.", function);
    builder.tool(tool).build().unwrap()
}

#[tokio::test]
async fn a_user_s_spans_around_a_run_and_inside_a_tool_are_in_its_trace() {
    let (collector, server) = (
        Collector::start(),
        ModelServer::start([(200, CALL), (200, ANSWER)]),
    );
    let telemetry = telemetry_to(&collector).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let agent = with_tool(agent(&server, &telemetry), async |_: Query| {
        let work = async { Ok::<_, ToolError>("found") };
        work.instrument(info_span!("look up")).await
    });
    let report = async { agent.run(PROMPT).await.unwrap() }
        .instrument(info_span!("request"))
        .await;
    assert!(telemetry.shutdown().is_complete());
    let (request, run) = (
        collector.span("request"),
        collector.span("invoke_agent triage"),
    );
    let (tool, inner) = (
        collector.span("execute_tool search"),
        collector.span("look up"),
    );
    assert_eq!(run.parent_span_id, request.span_id);
    assert_eq!(tool.parent_span_id, run.span_id);
    assert_eq!(inner.parent_span_id, tool.span_id);
    for span in [request, run, tool, inner] {
        assert_eq!(render::hex(&span.trace_id), report.trace_id.to_string());
    }
}

#[tokio::test]
async fn a_task_that_outlives_its_tool_neither_delays_nor_lengthens_the_spans_around_it() {
    let (collector, server) = (
        Collector::start(),
        ModelServer::start([(200, CALL), (200, ANSWER)]),
    );
    let telemetry = telemetry_to(&collector).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    let agent = with_tool(agent(&server, &telemetry), async |_: Query| {
        // It holds the tool's span, and one inside it, open for ever.
        tokio::spawn(
            std::future::pending::<()>()
                .instrument(info_span!("leaked"))
                .in_current_span(),
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok::<_, ToolError>("found")
    });
    let report = agent.run(PROMPT).await.unwrap();
    assert!(telemetry.flush(Duration::from_secs(5)));
    let (run, tool) = (
        collector.span("invoke_agent triage"),
        collector.span("execute_tool search"),
    );
    for (span, kind) in [(&run, Kind::Agent), (&tool, Kind::Tool)] {
        let length = span.end_time_unix_nano - span.start_time_unix_nano;
        let name = span.name.as_str();
        let mut nodes = report.profile.tree();
        let node = nodes.find(|node| node.operation.kind == kind).unwrap();
        let operation = &node.operation;
        assert_eq!(
            u128::from(length),
            (operation.end - operation.start).as_nanos(),
            "{name}"
        );
    }
    assert!(!collector.spans().iter().any(|span| span.name == "leaked"));
    assert_eq!(telemetry.account().ended, 6);
}

#[tokio::test]
async fn a_filter_on_the_logs_deletes_no_span() {
    let (collector, server) = (
        Collector::start(),
        ModelServer::start([(200, CALL), (200, ANSWER)]),
    );
    let telemetry = telemetry_to(&collector).build().unwrap();
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let subscriber = tracing_subscriber::registry()
        .with(logs.with_filter(EnvFilter::new("warn")))
        .with(telemetry.layer());
    let _guard = tracing::subscriber::set_default(subscriber);
    with_search(agent(&server, &telemetry))
        .run(PROMPT)
        .await
        .unwrap();
    assert!(telemetry.shutdown().is_complete());
    assert_eq!(
        render::tree(collector.spans())
            .lines()
            .filter(|line| !line.contains("| "))
            .count(),
        6
    );
}

#[tokio::test]
async fn a_filter_on_everything_deletes_no_operation() {
    let whole = traced_under(None).await;
    let filtered = traced_under(Some(EnvFilter::new("warn"))).await;
    assert!(whole == filtered, "{filtered}");
}

/// The trace of a run under a subscriber with a global filter.
async fn traced_under(filter: Option<EnvFilter>) -> String {
    let (collector, server) = (
        Collector::start(),
        ModelServer::start([(200, CALL), (200, ANSWER)]),
    );
    let telemetry = telemetry_to(&collector).build().unwrap();
    let subscriber = tracing_subscriber::registry()
        .with(telemetry.layer())
        .with(filter);
    let _guard = tracing::subscriber::set_default(subscriber);
    with_search(agent(&server, &telemetry))
        .run(PROMPT)
        .await
        .unwrap();
    let report = telemetry.shutdown();
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.spans.ended, 6);
    render::tree(collector.spans())
}
