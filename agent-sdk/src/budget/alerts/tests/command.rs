//! The command, with real programs.

use std::{fs, path::Path, process::Command, time::Duration};

use super::alert;
use crate::budget::{Alert, AlertSink, CommandAlerts};

fn shell(folder: &Path, script: &str) -> CommandAlerts {
    CommandAlerts::new(
        "sh",
        [
            "-c".into(),
            script.to_owned(),
            "sh".into(),
            folder.display().to_string(),
        ],
    )
}

#[tokio::test]
async fn a_program_gets_the_alert_and_nothing_of_the_environment_that_it_was_not_given() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"cat > "$1/alert"; env > "$1/env"; echo ignored; echo ignored >&2"#;
    let command = shell(folder.path(), script).keep("CARGO_MANIFEST_DIR");
    let told = alert("team", "a\nb\0c");
    command.deliver(&told).await.unwrap();
    let text = fs::read_to_string(folder.path().join("alert")).unwrap();
    assert_eq!(serde_json::from_str::<Alert>(&text).unwrap(), told);
    let text = fs::read_to_string(folder.path().join("env")).unwrap();
    let own = |line: &&str| {
        !["PWD=", "SHLVL=", "_=", "OLDPWD="]
            .iter()
            .any(|of| line.starts_with(of))
    };
    let mut names: Vec<_> = text
        .lines()
        .filter(own)
        .map(|line| line.split('=').next().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "AGENT_ALERT_BUDGET",
            "AGENT_ALERT_ID",
            "AGENT_ALERT_KIND",
            "AGENT_ALERT_MESSAGE",
            "AGENT_ALERT_PERCENT",
            "AGENT_ALERT_SCOPE",
            "CARGO_MANIFEST_DIR",
            "PATH",
        ]
    );
    assert!(
        text.contains("AGENT_ALERT_SCOPE=a\u{fffd}b\u{fffd}c\n"),
        "{text}"
    );
    assert!(text.contains("AGENT_ALERT_KIND=threshold\n"), "{text}");
}

#[tokio::test]
async fn a_program_that_fails_says_why_and_not_at_length() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "echo 'no mail server' >&2; yes >&2 & head -c 1000000 /dev/zero >&2; kill $!; exit 3";
    let error = shell(folder.path(), script)
        .deliver(&alert("b", ""))
        .await
        .unwrap_err();
    assert!(error.contains("exit status: 3"), "{error}");
    assert!(error.chars().count() < 2_200);
    assert!(!error.contains(['\0', '\n']));

    let error = CommandAlerts::new("/nowhere/at-all", ["x"])
        .deliver(&alert("b", ""))
        .await
        .unwrap_err();
    assert!(error.contains("cannot be run"), "{error}");
}

#[tokio::test]
async fn a_program_that_reads_nothing_and_leaves_something_running_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! > \"$1/pid\"";
    shell(folder.path(), script)
        .deliver(&alert("b", &"x".repeat(300_000)))
        .await
        .unwrap();
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    let ended = Command::new("kill").arg(pid.trim()).status().unwrap();
    assert!(ended.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_takes_too_long_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    // The pipe ends when the last of them is gone.
    let reader = tokio::task::spawn_blocking(move || fs::read_to_string(pipe).unwrap());
    let script = r#"exec 3> "$1/pipe"; echo begun >&3; sleep 1000 & sleep 1000"#;
    let error = shell(folder.path(), script)
        .time(Duration::from_millis(300))
        .deliver(&alert("b", ""))
        .await
        .unwrap_err();
    assert!(error.contains("took longer than 300ms"), "{error}");
    let begun = tokio::time::timeout(Duration::from_secs(20), reader);
    let begun = begun.await.expect("the pipe is closed").unwrap();
    assert_eq!(begun, "begun\n");
}
