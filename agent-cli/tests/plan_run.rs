//! `agent plan run`: plans on a model that a script plays, how they end, and how they go on.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use std::{fs, path::Path};

use serde_json::Value;
use support::{
    ended,
    plans::{CHAIN, asked, ends, pairs, plan, run},
    script::{Reply, Request, Scripted},
};

/// Two that wait for nothing, and one that joins them.
const JOIN: &str = "\
name = \"join\"
[params.topic]
type = \"string\"
[[steps]]
id = \"one\"
agent = \"researcher\"
action = \"Look.\"
input = \"${params.topic}\"
[[steps]]
id = \"two\"
agent = \"analyst\"
input = \"${params.topic}\"
[[steps]]
id = \"whole\"
agent = \"writer\"
input = { one = \"${steps.one}\", two = \"${steps.two}\" }
";

#[test]
fn steps_beside_each_other_are_joined_and_each_is_listed_once() {
    let says = Reply::says;
    let server = Scripted::new([says("found"), says("found"), says("all of it")]);
    let (code, out, err) = run(plan(&server, JOIN, &["--param", "topic=42"]));
    assert_eq!((code, &*err), (Some(0), ""), "{out}");
    let ends = ends(&out);
    assert_eq!(
        pairs(&ends),
        [("one", "ok"), ("two", "ok"), ("whole", "ok")]
    );
    for said in [
        "started   one\nstarted   two\n",
        "\n\nall of it\n\nstep ",
        "* workflow join",
        "\nCritical path: ",
        "\nParallel: up to 2 steps at once, ",
        "3 model calls, 0 tool calls",
    ] {
        assert!(out.contains(said), "no {said:?} in {out}");
    }
    assert!(out.ends_with("Run: r.\n"), "{out}");
    let requests = server.requests();
    let mut first: Vec<_> = requests[..2].iter().map(asked).collect();
    first.sort();
    // A parameter that is text stays text.
    assert_eq!(first, ["42", "Look.\n\n42"]);
    let joined: Value = serde_json::from_str(&asked(&requests[2])).unwrap();
    assert_eq!(joined, serde_json::json!({"one": "found", "two": "found"}));
    let roles: Vec<_> = requests
        .iter()
        .map(|request| request.body["messages"][0]["content"].as_str().unwrap())
        .collect();
    assert!(roles[2].starts_with("You write texts"), "{roles:?}");
}

#[test]
fn parameters_are_held_against_the_plan_before_anything_is_asked() {
    let server = Scripted::new([]);
    let text = JOIN.replace(
        "[params.topic]",
        "[params.pages]\ntype = \"integer\"\n[params.topic]",
    );
    let (code, out, err) = run(plan(
        &server,
        &text,
        &["--param", "pgaes=3", "--input", "{\"topic\": 4}"],
    ));
    assert_eq!((code, &*out), (Some(2), ""));
    for said in [
        "params.pages: must be given",
        "params.topic: must be of type string",
        "params.pgaes: is not a parameter",
        "error: the parameters do not fit plan join: 3 mistakes.",
    ] {
        assert!(err.contains(said), "no {said:?} in {err}");
    }
    for (flags, said) in [
        (
            ["--param", "pages=many"],
            "`--param pages`: expected JSON of type integer",
        ),
        (["--input", "[1]"], "`--input` is no JSON object"),
        (["--input", "{"], "`--input` is no JSON object"),
    ] {
        let (code, _, err) = run(plan(&server, &text, &flags));
        assert_eq!(code, Some(2));
        assert!(err.contains(said), "{err}");
    }
    assert!(server.requests().is_empty());
    let listed = server.agent(&["runs", "list"]).output().unwrap();
    assert!(ended(&listed).2.contains("no runs"));
}

#[test]
fn names_that_nothing_has_are_all_said_with_their_places() {
    let server = Scripted::new([]);
    let text = "name = \"p\"\n[[steps]]\nid = \"a\"\nagent = \"writter\"\n[[steps]]\nid = \"b\"\ntool = \"read_file\"\ninput = { path = \"x\" }\n[[steps]]\nid = \"c\"\nfunction = \"f\"\n";
    let (code, out, err) = run(plan(&server, text, &[]));
    assert_eq!((code, &*out), (Some(2), ""));
    for said in [
        "p.toml:4:1: ",
        "p.toml:7:1: ",
        "p.toml:11:1: ",
        "writter",
        "read_file",
        "3 mistakes",
        "researcher, analyst",
    ] {
        assert!(err.contains(said), "no {said:?} in {err}");
    }
    // With a folder there is the tool.
    let folder = server.folder.path().to_str().unwrap().to_owned();
    let (_, _, err) = run(plan(&server, text, &["--workspace", &folder]));
    assert!(err.contains("2 mistakes"), "{err}");
    assert!(server.requests().is_empty());
}

#[test]
fn after_a_failure_the_plan_begins_again_at_the_step_that_is_named() {
    let says = Reply::says;
    let server = Scripted::new([
        says("one"),
        Reply::Status("400 Bad Request"),
        says("two"),
        says("three"),
    ]);
    let (code, out, err) = run(plan(&server, CHAIN, &[]));
    assert_eq!(code, Some(1), "{out}{err}");
    assert_eq!(
        pairs(&ends(&out)),
        [("first", "ok"), ("second", "failed"), ("third", "skipped")]
    );
    assert!(out.contains("step `second` did not succeed"), "{out}");
    assert!(
        err.ends_with("run r can begin again where it failed: agent resume r --from-step second\n"),
        "{err}"
    );
    assert_eq!(server.json(&["runs", "list", "--json"])["status"], "error");

    let out = server.said(&["resume", "r", "--from-step", "second"]);
    assert_eq!(
        pairs(&ends(&out)),
        [("first", "ok"), ("second", "ok"), ("third", "ok")]
    );
    assert!(out.contains("done in an earlier life of the run"), "{out}");
    assert_eq!(server.requests().len(), 4);

    // It has ended: it is shown again, without a key and without a request.
    let mut again = server.agent(&["resume", "r"]);
    again.env_remove("OPENAI_API_KEY");
    let (code, out, err) = run(again);
    assert_eq!(
        (code, &*err),
        (
            Some(0),
            "run r has ended already; this is what it came to\n"
        )
    );
    assert!(out.contains("\nthree\n"), "{out}");
    assert_eq!(server.requests().len(), 4);
    let told = server.said(&["runs", "show", "r"]);
    for said in [
        "plan chain began: 3 steps",
        "step second failed: ",
        "the plan was changed: restart step second",
        "step third, round 2, gave: three",
        "\n  plan     chain\n",
        "\n  model    openai:m\n",
        "    agent researcher began: Look.",
    ] {
        assert!(told.contains(said), "no {said:?} in {told}");
    }
    assert!(!told.contains("does not know"), "{told}");
}

#[test]
fn a_step_with_an_approval_waits_for_a_person() {
    let text = "name = \"ask\"\n[[steps]]\nid = \"note\"\ntool = \"write_file\"\ninput = { path = \"a.md\", content = \"a\" }\napproval = \"Write the note?\"\n";
    let server = Scripted::new([]);
    let folder = server.folder.path().to_str().unwrap().to_owned();
    let flags = ["--workspace", &folder, "--write"];
    let (code, out, err) = run(plan(&server, text, &flags));
    assert_eq!(code, Some(5), "{out}{err}");
    assert_eq!(pairs(&ends(&out)), [("note", "open")]);
    let expected = "\
run r is paused: it waits to be told about 1 step
  write_file {\"content\":\"a\",\"path\":\"a.md\"}
    Write the note?
    agent approve r note yes    (or: no --reason TEXT)
then go on with: agent resume r
";
    assert_eq!(err, expected);
    let note = server.folder.path().join("a.md");
    assert!(!note.exists());
    let shown = server.said(&["runs", "show", "r"]);
    assert!(
        shown.contains("asked about step note: Write the note?"),
        "{shown}"
    );
    assert!(
        shown.contains("\nIt waits to be told about 1 step:\n"),
        "{shown}"
    );

    server.said(&["approve", "r", "note", "yes"]);
    let out = server.said(&["resume", "r"]);
    assert_eq!(pairs(&ends(&out)), [("note", "ok")]);
    assert_eq!(fs::read_to_string(&note).unwrap(), "a");
    assert!(
        server
            .said(&["runs", "show", "r"])
            .contains("step note allowed by tester")
    );

    fs::remove_file(&note).unwrap();
    let (code, out, err) = run(plan(
        &server,
        text,
        &["--workspace", &folder, "--write", "--yes", "--no-store"],
    ));
    assert_eq!((code, &*err), (Some(0), ""), "{out}");
    assert!(note.exists());
}

#[cfg(unix)]
#[test]
fn s1_a_plan_that_was_interrupted_or_killed_goes_on_with_what_has_not_ended() {
    for (signal, code) in [("INT", Some(130)), ("TERM", Some(143)), ("KILL", None)] {
        let says = Reply::says;
        let server = Scripted::new([says("one"), Reply::begins("tw"), says("two"), says("three")]);
        let child = plan(&server, CHAIN, &[]).spawn().unwrap();
        // The second step's request is under way, so that what the first gave is kept.
        server.wait_for(2);
        support::script::signal(&child, signal);
        let output = child.wait_with_output().unwrap();
        let (ended, _, err) = ended(&output);
        assert_eq!(ended, code, "{err}");
        if code.is_some() {
            assert!(
                err.ends_with("run r is interrupted; go on with: agent resume r\n"),
                "{err}"
            );
        }
        let out = server.said(&["resume", "r"]);
        assert_eq!(
            pairs(&ends(&out)),
            [("first", "ok"), ("second", "ok"), ("third", "ok")]
        );
        let keys = server.requests();
        let keys: Vec<_> = keys
            .iter()
            .map(|it| it.header("idempotency-key").unwrap())
            .collect();
        assert_eq!(
            keys,
            ["r/first/1:m", "r/second/1:m", "r/second/1:m", "r/third/1:m"]
        );
    }
}

#[test]
fn a_reader_that_goes_away_stops_the_plan_and_is_no_failure() {
    for flags in [&[][..], &["--json"]] {
        let says = Reply::says;
        let server = Scripted::new([says("one"), says("two"), says("three")]);
        let mut child = plan(&server, CHAIN, flags).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let (code, _, err) = ended(&output);
        assert_eq!((code, err), (Some(0), ""));
        let status = &server.json(&["runs", "list", "--json"])["status"];
        assert_eq!(status, "cancelled");
        assert!(server.said(&["resume", "r"]).contains("\nthree\n"));
    }
}

#[test]
fn events_come_as_json_and_the_last_line_has_every_step() {
    let says = Reply::says;
    let server = Scripted::new([says("one"), says("two"), says("three")]);
    let folder = server.folder.path().to_str().unwrap().to_owned();
    let (code, out, err) = run(plan(&server, CHAIN, &["--json", "--workspace", &folder]));
    assert_eq!((code, &*err), (Some(0), ""));
    let events: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, before) = events.split_last().unwrap();
    assert_eq!(last["type"], "plan_report");
    assert_eq!(last["end"], "ok");
    assert_eq!(last["output"], "three");
    let steps: Vec<_> = last["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (&step["id"], &step["outcome"]))
        .collect();
    let ok = &Value::from("ok");
    assert_eq!(
        steps,
        [
            (&"first".into(), ok),
            (&"second".into(), ok),
            (&"third".into(), ok)
        ]
    );
    assert_eq!(before.last().unwrap()["type"], "run_report");
    for (number, event) in (1..).zip(before) {
        assert_eq!(event["seq"], number, "{event}");
    }
    let began = before
        .iter()
        .find(|event| event["type"] == "workflow_started")
        .unwrap();
    assert_eq!(began["workspace"], folder);
    assert_eq!(began["total_steps"], 3);
}

#[test]
fn what_may_not_be_spent_and_what_goes_too_far_have_their_codes() {
    let server = Scripted::new([]);
    let flags = [
        "--model",
        "openai:gpt-5-mini",
        "--max-cost-usd",
        "0.000000001",
    ];
    let (code, out, err) = run(plan(&server, CHAIN, &flags));
    assert_eq!(code, Some(3), "{out}{err}");
    assert!(
        err.contains("agent resume r --max-cost-usd X --from-step first"),
        "{err}"
    );
    assert!(server.requests().is_empty());

    let server = Scripted::new([Reply::calls("list_files")]);
    let folder = server.folder.path().to_str().unwrap().to_owned();
    let flags = ["--workspace", &folder, "--max-turns", "1"];
    let (code, out, err) = run(plan(&server, CHAIN, &flags));
    assert_eq!(code, Some(4), "{out}{err}");
    assert!(err.contains("--from-step first"), "{err}");
}

#[test]
fn a_role_has_the_tools_that_help_it_and_no_others() {
    let says = Reply::says;
    let server = Scripted::new([says("one"), says("two"), says("three")]);
    let folder = server.folder.path().to_str().unwrap().to_owned();
    let (code, out, err) = run(plan(&server, CHAIN, &["--workspace", &folder, "--write"]));
    assert_eq!(code, Some(0), "{out}{err}");
    let tools = |request: &Request| -> Vec<String> {
        let tools = request.body["tools"].as_array().unwrap().iter();
        let mut tools: Vec<_> = tools
            .map(|it| it["function"]["name"].as_str().unwrap().to_owned())
            .collect();
        tools.sort();
        tools
    };
    let requests = server.requests();
    assert_eq!(
        tools(&requests[0]),
        ["list_files", "read_file", "search_files"]
    );
    assert_eq!(
        tools(&requests[1]),
        ["list_files", "read_file", "write_file"]
    );
    assert_eq!(
        tools(&requests[2]),
        ["list_files", "read_file", "search_files"]
    );
}

#[test]
fn a_plan_that_may_write_and_has_no_folder_gets_one_with_its_answer_and_its_report() {
    const WRITES: &str = "\
name = \"writes\"
[[steps]]
id = \"file\"
tool = \"write_file\"
input = { path = \"notes/a.txt\", content = \"hello\" }
[[steps]]
id = \"page\"
agent = \"writer\"
depends_on = [\"file\"]
";
    let server = Scripted::new([Reply::says("Wrote\u{1b}[31m it."), Reply::says("Again.")]);
    let (code, out, err) = run(plan(&server, WRITES, &["--write"]));
    assert_eq!(code, Some(0), "{out}{err}");
    let files = |out: &str| {
        let files = out.lines().find(|line| line.starts_with("Files: "));
        files.unwrap().to_owned()
    };
    let files_first = files(&out);
    let (listed, folder) = files_first.split_once(" in ").unwrap();
    assert_eq!(listed, "Files: answer.md, notes/a.txt, report.json");
    let workspaces = server.home.path().join("workspaces");
    assert!(Path::new(folder).starts_with(workspaces), "{folder}");
    let read = |name: &str| fs::read_to_string(Path::new(folder).join(name)).unwrap();
    assert_eq!(read("notes/a.txt"), "hello");
    assert_eq!(read("answer.md"), "Wrote it.");
    let report = read("report.json");
    assert!(!report.contains('\u{1b}'), "{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["output"], "Wrote\u{1b}[31m it.");
    assert_eq!(report["run"]["model_calls"], 1);
    // What begins again is saved anew.
    let flags = ["resume", "r", "--from-step", "page"];
    let (code, out, err) = run(server.agent(&flags));
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(
        (files(&out), &*read("answer.md")),
        (files_first.clone(), "Again.")
    );
}

#[test]
fn a_file_that_a_step_wrote_is_not_replaced_by_the_plan_s_answer() {
    const TAKEN: &str = "\
name = \"taken\"
[[steps]]
id = \"file\"
tool = \"write_file\"
input = { path = \"answer.md\", content = \"mine\" }
[[steps]]
id = \"page\"
agent = \"writer\"
depends_on = [\"file\"]
";
    let server = Scripted::new([Reply::says("Wrote it.")]);
    let (code, out, err) = run(plan(&server, TAKEN, &["--write"]));
    assert_eq!(code, Some(0), "{out}{err}");
    let files = out.lines().find(|line| line.starts_with("Files: "));
    let (_, folder) = files.unwrap().split_once(" in ").unwrap();
    let answer = fs::read_to_string(Path::new(folder).join("answer.md")).unwrap();
    assert_eq!(answer, "mine");
}

#[test]
fn what_agents_write_in_steps_is_told_as_it_is_written() {
    let server = Scripted::new([
        Reply::says("one two"),
        Reply::says("three"),
        Reply::says("four"),
    ]);
    let (code, out, err) = run(plan(&server, CHAIN, &["--json"]));
    assert_eq!(code, Some(0), "{out}{err}");
    let events = out.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut written = Vec::<(String, String)>::new();
    for event in events.filter(|event: &Value| event["type"] == "text_chunk") {
        let (step, content) = (&event["step_id"], &event["content"]);
        let (step, content) = (step.as_str().unwrap(), content.as_str().unwrap());
        match written.last_mut().filter(|(last, _)| last == step) {
            Some((_, text)) => text.push_str(content),
            None => written.push((step.to_owned(), content.to_owned())),
        }
    }
    let written: Vec<_> = written.iter().map(|(a, b)| (&**a, &**b)).collect();
    assert_eq!(
        written,
        [("first", "one two"), ("second", "three"), ("third", "four")]
    );
}
