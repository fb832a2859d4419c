//! What is left of a command that was ended before its run.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may panic as tests do"
)]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use support::{Server, ended, piece};

/// Runs the command, exporting to a collector.
fn run(model: &Server, collector: &str) -> Command {
    let mut command = model.run(&[]);
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector)
        .env("AGENT_SDK_OTEL_CRASH_INTERVAL", "0.01");
    command
}

fn left(home: &Path) -> usize {
    let files = fs::read_dir(home.join("crash")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.strip_suffix(".jsonl").is_some())
        .count()
}

#[test]
fn o3_a_killed_run_is_reported_by_the_next_and_an_interrupted_one_is_not() {
    let collector = Server::answering("200 OK", "application/x-protobuf", "", false);
    let base = collector.url.trim_end_matches("/v1");
    let model = Server::streaming(&[piece("begun\n")], true);
    for (signal, is_reported) in [("TERM", false), ("KILL", true)] {
        let mut child = run(&model, base).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        let began = Instant::now();
        while left(model.home.path()) == 0 {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "nothing is written down"
            );
            thread::yield_now();
        }
        let pid = child.id().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args(["-s", signal, &pid]).status().unwrap().success());
        let _ = std::io::copy(&mut out, &mut std::io::sink());
        child.wait().unwrap();
        assert_eq!(
            left(model.home.path()),
            usize::from(is_reported),
            "{signal}"
        );
    }
    let answering = Server::streaming(
        &[vec![piece("done\n")], support::end("stop").to_vec()].concat(),
        false,
    );
    let mut next = run(&answering, base);
    let output = next
        .env("AGENT_SDK_HOME", model.home.path())
        .output()
        .unwrap();
    let (code, _, err) = ended(&output);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.contains("an earlier command ended before what it ran did: "),
        "{err}"
    );
    assert_eq!(left(model.home.path()), 0);
}
