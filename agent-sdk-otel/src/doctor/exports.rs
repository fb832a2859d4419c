//! What is sent where, and whether it arrives.

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use agent_sdk::model::is_loopback;
use agent_sdk::operation::{Kind, Observers, Outcome, Payload, RunContext, SpanId, TraceContext};
use bytes::Bytes;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;

use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{Finding, PATIENCE, mask};
use crate::otlp::{self, Channel, Protocol, Target};
use crate::pipeline::ExportAccount;
use crate::settings::{Settings, Signal};
use crate::telemetry::Telemetry;

/// The name of the agent whose span is the test span.
const NAME: &str = "agent_sdk_doctor";

/// Each signal: where it goes, and whether somebody is there.
pub(super) fn addresses(settings: &Settings) -> Vec<Finding> {
    [Signal::Traces, Signal::Metrics, Signal::Logs]
        .into_iter()
        .map(|signal| address(settings, signal))
        .collect()
}

fn address(settings: &Settings, signal: Signal) -> Finding {
    let check = signal.name();
    let target = match settings.target(signal) {
        Ok(Some(target)) => target,
        Ok(None) if settings.disabled => {
            return Finding::ok(check, "not exported: telemetry is switched off");
        }
        Ok(None) => {
            return Finding::ok(check, "not exported").advice(
                "Set OTEL_EXPORTER_OTLP_ENDPOINT to export it, such as to http://localhost:4318.",
            );
        }
        Err(error) => return Finding::failed(check, error.to_string()),
    };
    if let Err(error) = target.trust.given_to(reqwest::Client::builder()) {
        return Finding::failed(check, error.to_string());
    }
    let url = mask::address(&target.url);
    let origin = settings.address_from(signal);
    let (limit, protocol) = (target.timeout, target.protocol);
    // Metrics have no queue: the next collection makes up for one that failed.
    let when_full = match signal {
        Signal::Metrics => String::new(),
        Signal::Traces | Signal::Logs => format!("; {}", settings.when_full.words()),
    };
    let to = format!(
        "to {url} ({origin}) as {}, compression {}, in {} at most{when_full}: ",
        protocol.name(),
        target.compression.name(),
        seconds(limit)
    );
    let began = Instant::now();
    let answer = probe(target);
    let took = began.elapsed();
    match answer {
        Answer::Status(status) if status.is_success() => Finding::ok(
            check,
            format!(
                "{to}an empty request was answered with {status} after {}",
                seconds(took)
            ),
        ),
        Answer::Status(status) => {
            let advice = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    "Set the key that it wants in OTEL_EXPORTER_OTLP_HEADERS."
                }
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                    "Is this the address for OTLP over HTTP? OTEL_EXPORTER_OTLP_ENDPOINT is a base, without /v1/traces."
                }
                status if status.is_redirection() => {
                    "Give the address that it leads to: a redirected request would lose its body."
                }
                _ => "Look into the collector's own log.",
            };
            let says = format!("{to}an empty request was answered with {status}");
            Finding::failed(check, says).advice(advice)
        }
        Answer::Accepted => Finding::ok(
            check,
            format!("{to}an empty request was accepted after {}", seconds(took)),
        ),
        Answer::NotAccepted(says) => Finding::failed(check, format!("{to}{says}")).advice(
            "Does it take this signal? Does it want a key in OTEL_EXPORTER_OTLP_HEADERS? Its own log may say more.",
        ),
        Answer::Refused => Finding::failed(
            check,
            format!("{to}nobody listens there, or it cannot be reached"),
        )
        .advice("Start a collector there, or correct the address."),
        Answer::Silent => Finding::failed(
            check,
            format!("{to}no answer to an empty request within {}", seconds(took)),
        )
        .advice(match protocol {
            Protocol::HttpProtobuf => "Is this the HTTP port (4318)? A gRPC port (4317) does not answer either.",
            Protocol::Grpc => "Is this the gRPC port (4317)? An HTTP port (4318) does not answer either.",
        }),
    }
}

enum Answer {
    Status(StatusCode),
    /// Over gRPC, as the next one.
    Accepted,
    NotAccepted(&'static str),
    Refused,
    Silent,
}

/// Posts a request with nothing in it, on a thread and a runtime of its own: this may be called inside one.
fn probe(target: Target) -> Answer {
    let (done, waiting) = mpsc::channel();
    let limit = target.timeout.min(PATIENCE);
    let asked = std::thread::Builder::new()
        .name("agent-sdk-doctor".into())
        .spawn(move || {
            let _quiet = Context::enter_telemetry_suppressed_scope();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build();
            let answer = match runtime {
                Ok(runtime) => {
                    let answer = runtime.block_on(post(target, limit));
                    runtime.shutdown_background();
                    answer
                }
                Err(_) => Answer::Silent,
            };
            let _ = done.send(answer);
        });
    if asked.is_err() {
        return Answer::Silent;
    }
    // Looking up a name has no limit of its own.
    waiting
        .recv_timeout(limit + Duration::from_secs(1))
        .unwrap_or(Answer::Silent)
}

async fn post(target: Target, limit: Duration) -> Answer {
    if target.protocol == Protocol::Grpc {
        return call(target, limit).await;
    }
    let host = target.url.host_str().unwrap_or_default();
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .timeout(limit);
    if target.url.scheme() == "http" && is_loopback(host) {
        client = client.no_proxy().tls_certs_only([]);
    } else {
        client = match target.trust.given_to(client) {
            Ok(client) => client,
            Err(_) => return Answer::Refused,
        };
    }
    let Ok(client) = client.build() else {
        return Answer::Refused;
    };
    let request = client
        .post(target.url)
        .headers(target.headers)
        .header(CONTENT_TYPE, "application/x-protobuf");
    match request.send().await {
        Ok(reply) => Answer::Status(reply.status()),
        Err(error) if error.is_connect() && !error.is_timeout() => Answer::Refused,
        Err(_) => Answer::Silent,
    }
}

/// As [`post`], over gRPC.
async fn call(target: Target, limit: Duration) -> Answer {
    let Ok(channel) = Channel::new(Target {
        timeout: limit,
        ..target
    }) else {
        return Answer::Refused;
    };
    let Some(body) = channel.body(&Bytes::new()) else {
        return Answer::Refused;
    };
    match channel.post(body).await.0 {
        otlp::Answer::Accepted { .. } => Answer::Accepted,
        otlp::Answer::Refused => Answer::NotAccepted("an empty request was refused"),
        otlp::Answer::Busy { .. } => Answer::NotAccepted("it is busy, or not ready"),
        otlp::Answer::Unreached => Answer::Refused,
        otlp::Answer::Lost => Answer::NotAccepted("the connection ended without an answer"),
        otlp::Answer::Late => Answer::Silent,
    }
}

/// Whether the metrics address is free.
pub(super) fn prometheus(settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "prometheus";
    if settings.disabled || !settings.prometheus {
        return Vec::new();
    }
    let address = settings.prometheus_address;
    vec![match TcpListener::bind(address) {
        Ok(_) => Finding::ok(CHECK, format!("{address} is free to serve metrics on")),
        Err(error) => Finding::warning(
            CHECK,
            format!("{address} cannot be listened on: {}", error.kind()),
        )
        .advice("If it is not this program that has it, choose another port: OTEL_EXPORTER_PROMETHEUS_PORT."),
    }]
}

impl Telemetry {
    /// One span, from an operation to the collector's answer.
    pub(super) fn trip(&self, patience: Duration) -> Vec<Finding> {
        let Some(observer) = self.span_observer() else {
            return Vec::new();
        };
        let observers = Observers::none().with_shared(observer);
        let observers = match self.ids() {
            Some(ids) => observers.with_ids(ids),
            None => observers,
        };
        let before = self.account();
        let context = RunContext::builder().observers(observers).build();
        let operation = context.start(Kind::Agent, NAME).begin();
        let trace = operation.info().trace;
        self.keep_trace(trace.trace_id.0.to_be_bytes());
        let mut findings = nesting(operation.span(), trace.span_id);
        operation.end(Outcome::Ok, Payload::None);
        findings.push(self.arrival(trace, &before, patience));
        findings
    }

    fn arrival(&self, trace: TraceContext, before: &ExportAccount, patience: Duration) -> Finding {
        const CHECK: &str = "test span";
        let began = Instant::now();
        let is_settled = self.flush(patience);
        let took = seconds(began.elapsed());
        let after = self.account();
        let id = format!("its trace is {}", trace.trace_id);
        if !trace.sampled || after.unsampled > before.unsampled {
            return Finding::warning(CHECK, format!("it was left out by the sampler; {id}"));
        }
        // Other spans may have ended meanwhile; what was lost of them is worth the same words.
        let failed = |what: &str| {
            Finding::failed(CHECK, format!("{what} after {took}; {id}"))
                .advice("The lines above say what the address answers.")
        };
        if after.rejected > before.rejected {
            failed("the collector took the request and rejected a span")
        } else if after.failed > before.failed {
            failed("the request failed")
        } else if after.unknown > before.unknown {
            failed("it was sent, but no answer came")
        } else if after.dropped > before.dropped {
            failed("it was dropped, because the queue is full or closed")
        } else if !is_settled {
            failed("it is still being tried")
        } else if after.exported > before.exported {
            Finding::ok(
                CHECK,
                format!("the collector accepted it after {took}; look for it: {id}"),
            )
        } else {
            failed("nothing is known of it")
        }
    }
}

/// Whether the program's own spans would hang under an operation: a layer of ours has seen its `tracing` span.
fn nesting(span: &Span, id: SpanId) -> Vec<Finding> {
    const CHECK: &str = "layer";
    // That a filter hides it was said before.
    if span.is_disabled() {
        return Vec::new();
    }
    let seen = span.context().span().span_context().span_id();
    if u64::from_be_bytes(seen.to_bytes()) == id.0 {
        return vec![Finding::ok(
            CHECK,
            "spans of the program nest with those of operations",
        )];
    }
    let says = "the subscriber has no layer of this telemetry: spans of the program do not nest with those of operations";
    vec![Finding::warning(CHECK, says).advice("Add `Telemetry::layer()` to the subscriber.")]
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
