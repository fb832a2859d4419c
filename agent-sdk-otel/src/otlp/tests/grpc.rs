//! Collectors that speak gRPC.

use std::convert::Infallible;

use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::Telemetry;
use crate::builder::TelemetryBuilder;

pub(super) const GRPC: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
const GZIP: (&str, &str) = ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// What a collector does with one request.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Answers with this message, and this status in the trailers.
    Trailers(Vec<u8>, &'static str),
    /// Answers with a status in the headers.
    Headers(&'static str),
    /// As `Headers`, with these details.
    Details(&'static str, &'static str),
    /// Answers with a message, and says nothing of a status.
    NoStatus,
    /// A page of somebody who does not speak gRPC.
    Page(u16),
    /// Reads the request and never answers.
    Hang,
    /// Answers with a part of the message and nothing more.
    HangInside,
}

pub(super) fn ok() -> Step {
    Step::Trailers(Vec::new(), "0")
}

fn partial(rejected: i64) -> Step {
    let reply = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: rejected,
            error_message: "too old".into(),
        }),
    };
    Step::Trailers(reply.encode_to_vec(), "0")
}

/// One request: its path, its headers, and the message in its frame as it came.
pub(super) struct Call {
    path: String,
    headers: HeaderMap,
    is_compressed: bool,
    message: Vec<u8>,
}

/// Goes through the script again and again, one step a request.
fn collector(script: Vec<Step>) -> (Server, Seen<Call>) {
    collector_over(None, script)
}

/// As [`collector`], behind TLS where that is given.
pub(super) fn collector_over(tls: Option<TlsAcceptor>, script: Vec<Step>) -> (Server, Seen<Call>) {
    let seen = Seen::default();
    let calls = Arc::clone(&seen);
    let server = Server::start(move |listener| async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (calls, script) = (Arc::clone(&calls), script.clone());
            let answer = service_fn(move |request| {
                let (calls, script) = (Arc::clone(&calls), script.clone());
                async move { Ok::<_, Infallible>(answer(request, &calls, &script).await) }
            });
            let server = http2::Builder::new(TokioExecutor::new());
            let tls = tls.clone();
            drop(tokio::spawn(async move {
                // A connection ends with its peer, or with the test.
                let _ = match tls {
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else {
                            return;
                        };
                        server.serve_connection(TokioIo::new(stream), answer).await
                    }
                    None => server.serve_connection(TokioIo::new(stream), answer).await,
                };
            }));
        }
    });
    (server, seen)
}

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn answer(request: Request<Incoming>, calls: &Seen<Call>, script: &[Step]) -> Reply {
    assert_eq!(request.method(), "POST");
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let (prefix, message) = body.split_at(5);
    let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
    assert_eq!(length as usize, message.len());
    let step = {
        let mut calls = calls.lock().unwrap();
        calls.push(Call {
            path: head.uri.path().to_owned(),
            headers: head.headers,
            is_compressed: prefix[0] == 1,
            message: message.to_vec(),
        });
        script[(calls.len() - 1) % script.len()].clone()
    };
    let reply = Response::builder().header("content-type", "application/grpc");
    let empty = Full::default();
    match step {
        Step::Trailers(message, status) => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().unwrap());
            let body = Full::new(frame(&message)).with_trailers(async { Some(Ok(trailers)) });
            reply.body(body.boxed_unsync())
        }
        Step::Headers(status) => reply
            .header("grpc-status", status)
            .body(empty.boxed_unsync()),
        Step::Details(status, details) => reply
            .header("grpc-status", status)
            .header("grpc-status-details-bin", details)
            .body(empty.boxed_unsync()),
        Step::NoStatus => reply.body(Full::new(frame(&[])).boxed_unsync()),
        Step::Page(status) => Response::builder()
            .status(StatusCode::from_u16(status).unwrap())
            .body(Full::new("<html>".into()).boxed_unsync()),
        Step::Hang => std::future::pending().await,
        Step::HangInside => {
            let body = Full::new(frame(&[])).with_trailers(std::future::pending());
            reply.body(body.boxed_unsync())
        }
    }
    .unwrap()
}

fn frame(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), message].concat().into()
}

/// Exported, rejected, failed and unknown.
pub(super) fn fate(account: &ExportAccount) -> [u64; 4] {
    [
        account.exported,
        account.rejected,
        account.failed,
        account.unknown,
    ]
}

#[test]
fn o2_answers_over_grpc_are_what_the_account_says() {
    let retry_info = "GjAKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SBAoCEAE";
    let table: &[(&[Step], [u64; 4], usize)] = &[
        (&[ok()], [4, 0, 0, 0], 1),
        (&[Step::Headers("0")], [4, 0, 0, 0], 1),
        (&[partial(0)], [4, 0, 0, 0], 1),
        (&[partial(1)], [3, 1, 0, 0], 1),
        (&[partial(9)], [0, 4, 0, 0], 1),
        // UNAVAILABLE, in the headers and in the trailers.
        (&[Step::Headers("14"), ok()], [4, 0, 0, 0], 2),
        (
            &[Step::Trailers(Vec::new(), "14"), partial(2)],
            [2, 2, 0, 0],
            2,
        ),
        (&[Step::Page(503), Step::Page(429), ok()], [4, 0, 0, 0], 3),
        // UNIMPLEMENTED, UNAUTHENTICATED, INVALID_ARGUMENT.
        (&[Step::Headers("12")], [0, 0, 4, 0], 1),
        (&[Step::Headers("16")], [0, 0, 4, 0], 1),
        (&[Step::Trailers(Vec::new(), "3")], [0, 0, 4, 0], 1),
        (&[Step::Headers("14"), Step::Headers("12")], [0, 0, 4, 0], 2),
        // RESOURCE_EXHAUSTED, without and with RetryInfo.
        (&[Step::Headers("8")], [0, 0, 4, 0], 1),
        (&[Step::Details("8", retry_info), ok()], [4, 0, 0, 0], 2),
        // Who knows whether it was kept?
        (&[Step::NoStatus, ok()], [4, 0, 0, 0], 2),
        (&[Step::NoStatus, Step::Headers("12")], [0, 0, 0, 4], 2),
        (&[Step::Headers("4"), Step::Headers("12")], [0, 0, 0, 4], 2),
        (&[Step::Page(200)], [0, 0, 4, 0], 1),
        (&[Step::Page(404)], [0, 0, 4, 0], 1),
    ];
    for (script, expected, calls) in table {
        for variables in [&[GRPC][..], &[GRPC, GZIP]] {
            let (server, seen) = collector(script.to_vec());
            let account = export(variables, &server.url(), 4);
            assert_eq!(fate(&account), *expected, "{script:?}");
            let seen = seen.lock().unwrap();
            assert_eq!(seen.len(), *calls, "{script:?}");
            for call in seen.iter() {
                let is_compressed = variables.len() > 1;
                assert_eq!(call.is_compressed, is_compressed);
                let encoding = call.headers.get("grpc-encoding");
                assert_eq!(encoding.is_some_and(|name| name == "gzip"), is_compressed);
                let message = if is_compressed {
                    unzip(&call.message)
                } else {
                    call.message.clone()
                };
                assert_eq!(spans(&message), 4);
                assert_eq!(call.path, TRACES);
                assert_eq!(call.headers["content-type"], "application/grpc");
                assert_eq!(call.headers["te"], "trailers");
            }
        }
    }
}

#[test]
fn o2_a_collector_that_hangs_over_grpc_is_unknown() {
    let timeout = |milliseconds| ("OTEL_EXPORTER_OTLP_TIMEOUT", milliseconds);
    let soon = timeout("300");
    for step in [Step::Hang, Step::HangInside] {
        // However slow the machine is: with one of these the request arrives before it is given up.
        let mut timeouts = [soon, timeout("3000"), timeout("30000")].into_iter();
        loop {
            let patience = timeouts.next().expect("the request arrives");
            let (server, seen) = collector(vec![step.clone()]);
            let account = export(&[GRPC, patience], &server.url(), 4);
            assert_eq!(fate(&account), [0, 0, 0, 4], "{step:?}");
            let calls = seen.lock().unwrap().len();
            assert!(calls <= 1, "{step:?}");
            if calls == 1 {
                break;
            }
        }
    }
    // It takes connections, and never reads.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let account = export(&[GRPC, soon], &url, 4);
    assert_eq!(fate(&account), [0, 0, 0, 4]);
}

#[test]
fn a_large_request_fits_through_http_2_s_windows() {
    let (server, seen) = collector(vec![ok()]);
    // Far above the window of 64 KiB that a connection begins with.
    let large = Span {
        name: "x".repeat(3_000_000),
        ..Span::default()
    };
    let account = export_all(&[GRPC], &server.url(), [large]);
    assert_eq!(fate(&account), [1, 0, 0, 0]);
    let seen = seen.lock().unwrap();
    assert_eq!(spans(&seen[0].message), 1);
}

fn telemetry(url: &str, variables: &[(&str, &str)]) -> Telemetry {
    let builder = TelemetryBuilder::from_lookup(|name| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(url.to_owned()),
        "OTEL_EXPORTER_OTLP_HEADERS" => Some("x-key=k1".to_owned()),
        _ => {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    });
    builder.unwrap().build().unwrap()
}

fn emit(telemetry: &Telemetry) {
    use tracing_subscriber::prelude::*;

    let layers = tracing_subscriber::registry().with(telemetry.layer());
    tracing::subscriber::with_default(layers, || {
        for _ in 0..4 {
            tracing::info_span!("work").in_scope(|| {});
        }
    });
}

#[tokio::test]
async fn spans_and_metrics_leave_at_a_shutdown_inside_a_current_thread_runtime() {
    let (server, seen) = collector(vec![ok()]);
    let telemetry = telemetry(&server.url(), &[GRPC, GZIP]);
    emit(&telemetry);
    // It blocks the only thread of this runtime.
    let report = telemetry.shutdown();
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.spans.exported, 4);
    assert!(report.metrics_flushed && report.metrics.exported > 0);
    let seen = seen.lock().unwrap();
    for path in [TRACES, METRICS] {
        let call = seen.iter().find(|call| call.path == path).unwrap();
        assert_eq!(call.headers["x-key"], "k1");
        assert!(call.is_compressed);
    }
}

#[tokio::test]
async fn o2_a_shutdown_inside_a_current_thread_runtime_ends_in_time_when_grpc_hangs() {
    let (server, _seen) = collector(vec![Step::Hang]);
    let telemetry = telemetry(&server.url(), &[GRPC]);
    emit(&telemetry);
    let began = std::time::Instant::now();
    let report = telemetry.shutdown();
    assert!(began.elapsed() < Duration::from_secs(8));
    assert!(report.spans.balances(), "{report}");
    assert_eq!(report.spans.unknown, 4);
    assert!(!report.metrics_flushed);
}

#[test]
fn log_records_go_to_their_own_service() {
    let (server, seen) = collector(vec![ok()]);
    let mut settings = read(|_| None).unwrap();
    settings.endpoint = Some(crate::settings::Address::new(server.url(), "the test"));
    settings.logs.protocol = Some(crate::Protocol::Grpc);
    let thread = ExportThread::start().unwrap();
    let resource = Resource::builder_empty().build();
    let pipeline = Pipeline::for_signal(Signal::Logs, &settings, &resource, Some(&thread));
    let pipeline = pipeline.unwrap().unwrap();
    let scope = Scope::new(&InstrumentationScope::builder("a").build());
    pipeline.push(&scope, &[]);
    assert!(pipeline.flush(LIMIT));
    assert_eq!(pipeline.shutdown(LIMIT).exported, 1);
    assert_eq!(seen.lock().unwrap()[0].path, LOGS);
}

#[test]
fn the_doctor_asks_over_grpc() {
    for (step, says) in [
        (ok(), "an empty request was accepted"),
        (Step::Headers("16"), "an empty request was refused"),
        (Step::Headers("14"), "it is busy"),
    ] {
        let (server, _seen) = collector(vec![step]);
        let telemetry = telemetry(&server.url(), &[GRPC]);
        let findings = telemetry.doctor();
        let _report = telemetry.shutdown();
        let text = &findings[0].says;
        assert!(text.contains("as grpc") && text.contains(says), "{text}");
    }
}
