//! Alerts to a program.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    process::Stdio,
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, maybe_done, select},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::AlertSink;
use crate::{budget::Alert, group::Group};

/// How much of what a program complains about is kept, in bytes.
const MAX_WORDS: usize = 2_048;

/// The longest value of a variable, in characters.
const MAX_VALUE: usize = 1_000;

/// How long a program's last words are waited for once it has ended; what it left running may hold its output open.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// Runs a program for each alert: this one, with these arguments, without a shell.
///
/// It gets the [`Alert`] as one line of JSON on its standard input, and these variables:
///
/// | Variable | What it holds |
/// |---|---|
/// | `AGENT_ALERT_ID` | the same whenever this alert is told |
/// | `AGENT_ALERT_KIND` | `threshold`, `exhausted`, `pace` or `debt` |
/// | `AGENT_ALERT_BUDGET`, `AGENT_ALERT_SCOPE` | the budget, and whose account of it |
/// | `AGENT_ALERT_PERCENT` | how much of the cap is spent |
/// | `AGENT_ALERT_MESSAGE` | a sentence for people |
///
/// Control characters in them are replaced, and values end after 1,000 characters. Of this process's own environment it gets
/// `PATH` and what [`keep`](Self::keep) names. Its output is thrown away; what it writes to standard error goes to the log where it
/// fails, up to 2 KiB. After its [time](Self::time) it is killed, on Unix with its process group: all that it started and that did
/// not leave the group.
#[derive(Clone)]
pub struct CommandAlerts {
    program: OsString,
    arguments: Vec<OsString>,
    kept: Vec<OsString>,
    time: Duration,
}

impl CommandAlerts {
    /// A program, by its path or by its name in `PATH`, with its arguments.
    pub fn new(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            kept: Vec::new(),
            time: Duration::from_secs(10),
        }
    }

    /// Hands a variable of this process's environment on, as it is when the program is run.
    #[must_use]
    pub fn keep(mut self, variable: impl Into<OsString>) -> Self {
        self.kept.push(variable.into());
        self
    }

    /// Sets how long it may run. Default: 10 seconds.
    #[must_use]
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    fn command(&self, alert: &Alert) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        for name in [OsStr::new("PATH")]
            .into_iter()
            .chain(self.kept.iter().map(OsString::as_os_str))
        {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let standing = &alert.standing;
        let percent = standing.percent.to_string();
        let message = alert.to_string();
        for (name, value) in [
            ("AGENT_ALERT_ID", &*alert.id),
            ("AGENT_ALERT_KIND", alert.kind.as_str()),
            ("AGENT_ALERT_BUDGET", &*standing.budget),
            ("AGENT_ALERT_SCOPE", &*standing.scope),
            ("AGENT_ALERT_PERCENT", &percent),
            ("AGENT_ALERT_MESSAGE", &message),
        ] {
            command.env(name, printable(value, MAX_VALUE));
        }
        command
    }

    async fn run(&self, alert: &Alert) -> Result<(), String> {
        let failed = |why: String| format!("{:?} {why}", self.name());
        let mut line =
            serde_json::to_string(alert).map_err(|_| failed("takes no such alert".into()))?;
        line.push('\n');
        let child = self
            .command(alert)
            .spawn()
            .map_err(|error| failed(format!("cannot be run: {error}")))?;
        let mut group = Group(child);
        let (stdin, stderr) = (group.0.stdin.take(), group.0.stderr.take());
        let mut words = Vec::new();
        let talk = async {
            let give = async {
                if let Some(mut stdin) = stdin {
                    // A program need not read what it is told.
                    let _ = stdin.write_all(line.as_bytes()).await;
                }
            };
            let listen = async {
                let Some(mut stderr) = stderr else {
                    return;
                };
                let mut buffer = [0; 1_024];
                while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
                    let room = MAX_WORDS.saturating_sub(words.len());
                    let kept = buffer.get(..read.min(room)).unwrap_or_default();
                    words.extend_from_slice(kept);
                }
            };
            tokio::join!(give, listen);
        };
        // It is asked again once it has ended.
        let mut talk = Box::pin(maybe_done(talk));
        let ended = async {
            let wait = std::pin::pin!(group.0.wait());
            match select(wait, &mut talk).await {
                Either::Left((status, _)) => status,
                Either::Right(((), wait)) => wait.await,
            }
        };
        let status = match tokio::time::timeout(self.time, ended).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => return Err(failed(format!("cannot be waited for: {error}"))),
            Err(_) => return Err(failed(format!("took longer than {:?}", self.time))),
        };
        let _ = tokio::time::timeout(LAST_WORDS, &mut talk).await;
        drop(talk);
        if status.success() {
            return Ok(());
        }
        let words = printable(String::from_utf8_lossy(&words).trim(), MAX_WORDS);
        Err(failed(format!("ended with {status}: {words}")))
    }
}

/// Text without control characters, cut after so many.
fn printable(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(most).map(plain).collect()
}

impl AlertSink for CommandAlerts {
    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), String>> {
        self.run(alert).boxed()
    }

    fn time_limit(&self) -> Duration {
        self.time.saturating_add(Duration::from_secs(1))
    }
}

impl fmt::Debug for CommandAlerts {
    /// Without the arguments, which may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandAlerts")
            .field("program", &self.program)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}
