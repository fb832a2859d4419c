//! A collector that keeps what it was sent, raw and decoded.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::loopback::Loopback;

#[derive(Default)]
struct Received {
    raw: Vec<Bytes>,
    spans: Vec<Span>,
    logs: Vec<LogRecord>,
    metrics: Vec<ExportMetricsServiceRequest>,
}

type Shared = Arc<Mutex<Received>>;

pub(super) struct Collector {
    received: Shared,
    server: Loopback,
}

impl Collector {
    pub(super) fn start() -> Self {
        let received = Shared::default();
        let app = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .route("/v1/logs", post(logs))
            .with_state(received.clone());
        Self {
            received,
            server: Loopback::start(app),
        }
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.received.lock().unwrap().spans.clone()
    }

    pub(super) fn logs(&self) -> Vec<LogRecord> {
        self.received.lock().unwrap().logs.clone()
    }

    pub(super) fn span(&self, name: &str) -> Span {
        let found: Vec<_> = self
            .spans()
            .into_iter()
            .filter(|span| span.name == name)
            .collect();
        assert_eq!(found.len(), 1, "{name} was exported {} times", found.len());
        found[0].clone()
    }

    pub(super) fn metric_names(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        let resources = received
            .metrics
            .iter()
            .flat_map(|all| &all.resource_metrics);
        let scopes = resources.flat_map(|resource| &resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| &scope.metrics);
        metrics.map(|metric| metric.name.clone()).collect()
    }

    /// Everything that arrived, byte for byte.
    pub(super) fn raw(&self) -> Vec<Bytes> {
        self.received.lock().unwrap().raw.clone()
    }
}

async fn traces(State(shared): State<Shared>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let mut received = shared.lock().unwrap();
    received.raw.push(body);
    let resources = request.resource_spans.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    received.spans.extend(scopes.flat_map(|scope| scope.spans));
}

async fn metrics(State(shared): State<Shared>, body: Bytes) {
    let request = ExportMetricsServiceRequest::decode(body.clone()).unwrap();
    let mut received = shared.lock().unwrap();
    received.raw.push(body);
    received.metrics.push(request);
}

async fn logs(State(shared): State<Shared>, body: Bytes) {
    let request = ExportLogsServiceRequest::decode(body.clone()).unwrap();
    let mut received = shared.lock().unwrap();
    received.raw.push(body);
    let resources = request.resource_logs.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_logs);
    received
        .logs
        .extend(scopes.flat_map(|scope| scope.log_records));
}
