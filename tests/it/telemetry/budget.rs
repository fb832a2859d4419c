//! What a budget leaves on the spans of a run, and among the metrics.

use agent_sdk::budget::{Budget, Ledger};

use super::render::{attribute, tree};
use super::*;

fn ledger(usd: &str) -> Ledger {
    let budget = Budget::new("trial").max_usd(usd.parse().unwrap());
    Ledger::builder().budget(budget).build().unwrap()
}

#[tokio::test]
async fn a_run_shows_the_budget_that_is_nearest_to_its_cap() {
    let (collector, server) = (Collector::start(), ModelServer::start([(200, ANSWER)]));
    let telemetry = telemetry_to(&collector).build().unwrap();
    let ledger = ledger("0.05");
    telemetry.watch(&ledger);
    let agent = agent(&server, &telemetry).ledger(&ledger).build().unwrap();
    agent.run(PROMPT).await.unwrap();
    let page = telemetry.metrics_text().unwrap();
    for line in [
        "agent_sdk_budget_committed{agent_sdk_budget_name=\"trial\"} 0.00305",
        "agent_sdk_budget_limit{agent_sdk_budget_name=\"trial\"} 0.05",
        "agent_sdk_budget_refusals_total{agent_sdk_budget_name=\"trial\"} 0",
        "agent_sdk_budget_reserved{agent_sdk_budget_name=\"trial\"} 0",
    ] {
        assert!(page.lines().any(|known| known == line), "{page}");
    }
    assert!(telemetry.shutdown().is_complete());
    let text = tree(collector.spans());
    assert!(text == include_str!("budget.txt"), "{text}");
}

#[tokio::test]
async fn what_nobody_knows_is_marked_as_an_estimate_and_is_what_the_ledger_has() {
    let (collector, server) = (Collector::start(), ModelServer::start([(200, "{")]));
    let telemetry = telemetry_to(&collector).build().unwrap();
    let ledger = ledger("0.05");
    let agent = agent(&server, &telemetry).ledger(&ledger).build().unwrap();
    agent.run(PROMPT).await.unwrap_err();
    assert!(telemetry.shutdown().is_complete());
    let span = collector.span("chat gpt-4o");
    let value = |name| attribute(&span, name);
    assert_eq!(value("agent_sdk.cost.estimated").as_deref(), Some("true"));
    let committed = ledger.latest()[0].committed.usd;
    assert!(committed.nanos() > 0);
    let cost = value("gen_ai.usage.cost").unwrap();
    assert_eq!(cost, committed.as_f64().to_string());
}

#[tokio::test]
async fn a_request_that_was_refused_is_counted_and_its_run_ends_by_the_budget() {
    let (collector, server) = (Collector::start(), ModelServer::start([]));
    let telemetry = telemetry_to(&collector).build().unwrap();
    let ledger = ledger("0.000001");
    telemetry.watch(&ledger);
    let agent = agent(&server, &telemetry).ledger(&ledger).build().unwrap();
    agent.run(PROMPT).await.unwrap_err();
    let page = telemetry.metrics_text().unwrap();
    for line in [
        "agent_sdk_budget_alerts_total{agent_sdk_budget_alert=\"exhausted\",agent_sdk_budget_name=\"trial\"} 1",
        "agent_sdk_budget_refusals_total{agent_sdk_budget_name=\"trial\"} 1",
    ] {
        assert!(page.lines().any(|known| known == line), "{page}");
    }
    assert!(
        !page.contains("agent_sdk_unpriced_requests_total{"),
        "{page}"
    );
    assert!(telemetry.shutdown().is_complete());
    let root = collector.span("invoke_agent triage");
    let outcome = attribute(&root, "agent_sdk.outcome");
    assert_eq!(outcome.as_deref(), Some("\"budget\""));
}
