//! Retries, breaker, rate, timeouts and fallbacks.

use super::*;
use crate::model::{BreakerState, CircuitBreaker, Jitter, Retry, RetryBudget};

fn steady() -> Retry {
    let retry = Retry::default().first_wait(100 * MS).jitter(Jitter::None);
    retry.max_attempts(n(4))
}

#[tokio::test(start_paused = true)]
async fn a_call_that_failed_is_made_again_in_its_own_operation() {
    let trace = TraceCapture::new();
    let (tool, start) = (Fake::failing("look", 2), Instant::now());
    let scheduler = scheduler("look", ToolPolicy::new().retry(steady()));
    assert_eq!(
        said(&scheduler, &trace.context(), &tool.handle(), "{}").await,
        "call 3"
    );
    assert_eq!(tool.times(start), [0, 100, 300]);
    let [operation] = &trace.operations()[..] else {
        panic!("one call is one operation");
    };
    assert_eq!(operation.facts.attempts, Some(3));
    assert_eq!(scheduler.stats().tools["look"].retries, 2);
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn what_writes_is_made_once_unless_the_policy_says_so() {
    let context = RunContext::new();
    for (effect, retries_writes, calls) in [
        (Effect::Write, false, 1),
        (Effect::Write, true, 4),
        (Effect::Idempotent, false, 4),
    ] {
        let tool = Fake::failing("put", u32::MAX).effect(effect);
        let mut policy = ToolPolicy::new().retry(steady());
        if retries_writes {
            policy = policy.retry_writes();
        }
        said(&scheduler("put", policy), &context, &tool.handle(), "{}").await;
        assert_eq!(tool.calls(), calls, "{effect:?} {retries_writes}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_failures_that_are_named_are_tried_again() {
    let context = RunContext::new();
    for (kind, named, calls) in [
        (ToolErrorKind::Failed, None, 4),
        (ToolErrorKind::InvalidArguments, None, 1),
        (ToolErrorKind::Budget, None, 1),
        (ToolErrorKind::Panic, Some(ToolErrorKind::Panic), 4),
        (ToolErrorKind::Failed, Some(ToolErrorKind::Panic), 1),
    ] {
        let tool = Fake::new("look", move |_, _| async move {
            assert!(kind != ToolErrorKind::Panic, "a panic on purpose");
            Err(ToolError::new(kind, "no"))
        });
        let mut policy = ToolPolicy::new().retry(steady());
        if let Some(named) = named {
            policy = policy.retry_on([named]);
        }
        let result = said(&scheduler("look", policy), &context, &tool.handle(), "{}").await;
        assert_eq!((result.as_str(), tool.calls()), (kind.as_str(), calls));
    }
}

#[tokio::test(start_paused = true)]
async fn p8_a_tool_that_is_down_is_called_a_tenth_as_often_again() {
    let tool = Fake::failing("look", u32::MAX);
    let scheduler = scheduler(
        "look",
        ToolPolicy::new().retry(steady().budget(RetryBudget::new())),
    );
    all(&scheduler, &RunContext::new(), &tool.handle(), 1_000).await;
    assert!(
        tool.calls() <= 1_100 + RetryBudget::RESERVE,
        "{}",
        tool.calls()
    );
    assert!(tool.calls() > 1_050);
}

#[tokio::test(start_paused = true)]
async fn each_try_has_its_time_and_all_of_them_have_theirs() {
    let tool = Fake::taking("look", Duration::from_hours(1));
    let (start, context) = (Instant::now(), RunContext::new());
    let policy = ToolPolicy::new()
        .retry(steady())
        .attempt_timeout(1_000 * MS);
    let result = said(
        &scheduler("look", policy.clone()),
        &context,
        &tool.handle(),
        "{}",
    )
    .await;
    assert_eq!(result, "timeout");
    assert_eq!(tool.times(start), [0, 1_100, 2_300, 3_700]);
    let start = Instant::now();
    let policy = policy.timeout(1_500 * MS);
    let result = said(&scheduler("look", policy), &context, &tool.handle(), "{}").await;
    assert_eq!((result.as_str(), start.elapsed()), ("timeout", 1_500 * MS));
}

#[tokio::test(start_paused = true)]
async fn p4_a_breaker_opens_for_a_tool_that_fails_and_probes_it() {
    let trace = TraceCapture::new();
    let tool = Fake::failing("look", 4);
    let breaker = CircuitBreaker::builder().min_calls(n(4)).build();
    let scheduler = scheduler("look", ToolPolicy::new().breaker(breaker).concurrency(n(1)));
    let (handle, context) = (tool.handle(), trace.context());
    assert_eq!(
        all(&scheduler, &context, &handle, 6).await[3..],
        ["tool_error", "circuit_open", "circuit_open"]
    );
    assert_eq!(
        scheduler.stats().tools["look"].breaker,
        Some(BreakerState::Open)
    );
    assert_eq!(scheduler.stats().tools["look"].refused, 2);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(said(&scheduler, &context, &handle, "{}").await, "call 5");
    assert_eq!(
        scheduler.stats().tools["look"].breaker,
        Some(BreakerState::Closed)
    );
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn calls_keep_to_their_rate_and_one_that_would_come_too_late_fails_at_once() {
    let trace = TraceCapture::new();
    let (tool, start) = (Fake::taking("look", MS), Instant::now());
    let scheduler = scheduler("look", ToolPolicy::new().calls_per_minute(n(2)));
    let (handle, context) = (tool.handle(), trace.context());
    all(&scheduler, &context, &handle, 3).await;
    assert_eq!(tool.times(start), [0, 0, 30_000]);
    let hasty = context.with_timeout(Duration::from_secs(20));
    assert_eq!(
        said(&scheduler, &hasty, &handle, "{}").await,
        "rate_limited"
    );
    let queued: Vec<_> = trace
        .operations()
        .iter()
        .map(|it| it.facts.queued)
        .collect();
    assert_eq!(queued[2], Some(30_000 * MS));
    at_rest(&scheduler);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_an_operation_of_its_own_linked_to_the_one_that_failed() {
    let trace = TraceCapture::new();
    let (first, second, third) = (
        Fake::failing("first", 9),
        Fake::failing("second", 9),
        Fake::taking("third", MS),
    );
    let policy = ToolPolicy::new().fallback(second).fallback(third);
    let scheduler = scheduler("first", policy);
    assert_eq!(
        said(&scheduler, &trace.context(), &first.handle(), "{}").await,
        "call 1"
    );
    let tree = trace.tree_with(|it| {
        let instead = it.facts.fallback_for.as_deref().unwrap_or("-");
        format!("{} for {instead}, links {}", it.name, it.links.len())
    });
    assert_eq!(
        tree,
        "first for -, links 0\nsecond for first, links 1\nthird for second, links 1\n"
    );
    assert_eq!(scheduler.stats().tools["first"].fallbacks, 2);
    trace.well_formed().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_not_called_where_it_cannot_help_or_may_not() {
    let context = RunContext::new();
    let options = |change: fn(ToolOptions) -> ToolOptions| {
        let mut tool = Fake::taking("other", MS);
        tool.options = change(tool.options);
        tool
    };
    let same = || options(|it| it);
    for (kind, other) in [
        (ToolErrorKind::InvalidArguments, same()),
        (ToolErrorKind::Budget, same()),
        (ToolErrorKind::Rejected, same()),
        (
            ToolErrorKind::Failed,
            options(|it| it.with_effect(Effect::Write)),
        ),
        (ToolErrorKind::Failed, options(ToolOptions::with_approval)),
        (
            ToolErrorKind::Failed,
            options(|it| it.with_concurrency(Concurrency::Exclusive)),
        ),
    ] {
        let tool = Fake::new("look", move |_, _| async move {
            Err(ToolError::new(kind, "no"))
        });
        let scheduler = scheduler("look", ToolPolicy::new().fallback(other));
        assert_eq!(
            said(&scheduler, &context, &tool.handle(), "{}").await,
            kind.as_str()
        );
    }
}
