//! A collector on loopback, for the tests.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::oneshot;

/// What the collector does with a request for traces.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    Accept,
    /// Accepts, and says that it rejected this many spans of each request.
    Reject(i64),
    Status(u16),
    /// Never answers.
    Hang,
}

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    requests: usize,
    headers: HeaderMap,
    metrics: Vec<ExportMetricsServiceRequest>,
    logs: Vec<ScopeLogs>,
    service: Option<String>,
    schema_urls: Vec<String>,
}

struct Shared {
    behaviour: Behaviour,
    received: Mutex<Received>,
}

/// A collector on a thread and a runtime of its own.
pub(crate) struct Collector {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Collector {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let shared = Arc::new(Shared {
            behaviour,
            received: Mutex::default(),
        });
        let app = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .route("/v1/logs", post(logs))
            .with_state(Arc::clone(&shared));
        let (ready, bound) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    _ = axum::serve(listener, app) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            shared,
            address: bound.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.shared.received.lock().unwrap().spans.clone()
    }

    pub(crate) fn span(&self, name: &str) -> Span {
        let mut found = self.spans().into_iter().filter(|span| span.name == name);
        let span = found.next().unwrap_or_else(|| panic!("no span {name}"));
        assert!(found.next().is_none(), "{name} was exported twice");
        span
    }

    pub(crate) fn requests(&self) -> usize {
        self.shared.received.lock().unwrap().requests
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        self.shared.received.lock().unwrap().headers.clone()
    }

    pub(crate) fn service(&self) -> Option<String> {
        self.shared.received.lock().unwrap().service.clone()
    }

    /// The log records received, each with the name of its scope.
    pub(crate) fn logs(&self) -> Vec<(String, LogRecord)> {
        let received = self.shared.received.lock().unwrap();
        let mut all = Vec::new();
        for scope in &received.logs {
            let name = scope.scope.as_ref().map(|scope| scope.name.clone());
            for record in &scope.log_records {
                all.push((name.clone().unwrap_or_default(), record.clone()));
            }
        }
        all
    }

    /// The schema of each scope that came.
    pub(crate) fn schema_urls(&self) -> Vec<String> {
        self.shared.received.lock().unwrap().schema_urls.clone()
    }

    /// The names of all metrics received.
    pub(crate) fn metric_names(&self) -> Vec<String> {
        let received = self.shared.received.lock().unwrap();
        let resources = received
            .metrics
            .iter()
            .flat_map(|all| &all.resource_metrics);
        let scopes = resources.flat_map(|resource| &resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| &scope.metrics);
        metrics.map(|metric| metric.name.clone()).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

async fn traces(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Vec<u8>) {
    shared.received.lock().unwrap().requests += 1;
    let rejected = match shared.behaviour {
        Behaviour::Accept => 0,
        Behaviour::Reject(spans) => spans,
        Behaviour::Status(code) => return (StatusCode::from_u16(code).unwrap(), Vec::new()),
        Behaviour::Hang => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            0
        }
    };
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut received = shared.received.lock().unwrap();
    received.headers = headers;
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap().attributes;
        let service = attributes.iter().find(|pair| pair.key == "service.name");
        received.service = service.map(|pair| format!("{:?}", pair.value));
        for scope in resource.scope_spans {
            received.schema_urls.push(scope.schema_url);
            received.spans.extend(scope.spans);
        }
    }
    let reply = ExportTraceServiceResponse {
        partial_success: (rejected > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: rejected,
            error_message: "too old".into(),
        }),
    };
    (StatusCode::OK, reply.encode_to_vec())
}

async fn logs(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    if let Behaviour::Status(code) = shared.behaviour {
        return StatusCode::from_u16(code).unwrap();
    }
    let request = ExportLogsServiceRequest::decode(body).unwrap();
    let resources = request.resource_logs.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_logs);
    shared.received.lock().unwrap().logs.extend(scopes);
    StatusCode::OK
}

async fn metrics(State(shared): State<Arc<Shared>>, body: Bytes) -> StatusCode {
    if let Behaviour::Status(code) = shared.behaviour {
        return StatusCode::from_u16(code).unwrap();
    }
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    shared.received.lock().unwrap().metrics.push(request);
    StatusCode::OK
}

/// An address of this machine on which nobody listens, and nobody will: its port stays taken.
pub(crate) fn dead_url() -> String {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    std::mem::forget(socket);
    url
}
