//! A process that is killed in the middle.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use super::*;

const TASKS: usize = 4;

fn log(task: usize) -> LogId {
    session(&format!("task-{task}"))
}

#[test]
fn s1_what_was_acknowledged_before_a_kill_is_there_and_each_log_is_whole() {
    let (_folder, path) = place();
    block_on(async {
        let store = SqliteStore::open(&path).unwrap();
        for task in 0..TASKS {
            store.create(NewLog::new(log(task))).await.unwrap();
        }
    });
    let mut acknowledged = [0; TASKS];
    for round in 1..=5 {
        let mut child = other_process("append", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while let Some(Ok(line)) = lines.next() {
            let Some(said) = line.strip_prefix("acknowledged ") else {
                continue;
            };
            let (task, version) = said.split_once(' ').unwrap();
            acknowledged[task.parse::<usize>().unwrap()] = version.parse().unwrap();
            seen += 1;
            if seen == 40 * round {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success() && seen >= 40 * round);
        block_on(async {
            let store = SqliteStore::open(&path).unwrap();
            for (task, version) in acknowledged.iter_mut().enumerate() {
                let read = store.read(&log(task), 0, usize::MAX).await.unwrap();
                let there = read.len();
                assert!(there >= *version, "{there} {version}");
                let wanted: Vec<_> = (0..there).map(|n| format!("{task} {n}")).collect();
                assert_eq!(texts(&read), wanted);
                *version = there;
            }
        });
    }
}

pub(super) fn append_for_ever(path: &Path) {
    block_on(async {
        let store = SqliteStore::open(path).unwrap();
        let tasks = (0..TASKS).map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let log = log(task);
                let mut version = store.head(&log).await.unwrap().unwrap().version;
                loop {
                    let append = append(&log, format!("{task} {version}"));
                    version = store.append(append.at_version(version)).await.unwrap();
                    writeln!(std::io::stdout(), "acknowledged {task} {version}").unwrap();
                }
            })
        });
        futures_util::future::join_all(tasks).await;
    });
}
