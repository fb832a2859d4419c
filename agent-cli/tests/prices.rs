//! `agent prices` and `agent doctor`, and that what they say is what other commands price with.
#![cfg(test)]

mod support;

use std::{fs, path::Path};

use serde_json::Value;
use support::{agent, agent_in, ended, text};
use tempfile::TempDir;

const USAGE: &str = r#"{"input_tokens": 1000000, "output_tokens": 0}"#;

fn table(date: &str, model: &str, input: &str) -> String {
    format!(
        r#"{{"date": "{date}", "providers": [{{"id": "openai", "models": [
            {{"id": "{model}", "match": {{"exact": "{model}"}}, "prices": [{{"input": "{input}", "output": "8"}}]}}]}}]}}"#
    )
}

fn file(home: &TempDir, name: &str, text: &str) -> String {
    let path = home.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn run(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = agent_in(home, arguments).output().unwrap();
    let (code, out, err) = ended(&output);
    (code, out.to_owned(), err.to_owned())
}

/// What a million tokens of `gpt-4o` cost now.
fn million(home: &Path, own: Option<&str>) -> Value {
    let arguments = [
        "cost",
        "--provider",
        "openai",
        "--model",
        "gpt-4o",
        "--usage",
        USAGE,
        "--json",
    ];
    let mut command = agent_in(home, &arguments);
    if let Some(own) = own {
        command.env("AGENT_SDK_PRICES", own);
    }
    let output = command.output().unwrap();
    serde_json::from_str(text(&output.stdout)).unwrap()
}

#[test]
fn a_refreshed_table_prices_later_commands_until_it_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("not/there/yet");
    let newer = file(&home, "newer.json", &table("2099-01-01", "gpt-4o", "2"));
    let (code, out, err) = run(&folder, &["prices", "refresh", "--file", &newer]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("0 models added, 1 changed"), "{out}");
    assert_eq!(million(&folder, None)["total_usd"], "2");
    assert_eq!(million(&folder, None)["price_date"], "2099-01-01");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.join("prices.json")), 0o600);
        assert_eq!(mode(&folder), 0o700);
    }
    // One's own file is over it.
    let own = file(
        &home,
        "own.toml",
        "date = \"2020-01-01\"\n[[providers]]\nid = \"openai\"\nmodels = [{ id = \"gpt-4o\", match = { exact = \"gpt-4o\" }, prices = [{ input = \"1\" }] }]\n",
    );
    let cost = million(&folder, Some(&own));
    assert_eq!(
        (&cost["total_usd"], &cost["price_source"]),
        (&"1".into(), &"override".into())
    );

    let (code, _, err) = run(&folder, &["prices", "refresh", "--remove"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(million(&folder, None)["total_usd"], "2.5");
}

#[test]
fn a_table_that_is_older_or_broken_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let older = file(&home, "older.json", &table("2020-01-01", "gpt-4o", "9"));
    let (code, _, err) = run(home.path(), &["prices", "refresh", "--file", &older]);
    assert_eq!(code, Some(2));
    assert!(err.contains("older") && err.contains("--older"), "{err}");
    let broken = file(&home, "broken.json", &table("2099-01-01", "gpt-4o", "-9"));
    let (code, _, err) = run(home.path(), &["prices", "refresh", "--file", &broken]);
    assert_eq!(code, Some(2));
    assert!(
        err.contains("providers[0].models[0].prices[0].input"),
        "{err}"
    );
    let (code, _, err) = run(
        home.path(),
        &[
            "prices",
            "refresh",
            "--url",
            "http://example.com/prices.json",
        ],
    );
    assert_eq!(code, Some(1));
    assert!(err.contains("only https"), "{err}");
    assert!(!home.path().join("prices.json").exists());
    assert_eq!(million(home.path(), None)["total_usd"], "2.5");
}

#[test]
fn a_broken_file_of_ones_own_is_an_error_that_names_the_place() {
    let home = tempfile::tempdir().unwrap();
    let broken = file(
        &home,
        "own.json",
        r#"{"date": "2026-01-01", "providers": [{"id": 5}]}"#,
    );
    for arguments in [
        &["prices", "list"][..],
        &[
            "cost",
            "--provider",
            "openai",
            "--model",
            "gpt-4o",
            "--usage",
            USAGE,
        ],
        &["demo"],
        &["run", "hello", "--model", "openai:gpt-4o"],
    ] {
        let output = agent_in(home.path(), arguments)
            .env("AGENT_SDK_PRICES", &broken)
            .env("OPENAI_API_KEY", "none")
            .output()
            .unwrap();
        let (code, _, err) = ended(&output);
        assert_eq!(code, Some(2), "{arguments:?}: {err}");
        assert!(
            err.contains("own.json") && err.contains("providers[0].id"),
            "{err}"
        );
    }
}

#[test]
fn a_table_is_fetched() {
    let body = table("2099-01-01", "gpt-4o", "3");
    let server = support::Server::answering("200 OK", "application/json", &body, false);
    let (code, _, err) = run(
        server.home.path(),
        &["prices", "refresh", "--url", &server.url],
    );
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(million(server.home.path(), None)["total_usd"], "3");
}

#[test]
fn a_price_file_of_litellm_is_taken_and_what_it_has_besides_is_listed() {
    let home = tempfile::tempdir().unwrap();
    let prices = file(
        &home,
        "litellm.json",
        r#"{"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 4e-06, "output_cost_per_token": 1e-05},
            "painter": {"litellm_provider": "openai", "output_cost_per_image": 0.04}}"#,
    );
    let (code, out, err) = run(
        home.path(),
        &["prices", "refresh", "--litellm", &prices, "--older"],
    );
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("2 models"), "{out}");
    assert!(
        err.contains("not read: output_cost_per_image of painter"),
        "{err}"
    );
}

#[test]
fn models_are_listed_and_shown_with_where_their_prices_are_from() {
    let home = tempfile::tempdir().unwrap();
    let (_, out, _) = run(
        home.path(),
        &[
            "prices",
            "list",
            "--provider",
            "openai",
            "--search",
            "gpt-4o-mini",
        ],
    );
    assert!(out.lines().next().unwrap().starts_with("provider"), "{out}");
    assert!(
        out.contains("gpt-4o-mini") && out.contains("table@2026-11-20"),
        "{out}"
    );
    assert!(!out.contains("anthropic"), "{out}");
    let (_, out, _) = run(home.path(), &["prices", "list", "--json"]);
    assert_eq!(out.lines().count(), 875);
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["layer"], "embedded");

    let show = |more: &[&str]| {
        let arguments = [&["prices", "show", "openai/gpt-4o"], more].concat();
        run(home.path(), &arguments).1
    };
    let expected = "\
openai/gpt-4o  from table@2026-11-20 (embedded)
US dollars per million tokens; fees per thousand.

always, in use:
  input               2.5
  output              10
  cache read          1.25
  1,000 web searches  10

where service_tier=default:
  as usual

where service_tier=priority, from 2026-10-12:
  input               4.25
  output              17
  cache read          2.125
";
    assert!(show(&[]).starts_with(expected), "{}", show(&[]));
    let json: Value = serde_json::from_str(&show(&["--json", "--at", "2026-11-20"])).unwrap();
    assert_eq!(json["holds"]["input"], "2.5");
    let (code, _, err) = run(home.path(), &["prices", "show", "openai/none"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("prices list --search"), "{err}");
}

#[test]
fn what_a_file_would_change_is_said() {
    let home = tempfile::tempdir().unwrap();
    let new = file(&home, "new.json", &table("2026-11-21", "gpt-4o", "2"));
    let (code, out, err) = run(home.path(), &["prices", "diff", &new]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("~ openai/gpt-4o\n"), "{out}");
    assert!(out.contains("    input: 2.5 -> 2\n"), "{out}");
    assert!(out.contains("    cache read: 1.25 -> none\n"), "{out}");
    assert!(out.ends_with("keep their prices\n"), "{out}");
    let added = file(&home, "added.json", &table("2026-11-21", "brand-new", "2"));
    let (_, out, _) = run(home.path(), &["prices", "diff", &added, "--json"]);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["added"][0], "openai/brand-new");
    let (_, out, _) = run(home.path(), &["prices", "diff"]);
    assert!(
        out.starts_with("0 models added, 0 changed; 0 not in it"),
        "{out}"
    );
}

#[test]
fn the_doctor_says_how_old_the_prices_are_and_makes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (code, out, err) = run(home.path(), &["doctor"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("embedded table of 2026-11-20"), "{out}");
    assert!(out.contains(" old, 875 models"), "{out}");
    assert!(out.contains("store.db is not there yet"), "{out}");
    assert!(!home.path().join("store.db").exists());
    let (_, out, _) = run(home.path(), &["doctor", "--json"]);
    let checks: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        checks
            .iter()
            .any(|check| check["check"] == "prices" && check["age_days"].is_number())
    );

    // A refreshed table that the command outlived.
    fs::write(
        home.path().join("prices.json"),
        table("2020-01-01", "gpt-4o", "9"),
    )
    .unwrap();
    let (code, out, _) = run(home.path(), &["doctor"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("warning") && out.contains("not used"), "{out}");
    fs::write(home.path().join("prices.json"), "{").unwrap();
    let (code, out, _) = run(home.path(), &["doctor"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("--remove"), "{out}");

    fs::write(
        home.path().join("store.db"),
        "this is no store at all, but a text",
    )
    .unwrap();
    let (code, out, _) = run(home.path(), &["doctor"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("store"), "{out}");
    let nowhere = agent(&["doctor"]).output().unwrap();
    assert_eq!(ended(&nowhere).0, Some(1));
}
