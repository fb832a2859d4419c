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
        out.starts_with("The model is scripted: no model is asked."),
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
        "* agent reviewer",
        "agent summariser",
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
