//! What exporting itself records.

use tracing::{Dispatch, info_span};
use tracing_subscriber::prelude::*;

use super::*;
use crate::Telemetry;
use crate::testing::{Behaviour, Collector};

/// Records spans while it sends, as an HTTP client does.
struct Noisy(Dispatch);

impl Transport for Noisy {
    async fn send(&self, _body: Bytes) -> Answer {
        noise(&self.0);
        tokio::task::yield_now().await;
        noise(&self.0);
        ACCEPTED
    }
}

fn noise(dispatch: &Dispatch) {
    tracing::dispatcher::with_default(dispatch, || {
        info_span!(target: "hyper::client", "connect").in_scope(|| {});
        info_span!(target: "reqwest", "post").in_scope(|| {});
        info_span!(target: "some_resolver", "look up").in_scope(|| {});
    });
}

#[test]
fn o4_what_the_exporting_thread_records_is_not_exported() {
    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .traces_endpoint(format!("{}/v1/traces", collector.url()))
        .build()
        .unwrap();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(telemetry.layer()));
    let pipeline = start(limits(1_000, 10), Noisy(dispatch.clone()));
    for _ in 0..200 {
        pipeline.push(&scope("a"), &item("work"));
    }
    assert_eq!(pipeline.shutdown(LIMIT).exported, 200);
    assert_eq!(telemetry.account().ended, 0);
    // On another thread the same three are one: the HTTP client's are left out everywhere.
    noise(&dispatch);
    assert_eq!(telemetry.account().ended, 1);
    assert!(telemetry.shutdown().is_complete());
    assert_eq!(collector.spans().len(), 1);
    assert_eq!(collector.requests(), 1);
}
