//! Compressed requests over HTTP.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes as Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use bytes::Bytes;

use super::*;
use crate::otlp::{Answer, OtlpClient};
use crate::pipeline::{Envelope, PipelineSettings, Transport};

/// Headers and body of a request.
type Request = (HeaderMap, Body);

/// Answers 503 so many times, and then takes everything.
fn collector(busy: usize) -> (Server, Seen<Request>) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let server = Server::start(move |listener| async move {
        let take = async move |headers: HeaderMap, body: Body| {
            let mut kept = kept.lock().unwrap();
            kept.push((headers, body));
            if kept.len() <= busy {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::OK
            }
        };
        let app = Router::new().route("/v1/traces", post(take));
        axum::serve(listener, app).await.unwrap();
    });
    (server, seen)
}

#[test]
fn a_compressed_request_arrives_whole_and_says_that_it_is() {
    const GZIP: (&str, &str) = ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    const OWN: (&str, &str) = ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip");
    for variables in [&[GZIP][..], &[OWN]] {
        let (server, seen) = collector(0);
        let account = export(variables, &server.url(), 500);
        assert_eq!((account.exported, account.ended), (500, 500));
        let mut arrived = 0;
        for (headers, body) in seen.lock().unwrap().iter() {
            assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
            assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
            let message = unzip(body);
            assert!(body.len() < message.len() / 2);
            arrived += spans(&message);
        }
        assert_eq!(arrived, 500);
    }
}

#[test]
fn nothing_is_compressed_unless_asked() {
    let (server, seen) = collector(0);
    let account = export(&[], &server.url(), 3);
    assert_eq!(account.exported, 3);
    let seen = seen.lock().unwrap();
    let (headers, body) = &seen[0];
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
    assert_eq!(spans(body), 3);
}

/// Counts how often it makes a body.
struct Counted {
    client: OtlpClient,
    made: Arc<AtomicUsize>,
}

impl Transport for Counted {
    fn body(&self, message: &Bytes) -> Option<Bytes> {
        self.made.fetch_add(1, Ordering::Relaxed);
        Transport::body(&self.client, message)
    }

    async fn send(&self, body: Bytes) -> Answer {
        self.client.send(body).await
    }
}

#[test]
fn o2_a_request_that_is_tried_again_is_compressed_once() {
    let (server, seen) = collector(3);
    let mut settings = read(|_| None).unwrap();
    settings.endpoint = Some(crate::settings::Address::new(server.url(), "the test"));
    settings.compression = crate::Compression::Gzip;
    settings.batch.retries.first = Duration::from_millis(1);
    let target = settings.target(Signal::Traces).unwrap().unwrap();
    let thread = ExportThread::start().unwrap();
    let made = Arc::new(AtomicUsize::new(0));
    let transport = Counted {
        client: OtlpClient::new(target, thread.clone()).unwrap(),
        made: Arc::clone(&made),
    };
    let settings = PipelineSettings {
        signal: Signal::Traces,
        limits: settings.batch,
        when_full: settings.when_full,
        envelope: Envelope::new(&Resource::builder_empty().build()),
    };
    let pipeline = Pipeline::start(settings, &thread, transport).unwrap();
    let scope = Scope::new(&InstrumentationScope::builder("a").build());
    pipeline.push(&scope, &span(0).encode_to_vec());
    assert!(pipeline.flush(LIMIT));
    assert_eq!(pipeline.shutdown(LIMIT).exported, 1);
    assert_eq!(made.load(Ordering::Relaxed), 1);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|(_, body)| *body == seen[0].1));
    assert_eq!(spans(&unzip(&seen[0].1)), 1);
}
