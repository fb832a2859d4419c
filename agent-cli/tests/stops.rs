//! How `agent run` stops before its end: signals, and readers that go away.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use support::{Server, ended, piece};

#[test]
fn a_reader_that_goes_away_cancels_the_run_quietly() {
    let pieces: Vec<_> = (0..2000)
        .map(|number| piece(&format!("line {number}\n")))
        .collect();
    let server = Server::streaming(&pieces, true);
    let mut child = server.run(&[]).spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!(line, "line 0\n");
    let (code, _, err) = ended(&output);
    assert_eq!((code, err), (Some(0), ""));
}

#[test]
fn a_signal_cancels_and_shows_what_was_spent() {
    for (signal, expected) in [("INT", 130), ("TERM", 143)] {
        let server = Server::streaming(&[piece("begun\n")], true);
        let mut child = server.run(&[]).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let pid = child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &pid])
            .status()
            .unwrap();
        assert!(sent.success());
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        let output = child.wait_with_output().unwrap();
        let (code, _, err) = ended(&output);
        assert_eq!(code, Some(expected), "{err}");
        assert!(err.contains("was cancelled"), "{err}");
        assert!(rest.contains("1 model call"), "{rest}");
    }
}

#[test]
fn a_second_signal_ends_it_although_nobody_reads() {
    let pieces: Vec<_> = (0..5000).map(|_| piece(&"x".repeat(100))).collect();
    let server = Server::streaming(&pieces, true);
    let mut child = server.run(&[]).spawn().unwrap();
    // It has begun, and knows of signals. The pipe is full after 64 KiB: then the command waits for its reader.
    let out = child.stdout.as_mut().unwrap();
    out.read_exact(&mut [0; 100]).unwrap();
    let pid = child.id().to_string();
    let began = Instant::now();
    let code = loop {
        let mut kill = Command::new("kill");
        let kill = kill.args(["-s", "INT", &pid]).stderr(Stdio::null());
        // It may have ended since; two signals that are too close to each other are one.
        let _ = kill.status().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        assert!(began.elapsed() < Duration::from_mins(1), "it never ended");
    };
    assert_eq!(code, Some(130));
}
