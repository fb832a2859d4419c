//! When a request is sent again, and when not.

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::{
    guarded::Guarded,
    model::{ModelHandle, RetryBudget, around::budget::Tokens},
    operation::EventKind,
    testing::{self, EventLog, TraceCapture},
};

#[tokio::test(start_paused = true)]
async fn a_failed_request_is_sent_again_with_growing_waits_and_one_key() {
    let model = Fake::acting([
        fails(ModelErrorKind::Overloaded),
        fails(ModelErrorKind::Timeout),
    ]);
    let handle = ModelHandle::builder(model.clone()).retry(steady()).build();
    let start = Instant::now();
    handle.chat(&RunContext::new(), ask()).await.unwrap();
    handle.chat(&RunContext::new(), ask()).await.unwrap();

    assert_eq!(model.times(start), [0, 500, 1_500, 1_500]);
    let sent = model.sent();
    assert_eq!(
        sent.iter().map(|s| s.number).collect::<Vec<_>>(),
        [1, 2, 3, 1]
    );
    let key = sent[0].key.as_deref().unwrap();
    assert!(sent[..3].iter().all(|s| s.key.as_deref() == Some(key)));
    assert_ne!(sent[3].key.as_deref(), Some(key), "another request");
    assert_eq!(key.len(), 36);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_never_tried_again_has_no_key() {
    let model = Fake::failing(|| fails(ModelErrorKind::Overloaded));
    let plain = ModelHandle::new(model.clone());
    let limited = ModelHandle::builder(model.clone()).max_concurrent(n(2));
    let none = ModelHandle::builder(model.clone()).retry(Retry::none());
    for handle in [plain, limited.build(), none.build()] {
        handle.chat(&RunContext::new(), ask()).await.unwrap_err();
    }
    let sent = model.sent();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|s| s.number == 1 && s.key.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_plain_handle_follows_what_its_model_suggests_and_a_builder_may_say_otherwise() {
    let mut model = Fake::failing(|| fails(ModelErrorKind::Overloaded));
    model.retry = Some(steady());
    let plain = ModelHandle::new(model.clone());
    plain.chat(&RunContext::new(), ask()).await.unwrap_err();
    assert_eq!(model.count(), 3);
    let never = ModelHandle::builder(plain).retry(Retry::none()).build();
    assert!(never.layers.is_none());
    never.chat(&RunContext::new(), ask()).await.unwrap_err();
    assert_eq!(model.count(), 4);
}

#[tokio::test(start_paused = true)]
async fn l11_the_server_s_wait_is_kept_exactly_and_no_longer_than_a_minute() {
    let waits = [
        (Some(Duration::ZERO), 0),
        (Some(7 * SECOND), 7_000),
        (Some(1_500 * MS), 1_500),
        (Some(60 * SECOND), 60_000),
        (Some(1_000_000_000 * SECOND), 60_000),
        (None, 500),
    ];
    for (asked, waited) in waits {
        let limited = error(ModelErrorKind::RateLimited).with_retry_after(asked);
        let model = Fake::acting([Act::Fail(Duration::ZERO, limited)]);
        let handle = ModelHandle::builder(model.clone()).retry(steady()).build();
        let start = Instant::now();
        handle.chat(&RunContext::new(), ask()).await.unwrap();
        assert_eq!(model.times(start), [0, waited], "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn l11_a_wait_past_the_deadline_is_not_begun() {
    for (wait, deadline, sent) in [(5, 5, 1), (5, 6, 2), (60, 10, 1)] {
        let limited = error(ModelErrorKind::RateLimited).with_retry_after(Some(wait * SECOND));
        let model = Fake::acting([Act::Fail(Duration::ZERO, limited)]);
        let handle = ModelHandle::builder(model.clone()).retry(steady()).build();
        let (context, start) = (
            RunContext::new().with_timeout(deadline * SECOND),
            Instant::now(),
        );
        let result = handle.chat(&context, ask()).await;
        assert_eq!(model.count(), sent, "{wait} {deadline}");
        if sent == 1 {
            assert_eq!(start.elapsed(), Duration::ZERO, "at once");
            assert_eq!(result.unwrap_err().kind(), ModelErrorKind::RateLimited);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn l11_what_the_provider_says_of_trying_again_wins_over_the_class() {
    let tried = |error: ModelError| async {
        let model = Fake::acting([Act::Fail(Duration::ZERO, error)]);
        let handle = ModelHandle::builder(model.clone()).retry(steady()).build();
        let _ = handle.chat(&RunContext::new(), ask()).await;
        model.count()
    };
    assert_eq!(tried(overloaded().with_should_retry(Some(false))).await, 1);
    let bad = error(ModelErrorKind::BadRequest);
    assert_eq!(tried(bad.with_should_retry(Some(true))).await, 2);
}

#[tokio::test(start_paused = true)]
async fn l11_an_empty_account_and_a_bad_request_are_not_tried_again() {
    use ModelErrorKind as Kind;
    let never = [
        Kind::Quota,
        Kind::Authentication,
        Kind::BadRequest,
        Kind::ContextLength,
        Kind::ContentFilter,
        Kind::NotFound,
        Kind::Decode,
        Kind::Configuration,
        Kind::CircuitOpen,
        Kind::Cancelled,
    ];
    for kind in never {
        let model = Fake::acting([fails(kind)]);
        let handle = ModelHandle::builder(model.clone()).retry(steady()).build();
        let error = handle.chat(&RunContext::new(), ask()).await.unwrap_err();
        assert_eq!((error.kind(), model.count()), (kind, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn l6_an_error_in_a_stream_is_tried_again_only_if_nothing_was_handed_out() {
    let model = Fake::acting([Act::Break(0, overloaded())]);
    let handle = ModelHandle::builder(model.clone()).retry(steady()).build();
    let stream = handle.stream(&RunContext::new(), ask()).await.unwrap();
    stream.collect().await.unwrap();
    assert_eq!(model.count(), 2, "nothing was handed out");

    let model = Fake::acting([Act::Break(1, overloaded())]);
    let handle = ModelHandle::builder(model.clone())
        .retry(steady())
        .fallback(Fake::acting([]).named("other"))
        .build();
    let mut stream = handle.stream(&RunContext::new(), ask()).await.unwrap();
    let first = stream.next().await.unwrap().unwrap();
    assert!(matches!(first, ChatEvent::Text(_)));
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Overloaded, "its own class");
    assert!(stream.next().await.is_none());
    assert_eq!(model.count(), 1, "a piece was handed out");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_failing_calls_are_sent_at_most_a_tenth_more_often() {
    let model = Fake::failing(|| fails(ModelErrorKind::Overloaded));
    let handle = ModelHandle::builder(model.clone()).retry(steady()).build();
    let calls = (0..1_000).map(|_| {
        let handle = handle.clone();
        async move { handle.chat(&RunContext::new(), ask()).await }
    });
    let results = futures_util::future::join_all(calls).await;
    assert!(results.iter().all(Result::is_err));
    assert_eq!(model.count(), 1_000 + 100 + RetryBudget::RESERVE as usize);
}

#[tokio::test(start_paused = true)]
async fn models_may_share_a_budget_and_a_lone_client_has_a_reserve() {
    let budget = RetryBudget::new();
    assert_eq!(budget.left(), 10);
    let retry = steady().budget(budget.clone());
    let models =
        ["a", "b"].map(|name| Fake::failing(|| fails(ModelErrorKind::Timeout)).named(name));
    for model in &models {
        let handle = ModelHandle::builder(model.clone())
            .retry(retry.clone())
            .build();
        handle.chat(&RunContext::new(), ask()).await.unwrap_err();
        assert_eq!(model.count(), 3);
    }
    assert_eq!(budget.left(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_waits_for_no_other_try() {
    let model = Fake::failing(|| fails(ModelErrorKind::Overloaded));
    let handle = ModelHandle::builder(model.clone()).retry(steady()).build();
    let (context, start) = (RunContext::new(), Instant::now());
    let token = context.cancellation().clone();
    let (result, ()) = tokio::join!(handle.chat(&context, ask()), async {
        tokio::time::sleep(200 * MS).await;
        token.cancel();
    });
    assert_eq!(result.unwrap_err().kind(), ModelErrorKind::Cancelled);
    assert_eq!((start.elapsed(), model.count()), (200 * MS, 1));

    let result = handle.chat(&context, ask()).await;
    assert_eq!(result.unwrap_err().kind(), ModelErrorKind::Overloaded);
    assert_eq!(model.count(), 2, "cancelled already: one try, no other");
}

#[tokio::test(start_paused = true)]
async fn each_other_try_is_an_event_and_the_operation_counts_them() {
    let log = EventLog::new();
    let trace = TraceCapture::new();
    let context = trace.context();
    context.subscribe(Arc::new(log.clone()));
    let model = Fake::acting([
        fails(ModelErrorKind::Overloaded),
        fails(ModelErrorKind::Timeout),
    ]);
    let handle = ModelHandle::builder(model).retry(steady()).build();
    handle.chat(&context, ask()).await.unwrap();
    let retries: Vec<_> = log
        .events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::ChatRetry { .. } => Some(serde_json::to_value(&event.kind).unwrap()),
            _ => None,
        })
        .collect();
    let expected = serde_json::json!([
        {"type": "chat_retry", "provider": "fake", "model": "primary", "attempt": 2, "reason": "overloaded", "delay_ms": 500.0},
        {"type": "chat_retry", "provider": "fake", "model": "primary", "attempt": 3, "reason": "timeout", "delay_ms": 1000.0},
    ]);
    assert_eq!(serde_json::Value::from(retries), expected);
}

#[tokio::test(start_paused = true)]
async fn what_failed_tries_used_is_kept_and_what_nobody_knows_is_not_called_free() {
    let partial = || {
        let truncated = error(ModelErrorKind::Truncated);
        Act::Fail(Duration::ZERO, truncated.with_partial(response("primary")))
    };
    let trace = TraceCapture::new();
    let context = trace.context();
    let model = Fake::acting([partial(), fails(ModelErrorKind::Timeout), answers()]);
    let handle = ModelHandle::builder(model).retry(steady()).build();
    handle.chat(&context, ask()).await.unwrap();
    let model = Fake::acting([
        fails(ModelErrorKind::Timeout),
        fails(ModelErrorKind::BadRequest),
    ]);
    let handle = ModelHandle::builder(model).retry(steady()).build();
    handle.chat(&context, ask()).await.unwrap_err();

    let chats = chats(&trace);
    let usage = Usage::new(20, 10);
    assert_eq!((chats[0].attempts, chats[0].usage), (Some(3), usage));
    assert_eq!(chats[0].lost_attempts, 1, "the timeout");
    assert_eq!((chats[1].attempts, chats[1].lost_attempts), (Some(2), 1));
    assert!(
        !chats[1].was_refused(),
        "the first try may have been charged"
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_that_asks_another_one_does_not_lend_it_its_key() {
    struct Asks(ModelHandle);
    impl Model for Asks {
        fn info(&self) -> Arc<ModelInfo> {
            Arc::new(ModelInfo::new("fake", "asks"))
        }
        async fn stream(
            &self,
            context: &RunContext,
            request: ChatRequest,
        ) -> Result<ChatStream, ModelError> {
            assert!(context.idempotency_key().is_some());
            self.0.stream(context, request).await
        }
    }
    let inner = Fake::acting([fails(ModelErrorKind::Overloaded)]);
    let handle = ModelHandle::builder(Asks(ModelHandle::new(inner.clone())))
        .retry(steady())
        .build();
    handle.chat(&RunContext::new(), ask()).await.unwrap();
    let sent = inner.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|s| s.number == 1 && s.key.is_none()));
}

#[test]
fn dropped_at_any_point_everything_ends_and_nothing_is_sent_after() {
    let trace = TraceCapture::new();
    let model = Fake::failing(|| Act::Fail(20 * MS, overloaded()));
    let polls = testing::drop_at_every_poll(
        || async {
            let handle = ModelHandle::builder(model.clone()).retry(steady()).build();
            handle.chat(&trace.context(), ask()).await
        },
        |_| trace.well_formed().unwrap(),
    );
    assert!(polls.unwrap() >= 6, "three tries and two waits");
}

#[test]
fn a_long_calm_is_no_licence_for_a_storm() {
    let mut tokens = Tokens::full_reserve();
    (0..100_000).for_each(|_| tokens.deposit());
    let retries = (0..1_000).filter(|_| tokens.withdraw()).count();
    assert_eq!(retries, RetryBudget::CAPACITY as usize);
}

proptest! {
    #[test]
    fn a_budget_never_allows_more_than_a_tenth_and_its_reserve(steps in proptest::collection::vec(any::<bool>(), 0..2_000)) {
        let mut tokens = Tokens::full_reserve();
        let (mut deposits, mut retries) = (0_u32, 0_u32);
        for is_retry in steps {
            if is_retry {
                retries += u32::from(tokens.withdraw());
            } else {
                deposits += 1;
                tokens.deposit();
            }
            prop_assert!(retries * 10 <= deposits + RetryBudget::RESERVE * 10);
            prop_assert!(tokens.retries() <= RetryBudget::CAPACITY);
        }
    }

    #[test]
    fn computed_waits_stay_within_their_half(failures in 1_u32..60, random in 0.0..1.0_f64) {
        let retry = Retry::default().max_attempts(n(u32::MAX));
        let wait = retry.wait(&overloaded(), failures, None, None, random).unwrap();
        let ceiling = (500 * MS).saturating_mul(2_u32.saturating_pow(failures - 1)).min(8 * SECOND);
        prop_assert!(wait >= ceiling / 2 && wait <= ceiling);
    }
}

#[test]
fn in_every_order_of_three_threads_a_budget_gives_no_more_than_it_holds() {
    type Looming = loom::sync::Mutex<Tokens>;
    loom::model(|| {
        let mut tokens = Tokens::full_reserve();
        while tokens.retries() > 2 {
            assert!(tokens.withdraw());
        }
        let budget = Arc::new(<Looming as Guarded<Tokens>>::guard(tokens));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let budget = budget.clone();
                loom::thread::spawn(move || {
                    budget.with(Tokens::deposit);
                    budget.with(Tokens::withdraw)
                })
            })
            .collect();
        let given = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .filter(|given| *given)
            .count();
        assert_eq!(given, 2);
        assert_eq!(budget.with(|tokens| *tokens).retries(), 0);
    });
}
