//! Budgets, through the real command: what refuses, what it says, and what it charges.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use std::process::{Command, Output};

use support::{
    agent, ended,
    script::{Gate, Reply, Scripted, signal},
};

/// What an answer of the script costs: 10 tokens in and 5 out.
const COST: &str = "$0.0000045";

/// `agent run hi` on a model that has a price.
fn run(server: &Scripted, flags: &[&str]) -> Command {
    let mut command = server.agent(&["run", "hi", "--model", "openai:gpt-4o-mini"]);
    command.args(["--base-url", &server.url]).args(flags);
    command
}

fn output(mut command: Command) -> Output {
    command.output().unwrap()
}

fn says(number: usize) -> Scripted {
    Scripted::new((0..number).map(|_| Reply::says("done")))
}

/// The longest answer that a request asked for.
fn longest(server: &Scripted, request: usize) -> Option<u64> {
    server.requests()[request].body["max_completion_tokens"].as_u64()
}

#[test]
fn a_cap_refuses_before_anything_is_sent() {
    let server = says(1);
    let refused = output(run(&server, &["--id", "r", "--max-cost-usd", "0.00001"]));
    let (code, out, err) = ended(&refused);
    assert_eq!(code, Some(3), "{out}{err}");
    assert!(server.requests().is_empty());
    for said in [
        "budget `run` of `r` has $0.00001 left of $0.00001, and this may take $0.0",
        "Nothing was sent.",
        "agent resume r --max-cost-usd X",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
    assert!(
        out.contains("\nBudgets: this run $0 of $0.00001 (0 %).\n"),
        "{out}"
    );
    let output = output(run(&server, &["--max-cost-usd", "0.00001", "--no-store"]));
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(3), "{err}");
    assert!(
        server.requests().is_empty() && !err.contains("agent resume"),
        "{err}"
    );
}

#[test]
fn an_answer_is_asked_for_as_long_as_the_cap_allows() {
    let server = says(2);
    let passed = output(run(&server, &["--max-cost-usd", "0.001"]));
    let (code, out, err) = ended(&passed);
    assert_eq!((code, err), (Some(0), ""), "{out}");
    assert!(out.starts_with("done\n"), "{out}");
    let said = format!("\nBudgets: this run {COST} of $0.001 (0 %).\n");
    assert!(out.contains(&said), "{out}");
    assert!((1_000..1_667).contains(&longest(&server, 0).unwrap()));
    let output = output(run(&server, &[]));
    assert_eq!(ended(&output).0, Some(0));
    assert_eq!(longest(&server, 1), None, "without a budget nothing is cut");
}

#[test]
fn wrong_amounts_are_refused() {
    for amount in ["0", "-1", "1e3", "0.0000000001", "much", "NaN", ""] {
        let flag = format!("--max-cost-usd={amount}");
        let output = agent(&["run", "hi", &flag]).output().unwrap();
        let (code, _, err) = ended(&output);
        assert_eq!(code, Some(2), "{amount}: {err}");
        assert!(err.contains("max-cost-usd"), "{amount}: {err}");
    }
}

#[test]
fn a_cap_counts_all_lives_of_a_run() {
    let file = r#"{"path":"notes.txt"}"#;
    let server = Scripted::new([Reply::calls_with("read_file", file), Reply::says("done")]);
    // What the second request has to read may cost more than the first one leaves.
    let notes = server.folder.path().join("notes.txt");
    std::fs::write(notes, "a line\n".repeat(1_200)).unwrap();
    let mut first = run(
        &server,
        &["--id", "r", "--max-cost-usd", "0.001", "--workspace"],
    );
    first.arg(server.folder.path());
    let first = output(first);
    let (code, out, err) = ended(&first);
    assert_eq!(code, Some(3), "{out}{err}");
    assert_eq!(server.requests().len(), 1);
    let spent = "this run $0.0000045 of $0.001 (0 %)";
    assert!(out.contains(spent), "{out}");

    let again = server.agent(&["resume", "r"]).output().unwrap();
    let (code, out, err) = ended(&again);
    assert_eq!(code, Some(3), "{out}{err}");
    assert_eq!(server.requests().len(), 1);
    assert!(out.contains(spent), "{out}");

    let lower = server
        .agent(&["resume", "r", "--max-cost-usd", "0.000001"])
        .output()
        .unwrap();
    let (code, _, err) = ended(&lower);
    assert_eq!(code, Some(3), "{err}");
    assert!(
        err.contains("run r has cost $0.0000045 already, and may cost $0.000001"),
        "{err}"
    );

    let more = server
        .agent(&["resume", "r", "--max-cost-usd", "0.01"])
        .output()
        .unwrap();
    let (code, out, err) = ended(&more);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.contains("Budgets: this run $0.000009 of $0.01 (0 %)."),
        "{out}"
    );
}

#[test]
fn a_cap_that_comes_later_counts_what_was_spent_before() {
    let server = Scripted::new([
        Reply::calls("list_files"),
        Reply::Status("401 Unauthorized"),
        Reply::says("done"),
    ]);
    let mut first = run(&server, &["--id", "r", "--workspace"]);
    first.arg(server.folder.path());
    assert_eq!(ended(&output(first)).0, Some(1));
    let capped = server
        .agent(&["resume", "r", "--max-cost-usd", "0.01"])
        .output()
        .unwrap();
    let (code, out, err) = ended(&capped);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(
        out.contains("Budgets: this run $0.000009 of $0.01 (0 %)."),
        "{out}"
    );
}

#[test]
fn budgets_of_the_user_hold_over_all_runs() {
    let server = says(3);
    let made = server.said(&[
        "budget", "set", "day", "--usd", "0.00012", "--window", "day",
    ]);
    assert!(
        made.starts_with("made budget day in ") && made.ends_with("budgets.toml\n"),
        "{made}"
    );
    for _ in 0..2 {
        let passed = output(run(&server, &["--no-store"]));
        let (code, out, err) = ended(&passed);
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(out.contains("Budgets: day $0.00000"), "{out}");
    }
    server.said(&["budget", "set", "day", "--usd", "0.00002"]);
    let refused = output(run(&server, &["--id", "r"]));
    let (code, _, err) = ended(&refused);
    assert_eq!(code, Some(3), "{err}");
    for said in [
        "budget `day` has $0.000011 left of $0.00002",
        "it is filled again at ",
        "`agent budget reset day` begins it anew",
        "alert: budget `day` has refused something for the first time",
        "run r can go on when there is budget again: agent resume r",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
    assert_eq!(server.requests().len(), 2);
    assert_eq!(
        server.said(&["budget", "reset", "day"]),
        "1 account begun anew\n"
    );
    server.said(&["budget", "set", "day", "--usd", "1"]);
    let resumed = server.agent(&["resume", "r"]).output().unwrap();
    assert_eq!(ended(&resumed).0, Some(0), "{resumed:?}");

    let listed = server.json(&["budget", "list", "--json"]);
    let day = &listed["budgets"][0];
    assert_eq!(
        (&day["name"], &day["caps"]["usd"]),
        (&"day".into(), &"1".into())
    );
    assert_eq!(day["accounts"][0]["committed"]["nano_usd"], 4_500);
    assert!(day["accounts"][0]["period_end"].is_string(), "{day}");
    assert_eq!(
        server.said(&["budget", "remove", "day"]),
        "removed budget day\n"
    );
    assert_eq!(
        server.json(&["budget", "list", "--json"])["budgets"],
        serde_json::json!([])
    );
}

#[test]
fn budgets_are_listed_as_they_stand() {
    let server = says(1);
    let set = [
        "budget",
        "set",
        "calls",
        "--requests",
        "4",
        "--tokens",
        "100000",
    ];
    server.said(&set);
    server.said(&[
        "budget", "set", "people", "--usd", "1", "--scope", "user", "--soft",
    ]);
    let passed = output(run(&server, &["--user", "alice"]));
    assert_eq!(ended(&passed).0, Some(0), "{passed:?}");
    let expected = "\
calls: hard, global, lifetime
  alerts at 50, 80, 100 %
  account  of        spent  reserved      cap  part
  all      tokens       15         0  100,000   0 %
           requests      1         0        4  25 %

people: soft, user, lifetime
  alerts at 50, 80, 100 %
  account  of         spent   reserved        cap  part
  alice    money  $0.000005  $0.000000  $1.000000   0 %
";
    assert_eq!(server.said(&["budget", "list"]), expected);
    let unknown = server
        .agent(&["budget", "reset", "people", "--scope", "bob"])
        .output()
        .unwrap();
    let (code, _, err) = ended(&unknown);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("there is no account bob"), "{err}");
    let changed = server.said(&["budget", "set", "people", "--scope", "tag:team"]);
    assert!(changed.contains("begins with nothing spent"), "{changed}");
    let listed = server.said(&["budget", "list"]);
    assert!(!listed.contains("alice"), "{listed}");
    assert!(
        listed.ends_with("  nothing is spent yet of $1\n"),
        "{listed}"
    );
}

#[test]
fn budgets_by_user_and_by_tag_are_apart() {
    let server = says(2);
    server.said(&[
        "budget",
        "set",
        "each",
        "--requests",
        "1",
        "--scope",
        "user",
    ]);
    server.said(&[
        "budget",
        "set",
        "team",
        "--requests",
        "1",
        "--scope",
        "tag:team:search",
    ]);
    for (flags, code) in [
        (&["--user", "alice"][..], 0),
        (&["--user", "bob", "--tag", "team=search"], 0),
        (&["--user", "alice"], 3),
        (&["--user", "carol", "--tag", "team=search"], 3),
    ] {
        let output = output(run(&server, flags));
        assert_eq!(ended(&output).0, Some(code), "{flags:?}: {output:?}");
    }
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn b8_two_processes_share_a_cap() {
    let gate = Gate::default();
    let server = Scripted::new([Reply::says("done").behind(&gate)]);
    server.said(&["budget", "set", "one", "--requests", "1"]);
    let first = run(&server, &["--id", "first"]).spawn().unwrap();
    while server.requests().is_empty() {
        std::thread::yield_now();
    }
    let second = output(run(&server, &["--id", "second"]));
    let (code, _, err) = ended(&second);
    assert_eq!(code, Some(3), "{err}");
    gate.open();
    let first = first.wait_with_output().unwrap();
    assert_eq!(ended(&first).0, Some(0), "{first:?}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn b5_what_was_under_way_in_a_process_that_was_killed_is_charged_and_listed() {
    let server = Scripted::new([Reply::begins("begun\n"), Reply::says("done")]);
    server.said(&["budget", "set", "all", "--requests", "10"]);
    let first = run(&server, &["--id", "first"]).spawn().unwrap();
    while server.requests().is_empty() {
        std::thread::yield_now();
    }
    signal(&first, "KILL");
    first.wait_with_output().unwrap();
    let passed = output(run(&server, &[]));
    assert_eq!(ended(&passed).0, Some(0), "{passed:?}");
    let listed = server.json(&["budget", "list", "--json"]);
    let committed = &listed["budgets"][0]["accounts"][0]["committed"];
    assert_eq!(committed["requests"], 2, "{listed}");
    assert_eq!(listed["in_doubt"][0]["run_id"], "first", "{listed}");
    let listed = server.said(&["budget", "list"]);
    assert!(
        listed.contains("\nIn doubt, so charged whole: "),
        "{listed}"
    );
}

#[test]
fn b3_a_price_that_nobody_knows_is_refused_under_a_hard_cap() {
    let server = says(2);
    let refused = server.run(&["--max-cost-usd", "1"]).output().unwrap();
    let (code, _, err) = ended(&refused);
    assert_eq!(code, Some(3), "{err}");
    assert!(
        err.contains("no price of `m` of `openai` is known"),
        "{err}"
    );
    assert!(
        err.contains("AGENT_SDK_PRICES") && err.contains("`agent prices`"),
        "{err}"
    );
    assert!(server.requests().is_empty());
    let prices = server.home.path().join("prices.json");
    let price =
        r#"{"id": "m", "match": {"exact": "m"}, "prices": [{"input": "1", "output": "2"}]}"#;
    let table = format!(
        r#"{{"date": "2026-11-21", "providers": [{{"id": "openai", "models": [{price}]}}]}}"#
    );
    std::fs::write(&prices, table).unwrap();
    let mut paid = server.run(&["--max-cost-usd", "1", "--no-store"]);
    let paid = paid.env("AGENT_SDK_PRICES", &prices).output().unwrap();
    let (code, out, err) = ended(&paid);
    assert_eq!((code, err), (Some(0), ""), "{out}");
    assert!(
        out.contains("Budgets: this run $0.00002 of $1 (0 %)."),
        "{out}"
    );
    server.said(&["budget", "set", "soft", "--usd", "1", "--soft"]);
    let passed = server.run(&["--no-store"]).output().unwrap();
    assert_eq!(ended(&passed).0, Some(0), "{passed:?}");
}

#[test]
fn a_broken_file_names_its_place_and_nothing_is_asked() {
    let server = says(1);
    let file = server.home.path().join("budgets.toml");
    std::fs::write(&file, "[[budget]]\nname = \"b\"\ncaps = { euro = 1 }\n").unwrap();
    let refused = output(run(&server, &["--no-store"]));
    let listed = server.agent(&["budget", "list"]).output().unwrap();
    let set = server
        .agent(&["budget", "set", "c", "--usd", "1"])
        .output()
        .unwrap();
    for output in [refused, listed, set] {
        let (code, out, err) = ended(&output);
        assert_eq!((code, out), (Some(2), ""), "{err}");
        let place = format!(
            "error: {}, line 3, column 10: unknown field `euro`",
            file.display()
        );
        assert!(err.starts_with(&place), "{err}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn alerts_go_to_the_command_and_the_webhook_that_the_file_names() {
    let server = says(2);
    let (file, told) = (
        server.home.path().join("budgets.toml"),
        server.folder.path().join("told"),
    );
    let budget = "[[budget]]\nname = \"b\"\ncaps = { requests = 2 }\nalerts = [50]\n";
    let command = format!(
        "[[alert]]\ncommand = ['sh', '-c', 'cat > \"$0\"', '{}']\n",
        told.display()
    );
    std::fs::write(&file, format!("{budget}{command}")).unwrap();
    let passed = output(run(&server, &[]));
    let (code, _, err) = ended(&passed);
    let alert = "alert: budget `b` has reached 50 % of its cap; 1 of 2 requests\n";
    assert_eq!((code, err), (Some(0), alert));
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(told).unwrap()).unwrap();
    assert_eq!(
        (&told["alert"], &told["budget"]),
        (&"threshold".into(), &"b".into())
    );

    let webhook = "[[alert]]\nwebhook = \"NO_SUCH_VARIABLE\"\nform = \"slack\"\n";
    std::fs::write(&file, format!("{budget}{webhook}")).unwrap();
    let refused = output(run(&server, &[]));
    let (code, _, err) = ended(&refused);
    assert_eq!(code, Some(2), "{err}");
    assert!(
        err.contains("the environment variable NO_SUCH_VARIABLE"),
        "{err}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn from_a_part_of_a_cap_on_a_cheaper_model_is_asked() {
    let server = says(2);
    let set = ["budget", "set", "b", "--requests", "10", "--alerts", "10"];
    let mut set = server.agent(&set);
    set.args(["--degrade-at", "10", "--degrade-to", "openai:gpt-5-nano"]);
    assert_eq!(ended(&output(set)).0, Some(0));
    let first = output(run(&server, &[]));
    let (code, _, err) = ended(&first);
    let alert = "alert: budget `b` has reached 10 % of its cap; 1 of 10 requests\n";
    assert_eq!((code, err), (Some(0), alert));
    assert_eq!(ended(&output(run(&server, &[]))).0, Some(0));
    let asked: Vec<_> = server
        .requests()
        .iter()
        .map(|it| it.body["model"].clone())
        .collect();
    assert_eq!(asked, ["gpt-4o-mini", "gpt-5-nano"]);
}

#[test]
fn what_comes_from_a_recording_is_charged_to_nobody() {
    let server = says(1);
    let tape = server.folder.path().join("tape.jsonl");
    let mut recorded = run(&server, &["--record"]);
    recorded.arg(&tape);
    assert_eq!(ended(&output(recorded)).0, Some(0));
    server.said(&["budget", "set", "none", "--requests", "1"]);
    for _ in 0..2 {
        let mut replayed = run(&server, &["--replay"]);
        replayed.arg(&tape);
        let replayed = output(replayed);
        assert_eq!(ended(&replayed).0, Some(0), "{replayed:?}");
    }
    let listed = server.said(&["budget", "list"]);
    assert!(
        listed.contains("nothing is spent yet of 1 request"),
        "{listed}"
    );
}
