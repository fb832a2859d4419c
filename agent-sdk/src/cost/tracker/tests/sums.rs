//! The lines, the run and the report come to the same, whatever happened.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::operation::trace_tool;

/// What happens in a run.
#[derive(Clone, Debug)]
enum Happening {
    Chat {
        model: u8,
        nanos: Option<u64>,
        tokens: Option<u64>,
        attempts: Option<u32>,
        end: Ending,
    },
    /// The first model fails, and another is asked in its place.
    Fallback(Box<[Happening; 2]>),
    Agent(u8, Vec<Happening>),
    Tool(u8, Vec<u64>, Vec<Happening>),
    Step(u8, Vec<Happening>),
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Ok,
    Refused,
    Lost,
    Cached,
    Dropped,
}

fn chat() -> impl Strategy<Value = Happening> {
    let end = prop_oneof![
        4 => Just(Ending::Ok), 1 => Just(Ending::Refused), 1 => Just(Ending::Lost), 1 => Just(Ending::Cached),
        1 => Just(Ending::Dropped),
    ];
    let (nanos, tokens) = (
        prop::option::of(0..1_000_000_000_000_u64),
        prop::option::of(0..1_000_000_u64),
    );
    (0..3_u8, nanos, tokens, prop::option::of(1..5_u32), end).prop_map(
        |(model, nanos, tokens, attempts, end)| Happening::Chat {
            model,
            nanos,
            tokens,
            attempts,
            end,
        },
    )
}

fn happening() -> impl Strategy<Value = Happening> {
    chat().prop_recursive(5, 40, 5, |inner| {
        let inside = prop::collection::vec(inner, 0..5);
        prop_oneof![
            (chat(), chat())
                .prop_map(|(first, second)| Happening::Fallback(Box::new([first, second]))),
            (0..3_u8, inside.clone()).prop_map(|(name, inside)| Happening::Agent(name, inside)),
            (
                0..3_u8,
                prop::collection::vec(0..1_000_000_000_u64, 0..3),
                inside.clone()
            )
                .prop_map(|(name, charges, inside)| Happening::Tool(name, charges, inside)),
            (0..3_u8, inside).prop_map(|(name, inside)| Happening::Step(name, inside)),
        ]
    })
}

impl Happening {
    fn happen(&self, context: &RunContext, fallback: bool) {
        let inside = |context: &RunContext, all: &[Self]| {
            for happening in all {
                happening.happen(context, false);
            }
        };
        match self {
            Self::Chat {
                model,
                nanos,
                tokens,
                attempts,
                end,
            } => {
                let chat = trace_chat(context, "p", format!("m{model}")).begin();
                chat.record(|facts| {
                    facts.attempts = *attempts;
                    facts.fallback_for = fallback.then(|| "first".into());
                    if let Ending::Ok | Ending::Dropped = end {
                        facts.provider_cost = nanos.map(Usd::from_nanos);
                        facts.usage.input_tokens = *tokens;
                    }
                    facts.cached = matches!(end, Ending::Cached);
                });
                let class = match end {
                    Ending::Dropped => return,
                    Ending::Refused => Some("rate_limited"),
                    Ending::Lost => Some("timeout"),
                    Ending::Ok | Ending::Cached => None,
                };
                match class {
                    Some(class) => chat.fail(class, "it failed"),
                    None => chat.end(Outcome::Ok, Payload::None),
                }
            }
            Self::Fallback(both) => {
                both[0].happen(context, false);
                both[1].happen(context, true);
            }
            Self::Agent(name, all) => {
                let agent = trace_agent(context, format!("agent-{name}")).begin();
                inside(agent.context(), all);
            }
            Self::Tool(name, charges, all) => {
                let tool = trace_tool(context, format!("tool-{name}")).begin();
                inside(tool.context(), all);
                let charges = charges
                    .iter()
                    .map(|nanos| ("api".into(), Usd::from_nanos(*nanos)));
                tool.record(|facts| facts.charges.extend(charges));
                tool.end(Outcome::Ok, Payload::None);
            }
            Self::Step(name, all) => {
                let step = context.start(Kind::Step, format!("step-{name}")).begin();
                inside(step.context(), all);
                step.end(Outcome::Ok, Payload::None);
            }
        }
    }
}

const GROUPINGS: [&[&str]; 14] = [
    &[],
    &["model"],
    &["provider"],
    &["agent"],
    &["tool"],
    &["step"],
    &["run"],
    &["conversation"],
    &["session"],
    &["user"],
    &["tag:team"],
    &["hour"],
    &["day", "model"],
    &["month", "agent", "tool", "step"],
];

/// The sum over the rows, in whole nano-USD, as each of the forms has it.
fn sums_of_forms(report: &CostReport) -> Vec<u64> {
    let nanos = |text: &str| text.parse::<Usd>().unwrap().nanos();
    let rows = report.rows.iter().map(|row| row.sums.amount.nanos()).sum();
    let json = serde_json::to_value(report).unwrap();
    let of_json = json["rows"].as_array().unwrap().iter();
    let of_json = of_json
        .map(|row| nanos(row["cost_usd"].as_str().unwrap()))
        .sum();
    let csv = report.csv();
    let of_csv = csv
        .lines()
        .filter(|line| !line.starts_with("row,") && !line.starts_with("total,"));
    let of_csv = of_csv
        .map(|line| nanos(line.rsplit(',').next().unwrap()))
        .sum();
    let table = report.to_string();
    let of_table = table.lines().skip(1).take(report.rows.len());
    let of_table = of_table.map(|line| {
        let cell = line
            .split_whitespace()
            .last()
            .unwrap()
            .trim_end_matches("+?");
        if cell == "?" { 0 } else { nanos(cell) }
    });
    vec![rows, of_json, of_csv, of_table.sum()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn lines_run_and_report_come_to_the_same_in_every_grouping_and_form(
        all in prop::collection::vec(happening(), 0..6),
        capacity in prop_oneof![Just(0), 0..8_usize, Just(1_000)],
    ) {
        let tracker = CostTracker::new();
        let small = CostTracker::with_capacity(capacity);
        let observers = tracker.observers().with(small.clone());
        let context = run(&tracker, "r", "2026-11-20T12:00:00Z").observers(observers).build();
        let root = trace_agent(&context, "root").begin();
        for happening in &all {
            happening.happen(root.context(), false);
        }
        let of_run = root.report(Outcome::Ok, Payload::None);
        let of_lines: u64 = tracker.lines().iter().filter_map(|line| line.amount).map(Usd::nanos).sum();
        prop_assert_eq!(of_lines, of_run.cost.nanos());
        let totals = tracker.totals();
        prop_assert_eq!(totals.amount, of_run.cost);
        prop_assert_eq!(totals.unpriced, u64::from(of_run.unpriced_calls));
        prop_assert_eq!(totals.requests, u64::from(of_run.model_calls));
        prop_assert_eq!(totals.usage, of_run.usage);
        for names in GROUPINGS {
            let query = CostQuery::by(names.iter().map(|name| name.parse().unwrap()));
            for (tracker, folded) in [(&tracker, 0), (&small, small.folded())] {
                let report = tracker.report(&query);
                prop_assert_eq!(report.total, totals);
                prop_assert_eq!(report.folded, folded);
                prop_assert_eq!(report.undecided, CostSums::default());
                if !names.is_empty() {
                    let wanted = vec![of_lines; 4];
                    prop_assert_eq!(sums_of_forms(&report), wanted, "{:?}", names);
                }
            }
            let report = tracker.report(&query);
            prop_assert_eq!(report.unpriced_calls.len(), usize::try_from(totals.unpriced).unwrap().min(100));
        }
    }
}

#[test]
fn many_runs_on_many_threads_add_up() {
    let tracker = CostTracker::with_capacity(500);
    let threads: Vec<_> = (0..8_u64)
        .map(|thread| {
            let tracker = tracker.clone();
            std::thread::spawn(move || {
                let mut sum = 0;
                for number in 0..50_u64 {
                    let id = format!("{thread}-{number}");
                    let context = run(&tracker, &id, "2026-11-20T12:00:00Z")
                        .user(thread.to_string())
                        .build();
                    let agent = trace_agent(&context, format!("agent-{thread}")).begin();
                    for call in 0..5 {
                        paid(agent.context(), "p:m", thread * 1_000 + number * 7 + call);
                    }
                    let report = agent.report(Outcome::Ok, Payload::None);
                    assert_eq!(
                        tracker.run_totals(&id.as_str().into()).unwrap().amount,
                        report.cost
                    );
                    sum += report.cost.nanos();
                }
                sum
            })
        })
        .collect();
    // Reports while it happens: each is whole in itself.
    for _ in 0..20 {
        let report = tracker.report(&by(["agent"]));
        let rows: u64 = report.rows.iter().map(|row| row.sums.amount.nanos()).sum();
        assert_eq!(rows, report.total.amount.nanos());
    }
    let sum: u64 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(tracker.totals().amount.nanos(), sum);
    assert_eq!((tracker.lines().len(), tracker.folded()), (500, 1_500));
    for names in [["agent"], ["user"]] {
        let report = tracker.report(&by(names));
        assert_eq!((report.rows.len(), report.total.amount.nanos()), (8, sum));
        assert!(report.rows.iter().all(|row| row.sums.requests == 250));
    }
    let lines = tracker.lines();
    assert!(
        lines
            .iter()
            .all(|line: &Arc<CostLine>| line.agents.len() == 1)
    );
}
