use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Span as _, Tracer, TracerProvider};
use tracing::{Level, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::testing::{Behaviour, Collector, dead_url};
use crate::*;

fn telemetry(url: &str) -> Telemetry {
    Telemetry::builder()
        .service_name("triage")
        .endpoint(url)
        .build()
        .unwrap()
}

fn emit(telemetry: &Telemetry, spans: usize) {
    let subscriber = tracing_subscriber::registry().with(telemetry.layer());
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..spans {
            info_span!("work").in_scope(|| {});
        }
    });
}

#[test]
fn a_healthy_collector_gets_every_span_and_the_last_metrics() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .service_name("triage")
        .endpoint(collector.url())
        .header("x-key", "k1")
        .batch_spans(NonZeroUsize::new(100).unwrap())
        .build()
        .unwrap();
    emit(&telemetry, 1_050);
    let report = telemetry.shutdown();
    assert!(report.is_complete(), "{report}");
    assert_eq!((report.spans.ended, report.spans.exported), (1_050, 1_050));
    assert_eq!(collector.spans().len(), 1_050);
    assert!(collector.requests() >= 11);
    assert_eq!(collector.headers()["x-key"], "k1");
    assert!(collector.service().unwrap().contains("triage"));
    let names = collector.metric_names();
    assert!(names.iter().any(|name| name == metric::SPANS_EXPORTED.name));
}

#[test]
fn failures_are_told_apart() {
    let cases = [
        (Behaviour::Status(500), (0, 0, 20)),
        (Behaviour::Status(301), (0, 0, 20)),
        (Behaviour::Reject(3), (17, 3, 0)),
    ];
    for (behaviour, expected) in cases {
        let collector = Collector::start(behaviour);
        let telemetry = telemetry(&collector.url());
        emit(&telemetry, 20);
        let report = telemetry.shutdown();
        let spans = report.spans;
        let fate = (spans.exported, spans.rejected, spans.failed);
        assert_eq!(fate, expected, "{behaviour:?}");
        assert!(spans.balances() && !report.is_complete(), "{report}");
    }
}

#[test]
fn a_dead_port_is_reported_for_spans_and_metrics() {
    let telemetry = telemetry(&dead_url());
    emit(&telemetry, 7);
    let report = telemetry.shutdown();
    assert_eq!((report.spans.ended, report.spans.failed), (7, 7));
    assert!(!report.metrics_flushed && report.metrics.failed > 0);
    let again = telemetry.shutdown();
    assert!(!again.metrics_flushed, "a second call says the same");
}

#[test]
fn a_collector_that_never_answers_is_bounded_and_unknown() {
    let collector = Collector::start(Behaviour::Hang);
    let telemetry = Telemetry::builder()
        .traces_endpoint(format!("{}/v1/traces", collector.url()))
        .export_timeout(Duration::from_hours(1))
        .shutdown_limit(Duration::from_millis(600))
        .build()
        .unwrap();
    emit(&telemetry, 5);
    while collector.requests() == 0 {
        assert!(!telemetry.flush(Duration::from_millis(10)));
    }
    let began = Instant::now();
    let report = telemetry.shutdown();
    assert!(began.elapsed() < Duration::from_mins(1));
    assert!(report.spans.balances() && !report.is_complete(), "{report}");
    assert_eq!(report.spans.unknown, 5, "{report}");
}

#[tokio::test(flavor = "current_thread")]
async fn shutdown_works_inside_a_current_thread_runtime() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector.url());
    emit(&telemetry, 3);
    assert!(telemetry.shutdown().is_complete());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn shutdown_works_inside_a_multi_thread_runtime() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector.url());
    emit(&telemetry, 3);
    assert!(telemetry.shutdown().is_complete());
    drop(telemetry);
}

#[test]
fn unsampled_spans_are_counted_and_not_sent() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .sampler(opentelemetry_sdk::trace::Sampler::AlwaysOff)
        .build()
        .unwrap();
    emit(&telemetry, 9);
    let report = telemetry.shutdown();
    assert!(report.is_complete(), "{report}");
    assert_eq!((report.spans.ended, report.spans.unsampled), (9, 9));
    assert!(collector.spans().is_empty());
}

#[test]
fn spans_nest_and_an_early_end_is_final() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector.url());
    let logs = tracing_subscriber::fmt::layer().with_filter(LevelFilter::OFF);
    let subscriber = tracing_subscriber::registry()
        .with(logs)
        .with(telemetry.layer());
    tracing::subscriber::with_default(subscriber, || {
        let outer = info_span!("outer");
        let operation = outer.in_scope(|| info_span!("operation", otel.name = "chat gpt-5"));
        let context = operation.context();
        let inner = operation.in_scope(|| info_span!("inner"));
        operation.in_scope(|| tracing::event!(Level::ERROR, "handled"));
        // The operation ends here, although its span and its child are still open.
        let ended = opentelemetry::trace::TraceContextExt::span(&context);
        ended.set_attributes([attrs::count(attrs::USAGE_INPUT_TOKENS, 12)]);
        ended.end();
        assert!(telemetry.flush(Duration::from_secs(5)));
        assert_eq!(collector.spans().len(), 1);
        drop((inner, operation));
        // What exporting records must not be exported.
        info_span!(target: "reqwest::connect", "noise").in_scope(|| {});
    });
    assert!(telemetry.shutdown().is_complete());
    assert_eq!(collector.spans().len(), 3);
    let operation = collector.span("chat gpt-5");
    let (outer, inner) = (collector.span("outer"), collector.span("inner"));
    assert_eq!(operation.parent_span_id, outer.span_id);
    assert_eq!(inner.parent_span_id, operation.span_id);
    assert_eq!(inner.trace_id, outer.trace_id);
    assert_eq!(operation.events.len(), 0);
    assert_eq!(
        operation.status.unwrap_or_default().code,
        0,
        "an event is no failure"
    );
    assert_eq!(operation.attributes.len(), 1);
}

#[test]
fn nothing_is_exported_where_nothing_is_set() {
    let telemetry = TelemetryBuilder::from_lookup(|_| None)
        .unwrap()
        .build()
        .unwrap();
    assert!(telemetry.tracer_provider().is_none());
    emit(&telemetry, 3);
    let report = telemetry.shutdown();
    assert!(report.is_complete());
    assert_eq!(report.spans, ExportAccount::default());
}

#[test]
fn a_disabled_layer_leaves_other_layers_alone() {
    let telemetry = Telemetry::builder().build().unwrap();
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let subscriber = tracing_subscriber::registry()
        .with(telemetry.layer())
        .with(logs.with_filter(LevelFilter::INFO));
    tracing::subscriber::with_default(subscriber, || {
        assert!(tracing::enabled!(Level::INFO));
        assert!(!info_span!("work").is_disabled());
    });
}

#[test]
fn a_bad_header_is_named_by_position() {
    let built = Telemetry::builder()
        .header("a", "1")
        .header("b\n", "sk-1")
        .build();
    let error = built.unwrap_err();
    assert_eq!(error.kind(), TelemetryErrorKind::Setting);
    assert!(error.to_string().contains("header 2") && !format!("{error:?}").contains("sk-1"));
}

#[test]
fn spans_of_the_opentelemetry_api_are_in_the_account_too() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector.url());
    let tracer = telemetry.tracer_provider().unwrap().tracer("user");
    tracer.start("native").end();
    let late = tracer.start("late");
    assert_eq!(telemetry.shutdown().spans.exported, 1);
    drop(late);
    let account = telemetry.account();
    assert_eq!((account.ended, account.dropped), (2, 1));
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

#[tokio::test]
async fn metrics_are_served_with_their_prometheus_names() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = telemetry(&collector.url());
    emit(&telemetry, 4);
    assert!(telemetry.flush(Duration::from_secs(5)));
    let meter = telemetry.meter_provider().meter("agent-sdk");
    let seconds = metric::INFERENCE_DURATION.f64_histogram(&meter);
    seconds.record(200.0, &[attrs::text(attrs::REQUEST_MODEL, "gpt-5")]);
    let cost = metric::COST.f64_counter(&meter);
    cost.add(0.5, &[]);

    let server = telemetry
        .serve_metrics("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let page = get(server.address(), "/metrics").await;
    assert!(
        page.contains("content-type: text/plain; version=0.0.4"),
        "{page}"
    );
    for line in [
        "agent_sdk_spans_ended_total{agent_sdk_signal=\"traces\"} 4",
        "agent_sdk_spans_exported_total{agent_sdk_signal=\"traces\"} 4",
        "agent_sdk_spans_queued{agent_sdk_signal=\"traces\"} 0",
        "agent_sdk_cost_total 0.5",
        "gen_ai_client_inference_duration_seconds_bucket{gen_ai_request_model=\"gpt-5\",le=\"163.84\"} 0",
        "gen_ai_client_inference_duration_seconds_bucket{gen_ai_request_model=\"gpt-5\",le=\"327.68\"} 1",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
    assert!(get(server.address(), "/").await.starts_with("HTTP/1.1 404"));
    let address = server.address();
    let taken = telemetry.serve_metrics(address).await.unwrap_err();
    assert_eq!(taken.kind(), TelemetryErrorKind::Bind);
    server.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn metrics_that_are_off_cannot_be_served() {
    let telemetry = Telemetry::builder().prometheus(false).build().unwrap();
    let served = telemetry.serve_metrics(DEFAULT_METRICS_ADDRESS).await;
    assert_eq!(
        served.unwrap_err().kind(),
        TelemetryErrorKind::PrometheusOff
    );
}

#[test]
fn a_metric_keeps_two_thousand_series_and_its_total() {
    let telemetry = Telemetry::builder().build().unwrap();
    let meter = telemetry.meter_provider().meter("agent-sdk");
    let counter = metric::TOOL_RETRIES.u64_counter(&meter);
    for index in 0..2_500 {
        counter.add(1, &[attrs::text(attrs::TOOL_NAME, index.to_string())]);
    }
    let page = telemetry.metrics_text().unwrap();
    let values = page
        .lines()
        .filter(|line| line.starts_with("agent_sdk_tool_retries_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    let (series, total) = values.fold((0, 0), |(n, sum), value| (n + 1, sum + value));
    assert_eq!(total, 2_500);
    assert!(series <= 2_001, "{series}");
    assert!(page.contains("otel_metric_overflow=\"true\""));
}

/// A reply's head and body to a request with an `Accept` header.
async fn scrape(address: std::net::SocketAddr, accept: &str) -> (String, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept: {accept}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_scraper_gets_the_form_that_it_asks_for() {
    use crate::openmetrics::tests::read;
    let telemetry = Telemetry::builder().build().unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let server = telemetry.serve_metrics(address).await.unwrap();
    let prometheus =
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2";
    let (head, body) = scrape(server.address(), prometheus).await;
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(head.contains(kind), "{head}");
    read(&body, true);
    let (head, body) = scrape(server.address(), "text/plain").await;
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    read(&body, false);
    server.shutdown().await;
}

#[tokio::test]
async fn scrapes_at_once_are_bounded_and_a_slow_reader_counts() {
    use tokio::io::AsyncWriteExt;
    let telemetry = Telemetry::builder().build().unwrap();
    let meter = telemetry.meter_provider().meter("user");
    // A page that no socket's buffers take.
    for name in ["user.a", "user.b", "user.c"] {
        let counter = meter.u64_counter(name).build();
        for index in 0..2_000 {
            let value = format!("{index}{}", "x".repeat(200));
            let labels = ["a", "b", "c", "d", "e", "f", "g", "h"];
            counter.add(1, &labels.map(|key| attrs::custom(key, value.clone())));
        }
    }
    let server = telemetry
        .serve_metrics("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let mut readers = Vec::new();
    for _ in 0..16 {
        let mut reader = tokio::net::TcpStream::connect(server.address())
            .await
            .unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
        reader.write_all(request).await.unwrap();
        // Its answer has begun, and goes no further.
        reader.readable().await.unwrap();
        readers.push(reader);
    }
    let (head, _) = scrape(server.address(), "*/*").await;
    assert!(
        head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 1"),
        "{head}"
    );
    drop(readers);
    while !scrape(server.address(), "*/*")
        .await
        .0
        .starts_with("HTTP/1.1 200")
    {
        tokio::task::yield_now().await;
    }
}
