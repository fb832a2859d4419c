//! `agent cost report`: what runs of the command spent.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use support::{
    KEY, agent, agent_in, ended,
    script::{Reply, Scripted},
};

/// A run of two requests that have a price, and one of a request that has none.
fn spent() -> Scripted {
    let server = Scripted::new([
        Reply::calls("list_files"),
        Reply::says("one file"),
        Reply::says("hello"),
    ]);
    let run = |arguments: &[&str]| {
        let mut command = server.agent(&["run", "hi", "--base-url", &server.url]);
        command.args(arguments).env("OPENAI_API_KEY", KEY);
        let output = command.output().unwrap();
        let (code, out, err) = ended(&output);
        assert_eq!((code, err), (Some(0), ""), "{out}");
    };
    let folder = server.folder.path().to_str().unwrap();
    run(&[
        "--model",
        "openai:gpt-4o-mini",
        "--id",
        "r1",
        "--user",
        "ada",
        "--tag",
        "team=red",
        "--workspace",
        folder,
    ]);
    run(&["--model", "openai:in-house", "--id", "r2", "--user", "=bob"]);
    server
}

fn report(server: &Scripted, arguments: &[&str]) -> String {
    let all = [&["cost", "report", "--tz", "UTC"], arguments].concat();
    server.said(&all)
}

#[test]
fn what_runs_spent_is_reported_by_model_within_80_columns() {
    let server = spent();
    let table = report(&server, &["--since", "all"]);
    assert_eq!(
        table,
        "\
Cost of all that is kept, UTC time
model        requests  unpriced  input  output         USD
gpt-4o-mini         2         0     20      10  0.000009
in-house            1         1     10       5           ?
total               3         1     30      15  0.000009+?
1 call unpriced: the cost is unknown and not in the total.
  openai:in-house: 1 (no price for it)
"
    );
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
    let recent = report(&server, &["--since", "1d", "--by", "day,user"]);
    let (window, recent) = recent.split_once('\n').unwrap();
    assert!(
        window.starts_with("Cost since 20") && window.ends_with(", UTC time"),
        "{window}"
    );
    assert!(recent.starts_with("day         user  requests"), "{recent}");
}

#[test]
fn a_report_is_json_and_csv_and_its_filters_choose() {
    let server = spent();
    let json: serde_json::Value = serde_json::from_str(&report(
        &server,
        &[
            "--since", "1d", "--format", "json", "--by", "user", "--by", "tag:team",
        ],
    ))
    .unwrap();
    assert_eq!(json["dimensions"], serde_json::json!(["user", "tag:team"]));
    assert_eq!(
        json["rows"][0]["group"],
        serde_json::json!({"user": "ada", "tag:team": "red"})
    );
    assert_eq!(json["rows"][0]["cost_usd"], "0.000009");
    assert_eq!(
        (&json["total"]["requests"], &json["total"]["cost_usd"]),
        (&3.into(), &"0.000009".into())
    );
    assert_eq!(json["unpriced_calls"][0]["run_id"], "r2");

    let csv = report(
        &server,
        &["--since", "1d", "--format", "csv", "--by", "user"],
    );
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(lines[1], "group,ada,2,0,0,0,20,10,,,,0.000009");
    assert_eq!(lines[2], "group,'=bob,1,0,1,0,10,5,,,,0");
    assert_eq!(lines[3], "total,,3,0,1,0,30,15,,,,0.000009");

    for (filters, requests) in [
        (&["--user", "ada"][..], 2),
        (&["--user", "ada", "--user", "=bob"], 3),
        (&["--model", "in-house"], 1),
        (&["--provider", "openai", "--run", "r1"], 2),
        (&["--tag", "team=red"], 2),
        (&["--agent", "nobody"], 0),
        (&["--until", "2000-01-01"], 0),
    ] {
        let all = [&["--since", "all", "--format", "json"], filters].concat();
        let json: serde_json::Value = serde_json::from_str(&report(&server, &all)).unwrap();
        assert_eq!(json["total"]["requests"], requests, "{filters:?}");
    }
}

#[test]
fn a_resumed_run_adds_what_it_spends_and_one_that_keeps_nothing_adds_nothing() {
    let server = Scripted::new([
        Reply::calls("list_files"),
        Reply::says("one"),
        Reply::says("two"),
    ]);
    let requests = || {
        let json = report(&server, &["--since", "1d", "--format", "json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["total"]["requests"].as_u64().unwrap()
    };
    let stopped = server
        .run_with_tools(&["--max-turns", "1"])
        .output()
        .unwrap();
    assert_eq!(ended(&stopped).0, Some(4));
    assert_eq!(requests(), 1);
    let mut resume = server.agent(&["resume", "r", "--max-turns", "2"]);
    let resumed = resume.env("OPENAI_API_KEY", KEY).output().unwrap();
    assert_eq!(ended(&resumed).0, Some(0), "{resumed:?}");
    assert_eq!(requests(), 2);
    let output = server.run(&["--no-store"]).output().unwrap();
    assert_eq!(ended(&output).0, Some(0), "{output:?}");
    assert_eq!(requests(), 2);
    // What it cost outlives the run, until it is old itself.
    server.said(&["runs", "delete", "r"]);
    assert_eq!(requests(), 2);
    assert_eq!(
        server.said(&["cleanup", "--days", "0"]),
        "deleted 0 runs, 0 bytes\n"
    );
    let would = server.said(&["cleanup", "--days", "1", "--cost-days", "0", "--dry-run"]);
    assert!(
        would.starts_with("would delete 0 runs, 0 bytes\nwould delete 1 day, ")
            && would.ends_with(" of cost\n"),
        "{would}"
    );
    assert_eq!(requests(), 2);
    let did = server.said(&["cleanup", "--days", "1", "--cost-days", "0"]);
    assert_eq!(did, would.replace("would delete", "deleted"));
    assert_eq!(requests(), 0);
}

#[test]
fn with_nothing_to_report_it_says_so_and_writes_no_table() {
    let home = tempfile::tempdir().unwrap();
    let output = agent_in(
        home.path(),
        &[
            "cost",
            "report",
            "--since",
            "2026-11-01",
            "--tz",
            "Europe/Berlin",
        ],
    )
    .output()
    .unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!((code, out), (Some(0), ""));
    assert!(
        err.starts_with("nothing was spent since 2026-11-01 00:00, Europe/Berlin time"),
        "{err}"
    );
    let output = agent_in(home.path(), &["cost", "report", "--format", "csv"])
        .output()
        .unwrap();
    assert!(
        ended(&output).1.ends_with("\r\ntotal,,0,0,0,0,,,,,,0\r\n"),
        "{output:?}"
    );
}

#[test]
fn bad_values_end_with_2_and_say_what_to_write() {
    for (arguments, said) in [
        (&["--by", "week"][..], "or tag:KEY"),
        (&["--since", "yesterday"], "such as `7d`"),
        (&["--since", "2026-11-01T10:00"], "such as `7d`"),
        (&["--tz", "Mars/Base"], "`Europe/Berlin`"),
        (&["--format", "xml"], "csv"),
        (&["--tag", "team"], "KEY=VALUE"),
        (&["--usage", "{}"], "--usage"),
    ] {
        let output = agent(&[&["cost", "report"], arguments].concat())
            .output()
            .unwrap();
        let (code, out, err) = ended(&output);
        assert_eq!((code, out), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
}
