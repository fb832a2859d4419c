//! Reports as whole texts.

use jiff::tz::TimeZone;

use super::*;
use crate::operation::trace_tool;

/// Two runs of two users: an agent with one inside it, a paid tool, and a model that has no price.
fn story() -> CostTracker {
    let tracker = CostTracker::new();
    let context = run(&tracker, "r1", "2026-10-31T23:30:00Z")
        .user("ada")
        .tag("team", "red")
        .build();
    let main = trace_agent(&context, "main").begin();
    paid(main.context(), "openai:gpt-x", 1_500_000_000);
    let tool = trace_tool(main.context(), "search").begin();
    tool.record(|facts| {
        facts
            .charges
            .push(("api".into(), Usd::from_nanos(5_000_000)));
    });
    let inner = trace_agent(tool.context(), "helper").begin();
    paid(inner.context(), "openai:gpt-x-mini", 250_001);
    unpriced(inner.context(), "acme:mystery", Usage::new(7, 8));
    for operation in [inner, tool, main] {
        operation.end(Outcome::Ok, Payload::None);
    }
    let context = run(&tracker, "r2", "2026-11-01T09:00:00Z")
        .user("bob")
        .build();
    paid(&context, "openai:gpt-x", 2_000_000_000);
    unpriced(&context, "acme:mystery", Usage::unknown());
    tracker
}

#[test]
fn by_model_the_largest_first_and_unpriced_calls_are_named() {
    let report = story().report(&by(["model"]));
    assert_eq!(
        report.to_string(),
        "\
model       requests  charges  unpriced  input  output            USD
gpt-x              2        0         0  2,000      20  3.500000000
(none)             0        1         0      -       -  0.005000000
gpt-x-mini         1        0         0  1,000      10  0.000250001
mystery            2        0         2      7       8              ?
total              5        1         2  3,007      38  3.505250001+?
2 calls unpriced: the cost is unknown and not in the total.
  acme:mystery: 1 (no price for it)
  acme:mystery: 1 (usage not reported)
"
    );
}

#[test]
fn a_line_is_in_the_row_of_its_innermost_agent_or_of_each() {
    let rows = |query: &CostQuery| {
        let rows = story().report(query).rows;
        let rows = rows.into_iter().map(|row| {
            let agent = row.group[0].1.as_deref().unwrap_or("-").to_owned();
            (agent, row.sums.lines(), row.sums.amount.nanos())
        });
        rows.collect::<Vec<_>>()
    };
    let of = |agent: &str, lines, nanos| (agent.to_owned(), lines, nanos);
    assert_eq!(
        rows(&by(["agent"])),
        [
            of("-", 2, 2_000_000_000),
            of("main", 2, 1_505_000_000),
            of("helper", 2, 250_001)
        ]
    );
    let query = by(["agent"]).inclusive_agents();
    assert_eq!(
        rows(&query),
        [
            of("-", 2, 2_000_000_000),
            of("main", 4, 1_505_250_001),
            of("helper", 2, 250_001)
        ]
    );
    let report = story().report(&query);
    assert_eq!(report.total, story().totals());
    assert!(
        report
            .to_string()
            .contains("rows add up to more than the total")
    );
    // The filter means by `agent` what the groups mean by it.
    assert_eq!(
        rows(&by(["agent"]).only(Dimension::Agent, "main")),
        [of("main", 2, 1_505_000_000)]
    );
    let main = by([]).inclusive_agents().only(Dimension::Agent, "main");
    assert_eq!(story().report(&main).total.amount.nanos(), 1_505_250_001);
}

#[test]
fn hours_days_and_months_begin_where_the_time_zone_says() {
    let rows = |query: CostQuery| {
        let rows = story().report(&query).rows;
        let rows = rows.into_iter().map(|row| {
            format!(
                "{} {}",
                row.group[0].1.as_deref().unwrap(),
                row.sums.lines()
            )
        });
        rows.collect::<Vec<_>>()
    };
    assert_eq!(rows(by(["month"])), ["2026-10 4", "2026-11 2"]);
    assert_eq!(
        rows(by(["hour"])),
        ["2026-10-31T23:00+00:00 4", "2026-11-01T09:00+00:00 2"]
    );
    let india = TimeZone::fixed(jiff::tz::Offset::from_seconds(19_800).unwrap());
    assert_eq!(rows(by(["month"]).time_zone(india.clone())), ["2026-11 6"]);
    assert_eq!(rows(by(["day"]).time_zone(india.clone())), ["2026-11-01 6"]);
    assert_eq!(
        rows(by(["hour"]).time_zone(india)),
        ["2026-11-01T05:00+05:30 4", "2026-11-01T14:00+05:30 2"]
    );
}

#[test]
fn the_hour_that_comes_twice_in_autumn_is_two_rows_and_the_day_is_one() {
    let tracker = CostTracker::new();
    for time in [
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T22:59:00Z",
        "2026-10-25T23:01:00Z",
    ] {
        paid(&run(&tracker, "r", time).build(), "p:m", 1);
    }
    // Central European time, whose summer ends on the last Sunday of October at 1:00 UTC.
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let csv = tracker
        .report(&by(["hour"]).time_zone(berlin.clone()))
        .csv();
    let hours: Vec<&str> = csv
        .lines()
        .filter_map(|line| line.split(',').nth(1))
        .collect();
    assert_eq!(
        hours,
        [
            "hour",
            "2026-10-25T02:00+02:00",
            "2026-10-25T02:00+01:00",
            "2026-10-25T23:00+01:00",
            "2026-10-26T00:00+01:00",
            ""
        ]
    );
    let report = tracker.report(&by(["day"]).time_zone(berlin));
    assert_eq!(
        report
            .rows
            .iter()
            .map(|row| row.sums.requests)
            .collect::<Vec<_>>(),
        [3, 1]
    );
}

#[test]
fn windows_and_filters_choose_lines_and_several_values_are_alternatives() {
    let tracker = story();
    let lines = |query: CostQuery| tracker.report(&query).total.lines();
    let time = |time: &str| time.parse().unwrap();
    assert_eq!(lines(by([]).since(time("2026-11-01T00:00:00Z"))), 2);
    assert_eq!(lines(by([]).until(time("2026-11-01T00:00:00Z"))), 4);
    assert_eq!(
        lines(
            by([])
                .since(time("2026-10-31T00:00:00Z"))
                .until(time("2026-10-31T00:00:00Z"))
        ),
        0
    );
    for (filters, found) in [
        (&[("user", "ada")][..], 4),
        (&[("user", "ada"), ("user", "bob")], 6),
        (&[("user", "ada"), ("model", "mystery")], 1),
        (&[("tag:team", "red")], 4),
        (&[("tag:team", "")], 2),
        (&[("tool", "search")], 3),
        (&[("run", "r2")], 2),
        (&[("provider", "acme")], 2),
        (&[("day", "2026-11-01")], 2),
        (&[("month", "2026-10"), ("user", "bob")], 0),
    ] {
        let query = filters.iter().fold(by([]), |query, (dimension, value)| {
            query.only(dimension.parse().unwrap(), *value)
        });
        assert_eq!(lines(query), found, "{filters:?}");
    }
}

#[test]
fn groups_may_be_of_several_dimensions() {
    let report = story().report(&by(["user", "tag:team", "tool"]));
    assert_eq!(
        report.table(60),
        "\
user   tag:team  tool    requests  charges  unpriced  input  output            USD
bob    (none)    (none)         2        0         1  1,000      10  2.000000000+?
ada    red       (none)         1        0         0  1,000      10  1.500000000
ada    red       search         2        1         1  1,007      18  0.005250001+?
total                           5        1         2  3,007      38  3.505250001+?
2 calls unpriced: the cost is unknown and not in the total.
  acme:mystery: 1 (no price for it)
  acme:mystery: 1 (usage not reported)
"
    );
}

#[test]
fn dimensions_are_read_as_they_are_written() {
    for name in [
        "model",
        "provider",
        "agent",
        "tool",
        "step",
        "run",
        "conversation",
        "session",
        "user",
        "hour",
        "day",
        "month",
        "tag:team",
        "tag:a:b",
    ] {
        assert_eq!(name.parse::<Dimension>().unwrap().to_string(), name);
    }
    let error = "week".parse::<Dimension>().unwrap_err().to_string();
    assert!(
        error.starts_with("expected model, ") && error.ends_with(", or tag:KEY"),
        "{error}"
    );
    assert!("tag:".parse::<Dimension>().is_err());
}
