//! How many a minute, how many at once, and what waiting costs.

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::{
    model::{
        ChatSettings, ModelHandle,
        around::{estimate, rate::Bucket},
    },
    testing,
};

const MINUTE: Duration = Duration::from_mins(1);

/// Sends so many requests at once and says when each was sent, in milliseconds.
async fn times(handle: &ModelHandle, model: &Fake, calls: usize) -> Vec<u128> {
    let (start, before) = (Instant::now(), model.count());
    let context = RunContext::new();
    let calls = (0..calls).map(|_| handle.chat(&context, ask()));
    for result in futures_util::future::join_all(calls).await {
        result.unwrap();
    }
    model.times(start).split_off(before)
}

#[tokio::test(start_paused = true)]
async fn a_minute_s_worth_may_go_at_once_and_the_rest_in_step() {
    let model = Fake::acting([]);
    let handle = ModelHandle::builder(model.clone())
        .requests_per_minute(n(6))
        .build();
    assert_eq!(
        times(&handle, &model, 9).await,
        [0, 0, 0, 0, 0, 0, 10_000, 20_000, 30_000]
    );
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(
        times(&handle.clone(), &model, 7).await[5..],
        [0, 10_000],
        "no more than a minute's worth is saved up"
    );
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_turn_is_recorded_and_each_try_takes_its_turn() {
    let trace = TraceCapture::new();
    let model = Fake::acting([answers(), fails(ModelErrorKind::Overloaded)]);
    let handle = ModelHandle::builder(model.clone())
        .requests_per_minute(n(1))
        .retry(steady())
        .build();
    let start = Instant::now();
    for _ in 0..2 {
        handle.chat(&trace.context(), ask()).await.unwrap();
    }
    assert_eq!(model.times(start), [0, 60_000, 120_000]);
    let queued: Vec<_> = chats(&trace).iter().map(|facts| facts.queued).collect();
    assert_eq!(queued, [Some(Duration::ZERO), Some(MINUTE + 59_500 * MS)]);
}

#[tokio::test(start_paused = true)]
async fn a_turn_after_the_deadline_fails_at_once_and_names_the_setting() {
    let model = Fake::acting([]);
    let handle = ModelHandle::builder(model.clone())
        .requests_per_minute(n(1))
        .retry(steady())
        .build();
    handle.chat(&RunContext::new(), ask()).await.unwrap();
    let (short, start) = (RunContext::new().with_timeout(59 * SECOND), Instant::now());
    for _ in 0..3 {
        let error = handle.chat(&short, ask()).await.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::RateLimited);
        assert!(error.message().contains("`requests_per_minute`"), "{error}");
        assert!(!error.is_retryable());
    }
    assert_eq!((start.elapsed(), model.count()), (Duration::ZERO, 1));
    let long = RunContext::new().with_timeout(61 * SECOND);
    handle.chat(&long, ask()).await.unwrap();
    assert_eq!(start.elapsed(), MINUTE, "those refused took nobody's turn");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_while_waiting_gives_the_turn_back() {
    let model = Fake::acting([]);
    let handle = ModelHandle::builder(model.clone())
        .requests_per_minute(n(1))
        .build();
    let (context, start) = (RunContext::new(), Instant::now());
    handle.chat(&context, ask()).await.unwrap();
    for _ in 0..5 {
        let waiting = tokio::time::timeout(SECOND, handle.chat(&context, ask()));
        assert!(waiting.await.is_err());
    }
    handle.chat(&context, ask()).await.unwrap();
    assert_eq!(model.times(start), [0, 60_000]);

    let token = context.cancellation().clone();
    let (result, ()) = tokio::join!(handle.chat(&context, ask()), async {
        tokio::time::sleep(SECOND).await;
        token.cancel();
    });
    assert_eq!(result.unwrap_err().kind(), ModelErrorKind::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_estimated_before_and_corrected_after() {
    // The answer reports 15 tokens; the estimate is 1 for the text and 59 for the answer.
    let request = || ask().with_settings(ChatSettings::new().with_max_output_tokens(59));
    let model = Fake::acting([]);
    let handle = ModelHandle::builder(model.clone())
        .tokens_per_minute(n(60))
        .build();
    let (context, start) = (RunContext::new(), Instant::now());
    handle.chat(&context, request()).await.unwrap();
    handle.chat(&context, request()).await.unwrap();
    assert_eq!(
        model.times(start),
        [0, 15_000],
        "45 of 60 came back, 60 were needed"
    );

    // More than a minute's worth is taken as that.
    tokio::time::sleep(MINUTE).await;
    let start = Instant::now();
    for _ in 0..2 {
        handle
            .chat(&context, ask().with_instructions("x".repeat(4_000)))
            .await
            .unwrap();
    }
    assert_eq!(start.elapsed(), 15 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn tokens_of_an_answer_without_usage_stay_as_estimated_and_more_than_that_is_owed() {
    let request = |tokens| ask().with_settings(ChatSettings::new().with_max_output_tokens(tokens));
    let model = Fake::acting([fails(ModelErrorKind::BadRequest)]);
    let handle = ModelHandle::builder(model.clone())
        .tokens_per_minute(n(60))
        .build();
    let (context, start) = (RunContext::new(), Instant::now());
    handle.chat(&context, request(29)).await.unwrap_err();
    handle.chat(&context, request(29)).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    // 60 were taken and 15 came back; 10 and 1 are taken and 15 used each; then 60 are wanted.
    handle.chat(&context, request(9)).await.unwrap();
    handle.chat(&context, request(0)).await.unwrap();
    handle.chat(&context, request(59)).await.unwrap();
    assert_eq!(start.elapsed(), 75 * SECOND);
}

#[test]
fn an_estimate_counts_all_that_is_sent() {
    use crate::message::{Conversation, Media, Message, Part, Role, ToolCall};
    let bare = estimate::tokens(&ask());
    assert_eq!(bare, 1 + 1_024);
    let call = ToolCall::new("1", "tool", "{\"a\": 1}");
    let parts = vec![
        Part::Media(Media::image_url("https://e.org/i")),
        Part::ToolCall(call),
    ];
    let conversation: Conversation = [Message::new(Role::Assistant, parts)].into_iter().collect();
    let request = ChatRequest::new(conversation)
        .with_instructions("four")
        .with_settings(ChatSettings::new().with_max_output_tokens(10));
    assert_eq!(
        estimate::tokens(&request),
        10 + 1_000 + (15_u64 + 12 + 4).div_ceil(4)
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_are_under_way_and_streams_count_until_they_end() {
    let model = Fake::new("primary", [], || Act::Answer(SECOND));
    let handle = ModelHandle::builder(model.clone())
        .max_concurrent(n(3))
        .build();
    let times = times(&handle, &model, 7).await;
    assert_eq!(times, [0, 0, 0, 1_000, 1_000, 1_000, 2_000]);
    assert_eq!(model.most(), 3);

    let context = RunContext::new();
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(handle.stream(&context, ask()).await.unwrap());
    }
    let late = RunContext::new().with_timeout(5 * SECOND);
    let error = handle.stream(&late, ask()).await.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::RateLimited);
    assert!(error.message().contains("`max_concurrent`"), "{error}");
    let cancelled = RunContext::new();
    let token = cancelled.cancellation().clone();
    let (result, ()) = tokio::join!(handle.stream(&cancelled, ask()), async {
        tokio::time::sleep(SECOND).await;
        token.cancel();
    });
    assert_eq!(result.unwrap_err().kind(), ModelErrorKind::Cancelled);
    drop(streams.pop());
    streams.pop().unwrap().collect().await.unwrap();
    for _ in 0..2 {
        streams.push(handle.stream(&context, ask()).await.unwrap());
    }
}

#[test]
fn dropped_at_any_point_slots_turns_and_probes_are_given_back() {
    use crate::model::CircuitBreaker;
    let trace = TraceCapture::new();
    let kept: Mutex<Option<(ModelHandle, Fake)>> = Mutex::new(None);
    let polls = testing::drop_at_every_poll(
        || async {
            let breaker = CircuitBreaker::builder()
                .window(n(1))
                .min_calls(n(1))
                .open_for(SECOND);
            let model = Fake::acting([
                fails(ModelErrorKind::Overloaded),
                Act::Answer(20 * MS),
                Act::Answer(20 * MS),
            ]);
            let handle = ModelHandle::builder(model.clone())
                .breaker(breaker.build())
                .requests_per_minute(n(2))
                .tokens_per_minute(n(100_000))
                .max_concurrent(n(1))
                .retry(steady().first_wait(2 * SECOND))
                .build();
            *kept.lock().unwrap() = Some((handle.clone(), model));
            let context = trace.context();
            let stream = handle.stream(&context, ask()).await.unwrap();
            stream.collect().await.unwrap();
            handle.chat(&context, ask()).await.unwrap();
        },
        |n| {
            trace.well_formed().unwrap();
            let Some((handle, model)) = kept.lock().unwrap().take() else {
                return;
            };
            assert_eq!(model.under_way.load(Ordering::SeqCst), 0);
            let gates = &handle.layers.as_ref().unwrap().gates;
            assert_eq!(
                gates.slots.as_ref().unwrap().available_permits(),
                1,
                "after {n} polls"
            );
            // Every turn that was taken and not used is back: what is missing was sent.
            let sent = u64::try_from(model.count()).unwrap();
            let per_minute = gates.requests.as_ref().unwrap();
            let missing = (0..=sent).find(|left| {
                let all = per_minute.reserve(2 - (*left).min(2), Some(Duration::ZERO));
                all.is_ok()
            });
            assert!(missing.unwrap() <= sent, "after {n} polls");
        },
    );
    assert!(polls.unwrap() >= 5);
}

proptest! {
    /// In any minute, what was let through is at most a bucket and a minute's refill; and never is anybody kept longer than
    /// everything before takes.
    #[test]
    fn a_bucket_lets_through_what_it_holds_and_gains(
        per_minute in 1_u32..50,
        takes in proptest::collection::vec((1_u64..20, 0_u64..20_000), 1..60),
    ) {
        let start = Instant::now();
        let mut bucket = Bucket::full(n(per_minute), start);
        let mut now = start;
        let mut used: Vec<(Instant, u64)> = Vec::new();
        for (tokens, pause) in takes {
            now += Duration::from_millis(pause);
            let taken = bucket.take(tokens, now, None).unwrap();
            prop_assert_eq!(taken.tokens, tokens.min(per_minute.into()));
            used.push((now + taken.wait, taken.tokens));
        }
        for pair in used.windows(2) {
            prop_assert!(pair[0].0 <= pair[1].0, "in order");
        }
        for (place, (from, _)) in used.iter().enumerate() {
            let mut sum = 0_u64;
            for (at, tokens) in &used[place..] {
                sum += tokens;
                // In units of a token's sixty-millionth, so that nothing is rounded; a nanosecond is none.
                let gained = u128::from(per_minute) * ((*at - *from).as_micros() + 1);
                let held = u128::from(per_minute) * 60_000_000;
                prop_assert!(u128::from(sum) * 60_000_000 <= held + gained);
            }
        }
    }

    #[test]
    fn what_is_given_back_is_as_if_it_had_not_been_taken(
        per_minute in 1_u32..50, tokens in 1_u64..20, pause in 0_u64..100_000,
    ) {
        let start = Instant::now();
        let mut bucket = Bucket::full(n(per_minute), start);
        bucket.take(u64::from(per_minute), start, None).unwrap();
        let mut other = bucket.clone();
        let later = start + Duration::from_millis(pause);
        let taken = bucket.take(tokens, start, None).unwrap();
        bucket.give_back(taken.tokens, later);
        prop_assert_eq!(bucket.take(tokens, later, None), other.take(tokens, later, None));
    }
}
