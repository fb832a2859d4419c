//! Who a breaker lets through, and what it learns of them.

use std::{collections::VecDeque, sync::Mutex};

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::model::{
    BreakerState, CircuitBreaker, ModelHandle,
    around::breaker::{Condition, Core, Permit, Refusal, State, Ticket, Verdict},
};

fn condition(probes: u32) -> Condition {
    Condition {
        failure_percent: 50,
        window: n(4),
        min_calls: n(2),
        open_for: 10 * SECOND,
        probes: n(probes),
    }
}

fn quick(probes: u32) -> CircuitBreaker {
    CircuitBreaker::builder()
        .window(n(4))
        .min_calls(n(2))
        .open_for(10 * SECOND)
        .probes(n(probes))
        .build()
}

/// A handle behind a breaker that has just opened.
async fn opened(model: &Fake, probes: u32) -> (ModelHandle, CircuitBreaker) {
    let breaker = quick(probes);
    let handle = ModelHandle::builder(model.clone())
        .breaker(breaker.clone())
        .build();
    for _ in 0..2 {
        handle.chat(&RunContext::new(), ask()).await.unwrap_err();
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    (handle, breaker)
}

#[tokio::test(start_paused = true)]
async fn after_enough_failures_nothing_is_sent_and_the_error_says_for_how_long() {
    let model = Fake::failing(|| fails(ModelErrorKind::Overloaded));
    let (handle, breaker) = opened(&model, 1).await;
    tokio::time::advance(3 * SECOND).await;
    let error = handle.chat(&RunContext::new(), ask()).await.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::CircuitOpen);
    assert_eq!(error.retry_after(), Some(7 * SECOND));
    assert!(!error.is_retryable());
    assert_eq!(model.count(), 2);
    tokio::time::advance(7 * SECOND).await;
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    let error = handle.chat(&RunContext::new(), ask()).await.unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Overloaded, "the probe");
    assert_eq!((breaker.state(), model.count()), (BreakerState::Open, 3));
}

#[tokio::test(start_paused = true)]
async fn p4_a_thousand_callers_at_the_half_open_instant_send_no_more_than_the_probes() {
    for (probes, works) in [(1, false), (3, false), (1, true), (3, true)] {
        let rest: fn() -> Act = if works {
            || Act::Answer(SECOND)
        } else {
            || Act::Fail(SECOND, overloaded())
        };
        let failures = (0..2).map(|_| fails(ModelErrorKind::Overloaded));
        let model = Fake::new("primary", failures, rest);
        let (handle, breaker) = opened(&model, probes).await;
        tokio::time::advance(10 * SECOND).await;
        let calls = (0..1_000).map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.chat(&RunContext::new(), ask()).await.is_ok() })
        });
        let ended = futures_util::future::join_all(calls).await;
        let good = ended.into_iter().filter(|ok| *ok.as_ref().unwrap()).count();
        assert_eq!(model.count(), 2 + probes as usize);
        assert_eq!(good, if works { probes as usize } else { 0 });
        let state = if works {
            BreakerState::Closed
        } else {
            BreakerState::Open
        };
        assert_eq!(breaker.state(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn p4_a_probe_that_is_given_up_or_panics_gives_its_place_back() {
    let acts = [
        fails(ModelErrorKind::Overloaded),
        fails(ModelErrorKind::Overloaded),
        Act::Hang,
        Act::Panic,
    ];
    let model = Fake::acting(acts);
    let (handle, breaker) = opened(&model, 1).await;
    tokio::time::advance(10 * SECOND).await;
    let context = RunContext::new();
    let hanging = handle.chat(&context, ask());
    assert!(tokio::time::timeout(SECOND, hanging).await.is_err());
    let panicking = handle.clone();
    let panicked = tokio::spawn(async move { panicking.chat(&RunContext::new(), ask()).await });
    assert!(panicked.await.unwrap_err().is_panic());
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    handle.chat(&context, ask()).await.unwrap();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn p4_a_late_success_from_before_the_opening_closes_nothing() {
    let acts = [
        Act::Answer(12 * SECOND),
        fails(ModelErrorKind::Overloaded),
        fails(ModelErrorKind::Overloaded),
        Act::Hang,
    ];
    let model = Fake::acting(acts);
    let breaker = quick(1);
    let handle = ModelHandle::builder(model).breaker(breaker.clone()).build();
    let slow = handle.clone();
    let slow = tokio::spawn(async move { slow.chat(&RunContext::new(), ask()).await });
    tokio::task::yield_now().await;
    for _ in 0..2 {
        handle.chat(&RunContext::new(), ask()).await.unwrap_err();
    }
    tokio::time::sleep(10 * SECOND).await;
    let context = RunContext::new();
    let mut probe = std::pin::pin!(handle.chat(&context, ask()));
    tokio::select! {
        _ = &mut probe => panic!("it hangs"),
        late = slow => late.unwrap().map(drop).unwrap(),
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_stream_holds_its_permit_and_dropping_it_is_no_failure() {
    let failures = (0..2).map(|_| fails(ModelErrorKind::Overloaded));
    let model = Fake::acting(failures.chain([answers(), Act::Break(1, overloaded())]));
    let (handle, breaker) = opened(&model, 1).await;
    tokio::time::advance(10 * SECOND).await;
    let stream = handle.stream(&RunContext::new(), ask()).await.unwrap();
    let refused = handle.stream(&RunContext::new(), ask()).await.unwrap_err();
    assert_eq!(refused.kind(), ModelErrorKind::CircuitOpen);
    assert_eq!(
        refused.retry_after(),
        None,
        "nobody knows when the probe ends"
    );
    drop(stream);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);

    let stream = handle.stream(&RunContext::new(), ask()).await.unwrap();
    stream.collect().await.unwrap_err();
    assert_eq!(
        breaker.state(),
        BreakerState::Open,
        "it failed in the middle"
    );
    tokio::time::advance(10 * SECOND).await;
    let stream = handle.stream(&RunContext::new(), ask()).await.unwrap();
    stream.collect().await.unwrap();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn only_failures_of_the_model_open_it() {
    use ModelErrorKind as Kind;
    let opens = |kind, deadline: Option<Duration>| async move {
        let acts = (0..4).map(|_| Act::Fail(SECOND, error(kind)));
        let breaker = quick(1);
        let handle = ModelHandle::builder(Fake::acting(acts))
            .breaker(breaker.clone())
            .build();
        for _ in 0..4 {
            let context = RunContext::new();
            let context = deadline.map_or(context.clone(), |left| context.with_timeout(left));
            handle.chat(&context, ask()).await.unwrap_err();
            if breaker.state() == BreakerState::Open {
                return true;
            }
        }
        false
    };
    for kind in [
        Kind::Overloaded,
        Kind::Timeout,
        Kind::Transport,
        Kind::Truncated,
    ] {
        assert!(opens(kind, None).await, "{kind:?}");
    }
    for kind in [
        Kind::RateLimited,
        Kind::BadRequest,
        Kind::Authentication,
        Kind::Quota,
        Kind::Decode,
    ] {
        assert!(!opens(kind, None).await, "{kind:?}");
    }
    assert!(
        !opens(Kind::Timeout, Some(SECOND)).await,
        "the caller's deadline"
    );
    assert!(opens(Kind::Overloaded, Some(SECOND)).await);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_between_two_tries_keeps_the_model_s_own_error() {
    let model = Fake::failing(|| fails(ModelErrorKind::Overloaded));
    let handle = ModelHandle::builder(model.clone())
        .retry(steady())
        .breaker(quick(1))
        .build();
    let error = handle.chat(&RunContext::new(), ask()).await.unwrap_err();
    assert_eq!(
        (error.kind(), model.count()),
        (ModelErrorKind::Overloaded, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_opens_it_is_not_followed_by_a_wait_for_a_try_that_would_be_refused() {
    let model = Fake::failing(|| fails(ModelErrorKind::Overloaded));
    let handle = ModelHandle::builder(model.clone())
        .retry(steady())
        .breaker(quick(1))
        .fallback(Fake::acting([]).named("other"))
        .build();
    let (trace, start) = (TraceCapture::new(), Instant::now());
    handle.chat(&trace.context(), ask()).await.unwrap();
    assert_eq!(model.times(start), [0, 500]);
    assert_eq!(start.elapsed(), 500 * MS, "the second failure opened it");
    assert_eq!(chats(&trace)[0].attempts, Some(2));
}

#[tokio::test(start_paused = true)]
async fn nobody_queues_for_a_model_that_is_not_to_be_asked() {
    let model = Fake::failing(|| fails(ModelErrorKind::Overloaded));
    let handle = ModelHandle::builder(model)
        .breaker(quick(1))
        .requests_per_minute(n(2))
        .build();
    let (trace, start) = (TraceCapture::new(), Instant::now());
    for _ in 0..3 {
        handle.chat(&trace.context(), ask()).await.unwrap_err();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(chats(&trace)[2].queued, None);
}

/// The breaker in other words: a list of what happened since the last change, and who holds a permit.
struct Reference {
    condition: Condition,
    opened: Option<Instant>,
    probing: bool,
    outcomes: VecDeque<bool>,
    holders: Vec<(u64, usize)>,
    worked: usize,
    changes: u64,
}

impl Reference {
    fn admit(&mut self, now: Instant, name: usize) -> bool {
        if let Some(opened) = self.opened {
            if now < opened + self.condition.open_for {
                return false;
            }
            (self.opened, self.probing, self.worked) = (None, true, 0);
            self.changes += 1;
        }
        let mine = self
            .holders
            .iter()
            .filter(|(period, _)| *period == self.changes)
            .count();
        if self.probing && mine + self.worked >= self.condition.probes.get() as usize {
            return false;
        }
        self.holders.push((self.changes, name));
        true
    }

    fn settle(&mut self, now: Instant, name: usize, verdict: Verdict) {
        let place = self
            .holders
            .iter()
            .position(|(_, holder)| *holder == name)
            .unwrap();
        let (period, _) = self.holders.remove(place);
        if period != self.changes || verdict == Verdict::Unknown {
            return;
        }
        let failed = verdict == Verdict::Fails;
        let opens = if self.probing {
            self.worked += usize::from(!failed);
            failed
        } else {
            self.outcomes.push_back(failed);
            if self.outcomes.len() > 4 {
                self.outcomes.pop_front();
            }
            let failures = self.outcomes.iter().filter(|failed| **failed).count();
            self.outcomes.len() >= 2 && failures * 2 >= self.outcomes.len()
        };
        if opens {
            (self.opened, self.probing) = (Some(now), false);
            self.changes += 1;
        } else if self.probing && self.worked == self.condition.probes.get() as usize {
            self.probing = false;
            self.changes += 1;
        }
        if opens || !self.probing && period != self.changes {
            self.outcomes.clear();
        }
    }
}

proptest! {
    #[test]
    fn the_state_machine_does_as_a_plain_model_of_it(
        probes in 1_u32..4,
        steps in proptest::collection::vec((0_u8..8, any::<prop::sample::Index>(), 0_u32..6), 0..200),
    ) {
        let mut now = Instant::now();
        let mut state = State::new(condition(probes));
        let mut reference = Reference {
            condition: condition(probes),
            opened: None,
            probing: false,
            outcomes: VecDeque::new(),
            holders: Vec::new(),
            worked: 0,
            changes: 0,
        };
        let mut tickets: Vec<(usize, Ticket)> = Vec::new();
        for (name, (what, which, pause)) in steps.into_iter().enumerate() {
            now += pause * SECOND;
            let verdict = match what {
                0..=3 => {
                    let would = state.would_admit(now);
                    let admitted = state.admit(now);
                    prop_assert_eq!(would.is_ok(), admitted.is_ok());
                    prop_assert_eq!(admitted.is_ok(), reference.admit(now, name));
                    match admitted {
                        Ok(ticket) => tickets.push((name, ticket)),
                        Err(Refusal::Open(left)) => prop_assert!(left > Duration::ZERO && left <= 10 * SECOND),
                        Err(Refusal::Probing) => prop_assert_eq!(state.at(now), BreakerState::HalfOpen),
                    }
                    continue;
                }
                4 | 5 => Verdict::Fails,
                6 => Verdict::Works,
                _ => Verdict::Unknown,
            };
            if !tickets.is_empty() {
                let (name, ticket) = tickets.remove(which.index(tickets.len()));
                state.settle(ticket, verdict, now);
                reference.settle(now, name, verdict);
            }
        }
    }
}

type Looming = Core<loom::sync::Mutex<State>>;

/// A breaker that opened at a time and is half-open 10 s later.
fn half_open(probes: u32, opened: Instant) -> Arc<Looming> {
    let core = Arc::new(Looming::new(condition(probes)));
    for _ in 0..2 {
        let permit: Permit<_> = Core::admit(&core, opened).unwrap();
        permit.settle(Verdict::Fails, opened);
    }
    core
}

#[test]
fn p4_in_every_order_of_three_threads_no_more_pass_than_the_probes() {
    for probes in [1, 2] {
        loom::model(move || {
            let opened = Instant::now();
            let now = opened + 10 * SECOND;
            let core = half_open(probes, opened);
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let core = core.clone();
                    loom::thread::spawn(move || Core::admit(&core, now).ok())
                })
                .collect();
            let permits: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
            assert_eq!(permits.iter().flatten().count(), probes as usize);
            drop(permits);
            assert_eq!(core.at(now), BreakerState::HalfOpen);
            assert!(Core::admit(&core, now).is_ok(), "the places are free again");
        });
    }
}

#[test]
fn p4_in_every_order_a_dropped_probe_a_success_and_a_failure_leave_a_breaker_that_works() {
    loom::model(|| {
        let opened = Instant::now();
        let now = opened + 10 * SECOND;
        let core = half_open(2, opened);
        let ends = [Some(Verdict::Works), Some(Verdict::Fails), None];
        let threads = ends.map(|end| {
            let core = core.clone();
            loom::thread::spawn(move || match (Core::admit(&core, now), end) {
                (Ok(permit), Some(verdict)) => drop(permit.settle(verdict, now)),
                (permit, _) => drop(permit),
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_ne!(core.at(now), BreakerState::Closed, "one success of two");
        let later = now + 20 * SECOND;
        let permits: Vec<_> = (0..5)
            .map_while(|_| Core::admit(&core, later).ok())
            .collect();
        assert!((1..=2).contains(&permits.len()), "{}", permits.len());
    });
}

#[test]
fn p4_in_every_order_a_late_success_does_not_close_what_opened_meanwhile() {
    loom::model(|| {
        let start = Instant::now();
        let core = Arc::new(Looming::new(condition(1)));
        let late = Core::admit(&core, start).unwrap();
        let failing = [(); 2].map(|()| Core::admit(&core, start).unwrap());
        let (now, closer) = (
            start + 10 * SECOND,
            loom::thread::spawn({
                let core = core.clone();
                move || {
                    late.settle(Verdict::Works, start);
                    drop(core);
                }
            }),
        );
        for permit in failing {
            permit.settle(Verdict::Fails, start);
        }
        closer.join().unwrap();
        assert_eq!(core.at(start), BreakerState::Open);
        assert_eq!(core.at(now), BreakerState::HalfOpen);
    });
}

#[test]
fn the_lock_of_the_product_is_a_plain_mutex() {
    let core = Arc::new(Core::<Mutex<State>>::new(condition(1)));
    assert!(Core::admit(&core, Instant::now()).is_ok());
}
