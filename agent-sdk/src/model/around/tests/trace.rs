//! What an observer sees of it all.

use std::num::NonZeroUsize;

use super::*;
use crate::model::{CircuitBreaker, ModelHandle, ResponseCache};

#[tokio::test(start_paused = true)]
async fn a_retry_is_a_second_attempt_in_one_chat() {
    let trace = TraceCapture::new();
    let slow = Act::Fail(20 * MS, overloaded());
    let model = Fake::acting([slow, Act::Answer(30 * MS)]);
    let handle = ModelHandle::builder(model).retry(steady()).build();
    handle.chat(&trace.context(), ask()).await.unwrap();
    assert_eq!(
        trace.timeline(),
        "chat primary  0..550 ms  in=10 out=5  attempts=2\n  \
           POST  0..20 ms  error=overloaded\n  \
           POST  520..550 ms\n"
    );
    trace.well_formed().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fallback_after_all_retries_is_a_chat_of_its_own_linked_to_the_one_that_failed() {
    let trace = TraceCapture::new();
    let handle = ModelHandle::builder(Fake::failing(|| fails(ModelErrorKind::Overloaded)))
        .retry(steady())
        .fallback(Fake::acting([]).named("other"))
        .build();
    handle.chat(&trace.context(), ask()).await.unwrap();
    assert_eq!(
        trace.timeline(),
        "chat primary  0..1500 ms  error=overloaded  attempts=3\n  \
           POST  0..0 ms  error=overloaded\n  \
           POST  500..500 ms  error=overloaded\n  \
           POST  1500..1500 ms  error=overloaded\n\
         chat other  1500..1500 ms  in=10 out=5  fallback_for=primary\n  \
           POST  1500..1500 ms\n"
    );
    let (primary, other) = (trace.find("chat primary"), trace.find("chat other"));
    let other = other.unwrap();
    assert_eq!(other.links, [primary.unwrap().trace]);
    assert_eq!(other.facts.fallback_reason, Some("overloaded"));
    trace.well_formed().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_the_cache_is_a_chat_without_an_attempt() {
    let trace = TraceCapture::new();
    let cache = ResponseCache::new(NonZeroUsize::MIN);
    let handle = ModelHandle::builder(Fake::acting([])).cache(cache).build();
    let context = trace.context();
    handle.chat(&context, ask()).await.unwrap();
    handle.stream(&context, ask()).await.unwrap();
    assert_eq!(
        trace.timeline(),
        "chat primary  0..0 ms  in=10 out=5\n  \
           POST  0..0 ms\n\
         chat primary  0..0 ms  cached\n"
    );
    trace.well_formed().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_sends_nothing_and_the_fallback_answers() {
    let trace = TraceCapture::new();
    let breaker = CircuitBreaker::builder().window(n(1)).min_calls(n(1));
    let handle = ModelHandle::builder(Fake::failing(|| fails(ModelErrorKind::Transport)))
        .breaker(breaker.build())
        .retry(Retry::none())
        .fallback(Fake::acting([]).named("other"))
        .build();
    handle.chat(&RunContext::new(), ask()).await.unwrap();
    handle.chat(&trace.context(), ask()).await.unwrap();
    assert_eq!(
        trace.tree(),
        "chat primary  error=circuit_open\n\
         chat other  fallback_for=primary\n  \
           POST\n"
    );
    let refused = trace.find("chat primary").unwrap();
    assert_eq!(refused.totals.unpriced_calls, 0, "nothing was sent");
    trace.well_formed().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_piece_is_marked_when_it_came_and_the_reader_s_delay_is_its_own() {
    let trace = TraceCapture::new();
    let handle = ModelHandle::builder(Fake::acting([Act::Answer(20 * MS)]))
        .retry(steady())
        .build();
    let stream = handle.stream(&trace.context(), ask()).await.unwrap();
    tokio::time::sleep(100 * MS).await;
    stream.collect().await.unwrap();
    let chat = trace.find("chat primary").unwrap();
    assert_eq!(chat.first_chunk, Some(20 * MS));
    assert_eq!(chat.facts.consumer_wait, 100 * MS);
    assert_eq!(trace.tree(), "chat primary\n  POST\n");
}
