//! `agent demo`, through the real command.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
};

use support::{agent, ended};

fn demo(folder: &Path) -> String {
    let output = agent(&["demo", "--workspace", folder.to_str().unwrap()])
        .output()
        .unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!((code, err), (Some(0), ""), "{out}");
    assert!(
        out.starts_with("The models are scripted: no model is asked."),
        "{out}"
    );
    assert!(
        !out.contains('\x1b') && !out.contains('\u{202e}'),
        "{out:?}"
    );
    out.to_owned()
}

#[test]
fn it_reviews_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("README.md", "# Title\n\nSome words.\n");
    write(
        "main.rs",
        "fn main() {\n    // TODO: more\n    x.unwrap();\n}\n",
    );
    write("data.bin", "\0\0\0");
    #[cfg(unix)]
    write("evil\x1b[2J\u{202e}.rs", "fn evil() {}\n");
    let out = demo(folder.path());
    for said in [
        "- README.md, 3 lines\n",
        "- main.rs, 4 lines\n",
        "README.md: 3 lines, 4 words; its headings: Title.",
        "main.rs: 4 lines, ",
        "it defines main",
        "XXX): 1 line in 1 file: main.rs (line 2)",
        "unwrap(): 1 line in 1 file: main.rs (line 3)",
        "\nstarted   structure\n",
        "\n* workflow review ",
        "agent code_reviewer",
        "agent summariser",
        "tool write_file",
        "\nReport: .agent-demo/review.md in ",
        "\nParallel: up to 3 steps at once, ",
        " -> write.\n",
        "tokens in",
        "\nBottleneck: ",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "--metrics",
    ] {
        let joined = out.replace("\n  ", " ");
        assert!(
            out.contains(said) || joined.contains(said),
            "no {said:?} in {out}"
        );
    }
    assert!(
        !out.contains("cost unknown") && out.contains(", $0.00"),
        "{out}"
    );
}

/// What the demo said of each step in its table.
fn ends(out: &str) -> Vec<(String, String)> {
    let table = out.split("\nstep ").nth(1).unwrap();
    let rows = table.lines().skip(1).take_while(|line| !line.is_empty());
    let rows = rows.map(|row| row.split_whitespace().map(str::to_owned));
    rows.map(|mut row| (row.next().unwrap(), row.next().unwrap()))
        .collect()
}

#[test]
fn three_reviewers_run_beside_each_other_and_a_writer_joins_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.rs"), "fn main() {}\n").unwrap();
    let out = demo(folder.path());
    let ends = ends(&out);
    let steps = ["structure", "documentation", "code", "write"];
    let expected = steps.map(|step| (step.to_owned(), "ok".to_owned()));
    assert_eq!(ends, expected, "{out}");
    // All three have begun before the first has ended.
    let first_end = out.find("\nok ").unwrap();
    for step in &steps[..3] {
        let begun = out.find(&format!("\nstarted   {step}\n")).unwrap();
        assert!(begun < first_end, "{out}");
    }
    let report = fs::read_to_string(folder.path().join(".agent-demo/review.md")).unwrap();
    for part in [
        "\n## Structure\n",
        "\n## Documentation\n",
        "\n## Code\n",
        "main.rs, 1 line",
    ] {
        assert!(report.contains(part), "{report}");
    }
}

#[test]
fn only_an_earlier_report_of_its_own_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("one.rs"), "fn one() {}\n").unwrap();
    assert!(demo(folder.path()).contains("review.md in "));
    fs::write(folder.path().join("two.rs"), "fn two() {}\n").unwrap();
    let again = demo(folder.path());
    assert!(
        again.contains("in place of an earlier one of the demo"),
        "{again}"
    );
    let report = folder.path().join(".agent-demo/review.md");
    let written = fs::read_to_string(&report).unwrap();
    assert!(written.contains("two.rs"), "{written}");
    // Its own report is no part of what it reviews.
    assert!(written.contains("2 files in 0 sub-folders"), "{written}");

    fs::write(&report, "mine\n").unwrap();
    let beside = demo(folder.path());
    assert!(
        beside.contains("Report: .agent-demo/review-2.md in "),
        "{beside}"
    );
    assert_eq!(fs::read_to_string(&report).unwrap(), "mine\n");
}

#[test]
fn a_folder_that_cannot_be_written_is_reviewed_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("main.rs"), "fn main() {}\n").unwrap();
    // Where the folder of the report should be, there is a file: nothing can be made in it, whoever runs the test.
    fs::write(folder.path().join(".agent-demo"), "mine\n").unwrap();
    let out = demo(folder.path());
    assert!(out.contains("- main.rs, 1 line\n"), "{out}");
    assert!(
        out.contains("This report could not be saved in the folder: "),
        "{out}"
    );
    assert!(
        out.contains("\nNo report: .agent-demo/review.md could not be written"),
        "{out}"
    );
    let kept = fs::read_to_string(folder.path().join(".agent-demo")).unwrap();
    assert_eq!(kept, "mine\n");
}

#[test]
fn an_empty_folder_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let out = demo(folder.path());
    assert!(out.contains("There is nothing to review"), "{out}");
}

#[test]
fn a_folder_that_is_not_there_is_a_wrong_argument() {
    let output = agent(&["demo", "--workspace", "/no/such/folder"])
        .output()
        .unwrap();
    let (code, out, err) = ended(&output);
    assert_eq!((code, out), (Some(2), ""));
    assert!(err.contains("--workspace /no/such/folder"), "{err}");
}

#[cfg(unix)]
#[test]
fn metrics_are_served_until_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let workspace = folder.path().to_str().unwrap();
    let mut child = agent(&["demo", "--workspace", workspace, "--metrics", "127.0.0.1:0"])
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines
        .map_while(Result::ok)
        .find_map(|line| {
            let (url, _) = line
                .strip_prefix("Metrics: http://")?
                .split_once("/metrics")?;
            Some(url.to_owned())
        })
        .unwrap();
    let mut stream = TcpStream::connect(&url).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(child.try_wait().unwrap().is_none());
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-s", "INT", &pid])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
