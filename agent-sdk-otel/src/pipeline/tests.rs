use std::sync::mpsc;
use std::time::SystemTime;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

use super::*;

fn span(flags: TraceFlags) -> SpanData {
    let ids = (TraceId::from(1), SpanId::from(2));
    SpanData {
        span_context: SpanContext::new(ids.0, ids.1, flags, false, TraceState::NONE),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "work".into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

fn sampled() -> SpanData {
    span(TraceFlags::SAMPLED)
}

const LIMIT: Duration = Duration::from_secs(10);

fn limits(queue: usize, batch: usize) -> BatchLimits {
    BatchLimits {
        queue,
        batch,
        delay: Duration::from_hours(1),
    }
}

/// Answers each batch as the test says, and tells it the batch's size.
struct Scripted {
    batches: mpsc::Sender<usize>,
    replies: mpsc::Receiver<Delivery>,
}

impl SpanTransport for Scripted {
    fn send(&mut self, spans: Vec<SpanData>, _timeout: Option<Duration>) -> Delivery {
        self.batches.send(spans.len()).unwrap();
        self.replies.recv().unwrap()
    }
}

type Script = (mpsc::Receiver<usize>, mpsc::Sender<Delivery>);

fn scripted(limits: BatchLimits) -> (SpanPipeline, Script) {
    let (batches, seen) = mpsc::channel();
    let (say, replies) = mpsc::channel();
    let transport = Scripted { batches, replies };
    let pipeline = SpanPipeline::start(limits, transport).unwrap();
    (pipeline, (seen, say))
}

struct Accepting;

impl SpanTransport for Accepting {
    fn send(&mut self, _spans: Vec<SpanData>, _timeout: Option<Duration>) -> Delivery {
        Delivery::Accepted { rejected: 0 }
    }
}

#[test]
fn a_full_queue_drops_and_every_span_is_in_the_account() {
    let (pipeline, (batches, say)) = scripted(limits(4, 2));
    pipeline.push(sampled());
    pipeline.push(sampled());
    assert_eq!(batches.recv().unwrap(), 2);
    // The worker holds two; four fit, three do not.
    for _ in 0..7 {
        pipeline.push(sampled());
    }
    pipeline.push(span(TraceFlags::NOT_SAMPLED));
    pipeline.unsampled();
    let account = pipeline.account();
    assert!(account.balances(), "{account:?}");
    assert_eq!((account.ended, account.queued), (11, 6));
    assert_eq!((account.dropped, account.unsampled), (3, 2));

    say.send(Delivery::Accepted { rejected: 1 }).unwrap();
    assert_eq!(batches.recv().unwrap(), 2);
    say.send(Delivery::Failed).unwrap();
    assert_eq!(batches.recv().unwrap(), 2);
    say.send(Delivery::Unknown).unwrap();
    let account = pipeline.shutdown(LIMIT);
    assert!(account.balances(), "{account:?}");
    let fate = (account.exported, account.rejected, account.failed);
    assert_eq!(fate, (1, 1, 2));
    assert_eq!((account.unknown, account.queued), (2, 0));
}

#[test]
fn a_flush_sends_a_batch_that_is_not_full() {
    let (pipeline, (batches, say)) = scripted(limits(100, 50));
    say.send(Delivery::Accepted { rejected: 0 }).unwrap();
    for _ in 0..3 {
        pipeline.push(sampled());
    }
    assert!(pipeline.flush(LIMIT));
    assert_eq!(batches.recv().unwrap(), 3);
    assert_eq!(pipeline.account().exported, 3);
    assert!(pipeline.flush(LIMIT), "nothing waits");
    pipeline.shutdown(LIMIT);
}

#[test]
fn a_span_after_the_end_is_dropped_and_counted() {
    let pipeline = SpanPipeline::start(limits(10, 5), Accepting).unwrap();
    pipeline.push(sampled());
    assert_eq!(pipeline.shutdown(LIMIT).exported, 1);
    pipeline.push(sampled());
    let account = pipeline.shutdown(LIMIT);
    assert_eq!((account.ended, account.dropped), (2, 1));
    assert!(account.balances());
}

#[test]
fn a_shutdown_whose_time_is_up_leaves_nothing_unnamed() {
    let (pipeline, (batches, say)) = scripted(limits(100, 2));
    for _ in 0..10 {
        pipeline.push(sampled());
    }
    batches.recv().unwrap();
    let account = pipeline.shutdown(Duration::from_millis(20));
    assert!(account.balances(), "{account:?}");
    assert_eq!(account.queued, 10);
    // The request in flight returns late: what waited behind it has no time left.
    say.send(Delivery::Accepted { rejected: 0 }).unwrap();
    let account = pipeline.shutdown(LIMIT);
    assert!(account.balances(), "{account:?}");
    assert_eq!((account.exported, account.dropped), (2, 8));
}

#[test]
fn a_panicking_transport_loses_no_count() {
    struct Panicking;
    impl SpanTransport for Panicking {
        fn send(&mut self, _spans: Vec<SpanData>, _timeout: Option<Duration>) -> Delivery {
            panic!("transport")
        }
    }
    let pipeline = SpanPipeline::start(limits(10, 2), Panicking).unwrap();
    for _ in 0..5 {
        pipeline.push(sampled());
    }
    let account = pipeline.shutdown(LIMIT);
    assert!(account.balances(), "{account:?}");
    assert_eq!(account.unknown + account.dropped, 5);
}

#[test]
fn many_threads_balance_at_every_reading() {
    let pipeline = SpanPipeline::start(limits(64, 16), Accepting).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20_000).for_each(|_| pipeline.push(sampled())));
        }
        for _ in 0..1_000 {
            assert!(pipeline.account().balances());
        }
    });
    let account = pipeline.shutdown(LIMIT);
    assert!(account.balances());
    assert_eq!((account.ended, account.queued), (80_000, 0));
}
