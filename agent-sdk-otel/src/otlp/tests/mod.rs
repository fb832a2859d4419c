//! Collectors of the tests' own, and what the account says of them.

#[cfg(feature = "grpc")]
mod grpc;
mod gzip;
// Elsewhere a process trusts what its system says, whatever its environment.
#[cfg(all(feature = "grpc", target_os = "linux"))]
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::Resource;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::ExportThread;
use crate::pipeline::{ExportAccount, Pipeline, Scope};
use crate::settings::{Signal, read};

const LIMIT: Duration = Duration::from_secs(20);

/// A server on a thread and a runtime of its own.
struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start<F: Future<Output = ()>>(
        serve: impl FnOnce(TcpListener) -> F + Send + 'static,
    ) -> Self {
        let (ready, bound) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    () = serve(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address: bound.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

/// What a server saw, shared with its thread.
type Seen<T> = Arc<Mutex<Vec<T>>>;

/// Exports so many spans as the variables say, and what became of them.
fn export(variables: &[(&str, &str)], url: &str, spans: usize) -> ExportAccount {
    export_all(variables, url, (0..spans).map(span))
}

fn export_all(
    variables: &[(&str, &str)],
    url: &str,
    spans: impl IntoIterator<Item = Span>,
) -> ExportAccount {
    let settings = read(|name| {
        if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
            return Some(url.to_owned());
        }
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    let mut settings = settings.unwrap();
    settings.batch.retries.first = Duration::from_millis(1);
    settings.batch.retries.longest = Duration::from_millis(5);
    settings.batch.retries.total = LIMIT;
    let thread = ExportThread::start().unwrap();
    let resource = Resource::builder_empty().build();
    let pipeline = Pipeline::for_signal(Signal::Traces, &settings, &resource, Some(&thread));
    let pipeline = pipeline.unwrap().unwrap();
    let scope = Scope::new(&InstrumentationScope::builder("a").build());
    for span in spans {
        pipeline.push(&scope, &span.encode_to_vec());
    }
    assert!(pipeline.flush(Duration::from_mins(1)));
    let account = pipeline.shutdown(LIMIT);
    assert!(account.balances(), "{account:?}");
    account
}

fn span(number: usize) -> Span {
    Span {
        name: format!("span {number}"),
        ..Span::default()
    }
}

/// How many spans are in a message.
fn spans(message: &[u8]) -> usize {
    let request = ExportTraceServiceRequest::decode(message).unwrap();
    let scopes = request.resource_spans.iter();
    let scopes = scopes.flat_map(|all| &all.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}

fn unzip(bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(bytes);
    std::io::Read::read_to_end(&mut decoder, &mut message).unwrap();
    message
}
