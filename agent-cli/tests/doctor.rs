//! `agent doctor` on telemetry: what is set, what answers, what arrives.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use std::{net::TcpListener, process::Command};

use serde_json::Value;
use support::{KEY, Server, agent_in, ended};

/// A collector that gives every request the same answer.
fn collector(status: &str, hold: bool) -> (Server, String) {
    let server = Server::answering(status, "application/x-protobuf", "", hold);
    let base = server.url.trim_end_matches("/v1").to_owned();
    (server, base)
}

fn doctor(server: &Server, arguments: &[&str], base: &str) -> Command {
    let mut command = agent_in(server.home.path(), &["doctor"]);
    command
        .args(arguments)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", base)
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={KEY}"))
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", "0");
    command
}

/// What the doctor says of one thing.
fn said(command: &mut Command, check: &str) -> (Option<i32>, Value) {
    let output = command.arg("--json").output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(err, "");
    let lines = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = lines.into_iter().find(|line| line["check"] == check);
    (
        code,
        found.unwrap_or_else(|| panic!("nothing of {check}: {out}")),
    )
}

#[test]
fn with_a_collector_that_accepts_all_is_well_and_no_secret_is_said() {
    let (server, base) = collector("200 OK", false);
    let output = doctor(&server, &[], &base).output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!((code, err), (Some(0), ""), "{out}");
    for words in [
        "OTEL_EXPORTER_OTLP_HEADERS=authorization=[set]",
        &format!(
            "to {base}/v1/traces (OTEL_EXPORTER_OTLP_ENDPOINT) as http/protobuf, compression none, in 10.0 s at most; a full queue drops what comes: "
        ),
        &format!(
            "to {base}/v1/metrics (OTEL_EXPORTER_OTLP_ENDPOINT) as http/protobuf, compression none, in 10.0 s at most: "
        ),
        "the collector accepted it",
        "its trace is ",
        "the subscriber wants the spans of operations",
    ] {
        assert!(out.contains(words), "{words} is not in {out}");
    }
    assert!(!out.contains("failed"), "{out}");
    let (_, span) = said(&mut doctor(&server, &[], &base), "test span");
    assert_eq!(span["status"], "ok");
    let mut other = doctor(&server, &[], &base);
    other
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("AGENT_SDK_OTEL_WHEN_FULL", "block:50");
    let (_, logs) = said(&mut other, "logs");
    let says = logs["says"].as_str().unwrap();
    assert!(
        says.contains("compression gzip") && says.contains("waited for, 50ms at most"),
        "{says}"
    );
    // To look changes nothing.
    assert_eq!(std::fs::read_dir(server.home.path()).unwrap().count(), 0);
}

#[test]
fn what_a_collector_does_wrong_is_said_and_is_the_exit_code() {
    let (refusing, refused) = collector("401 Unauthorized", false);
    let (code, traces) = said(&mut doctor(&refusing, &[], &refused), "traces");
    assert_eq!((code, &traces["status"]), (Some(1), &Value::from("failed")));
    assert!(traces["says"].as_str().unwrap().contains("401"), "{traces}");
    assert!(
        traces["advice"]
            .as_str()
            .unwrap()
            .contains("OTEL_EXPORTER_OTLP_HEADERS"),
        "{traces}"
    );

    // It takes the connection and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut hung = doctor(&refusing, &[], &url);
    let (code, span) = said(hung.env("OTEL_EXPORTER_OTLP_TIMEOUT", "200"), "test span");
    assert_eq!(code, Some(1));
    assert!(
        span["says"].as_str().unwrap().contains("no answer came"),
        "{span}"
    );

    drop(silent);
    let (code, traces) = said(&mut doctor(&refusing, &[], &url), "traces");
    assert_eq!(code, Some(1));
    assert!(
        traces["says"].as_str().unwrap().contains("nobody listens"),
        "{traces}"
    );
}

#[test]
fn settings_that_lose_spans_and_filters_that_would_hide_them_are_found() {
    let (server, base) = collector("200 OK", false);
    let plain = || doctor(&server, &[], &base);
    let (code, sampling) = said(plain().env("OTEL_TRACES_SAMPLER", "always_off"), "sampling");
    assert_eq!(
        (code, &sampling["status"]),
        (Some(1), &Value::from("failed"))
    );
    let (code, variable) = said(plain().env("OTEL_TRACES_SAMPLER", "sometimes"), "variable");
    assert_eq!(code, Some(1), "{variable}");
    let address = "https://user:hidden@host:port";
    let (code, _) = said(&mut doctor(&server, &[], address), "variable");
    assert_eq!(code, Some(1));
    let output = doctor(&server, &[], address).output().unwrap();
    let (_, out, _) = ended(&output);
    assert!(
        out.contains("OTEL_EXPORTER_OTLP_ENDPOINT takes an address") && !out.contains("hidden"),
        "{out}"
    );
    let (code, filter) = said(plain().env("RUST_LOG", "warn"), "RUST_LOG");
    assert_eq!(code, Some(0));
    assert!(
        filter["says"].as_str().unwrap().contains("hides the spans"),
        "{filter}"
    );
    let (code, filter) = said(plain().env("RUST_LOG", "info"), "RUST_LOG");
    assert_eq!(code, Some(0));
    assert!(
        filter["says"].as_str().unwrap().contains("would pass"),
        "{filter}"
    );
    let mut off = agent_in(server.home.path(), &["doctor"]);
    let (code, traces) = said(off.env("OTEL_EXPORTER_PROMETHEUS_PORT", "0"), "traces");
    assert_eq!(code, Some(0));
    assert_eq!(traces["says"], "not exported");
    // With tail sampling the test span arrives all the same.
    let (_, span) = said(plain().env("AGENT_SDK_OTEL_TAIL", "errors"), "test span");
    assert_eq!(span["status"], "ok", "{span}");
}
