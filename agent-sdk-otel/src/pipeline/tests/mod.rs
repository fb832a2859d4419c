mod collector;
mod ends;
mod lies;
mod policy;
mod quiet;
mod steady;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agent_sdk::redact::Redactor;
use bytes::Bytes;
use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use super::*;

const LIMIT: Duration = Duration::from_mins(1);

/// An encoded span of a few bytes.
pub(super) fn item(name: &str) -> Vec<u8> {
    let span = Span {
        name: name.to_owned(),
        ..Span::default()
    };
    span.encode_to_vec()
}

pub(super) fn scope(name: &'static str) -> Scope {
    Scope::new(&InstrumentationScope::builder(name).build())
}

pub(super) fn limits(queue: usize, batch: usize) -> BatchLimits {
    BatchLimits {
        queue,
        batch,
        largest: batch,
        delay: Duration::from_hours(1),
        in_flight: 1,
        ..BatchLimits::default()
    }
}

pub(super) fn spans(body: &Bytes) -> usize {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|all| &all.scope_spans);
    scopes.map(|scope| scope.spans.len()).sum()
}

/// Answers each batch as the test says, and tells it the batch's size.
struct Scripted {
    batches: std::sync::mpsc::Sender<usize>,
    replies: AsyncMutex<mpsc::UnboundedReceiver<Answer>>,
}

impl Transport for Scripted {
    async fn send(&self, body: Bytes) -> Answer {
        self.batches.send(spans(&body)).unwrap();
        self.replies.lock().await.recv().await.unwrap()
    }
}

type Script = (
    std::sync::mpsc::Receiver<usize>,
    mpsc::UnboundedSender<Answer>,
);

pub(super) fn start(limits: BatchLimits, transport: impl Transport) -> Pipeline {
    let thread = ExportThread::start().unwrap();
    let envelope = Envelope::new(&Resource::builder_empty().build());
    let settings = PipelineSettings {
        signal: Signal::Traces,
        limits,
        when_full: WhenFull::Drop,
        envelope,
    };
    Pipeline::start(settings, &thread, transport).unwrap()
}

fn scripted(limits: BatchLimits) -> (Pipeline, Script) {
    let (batches, seen) = std::sync::mpsc::channel();
    let (say, replies) = mpsc::unbounded_channel();
    let replies = AsyncMutex::new(replies);
    let transport = Scripted { batches, replies };
    (start(limits, transport), (seen, say))
}

/// The last word of a pipeline whose collector takes nothing, on however slow a machine.
fn given_up(pipeline: &Pipeline, limit: Duration) -> ExportAccount {
    pipeline.shutdown(limit);
    pipeline.shutdown(LIMIT)
}

/// Accepts everything and counts it.
#[derive(Clone, Default)]
struct Accepting(Arc<AtomicUsize>);

impl Transport for Accepting {
    async fn send(&self, body: Bytes) -> Answer {
        self.0.fetch_add(spans(&body), Ordering::Relaxed);
        ACCEPTED
    }
}

const ACCEPTED: Answer = Answer::Accepted { rejected: 0 };

#[test]
fn a_full_queue_drops_and_every_item_is_in_the_account() {
    let (pipeline, (batches, say)) = scripted(limits(4, 2));
    let scope = scope("a");
    let push = || pipeline.push(&scope, &item("work"));
    push();
    push();
    assert_eq!(batches.recv().unwrap(), 2);
    // Two are on their way; four fit, three do not.
    for _ in 0..7 {
        push();
    }
    pipeline.unsampled();
    let account = pipeline.account();
    assert!(account.balances(), "{account:?}");
    assert_eq!((account.ended, account.queued), (10, 6));
    assert_eq!((account.dropped, account.unsampled), (3, 1));

    say.send(Answer::Accepted { rejected: 1 }).unwrap();
    assert_eq!(batches.recv().unwrap(), 2);
    say.send(Answer::Refused).unwrap();
    assert_eq!(batches.recv().unwrap(), 2);
    say.send(Answer::Late).unwrap();
    let account = pipeline.shutdown(LIMIT);
    assert!(account.balances(), "{account:?}");
    let fate = (account.exported, account.rejected, account.failed);
    assert_eq!(fate, (1, 1, 2));
    assert_eq!((account.unknown, account.queued), (2, 0));
}

#[test]
fn a_flush_sends_a_batch_that_is_not_full() {
    let (pipeline, (batches, say)) = scripted(limits(100, 50));
    say.send(ACCEPTED).unwrap();
    for _ in 0..3 {
        pipeline.push(&scope("a"), &item("work"));
    }
    assert!(pipeline.flush(LIMIT));
    assert_eq!(batches.recv().unwrap(), 3);
    assert_eq!(pipeline.account().exported, 3);
    assert!(pipeline.flush(LIMIT), "nothing waits");
    pipeline.shutdown(LIMIT);
}

#[test]
fn an_item_after_the_end_is_dropped_and_counted() {
    let pipeline = start(limits(10, 5), Accepting::default());
    pipeline.push(&scope("a"), &item("work"));
    assert_eq!(pipeline.shutdown(LIMIT).exported, 1);
    pipeline.push(&scope("a"), &item("late"));
    let account = pipeline.shutdown(LIMIT);
    assert_eq!((account.ended, account.dropped), (2, 1));
    assert!(account.balances());
}

#[test]
fn a_shutdown_whose_time_is_up_leaves_nothing_unnamed() {
    let (pipeline, (batches, _say)) = scripted(limits(100, 2));
    for _ in 0..10 {
        pipeline.push(&scope("a"), &item("work"));
    }
    batches.recv().unwrap();
    let account = given_up(&pipeline, Duration::from_millis(200));
    assert!(account.balances(), "{account:?}");
    assert_eq!((account.unknown, account.dropped), (2, 8));
    assert_eq!(
        pipeline.shutdown(LIMIT),
        account,
        "a second call says the same"
    );
}

#[test]
fn a_panicking_transport_loses_no_count() {
    struct Panicking;
    impl Transport for Panicking {
        async fn send(&self, _body: Bytes) -> Answer {
            panic!("transport")
        }
    }
    let pipeline = start(limits(10, 2), Panicking);
    for _ in 0..5 {
        pipeline.push(&scope("a"), &item("work"));
    }
    let account = pipeline.shutdown(LIMIT);
    assert!(account.balances(), "{account:?}");
    assert_eq!(account.unknown, 5);
}

#[test]
fn many_threads_balance_at_every_reading() {
    let transport = Accepting::default();
    let pipeline = start(limits(64, 16), transport.clone());
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let (scope, item) = (scope("a"), item("work"));
                (0..20_000).for_each(|_| pipeline.push(&scope, &item));
            });
        }
        for _ in 0..1_000 {
            assert!(pipeline.account().balances());
        }
    });
    let account = pipeline.shutdown(LIMIT);
    assert!(account.balances());
    assert_eq!((account.ended, account.queued), (80_000, 0));
    assert_eq!(account.exported, transport.0.load(Ordering::Relaxed) as u64);
}

#[test]
fn a_request_has_each_scope_once_with_its_items() {
    let resource = Resource::builder_empty()
        .with_attributes([crate::attrs::text("service.name", "triage")])
        .build();
    let envelope = Envelope::new(&resource);
    let with_schema = InstrumentationScope::builder("b")
        .with_version("1")
        .with_schema_url("https://x/1")
        .build();
    let scopes = [scope("a"), Scope::new(&with_schema)];
    let mut queue = Queue::default();
    for number in 0..1_000 {
        let scope = &scopes[number % 2];
        queue.push(scope, &item(&format!("span {number}")), 300);
    }
    assert_eq!(queue.items(), 1_000);
    let batch = queue.take(1_000, REQUEST_BYTES).unwrap();
    assert_eq!((batch.items, queue.bytes()), (1_000, 0));
    let body = envelope.wrap(&batch.chunks);

    let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    assert_eq!(request.encoded_len(), body.len(), "nothing was skipped");
    let [resource] = request.resource_spans.as_slice() else {
        panic!("{} resources", request.resource_spans.len())
    };
    assert_eq!(resource.resource.as_ref().unwrap().attributes.len(), 1);
    let [a, b] = resource.scope_spans.as_slice() else {
        panic!("{} scopes", resource.scope_spans.len())
    };
    assert_eq!((a.spans.len(), b.spans.len()), (500, 500));
    assert_eq!(
        (a.spans[7].name.as_str(), a.schema_url.as_str()),
        ("span 14", "")
    );
    assert_eq!(b.scope.as_ref().unwrap().version, "1");
    assert_eq!(b.schema_url, "https://x/1");
}

#[test]
fn a_batch_stays_below_its_limits_and_an_item_that_is_too_large_is_dropped() {
    let transport = Accepting::default();
    let pipeline = start(limits(1_000, 1_000), transport.clone());
    let scope = scope("a");
    let large = item(&"x".repeat(3 * 1024 * 1024));
    pipeline.push(&scope, &large);
    pipeline.push(&scope, &large);
    pipeline.push(&scope, &item(&"x".repeat(REQUEST_BYTES)));
    let account = pipeline.shutdown(LIMIT);
    assert_eq!((account.exported, account.dropped), (2, 1));
    assert!(account.balances());
}

#[test]
fn a_span_that_cannot_be_cleared_of_a_secret_is_dropped() {
    let accepting = Accepting::default();
    let pipeline = start(limits(4, 1), accepting.clone());
    let scope = scope("a");
    let redactor = Redactor::new().with_secret("swordfish-42");
    let offer = |message: &[u8]| {
        pipeline.without_secrets(&redactor, message, |message| pipeline.push(&scope, message));
    };
    offer(&item("plain"));
    offer(&item("it was swordfish-42"));
    offer(b"\xffswordfish-42");
    assert!(pipeline.flush(LIMIT));
    let account = pipeline.account();
    assert!(account.balances(), "{account:?}");
    assert_eq!((account.exported, account.dropped), (2, 1));
    assert_eq!((account.unsampled, account.lost()), (0, 1));
    assert_eq!(accepting.0.load(Ordering::Relaxed), 2);
}
