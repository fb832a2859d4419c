//! The runs that are kept: listed, shown, exported, deleted, and who may read them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use std::{fs, path::Path};

use support::{
    KEY, agent, ended,
    script::{Reply, Scripted},
};

/// A run that read a folder and answered.
fn ran(flags: &[&str]) -> Scripted {
    let server = Scripted::new([Reply::calls("list_files"), Reply::says("one file")]);
    let output = server.run_with_tools(flags).output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!((code, err), (Some(0), ""), "{out}");
    assert!(out.ends_with("\nRun: r.\n"), "{out}");
    server
}

#[test]
fn a_run_is_listed_shown_exported_and_deleted() {
    let server = ran(&["--user", "ada"]);
    let listed = server.said(&["runs", "list"]);
    let row = listed.lines().nth(1).unwrap();
    for cell in ["r ", " ok ", "openai:m", " 2 ", " hi"] {
        assert!(row.contains(cell), "no {cell:?} in {row}");
    }
    let json = server.json(&["runs", "list", "--json", "--user", "ada", "--status", "ok"]);
    assert_eq!(
        (&json["id"], &json["status"], &json["task"], &json["user"]),
        (&"r".into(), &"ok".into(), &"hi".into(), &"ada".into())
    );
    assert_eq!(json["totals"]["model_calls"], 2);
    for none in [["--user", "bob"], ["--status", "paused"]] {
        let output = server.agent(&["runs", "list"]).args(none).output().unwrap();
        let (code, out, err) = ended(&output);
        assert_eq!((code, out), (Some(0), ""));
        assert!(err.contains("no runs"), "{err}");
    }

    let shown = server.said(&["runs", "show", "r"]);
    for said in [
        "Run r\n  status   ok\n",
        "user     ada",
        "task     hi",
        "answer   one file",
        "2 model calls, 1 tool call",
        "agent agent began: hi",
        "model: list_files {}",
        "list_files gave: ",
        "model: one file",
        "stopped: ok",
    ] {
        assert!(shown.contains(said), "no {said:?} in {shown}");
    }
    let json = server.json(&["runs", "show", "r", "--json"]);
    assert_eq!(json["run"]["id"], "r");
    assert_eq!(json["questions"], serde_json::json!([]));
    let kinds = json["records"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds.map(|it| it["record"]["type"].clone()).collect();
    assert_eq!(
        kinds,
        [
            "life_began",
            "started",
            "answered",
            "tool_returned",
            "answered",
            "stopped"
        ]
    );

    let file = server.folder.path().join("run.json");
    fs::write(&file, "what was there").unwrap();
    let output = file.to_str().unwrap();
    server.said(&["runs", "export", "r", "--output", output]);
    let document = fs::read_to_string(&file).unwrap();
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document, server.json(&["runs", "export", "r"]));
    assert_eq!(document["format"], "agent-sdk/run");
    assert!(!document.to_string().contains(KEY));
    #[cfg(unix)]
    assert_eq!(mode(&file), 0o600);

    assert_eq!(server.said(&["runs", "delete", "r"]), "deleted run r\n");
    let output = server.agent(&["runs", "show", "r"]).output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(2));
    assert!(
        err.contains("there is no run r in ") && err.contains("`agent runs list`"),
        "{err}"
    );
}

#[test]
fn what_a_model_wrote_cannot_act_on_a_terminal_later_either() {
    let attack = "a\x1b[2J\u{202e}\r\nb";
    let server = Scripted::new([Reply::says(attack)]);
    assert_eq!(server.run(&[]).output().unwrap().status.code(), Some(0));
    for arguments in [
        &["runs", "list"][..],
        &["runs", "list", "--json"],
        &["runs", "show", "r"],
        &["runs", "show", "r", "--json"],
        &["runs", "export", "r"],
        &["resume", "r"],
        &["resume", "r", "--json"],
    ] {
        let out = server.said(arguments);
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!out.contains(acts), "{arguments:?}: {out:?}");
    }
}

#[test]
fn cleanup_says_what_it_deletes_and_leaves_what_is_new() {
    let server = ran(&[]);
    assert_eq!(
        server.said(&["cleanup", "--days", "1"]),
        "deleted 0 runs, 0 bytes\n"
    );
    let would = server.said(&["cleanup", "--days", "0", "--dry-run"]);
    assert!(would.starts_with("would delete 1 run, "), "{would}");
    assert!(!server.said(&["runs", "list"]).is_empty());
    let did = server.said(&["cleanup", "--days", "0"]);
    assert_eq!(did, would.replace("would delete", "deleted"));
    assert_eq!(server.said(&["runs", "list"]), "");
}

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[test]
fn s9_only_the_user_may_read_what_is_kept() {
    let server = Scripted::new([Reply::says("yes")]);
    let home = server.home.path().join("deep/home");
    let output = server
        .run(&[])
        .env("AGENT_SDK_HOME", &home)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(mode(&home), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(&home).unwrap() {
        let entry = entry.unwrap();
        let expected = if entry.path().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&entry.path()), expected, "{entry:?}");
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn nothing_is_kept_where_that_is_not_wanted() {
    let server = Scripted::new([Reply::says("yes")]);
    let output = server.run(&["--no-store"]).output().unwrap();
    assert_eq!(ended(&output).0, Some(0));
    assert!(!server.file().exists());
    assert_eq!(fs::read_dir(server.home.path()).unwrap().count(), 0);
}

#[test]
fn s3_a_store_that_cannot_be_opened_is_said_and_nothing_is_asked() {
    let server = Scripted::new([Reply::says("yes")]);
    let file = server.home.path().join("no-folder");
    fs::write(&file, "").unwrap();
    let output = server
        .run(&[])
        .env("AGENT_SDK_HOME", &file)
        .output()
        .unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!((code, out), (Some(2), ""), "{err}");
    for said in [
        "the store cannot be opened",
        "no-folder",
        "AGENT_SDK_HOME",
        "--no-store",
    ] {
        assert!(err.contains(said), "no {said:?} in {err}");
    }
    assert!(server.requests().is_empty());
    let mut command = server.run(&["--no-store"]);
    let output = command.env("AGENT_SDK_HOME", &file).output();
    assert_eq!(output.unwrap().status.code(), Some(0));

    let output = agent(&["runs", "list"]).output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(2));
    assert!(err.contains("set AGENT_SDK_HOME"), "{err}");
}

#[test]
fn a_run_has_the_id_that_it_is_given_once() {
    let server = ran(&[]);
    let output = server.run(&[]).output().unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(2));
    assert!(
        err.contains("there is a run r already") && err.contains("agent resume r"),
        "{err}"
    );
    for bad in ["../r", "a b", "", ".r", "é"] {
        let output = server
            .agent(&["run", "hi", "--model", "openai:m", "--id", bad])
            .output()
            .unwrap();
        let (code, _, err) = ended(&output);
        assert_eq!(code, Some(2), "{bad}");
        assert!(err.contains("`--id`: "), "{err}");
    }
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_run_is_replayed_without_a_key_and_differences_are_named() {
    let server = ran(&[]);
    let replay = |flags: &[&str]| {
        let mut command = server.agent(&["replay", "r"]);
        command.args(flags).env_remove("OPENAI_API_KEY");
        let output = command.output().unwrap();
        let (code, out, err) = ended(&output);
        assert_eq!(err, "");
        (code, out.to_owned())
    };
    let (code, out) = replay(&[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.starts_with("one file\n"), "{out}");
    assert!(out.contains("2 model calls, 1 tool call"), "{out}");
    assert!(out.ends_with("Replay: run r goes as it went.\n"), "{out}");
    let (code, out) = replay(&["--max-turns", "1"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("run r does not go as it went: ") && out.contains("  ending: "),
        "{out}"
    );
    let (code, out) = replay(&["--json"]);
    assert_eq!(code, Some(0), "{out}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json["differences"], serde_json::json!([]));
    assert_eq!(json["report"]["text"], "one file");
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.json(&["runs", "list", "--json"])["records"], 6);
}

#[test]
fn a_run_that_may_write_and_has_no_folder_gets_one_of_its_own() {
    let arguments = r#"{"path":"notes/a.txt","content":"hello"}"#;
    let replies = [
        Reply::calls_with("write_file", arguments),
        Reply::says("Wrote it."),
    ];
    let server = Scripted::new(replies);
    let output = server.run(&["--write"]).output().unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!(code, Some(0), "{out}{err}");
    let files = out
        .lines()
        .find(|line| line.starts_with("Files: "))
        .unwrap();
    assert!(files.contains("answer.md, notes/a.txt in "), "{files}");
    let (_, folder) = files.split_once(" in ").unwrap();
    let workspaces = server.home.path().join("workspaces");
    assert!(Path::new(folder).starts_with(workspaces), "{folder}");
    let read = |name: &str| fs::read_to_string(Path::new(folder).join(name)).unwrap();
    assert_eq!(
        (&*read("notes/a.txt"), &*read("answer.md")),
        ("hello", "Wrote it.")
    );
    assert!(read("report.json").contains("\"tool_calls\": 1"));
    let exported: serde_json::Value =
        serde_json::from_str(&server.said(&["runs", "export", "r"])).unwrap();
    let kinds: Vec<_> = exported["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["type"].clone())
        .collect();
    assert_eq!(
        (&kinds[0], kinds.last().unwrap()),
        (&"run_started".into(), &"run_report".into())
    );

    // A model that is not to be had leaves no folder behind.
    let before = fs::read_dir(Path::new(folder).parent().unwrap())
        .unwrap()
        .count();
    let mut refused = server.run(&["--write", "--id", "other"]);
    let output = refused.env_remove("OPENAI_API_KEY").output().unwrap();
    assert_eq!(ended(&output).0, Some(2));
    let after = fs::read_dir(Path::new(folder).parent().unwrap())
        .unwrap()
        .count();
    assert_eq!(before, after);
}
