//! Other models in a model's place: fallbacks and hedges.

use tokio::time::Instant;

use super::*;
use crate::{
    model::{Hedge, ModelHandle},
    testing,
};

#[tokio::test(start_paused = true)]
async fn fallbacks_are_asked_in_order_and_the_error_has_those_before_it() {
    use ModelErrorKind as Kind;
    let model = |name, kind: fn() -> Act| Fake::failing(kind).named(name);
    let (a, b, c) = (
        model("a", || fails(Kind::Overloaded)),
        model("b", || fails(Kind::Timeout)),
        model("c", || fails(Kind::Quota)),
    );
    let handle = ModelHandle::builder(a.clone())
        .retry(Retry::default())
        .fallback(b.clone())
        .fallback(c.clone())
        .build();
    let trace = TraceCapture::new();
    let error = handle.chat(&trace.context(), ask()).await.unwrap_err();
    let instead_of: Vec<_> = chats(&trace)
        .into_iter()
        .map(|facts| facts.fallback_for)
        .collect();
    assert_eq!(instead_of, [None, Some("a".into()), Some("b".into())]);
    assert_eq!([a.count(), b.count(), c.count()], [3, 1, 1]);
    assert_eq!(error.kind(), Kind::Quota);
    let earlier: Vec<_> = error.earlier().iter().map(ModelError::kind).collect();
    assert_eq!(earlier, [Kind::Overloaded, Kind::Timeout]);
    assert_eq!(
        error.to_string(),
        "it said so (quota, after 2 other models failed)"
    );
    assert!(a.sent().last().unwrap().at <= b.sent()[0].at);
}

#[tokio::test(start_paused = true)]
async fn another_model_is_asked_only_where_it_may_help() {
    use ModelErrorKind as Kind;
    let helps = [
        Kind::RateLimited,
        Kind::Overloaded,
        Kind::Timeout,
        Kind::Transport,
        Kind::Truncated,
        Kind::Decode,
        Kind::CircuitOpen,
        Kind::Authentication,
        Kind::Quota,
        Kind::NotFound,
        Kind::ContextLength,
    ];
    let not = [
        Kind::BadRequest,
        Kind::ContentFilter,
        Kind::Cancelled,
        Kind::Configuration,
    ];
    let cases = helps
        .map(|kind| (kind, 1))
        .into_iter()
        .chain(not.map(|kind| (kind, 0)));
    for (kind, asked) in cases {
        let other = Fake::acting([]).named("other");
        let handle = ModelHandle::builder(Fake::acting([fails(kind)]))
            .fallback(other.clone())
            .build();
        let result = handle.chat(&RunContext::new(), ask()).await;
        assert_eq!(
            (other.count(), result.is_ok()),
            (asked, asked == 1),
            "{kind:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_other_model_is_asked_after_the_deadline_or_a_cancellation() {
    for cancel in [true, false] {
        let late = Fake::acting([Act::Fail(SECOND, overloaded())]);
        let other = Fake::acting([]).named("other");
        let handle = ModelHandle::builder(late).fallback(other.clone()).build();
        let context = RunContext::new();
        let context = if cancel {
            context
        } else {
            context.with_timeout(SECOND)
        };
        let (result, ()) = tokio::join!(handle.chat(&context, ask()), async {
            tokio::time::sleep(500 * MS).await;
            if cancel {
                context.cancellation().cancel();
            }
        });
        assert_eq!(result.unwrap_err().kind(), ModelErrorKind::Overloaded);
        assert_eq!(other.count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn l6_a_stream_that_fails_before_its_first_piece_goes_to_the_fallback() {
    let mut whole = Fake::acting([]).named("other");
    whole.streams = false;
    let trace = TraceCapture::new();
    let handle = ModelHandle::builder(Fake::acting([Act::Break(0, overloaded())]))
        .fallback(whole)
        .build();
    let stream = handle.stream(&trace.context(), ask()).await.unwrap();
    assert_eq!(stream.collect().await.unwrap().text(), "other says");
    let facts = chats(&trace);
    assert!(!facts[0].stream_of_whole && facts[1].stream_of_whole);
    assert_eq!(facts[1].fallback_reason, Some("overloaded"));
    trace.well_formed().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_made_of_a_whole_answer_says_so_without_layers_too() {
    let trace = TraceCapture::new();
    let mut model = Fake::acting([]);
    model.streams = false;
    let handle = ModelHandle::new(model);
    handle.chat(&trace.context(), ask()).await.unwrap();
    handle.stream(&trace.context(), ask()).await.unwrap();
    let said: Vec<_> = chats(&trace)
        .iter()
        .map(|facts| facts.stream_of_whole)
        .collect();
    assert_eq!(said, [false, true]);
}

fn hedged(first: Act, second: Act) -> (Fake, Fake, ModelHandle) {
    let (first, second) = (
        Fake::acting([first]),
        Fake::acting([second]).named("second"),
    );
    let handle = ModelHandle::builder(first.clone())
        .hedge(Hedge::after(800 * MS, second.clone()))
        .build();
    (first, second, handle)
}

#[tokio::test(start_paused = true)]
async fn the_first_of_two_to_answer_wins_and_the_other_is_cancelled() {
    let cases = [
        (500, 100, "primary says", 500, "chat primary\n  POST\n"),
        (
            2_000,
            300,
            "second says",
            1_100,
            "chat primary  outcome=cancelled\n  POST  outcome=cancelled\nchat second  hedge_for=primary\n  POST\n",
        ),
        (
            900,
            300,
            "primary says",
            900,
            "chat primary\n  POST\nchat second  outcome=cancelled  hedge_for=primary\n  POST  outcome=cancelled\n",
        ),
    ];
    for streamed in [false, true] {
        for (first, second, says, after, tree) in cases {
            let trace = TraceCapture::new();
            let (.., handle) = hedged(Act::Answer(first * MS), Act::Answer(second * MS));
            let (context, start) = (trace.context(), Instant::now());
            let answer = if streamed {
                let stream = handle.stream(&context, ask()).await.unwrap();
                stream.collect().await.unwrap()
            } else {
                handle.chat(&context, ask()).await.unwrap()
            };
            assert_eq!(answer.text(), says);
            assert_eq!(start.elapsed(), after * MS);
            assert_eq!(trace.tree(), tree);
            trace.well_formed().unwrap();
            let operations = trace.operations();
            let hedge = operations.iter().find(|op| op.facts.hedge_for.is_some());
            if let Some(hedge) = hedge {
                assert_eq!(hedge.links, [operations[0].trace]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_one_of_two_fails_the_other_is_waited_for() {
    let fail = |after: u32| Act::Fail(after * MS, overloaded());
    let (.., handle) = hedged(fail(900), Act::Answer(300 * MS));
    let text = handle.chat(&RunContext::new(), ask()).await.unwrap().text();
    assert_eq!(text, "second says");
    let (.., handle) = hedged(Act::Answer(1_500 * MS), fail(100));
    let text = handle.chat(&RunContext::new(), ask()).await.unwrap().text();
    assert_eq!(text, "primary says");

    let (_, second, handle) = hedged(fail(900), fail(300));
    let third = Fake::acting([]).named("third");
    let handle = ModelHandle::builder(handle).fallback(third.clone()).build();
    let text = handle.chat(&RunContext::new(), ask()).await.unwrap().text();
    assert_eq!(
        (text.as_str(), second.count(), third.count()),
        ("third says", 1, 1)
    );

    let (.., handle) = hedged(fail(900), fail(300));
    let error = handle.chat(&RunContext::new(), ask()).await.unwrap_err();
    assert_eq!(error.earlier().len(), 1);

    let refused = Act::Fail(900 * MS, super::error(ModelErrorKind::BadRequest));
    let (.., handle) = hedged(refused, Act::Hang);
    let error = handle.chat(&RunContext::new(), ask()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ModelErrorKind::BadRequest,
        "the other cannot help"
    );

    let (_, second, handle) = hedged(fail(100), Act::Hang);
    handle.chat(&RunContext::new(), ask()).await.unwrap_err();
    assert_eq!(second.count(), 0, "it failed before the time was up");
}

#[test]
fn dropped_at_any_point_both_of_a_hedge_end() {
    let trace = TraceCapture::new();
    let polls = testing::drop_at_every_poll(
        || async {
            let (.., handle) = hedged(Act::Answer(2 * SECOND), Act::Answer(300 * MS));
            let stream = handle.stream(&trace.context(), ask()).await.unwrap();
            stream.collect().await.unwrap();
        },
        |_| trace.well_formed().unwrap(),
    );
    assert!(polls.unwrap() >= 3);
}
