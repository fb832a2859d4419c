//! What budgets.toml may say, how it is changed, and how budgets are listed.

use std::path::Path;

use agent_sdk::budget::{Budget, Limit, Standing};
use clap::Parser;
use serde_json::json;

use super::{
    account,
    definitions::{self, Definitions},
    edit::Edit,
    list,
};
use crate::{
    args::{Arguments, BudgetCommand, Command},
    exit::{Exit, Failure},
    terminal::Style,
};

const FILE: &str = "\
# What may be spent.
[[budget]]
name = \"day\"
window = \"day@Europe/Berlin\" # of the office
caps = { usd = 5 }

# The search team's.
[[budget]]
name = \"team\"
scope = \"tag:team\"
window = \"month\"
limit = \"soft\"
alerts = [90]
degrade = { at = 80, to = \"openai:gpt-5-nano\" }

[budget.caps]
usd = \"200.5\"
tool_calls = 10
";

fn set(folder: &Path, line: &str) -> Result<Option<Budget>, Failure> {
    let line = format!("agent budget set {line}");
    let parsed = Arguments::try_parse_from(line.split_whitespace()).unwrap();
    let Command::Budget(parsed) = parsed.command else {
        panic!("no budget");
    };
    let BudgetCommand::Set(arguments) = parsed.what else {
        panic!("not set");
    };
    Edit::begin(folder)?.set(&arguments)
}

fn text(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("budgets.toml")).unwrap()
}

#[test]
fn a_file_of_budgets_is_read() {
    let all = definitions::parse(FILE).unwrap().all;
    let [day, team] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!(day.budget.caps.usd, Some("5".parse().unwrap()));
    assert_eq!(day.budget.window.to_string(), "day@Europe/Berlin");
    assert_eq!(day.budget.alerts, [50, 80, 100]);
    assert_eq!(
        (day.budget.limit, day.degrade.is_none()),
        (Limit::Hard, true)
    );
    assert_eq!(team.budget.scope.to_string(), "tag:team");
    assert_eq!(team.budget.caps.tool_calls, Some(10));
    assert_eq!(
        (team.budget.limit, &*team.budget.alerts),
        (Limit::Soft, &[90][..])
    );
    let (at, to) = team.degrade.as_ref().unwrap();
    assert_eq!((*at, to.to_string()), (80, "openai:gpt-5-nano".to_owned()));
    assert!(definitions::parse("").unwrap().is_empty());
}

#[test]
fn a_mistake_has_a_place() {
    let head = "[[budget]]\nname = \"b\"\n";
    for (text, place, what) in [
        ("[[budget]\n", (1, 10), "unclosed array table"),
        (
            "[[budgets]]\nname = \"b\"\n",
            (1, 3),
            "unknown field `budgets`",
        ),
        (
            "[[budget]]\ncaps = {usd = 1}\n",
            (1, 1),
            "missing field `name`",
        ),
        (
            &format!("{head}caps = {{usd = \"much\"}}\n"),
            (3, 15),
            "US dollars",
        ),
        (
            &format!("{head}caps = {{usd = -1}}\n"),
            (3, 15),
            "US dollars",
        ),
        (
            &format!("{head}caps = {{eur = 1}}\n"),
            (3, 9),
            "unknown field `eur`",
        ),
        (&format!("{head}caps = {{}}\n"), (1, 1), "caps nothing"),
        (
            &format!("{head}caps = {{usd = 1}}\nalerts = [0]\n"),
            (1, 1),
            "threshold",
        ),
        (
            &format!("{head}caps = {{usd = 1}}\nwindow = \"week\"\n"),
            (4, 10),
            "\"week\" is no window",
        ),
        (
            &format!("{head}caps = {{usd = 1}}\nscope = \"tag\"\n"),
            (4, 9),
            "\"tag\" is no scope",
        ),
        (
            &format!("{head}caps = {{usd = 1}}\ndegrade = {{at = 80, to = \"m\"}}\n"),
            (4, 11),
            "expected PROVIDER:NAME",
        ),
        (
            &format!("{head}caps = {{usd = 1}}\ndegrade = {{at = 0, to = \"p:m\"}}\n"),
            (4, 11),
            "`at` is 0",
        ),
        (
            &format!("{head}caps = {{usd = 1}}\n{head}caps = {{usd = 1}}\n"),
            (5, 8),
            "two budgets",
        ),
        ("[[alert]]\n", (1, 1), "give one of them"),
        (
            "[[alert]]\nwebhook = \"A\"\ncommand = [\"b\"]\n",
            (1, 1),
            "give one of them",
        ),
        ("[[alert]]\ncommand = []\n", (1, 1), "a program"),
        (
            "[[alert]]\ncommand = [\"b\"]\nform = \"slack\"\n",
            (1, 1),
            "belong to a `webhook`",
        ),
        (
            "[[alert]]\nwebhook = \"A\"\nform = \"xml\"\n",
            (3, 8),
            "unknown variant",
        ),
        (
            "[[budget]]\nname = \"run\"\ncaps = {usd = 1}\n",
            (2, 8),
            "--max-cost-usd",
        ),
    ] {
        let mistake = definitions::parse(text).unwrap_err();
        assert_eq!(mistake.place, Some(place), "{text}: {mistake:?}");
        assert!(mistake.what.contains(what), "{text}: {mistake:?}");
        assert!(!mistake.what.contains('\n'), "{mistake:?}");
        let failure = mistake.at(Path::new("budgets.toml"));
        assert_eq!(failure.exit, Exit::Usage);
        let (line, column) = place;
        let said = format!("error: budgets.toml, line {line}, column {column}: ");
        assert!(failure.to_string().starts_with(&said), "{failure}");
    }
}

#[test]
fn a_change_leaves_the_rest_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("budgets.toml"), FILE).unwrap();
    let before = set(folder.path(), "day --usd 7.50 --window hour --soft").unwrap();
    assert_eq!(before.unwrap().window.to_string(), "day@Europe/Berlin");
    let expected = FILE.replace("\"day@Europe/Berlin\"", "\"hour\"").replace(
        "caps = { usd = 5 }",
        "caps = { usd = \"7.5\" }\nlimit = \"soft\"",
    );
    assert_eq!(text(folder.path()), expected);
    set(
        folder.path(),
        "team --requests 3 --hard --degrade-at 50 --degrade-to p:m",
    )
    .unwrap();
    let expected = expected
        .replace("limit = \"soft\"\nalerts", "limit = \"hard\"\nalerts")
        .replace(
            "{ at = 80, to = \"openai:gpt-5-nano\" }",
            "{ at = 50, to = \"p:m\" }",
        )
        .replace("tool_calls = 10\n", "tool_calls = 10\nrequests = 3\n");
    assert_eq!(text(folder.path()), expected);
    Edit::begin(folder.path()).unwrap().remove("team").unwrap();
    let expected: Vec<_> = expected.split("\n# The search").take(1).collect();
    assert_eq!(text(folder.path()), expected.concat());
}

#[test]
fn a_new_file_is_made_for_this_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let made = set(
        folder.path(),
        "b --usd 0.000000001 --scope user:alice --alerts 90,10",
    )
    .unwrap();
    assert_eq!(made, None);
    let expected = "[[budget]]\nname = \"b\"\ncaps = { usd = \"0.000000001\" }\nscope = \"user:alice\"\nalerts = [90, 10]\n";
    assert_eq!(text(folder.path()), expected);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let known = std::fs::metadata(folder.path().join("budgets.toml")).unwrap();
        assert_eq!(known.permissions().mode() & 0o777, 0o600);
    }
    // What would be no budget is not written.
    let failure = set(folder.path(), "c --soft").unwrap_err();
    assert!(failure.to_string().contains("caps nothing"), "{failure}");
    assert_eq!(text(folder.path()), expected);
    let failure = set(folder.path(), "run --usd 1").unwrap_err();
    assert!(failure.to_string().contains("--max-cost-usd"), "{failure}");
    let failure = Edit::begin(folder.path()).unwrap().remove("c").unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    Edit::begin(folder.path()).unwrap().remove("b").unwrap();
    assert_eq!(text(folder.path()), "\n");
}

#[test]
fn an_account_is_named_alone_or_as_a_scope() {
    for (scope, named, expected) in [
        ("user", "alice", "alice"),
        ("user", "user:alice", "alice"),
        ("user:alice", "user:alice", "alice"),
        ("tag:team", "tag:team:search", "search"),
        ("tag:team", "search", "search"),
        ("user", "user", "user"),
        ("global", "all", ""),
    ] {
        assert_eq!(account(&scope.parse().unwrap(), named), expected, "{named}");
    }
}

fn standing(budget: &str, scope: &str, committed: u64, reserved: u64, debt: u64) -> Standing {
    let amounts = |nano_usd: u64| json!({"nano_usd": nano_usd, "tokens": nano_usd / 10_000_000, "tool_calls": 3});
    let period = json!({"start": "2026-11-20T23:00:00Z", "end": "2026-11-21T23:00:00Z"});
    serde_json::from_value(json!({
        "budget": budget, "scope": scope, "caps": {}, "committed": amounts(committed),
        "reserved": amounts(reserved), "debt": {"nano_usd": debt}, "period": period, "percent": 24,
    }))
    .unwrap()
}

#[test]
fn budgets_are_listed_in_eighty_columns() {
    let text = format!("{FILE}\n[[budget]]\nname = \"new\"\nalerts = []\ncaps = {{tokens = 1}}\n");
    let definitions = Definitions {
        path: "budgets.toml".into(),
        ..definitions::parse(&text).unwrap()
    };
    let standings = [
        standing("day", "", 1_234_567_000, 100_000_000, 0),
        // Of a scope that the budget had before.
        standing("day", "alice", 1, 0, 0),
        standing(
            "team",
            "a-team-with-a-name-that-is-long",
            12_000_000_000,
            0,
            0,
        ),
        standing("team", "search\x1b[2J", 200_000_000_000, 0, 1_500_000_000),
    ];
    let doubt = json!({
        "run_id": "r", "what": "gpt-5", "charged": {"nano_usd": 7_500_000, "tokens": 5000, "requests": 1},
        "reserved_at": "2026-11-21T10:00:00Z", "found_at": "2026-11-21T11:00:00Z", "budgets": ["day"],
    });
    let doubts = [serde_json::from_value(doubt).unwrap()];
    let drawn = list::draw(&definitions, &standings, &doubts, Style::PLAIN, 80);
    let expected = r"day: hard, global, day@Europe/Berlin until 2026-11-21 23:00:00Z
  alerts at 50, 80, 100 %
  account  of         spent   reserved        cap  part
  all      money  $1.234567  $0.100000  $5.000000  24 %

team: soft, tag:team, month until 2026-11-21 23:00:00Z
  alerts at 90 %; from 80 % on openai:gpt-5-nano is asked
  account               of                spent   reserved          cap   part
  a-team-with-a-name-…  money        $12.000000  $0.000000  $200.500000    5 %
                        tool calls            3          3           10   30 %
  search\x1b[2J         money       $201.500000  $0.000000  $200.500000  100 %
                        tool calls            3          3           10   30 %
  search\x1b[2J owes $1.5, billed above what was put aside:
    agent budget accept-debt team --scope search\x1b[2J

new: hard, global, lifetime
  no alerts
  nothing is spent yet of 1 token

In doubt, so charged whole: what was under way in processes that were killed
  begun                 run  charged                          for
  2026-11-21 10:00:00Z  r    $0.0075, 5000 tokens, 1 request  gpt-5
";
    assert_eq!(drawn, expected);
    assert!(drawn.lines().all(|line| line.chars().count() <= 80));
}
