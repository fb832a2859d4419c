//! A program with its watcher: started, read, ended.

use std::{
    future::Future,
    io,
    pin::Pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use futures_util::future::{Either, maybe_done, select};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

use super::capture::Capture;
use crate::group::Group;

/// How long outputs are listened to once their program has ended: what it left running may hold them open. After this it is killed,
/// and what then still holds them has left its group.
const LAST_WORDS: Duration = Duration::from_millis(600);

/// How long outputs are read once everybody in the group is killed.
const REMAINS: Duration = Duration::from_millis(200);

/// What the watcher does: it waits for a line that never comes, and when the pipe ends, because this process did, it kills its group.
const WATCH: &str = "read -r _; kill -s KILL 0";

/// A program that runs.
pub(super) struct Started {
    child: Child,
    /// The watcher's: it is the first of the group, and its id is the group's for as long as its end is not collected. So the group can be
    /// killed after the program has ended, without the risk that the number has become another's.
    group: Group,
    talk: Talk,
}

struct Talk {
    give: Option<(ChildStdin, String)>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    most: usize,
}

/// What came of a program.
pub(super) struct Ended {
    /// `None` where its time was up.
    pub(super) status: Option<ExitStatus>,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
    /// Whether somebody held its output when it was over.
    pub(super) is_held: bool,
}

impl Started {
    /// Starts a program. `Err` says in words why it cannot be.
    pub(super) fn new(
        mut command: Command,
        stdin: Option<String>,
        most: usize,
    ) -> Result<Self, String> {
        let group = watcher().map_err(|error| {
            format!(
                "cannot be started: /bin/sh, which would watch over it, cannot be run: {}",
                error.kind()
            )
        })?;
        let id = group.0.id().and_then(|id| i32::try_from(id).ok());
        let id = id.ok_or("cannot be started: what would watch over it has ended")?;
        let input = if stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(id)
            .kill_on_drop(true)
            .spawn();
        let mut child = child.map_err(|error| match error.kind() {
            io::ErrorKind::ArgumentListTooLong => {
                "cannot be started: its arguments are too long; give less, or by `stdin`".to_owned()
            }
            kind => format!("cannot be started: {kind}"),
        })?;
        Ok(Self {
            talk: Talk {
                give: child.stdin.take().zip(stdin),
                stdout: child.stdout.take(),
                stderr: child.stderr.take(),
                most,
            },
            child,
            group,
        })
    }

    /// Waits for its end, for so long at most, and ends all that it left.
    pub(super) async fn end(self, time: Duration) -> Result<Ended, String> {
        let Self {
            mut child,
            mut group,
            talk,
        } = self;
        let (mut stdout, mut stderr) = (Capture::new(talk.most), Capture::new(talk.most));
        let listen = async {
            tokio::join!(
                async {
                    if let Some((mut stdin, text)) = talk.give {
                        // A program need not read what it is told.
                        let _ = stdin.write_all(text.as_bytes()).await;
                    }
                },
                async {
                    if let Some(output) = talk.stdout {
                        stdout.listen(output).await;
                    }
                },
                async {
                    if let Some(output) = talk.stderr {
                        stderr.listen(output).await;
                    }
                }
            );
        };
        // It is asked again once it has ended.
        let mut listen = Box::pin(maybe_done(listen));
        let status = tokio::time::timeout(time, status(&mut child, listen.as_mut())).await;
        let status = match status {
            Ok(Ok(status)) => {
                let _ = tokio::time::timeout(LAST_WORDS, &mut listen).await;
                Some(status)
            }
            Ok(Err(error)) => return Err(format!("cannot be waited for: {}", error.kind())),
            Err(_) => None,
        };
        group.kill();
        // It may have left the group itself, as the first thing that it did.
        let _ = child.start_kill();
        let _ = group.0.wait().await;
        let _ = child.wait().await;
        let is_held = tokio::time::timeout(REMAINS, &mut listen).await.is_err();
        drop(listen);
        Ok(Ended {
            status,
            stdout,
            stderr,
            is_held,
        })
    }
}

/// A program's end, while it is listened to.
async fn status(
    child: &mut Child,
    listen: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> io::Result<ExitStatus> {
    let wait = std::pin::pin!(child.wait());
    match select(wait, listen).await {
        Either::Left((status, _)) => status,
        Either::Right(((), wait)) => wait.await,
    }
}

/// The first of a new group. It knows nothing of the program, and nothing that a model wrote reaches it.
fn watcher() -> io::Result<Group> {
    let child = Command::new("/bin/sh")
        .args(["-c", WATCH])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok(Group(child))
}
