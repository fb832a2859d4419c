//! Memory is bounded, and no total changes for it.

use super::*;

fn days(tracker: &CostTracker) {
    for (time, user, nanos) in [
        ("2026-11-01T10:00:00Z", "ada", 1),
        ("2026-11-01T20:00:00Z", "ada", 10),
        ("2026-11-02T10:00:00Z", "ada", 100),
        ("2026-11-02T11:00:00Z", "bob", 1_000),
        ("2026-11-03T10:00:00Z", "bob", 10_000),
    ] {
        let context = run(tracker, time, time)
            .user(user)
            .tag("team", "red")
            .build();
        let agent = trace_agent(&context, "a").begin();
        paid(agent.context(), "p:m", nanos);
        agent.end(Outcome::Ok, Payload::None);
    }
}

#[test]
fn the_oldest_lines_give_way_to_sums_and_reports_say_so() {
    let tracker = CostTracker::with_capacity(1);
    days(&tracker);
    assert_eq!((tracker.lines().len(), tracker.folded()), (1, 4));
    let all = CostTracker::new();
    days(&all);
    // What the sums still tell apart is as if no line were missing.
    for names in [
        &["user"][..],
        &["day"],
        &["model", "provider", "agent"],
        &["month", "user"],
    ] {
        let query = || CostQuery::by(names.iter().map(|name| name.parse().unwrap()));
        let (kept, whole) = (tracker.report(&query()), all.report(&query()));
        assert_eq!(
            (&kept.rows, kept.total, kept.folded),
            (&whole.rows, whole.total, 4),
            "{names:?}"
        );
    }
    assert_eq!(
        tracker.report(&by(["tag:team", "hour"])).to_string(),
        "\
tag:team  hour                    requests  unpriced  input  output          USD
red       2026-11-03T10:00+00:00         1         0  1,000      10  0.000010000
(folded)  2026-11-02T10:00+00:00         1         0  1,000      10  0.000000100
(folded)  2026-11-02T11:00+00:00         1         0  1,000      10  0.000001000
(folded)  (folded)                       2         0  2,000      20  0.000000011
total                                    5         0  5,000      50  0.000011111
Of 4 lines only sums are left; the amounts are exact.
"
    );
}

#[test]
fn sums_that_may_belong_to_a_window_or_not_are_in_no_row_and_are_named() {
    let tracker = CostTracker::with_capacity(0);
    days(&tracker);
    let since = |time: &str| tracker.report(&by(["day"]).since(time.parse().unwrap()));
    let whole = since("2026-11-02T00:00:00Z");
    assert_eq!(
        (whole.total.amount.nanos(), whole.undecided.amount.nanos()),
        (11_100, 0)
    );
    let cut = since("2026-11-01T12:00:00Z");
    assert_eq!(
        (cut.total.amount.nanos(), cut.undecided.amount.nanos()),
        (11_100, 11)
    );
    assert!(
        cut.to_string().ends_with("Not in the total: 0.000000011 USD of 2 lines that may belong here; only sums of them are left.\n"),
        "{cut}"
    );
    let team = tracker.report(&by([]).only(Dimension::Tag("team".into()), "red"));
    assert_eq!(
        (team.total.amount.nanos(), team.undecided.amount.nanos()),
        (0, 11_111)
    );
    let ada = by([])
        .only(Dimension::Tag("team".into()), "red")
        .only(Dimension::User, "ada");
    assert_eq!(tracker.report(&ada).undecided.amount.nanos(), 111);
}

#[test]
fn beyond_the_most_sums_there_is_one_for_each_day() {
    let tracker = CostTracker::with_capacity(0);
    let users = u64::try_from(fold::MAX_FOLDS).unwrap() + 50;
    for user in 0..users {
        let context = run(&tracker, "r", "2026-11-01T10:00:00Z")
            .user(user.to_string())
            .build();
        paid(&context, "p:m", user);
    }
    assert_eq!(tracker.lock().folds.len(), fold::MAX_FOLDS + 1);
    assert_eq!(tracker.folded(), users);
    let report = tracker.report(&by(["user"]).max_rows(usize::MAX));
    assert_eq!(report.total, tracker.totals());
    assert_eq!(report.total.amount.nanos(), users * (users - 1) / 2);
    let folded = report
        .rows
        .iter()
        .find(|row| row.row == RowKind::Folded)
        .unwrap();
    assert_eq!(folded.sums.requests, 50);
}

#[test]
fn what_fits_no_row_is_in_one_of_the_others() {
    let tracker = CostTracker::new();
    for user in 0..20 {
        let context = run(&tracker, "r", "2026-11-01T10:00:00Z")
            .user(user.to_string())
            .build();
        paid(&context, "p:m", 1 << user);
        unpriced(&context, "p:n", Usage::unknown());
    }
    let report = tracker.report(&by(["user"]).max_rows(3).max_unpriced(5));
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.row, row.sums.amount.nanos()))
        .collect();
    let group = RowKind::Group;
    assert_eq!(
        rows,
        [
            (group, 4),
            (group, 2),
            (group, 1),
            (RowKind::Other, (1 << 20) - 8)
        ]
    );
    assert_eq!(
        report.rows.iter().map(|row| row.sums.unpriced).sum::<u64>(),
        20
    );
    assert_eq!(
        (report.unpriced_calls.len(), report.total.unpriced),
        (5, 20)
    );
    assert!(
        report
            .to_string()
            .ends_with("  p:n: 5 (usage not reported)\n  and 15 more\n"),
        "{report}"
    );
    assert!(report.csv().contains("\r\nother,,"), "{}", report.csv());
}

#[test]
fn operations_that_never_end_take_bounded_room() {
    let tracker = CostTracker::new();
    let context = RunContext::builder().observers(tracker.observers()).build();
    for _ in 0..70_000 {
        std::mem::forget(trace_agent(&context, "a").begin());
    }
    assert_eq!(tracker.lock().places.len(), 65_536);
    let agent = trace_agent(&context, "late").begin();
    paid(agent.context(), "p:m", 1);
    assert_eq!(tracker.lines()[0].agent().map(|name| &**name), Some("late"));
}

#[test]
fn the_sums_of_single_runs_are_those_of_the_last() {
    let tracker = CostTracker::with_capacity(0);
    for number in 0..=runs::MAX_RUNS {
        paid(
            &run(&tracker, &number.to_string(), "2026-11-01T10:00:00Z").build(),
            "p:m",
            5,
        );
    }
    assert_eq!(tracker.run_totals(&"0".into()), None);
    assert_eq!(tracker.run_totals(&"1".into()).unwrap().amount.nanos(), 5);
}
