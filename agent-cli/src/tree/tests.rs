//! Whole drawings.

use std::time::Duration;

use agent_sdk::{cost::Usd, model::Usage, operation::Outcome};

use super::{Amount, Row, Totals, Trace};
use crate::terminal::Style;

const TERMINAL: Style = Style {
    colour: false,
    unicode: true,
    live: true,
};

fn row(depth: usize, name: &str, millis: u64) -> Row {
    Row {
        depth,
        name: name.to_owned(),
        time: Duration::from_millis(millis),
        self_time: None,
        input: Amount::None,
        output: Amount::None,
        cost: Amount::None,
        outcome: Outcome::Ok,
        is_critical: false,
    }
}

impl Row {
    fn used(mut self, input: u64, output: u64, nanos: u64) -> Self {
        self.input = Amount::Known(input);
        self.output = Amount::Known(output);
        self.cost = Amount::Known(Usd::from_nanos(nanos));
        self
    }

    fn itself(mut self, millis: u64) -> Self {
        self.self_time = Some(Duration::from_millis(millis));
        self
    }

    fn critical(mut self) -> Self {
        self.is_critical = true;
        self
    }
}

fn trace() -> Trace {
    let mut failed = row(1, "tool read_file", 4);
    failed.outcome = Outcome::Error;
    let mut unknown = row(3, "chat in-house", 600);
    (unknown.input, unknown.output, unknown.cost) =
        (Amount::Known(80), Amount::Unknown, Amount::Unknown);
    Trace {
        rows: vec![
            row(0, "agent reviewer", 2345).itself(3).critical(),
            row(1, "chat gpt-5-mini", 812)
                .used(1234, 56, 420_500)
                .critical(),
            failed,
            row(1, "tool ask_critic", 650).itself(50).critical(),
            row(2, "agent critic", 600).itself(0).critical(),
            unknown.critical(),
            row(1, "chat gpt-5-mini", 880)
                .used(2468, 310, 1_237_000)
                .critical(),
        ],
        left_out: 0,
        totals: Totals {
            time: Duration::from_millis(2345),
            model_calls: 3,
            tool_calls: 2,
            usage: Usage::new(3782, 366).with_cache_read(1024),
            cost: Usd::from_nanos(1_657_500),
            unpriced_calls: 1,
        },
        bottleneck: "`chat gpt-5-mini` took 72 % of the run".to_owned(),
    }
}

/// A drawing, written with a `>` before each line so that the indentation shows.
fn drawing(text: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix('>'));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn a_terminal_shows_the_tree_with_its_critical_path() {
    let expected = drawing(
        "
>  operation (● critical path)      time     self     in  out       cost
>● agent reviewer                  2.3 s   3.0 ms
>● ├─ chat gpt-5-mini           812.0 ms           1,234   56  $0.000421
>  ├─ tool read_file              4.0 ms                                  error
>● ├─ tool ask_critic           650.0 ms  50.0 ms
>● │  └─ agent critic           600.0 ms   0.0 µs
>● │     └─ chat in-house       600.0 ms              80    ?          ?
>● └─ chat gpt-5-mini           880.0 ms           2,468  310  $0.001237
>
>2.3 s · 3 model calls · 2 tool calls · 3,782 tokens in (1,024 cached) · 366 out · $0.001658 and 1 unpriced call
>Bottleneck: `chat gpt-5-mini` took 72 % of the run.
",
    );
    assert_eq!(trace().draw(TERMINAL, 100), expected);
}

#[test]
fn a_pipe_gets_plain_ascii() {
    let expected = drawing(
        "
>  operation (* critical path)      time     self     in  out       cost
>* agent reviewer                  2.3 s   3.0 ms
>* |- chat gpt-5-mini           812.0 ms           1,234   56  $0.000421
>  |- tool read_file              4.0 ms                                  error
>* |- tool ask_critic           650.0 ms  50.0 ms
>* |  `- agent critic           600.0 ms   0.0 us
>* |     `- chat in-house       600.0 ms              80    ?          ?
>* `- chat gpt-5-mini           880.0 ms           2,468  310  $0.001237
>
>2.3 s, 3 model calls, 2 tool calls, 3,782 tokens in (1,024 cached), 366 out, $0.001658 and 1 unpriced call
>Bottleneck: `chat gpt-5-mini` took 72 % of the run.
",
    );
    let drawn = trace().draw(Style::PLAIN, 100);
    assert_eq!(drawn, expected);
    assert!(drawn.is_ascii());
}

#[test]
fn no_line_of_the_tree_is_wider_than_the_terminal() {
    let mut trace = trace();
    trace
        .rows
        .push(row(1, &"tool with_a_very_long_name".repeat(9), 3));
    for depth in 2..30 {
        trace.rows.push(row(depth, "agent deep", 1).used(
            1_234_567,
            1_234_567,
            u64::from(u32::MAX),
        ));
    }
    for style in [TERMINAL, Style::PLAIN] {
        for width in [0, 80, 100, 120, 500] {
            let drawn = trace.draw(style, width);
            let (table, _) = drawn.split_once("\n\n").unwrap();
            let widest = table.lines().map(|line| line.chars().count()).max();
            assert!(
                widest <= Some(width.clamp(80, 120)),
                "{width}: {widest:?}\n{table}"
            );
        }
    }
    let narrow = trace.draw(Style::PLAIN, 80);
    assert!(
        !narrow.contains("self") && narrow.contains("..."),
        "{narrow}"
    );
}

#[test]
fn colours_mark_what_is_critical_and_what_failed() {
    let style = Style {
        colour: true,
        ..TERMINAL
    };
    let drawn = trace().draw(style, 100);
    assert!(drawn.contains("\x1b[33m● agent reviewer"), "{drawn}");
    assert!(drawn.contains("\x1b[31merror\x1b[0m\n"), "{drawn}");
}

#[test]
fn names_cannot_act_on_the_terminal() {
    let mut trace = trace();
    trace.rows.push(row(1, "tool \x1b[2J\r\nfake \u{202e}", 1));
    trace.bottleneck = "`tool \x1b[2J`".to_owned();
    let drawn = trace.draw(TERMINAL, 120);
    assert!(drawn.contains(r"tool \x1b[2J\r\nfake \u{202e}"), "{drawn}");
    assert!(
        drawn.chars().all(|c| c == '\n' || !c.is_control()),
        "{drawn:?}"
    );
}

#[test]
fn an_unknown_cost_does_not_read_as_nothing() {
    let totals = Totals {
        model_calls: 2,
        unpriced_calls: 2,
        ..Totals::default()
    };
    let line = totals.line(Style::PLAIN);
    assert_eq!(
        line,
        "0.0 us, 2 model calls, 0 tool calls, unknown tokens in, unknown out, cost unknown (2 unpriced calls)"
    );
}

#[test]
fn a_report_becomes_a_trace() {
    use agent_sdk::operation::{Kind, Payload, RunContext};

    let agent = RunContext::new().start(Kind::Agent, "triage").begin();
    let chat = agent.context().start(Kind::Chat, "m").begin();
    for _ in 0..2 {
        chat.context()
            .start(Kind::Attempt, "")
            .begin()
            .end(Outcome::Ok, Payload::None);
    }
    chat.end(Outcome::Ok, Payload::None);
    let once = agent.context().start(Kind::Chat, "once").begin();
    once.context()
        .start(Kind::Attempt, "")
        .begin()
        .end(Outcome::Ok, Payload::None);
    once.end(Outcome::Ok, Payload::None);
    let tool = agent.context().start(Kind::Tool, "search").begin();
    tool.end(Outcome::Error, Payload::None);
    let report = agent.report(Outcome::Ok, Payload::None);
    let trace = Trace::of(&report);
    let rows: Vec<_> = trace
        .rows
        .iter()
        .map(|row| {
            (
                row.depth,
                &*row.name,
                row.outcome.as_str(),
                row.cost == Amount::Unknown,
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (0, "agent triage", "ok", false),
            (1, "chat m", "ok", true),
            (2, "attempt", "ok", false),
            (2, "attempt", "ok", false),
            (1, "chat once", "ok", true),
            (1, "tool search", "error", false),
        ]
    );
    assert!(trace.rows[0].self_time.is_some() && trace.rows[4].self_time.is_none());
    assert_eq!(trace.totals.tool_calls, 1);
}
