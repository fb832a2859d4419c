use std::collections::BTreeMap;
use std::sync::Arc;

use agent_sdk::cost::Usd;
use opentelemetry::trace::{SpanKind, TraceId};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
use proptest::prelude::*;

use super::*;

/// An account, and what arrived.
#[derive(Debug, Default, Clone, PartialEq)]
struct Books {
    ended: u64,
    unsampled: u64,
    held: u64,
    arrived: Vec<(u8, Vec<u8>)>,
}

impl Books {
    fn balances(&self) -> bool {
        self.ended == self.unsampled + self.held + self.arrived.len() as u64
    }
}

#[derive(Debug, Default, Clone)]
struct Pipe(Arc<Mutex<Books>>);

impl Pipe {
    fn change(&self, change: impl FnOnce(&mut Books)) {
        let mut books = self.0.lock().unwrap();
        change(&mut books);
        assert!(books.balances(), "{books:?}");
    }

    fn books(&self) -> Books {
        self.0.lock().unwrap().clone()
    }

    fn messages(&self) -> Vec<Vec<u8>> {
        let arrived = self.books().arrived.into_iter();
        arrived.map(|(_, message)| message).collect()
    }
}

impl Outlet for Pipe {
    type Scope = u8;

    fn push(&self, scope: &u8, message: &[u8]) {
        self.change(|books| {
            books.ended += 1;
            books.arrived.push((*scope, message.to_vec()));
        });
    }

    fn unsampled(&self) {
        self.change(|books| {
            books.ended += 1;
            books.unsampled += 1;
        });
    }

    fn hold(&self) {
        self.change(|books| {
            books.ended += 1;
            books.held += 1;
        });
    }

    fn release(&self, scope: &u8, message: &[u8]) {
        self.change(|books| {
            books.held = books.held.checked_sub(1).unwrap();
            books.arrived.push((*scope, message.to_vec()));
        });
    }

    fn discard(&self, spans: u64) {
        self.change(|books| {
            books.held = books.held.checked_sub(spans).unwrap();
            books.unsampled += spans;
        });
    }
}

/// A trace that is in no share below one.
fn trace(number: u8) -> [u8; 16] {
    let mut trace = [0xff; 16];
    trace[0] = number;
    trace
}

fn span(number: u8, message: &[u8]) -> Finished<'_, u8> {
    Finished {
        scope: &7,
        trace: trace(number),
        local_root: false,
        failed: false,
        duration: Duration::from_secs(1),
        cost_nanos: 0,
        budget_refused: false,
        message,
    }
}

fn root(number: u8, message: &[u8]) -> Finished<'_, u8> {
    Finished {
        local_root: true,
        ..span(number, message)
    }
}

fn sampler(rules: TailSampling) -> (Pipe, TailSampler<Pipe>) {
    let pipe = Pipe::default();
    (pipe.clone(), TailSampler::new(rules, pipe))
}

#[test]
fn a_reason_keeps_the_whole_trace_and_what_comes_late() {
    let failed = Finished {
        failed: true,
        ..span(1, b"failed")
    };
    let refused = Finished {
        budget_refused: true,
        ..span(1, b"refused")
    };
    let slow = Finished {
        duration: Duration::from_secs(11),
        ..root(1, b"slow")
    };
    let half = Finished {
        cost_nanos: 600,
        ..span(1, b"half")
    };
    let rules = TailSampling::keep_errors()
        .slower_than(Duration::from_secs(10))
        .dearer_than(Usd::from_nanos(1_000));
    for reasons in [vec![failed], vec![refused], vec![slow], vec![half, half]] {
        let (pipe, sampler) = sampler(rules.clone());
        sampler.offer(&span(1, b"first"));
        sampler.offer(&span(2, b"other"));
        assert_eq!((pipe.books().held, pipe.messages().len()), (2, 0));
        for reason in &reasons {
            sampler.offer(reason);
        }
        sampler.offer(&root(1, b"root"));
        sampler.offer(&span(1, b"late"));
        let whole = reasons.len() + 3;
        assert_eq!(pipe.messages().len(), whole, "{reasons:?}");
        assert!(!pipe.messages().contains(&b"other".to_vec()));
        assert_eq!(pipe.books().arrived[0], (7, b"first".to_vec()));
        let counts = sampler.counts();
        assert_eq!((counts.kept, counts.undecided), (1, 1));
    }
}

#[test]
fn what_is_no_reason_is_left_out_when_the_grace_is_over() {
    let rules = TailSampling::keep_errors()
        .slower_than(Duration::from_secs(10))
        .grace(Duration::from_millis(200));
    let (pipe, sampler) = sampler(rules);
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    // An inner span that took long is no slow root.
    let long = Finished {
        duration: Duration::from_mins(1),
        ..span(1, b"long")
    };
    sampler.offer_at(&long, at(0));
    sampler.offer_at(&root(1, b"root"), at(1));
    sampler.offer_at(&root(2, b"root"), at(100));
    assert_eq!(pipe.books().held, 3);
    // Within its grace a trace can still be saved.
    let failed = Finished {
        failed: true,
        ..span(2, b"failed")
    };
    sampler.offer_at(&failed, at(299));
    assert_eq!(pipe.messages(), [b"root".to_vec(), b"failed".to_vec()]);
    assert_eq!(pipe.books().unsampled, 2, "the first was due at 201");
    // Afterwards a span follows the decision, whatever it says.
    let late = Finished {
        trace: trace(1),
        ..failed
    };
    sampler.offer_at(&late, at(400));
    assert_eq!((pipe.messages().len(), pipe.books().unsampled), (2, 3));
    assert_eq!(sampler.counts().held_bytes, 0);
}

#[test]
fn the_oldest_goes_when_too_much_is_held_and_is_counted() {
    let (pipe, sampler) = sampler(TailSampling::keep_errors().traces(2));
    for number in 1..=3 {
        sampler.offer(&span(number, b"span"));
    }
    assert_eq!((pipe.books().held, pipe.books().unsampled), (2, 1));
    let counts = sampler.counts();
    assert_eq!(
        (counts.forced, counts.left_out, counts.undecided),
        (1, 1, 2)
    );
    // What was decided stays so: nothing is kept in part.
    let failed = Finished {
        failed: true,
        ..span(1, b"failed")
    };
    sampler.offer(&failed);
    assert!(pipe.messages().is_empty());

    let (pipe, sampler) = self::sampler(TailSampling::keep_errors().memory(4_000));
    sampler.offer(&span(1, &[0; 3_000]));
    sampler.offer(&span(2, &[0; 3_000]));
    assert_eq!((pipe.books().held, pipe.books().unsampled), (1, 1));
    // One that alone is too large.
    sampler.offer(&span(3, &[0; 5_000]));
    assert_eq!((pipe.books().held, sampler.counts().held_bytes), (0, 0));
}

#[test]
fn the_share_is_that_of_the_standard_sampler() {
    let (pipe, sampler) = sampler(TailSampling::keep_nothing().share(0.3));
    let standard = Sampler::TraceIdRatioBased(0.3);
    let mut kept = 0;
    for _ in 0..2_000 {
        let trace: u128 = rand_trace();
        let id = TraceId::from(trace);
        let decision = standard
            .should_sample(None, id, "", &SpanKind::Internal, &[], &[])
            .decision;
        kept += usize::from(decision == SamplingDecision::RecordAndSample);
        sampler.offer(&Finished {
            trace: trace.to_be_bytes(),
            ..root(1, b"root")
        });
        assert_eq!(pipe.messages().len(), kept);
    }
    assert!((400..800).contains(&kept), "{kept}");
    for (share, expected) in [(0.0, 0), (1.0, 1), (f64::NAN, 0), (7.0, 1)] {
        let (pipe, sampler) = self::sampler(TailSampling::keep_nothing().share(share));
        sampler.offer(&root(1, b"root"));
        assert_eq!(pipe.messages().len(), expected, "{share}");
    }
}

fn rand_trace() -> u128 {
    use agent_sdk::operation::TraceContext;
    TraceContext::random_root().trace_id.0
}

#[test]
fn a_flush_decides_what_ended_and_a_shutdown_everything() {
    let (pipe, sampler) = sampler(TailSampling::keep_errors().grace(Duration::from_hours(1)));
    sampler.offer(&root(1, b"root"));
    sampler.offer(&span(2, b"span"));
    sampler.tick();
    assert_eq!(pipe.books().held, 2);
    sampler.settle();
    assert_eq!((pipe.books().held, pipe.books().unsampled), (1, 1));
    sampler.keep(trace(3));
    sampler.offer(&span(3, b"kept"));
    sampler.shutdown();
    assert_eq!((pipe.books().held, pipe.books().unsampled), (0, 2));
    sampler.offer(&span(4, b"after"));
    assert_eq!((pipe.books().held, pipe.books().unsampled), (0, 3));
    assert_eq!(pipe.messages(), [b"kept".to_vec()]);
}

#[test]
fn rules_are_read_and_mistakes_are_refused() {
    let read = |text: &str| text.parse::<TailSampling>().ok();
    let rules = TailSampling::keep_nothing();
    let all = TailSampling::keep_errors()
        .slower_than(Duration::from_millis(1_500))
        .dearer_than(Usd::from_nanos(500_000_000))
        .share(0.25);
    assert_eq!(read(&all.to_string()), Some(all));
    assert_eq!(read("budget"), Some(rules.clone().keep_budget_refusals()));
    assert_eq!(
        read(" slow=250ms , memory=1000,traces=5"),
        Some(
            rules
                .clone()
                .slower_than(Duration::from_millis(250))
                .memory(1_000)
                .traces(5)
        )
    );
    assert_eq!(
        read("slow=2m"),
        Some(rules.slower_than(Duration::from_mins(2)))
    );
    for text in [
        "",
        "error",
        "slow",
        "slow=10",
        "slow=s",
        "slow=1h",
        "cost=-1",
        "share=2",
        "share=NaN",
        "errors=1",
        "errors,,",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Span {
        trace: u8,
        root: bool,
        failed: bool,
        cost: u64,
        bytes: usize,
    },
    Wait(u64),
    Keep(u8),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let span = (0..6_u8, any::<bool>(), 0..10_u8, 0..400_u64, 0..600_usize);
    let span = span.prop_map(|(trace, root, failed, cost, bytes)| Step::Span {
        trace,
        root,
        failed: failed == 0,
        cost,
        bytes,
    });
    prop_oneof![
        12 => span,
        2 => (0..400_u64).prop_map(Step::Wait),
        1 => (0..6_u8).prop_map(Step::Keep),
        1 => Just(Step::Settle),
    ]
}

proptest! {
    /// The account is checked by `Pipe` at each of its changes.
    #[test]
    fn a_trace_is_kept_whole_or_not_at_all_and_the_account_balances_at_each_step(
        steps in prop::collection::vec(step(), 0..120),
        memory in prop_oneof![Just(1_000_usize), Just(3_000), Just(1 << 20)],
        traces in 1..8_usize,
    ) {
        let rules = TailSampling::keep_errors()
            .dearer_than(Usd::from_nanos(1_500))
            .memory(memory)
            .traces(traces.max(2))
            .share(0.5);
        let (pipe, sampler) = sampler(rules);
        let mut now = Instant::now();
        let mut offered: BTreeMap<u8, usize> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Span { trace: number, root, failed, cost, bytes } => {
                    *offered.entry(number).or_default() += 1;
                    let mut message = vec![0; bytes + 1];
                    message[0] = number;
                    // One trace is in the share.
                    let trace = if number == 5 { [0; 16] } else { trace(number) };
                    sampler.offer_at(&Finished {
                        trace, local_root: root, failed, cost_nanos: cost, ..span(number, &message)
                    }, now);
                }
                Step::Wait(millis) => now += Duration::from_millis(millis),
                Step::Keep(number) => sampler.keep(trace(number)),
                Step::Settle => sampler.settle(),
            }
            let counts = sampler.counts();
            prop_assert!(counts.held_bytes <= memory as u64);
            prop_assert!(counts.undecided <= traces.max(2) as u64);
        }
        sampler.shutdown();
        let books = pipe.books();
        prop_assert_eq!(books.held, 0);
        prop_assert_eq!(books.ended, offered.values().sum::<usize>() as u64);
        for (number, spans) in offered {
            let arrived = books.arrived.iter().filter(|(_, message)| message[0] == number).count();
            prop_assert!(arrived == 0 || arrived == spans, "{} of {}", arrived, spans);
            prop_assert!(number != 5 || arrived == spans);
        }
    }
}

#[tokio::test]
async fn with_telemetry_only_failed_runs_leave_and_every_span_is_accounted_for() {
    use agent_sdk::operation::{Outcome, Payload, RunContext, trace_agent, trace_chat};

    use crate::testing::{Behaviour, Collector};
    use crate::{Telemetry, metric};

    let collector = Collector::start(Behaviour::Accept);
    let telemetry = Telemetry::builder()
        .endpoint(collector.url())
        .tail_sampling(TailSampling::keep_errors().grace(Duration::from_hours(1)))
        .build()
        .unwrap();
    let run = |outcome| {
        let context = RunContext::builder()
            .observers(telemetry.observers())
            .build();
        let agent = trace_agent(&context, "triage").begin();
        trace_chat(agent.context(), "openai", "gpt-5")
            .begin()
            .end(Outcome::Ok, Payload::None);
        agent.end(outcome, Payload::None);
        let account = telemetry.account();
        assert!(account.balances(), "{account:?}");
        account
    };
    assert_eq!(run(Outcome::Ok).queued, 2);
    run(Outcome::Error);
    run(Outcome::Budget);
    assert!(telemetry.flush(Duration::from_secs(10)));
    let account = telemetry.account();
    assert_eq!(
        (account.ended, account.exported, account.unsampled),
        (6, 4, 2)
    );
    assert_eq!(telemetry.tail_counts().kept, 2);
    // What is counted is not sampled.
    let text = telemetry.metrics_text().unwrap();
    let name = metric::AGENT_DURATION.name.replace('.', "_");
    let counted = text
        .lines()
        .filter(|line| line.starts_with(&format!("{name}_seconds_count")));
    let counted: u64 = counted
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(counted, 3, "{text}");
    let lines: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("agent_sdk_tail_sampling_"))
        .collect();
    let reason = |reason| format!("{{agent_sdk_tail_sampling_reason=\"{reason}\"}}");
    assert_eq!(
        lines,
        [
            "agent_sdk_tail_sampling_held_bytes 0".to_owned(),
            format!("agent_sdk_tail_sampling_kept_total{} 1", reason("budget")),
            format!("agent_sdk_tail_sampling_kept_total{} 0", reason("cost")),
            format!("agent_sdk_tail_sampling_kept_total{} 1", reason("error")),
            format!(
                "agent_sdk_tail_sampling_kept_total{} 0",
                reason("requested")
            ),
            format!("agent_sdk_tail_sampling_kept_total{} 0", reason("slow")),
            format!(
                "agent_sdk_tail_sampling_left_out_total{} 0",
                reason("memory")
            ),
            format!(
                "agent_sdk_tail_sampling_left_out_total{} 1",
                reason("unremarkable")
            ),
            "agent_sdk_tail_sampling_undecided 0".to_owned(),
        ]
    );
    assert!(telemetry.shutdown().is_complete());
    assert_eq!(collector.spans().len(), 4);
}
