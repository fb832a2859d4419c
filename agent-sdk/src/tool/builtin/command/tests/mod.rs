//! The tool with real programs.
//!
//! What still runs is seen by a pipe that it inherited: it ends when the last of them is gone.

mod allowed;
mod endings;

use std::{path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use super::{Program, RunCommand, RunCommandBuilder};
use crate::tool::{ToolError, builtin::testing::call};

/// A tool that may run a shell, which none should, in this directory.
fn shell(directory: &Path) -> RunCommandBuilder {
    RunCommand::builder()
        .allow_program("sh")
        .directory(directory)
}

async fn run(tool: &RunCommand, argv: &[&str]) -> Result<Value, ToolError> {
    let shown = call(tool, json!({ "argv": argv })).await?;
    Ok(serde_json::from_str(&shown).unwrap())
}

/// A pipe with a name.
struct Pipe(std::path::PathBuf);

impl Pipe {
    fn new(directory: &Path) -> Self {
        let path = directory.join("pipe");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        Self(path)
    }

    /// The first line that is written to it, and the rest once everybody has closed it.
    async fn open(&self) -> (String, Rest) {
        use std::io::{BufRead, BufReader};

        let path = self.0.clone();
        let open = move || {
            let mut reader = BufReader::new(std::fs::File::open(path).unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            (line, reader)
        };
        let (line, reader) = tokio::task::spawn_blocking(open).await.unwrap();
        (line, Rest(reader))
    }
}

struct Rest(std::io::BufReader<std::fs::File>);

impl Rest {
    /// Waits until everybody has closed it.
    async fn end(mut self) {
        let read = move || std::io::copy(&mut self.0, &mut std::io::sink()).unwrap();
        let ended =
            tokio::time::timeout(Duration::from_secs(20), tokio::task::spawn_blocking(read));
        ended.await.expect("everybody is gone").unwrap();
    }
}

/// Writes its own id, that of what it starts, and that of its group's first to the pipe, and goes on for ever.
const LASTING: &str =
    r"exec 3> pipe; sleep 1000 & echo $$ $! $(cut -d' ' -f5 /proc/$$/stat) >&3; wait";

/// Whether a process is there and no zombie, which whoever adopted it has yet to collect.
fn is_running(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !stat.is_empty() && !state.starts_with(['Z', 'X'])
}

/// Waits until none of the processes is there.
async fn gone(ids: &str) {
    let gone = async {
        while ids.split_whitespace().any(is_running) {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(20), gone);
    gone.await
        .unwrap_or_else(|_| panic!("of {ids:?} some are there"));
}
