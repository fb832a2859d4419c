//! What holds for the command as a whole, whatever it is asked to do.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::process::{Command, Output, Stdio};

fn agent(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_key_among_the_arguments_is_warned_of_and_never_repeated() {
    let key = "sk-proj-abcdefghijklmnopqrstuvwx";
    for arguments in [
        vec!["cost", key],
        vec![key],
        vec!["cost", "--usage", key, "--provider", "p", "--model", "m"],
    ] {
        let output = agent(&arguments);
        let error = text(&output.stderr);
        assert!(error.starts_with("warning: argument "), "{error}");
        assert!(
            !error.contains(key) && !text(&output.stdout).contains(key),
            "{error}"
        );
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn help_and_version_are_answers() {
    let help = agent(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("Exit codes"));
    assert_eq!(agent(&["--version"]).status.code(), Some(0));
    let nothing = agent(&[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("Usage"));
}

#[cfg(unix)]
#[test]
fn a_closed_standard_output_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command.args(["cost", "--provider", "p", "--model", "m", "--usage", "{}"]);
    let output = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
    command.args(["cost", "--provider", "p", "--model", "m", "--usage", "{}"]);
    let output = command
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert!(text(&output.stderr).starts_with("error: standard output cannot be written"));
    assert_eq!(output.status.code(), Some(1));
}
