use std::collections::BTreeMap;
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use super::*;
use crate::testing::{Behaviour, Collector, dead_url};

/// Much more than an answer takes, however slow the machine is.
const LONG: Duration = Duration::from_secs(20);

fn examined(url: &str, timeout: Duration) -> BTreeMap<&'static str, Finding> {
    let telemetry = Telemetry::builder()
        .endpoint(url)
        .export_timeout(timeout)
        .metrics_address(([127, 0, 0, 1], 0).into())
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    let findings = tracing::subscriber::with_default(subscriber, || telemetry.doctor());
    assert!(telemetry.account().balances());
    findings
        .into_iter()
        .map(|finding| (finding.check, finding))
        .collect()
}

#[test]
fn a_healthy_collector_gets_the_test_span_under_the_id_that_is_said() {
    let collector = Collector::start(Behaviour::Accept);
    let findings = examined(&collector.url(), LONG);
    for finding in findings.values() {
        assert_eq!(finding.status, FindingStatus::Ok, "{finding}");
    }
    let span = collector.span("invoke_agent agent_sdk_doctor");
    let id = u128::from_be_bytes(span.trace_id.try_into().unwrap());
    let said = &findings["test span"].says;
    assert!(said.contains(&format!("{id:032x}")), "{said}");
}

#[test]
fn what_a_collector_does_wrong_is_told_apart() {
    let gone = dead_url();
    for (behaviour, address, trip) in [
        (Some(Behaviour::Status(401)), "401", "request failed"),
        (Some(Behaviour::Status(404)), "404", "request failed"),
        (Some(Behaviour::Hang), "no answer", "no answer came"),
        (None, "nobody listens", "still being tried"),
    ] {
        let collector = behaviour.map(Collector::start);
        let url = collector
            .as_ref()
            .map_or_else(|| gone.clone(), Collector::url);
        let timeout = match behaviour {
            Some(Behaviour::Hang) => Duration::from_secs(1),
            _ => LONG,
        };
        let findings = examined(&url, timeout);
        for (check, words) in [("traces", address), ("test span", trip)] {
            let finding = &findings[check];
            assert_eq!(finding.status, FindingStatus::Failed, "{finding}");
            assert!(finding.says.contains(words), "{behaviour:?}: {finding}");
            assert!(finding.advice.is_some());
        }
    }
    let rejects = Collector::start(Behaviour::Reject(1));
    let findings = examined(&rejects.url(), LONG);
    let trip = &findings["test span"];
    assert_eq!(trip.status, FindingStatus::Failed);
    assert!(trip.says.contains("rejected"), "{trip}");
}

#[tokio::test]
async fn it_may_be_called_inside_a_runtime_and_without_a_layer() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .prometheus(false)
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(LevelFilter::WARN);
    let findings = tracing::subscriber::with_default(subscriber, || telemetry.doctor());
    let of = |check| findings.iter().find(|finding| finding.check == check);
    assert_eq!(of("filters").unwrap().status, FindingStatus::Warning);
    assert_eq!(of("test span").unwrap().status, FindingStatus::Ok);
    assert_eq!((of("prometheus"), of("layer")), (None, None));
    let other = tracing_subscriber::registry();
    let findings = tracing::subscriber::with_default(other, || telemetry.doctor());
    let layer = findings.iter().find(|finding| finding.check == "layer");
    assert_eq!(layer.unwrap().status, FindingStatus::Warning);
}

#[test]
fn a_metrics_address_that_is_taken_is_found() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let telemetry = Telemetry::builder()
        .metrics_address(taken.local_addr().unwrap())
        .build()
        .unwrap();
    let findings = telemetry.doctor();
    let found = findings
        .iter()
        .find(|finding| finding.check == "prometheus");
    assert_eq!(found.unwrap().status, FindingStatus::Warning);
    assert!(
        findings.iter().all(|finding| finding.check != "test span"),
        "nothing is exported"
    );
}
