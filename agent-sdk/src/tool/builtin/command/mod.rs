//! `run_command`: one program that is allowed, with its arguments.
//!
//! A program that a model may run can do what the user can, as far as its arguments go. So:
//!
//! - The program must be [allowed](RunCommandBuilder::allow_program), by name; where it is was found when the tool was made. Its first
//!   argument can be limited too. No shell reads what the model writes: each string arrives as it is, as one argument.
//! - Of this process's environment a program gets nothing but what is named: `PATH` is `/usr/bin:/bin`, `LANG` is `C.UTF-8`, `HOME` is
//!   the directory that it runs in. A variable with the name of a secret is handed on only where it is [said to be
//!   one](RunCommandBuilder::secret).
//! - It runs in a process group together with a watcher. When its time is up, its call is dropped or it has ended, the whole group is
//!   killed; where this process itself is killed, even by a signal that it cannot catch, the watcher notices and does it.
//! - Its output is read as it comes, into two parts of fixed size: the beginning and the end.
//!
//! What it does not do: a directory is no jail, and a program that starts a session of its own leaves the group. Against a program
//! that is an enemy, run the agent where there is nothing to find. Be sparing with programs that run others (`env`, `find`, `make`,
//! `git` with its hooks and settings, every interpreter): allowing one allows them all.
//!
//! | File | What it holds |
//! |---|---|
//! | `builder` | what is allowed |
//! | `environment` | what a program is told of this process |
//! | `process` | a program with its watcher: started, read, ended |
//! | `capture` | the beginning and the end of an output |

mod builder;
mod capture;
mod environment;
mod process;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::builder::{Program, RunCommandBuilder};
use self::{
    environment::Environment,
    process::{Ended, Started},
};
use crate::{
    model::ToolSpec,
    redact::Secrets,
    tool::{
        Concurrency, Tool, ToolContext, ToolError, ToolErrorKind, ToolOptions, ToolOutput, parse,
        schema_of,
    },
};

/// The tool `run_command`: one program that is allowed, without a shell. Cheap to clone.
///
/// The model gives `argv`, the program's name and its arguments, and `stdin` where the program reads. It is shown the exit code, or the
/// signal that ended it, and both outputs as text, without control sequences and without their middle where they are long. A program
/// that fails is a result like any other; one that takes too long is an error that says what it wrote until then.
///
/// It works in the run's workspace, where there is one, else in the
/// [directory](RunCommandBuilder::directory) that the user gave. Calls of one turn run one after the other. Dropping a call kills the
/// program and all that it started.
///
/// # Example
///
/// ```no_run
/// use agent_sdk::tool::builtin::{Program, RunCommand};
///
/// # fn main() -> Result<(), agent_sdk::tool::builtin::BuiltinError> {
/// let tool = RunCommand::builder()
///     .allow_program(Program::new("git").first_arguments(["status", "diff", "log"]))
///     .allow_program("ls")
///     .directory("/srv/checkout")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RunCommand(Arc<Inner>);

struct Inner {
    programs: BTreeMap<String, Allowed>,
    environment: Environment,
    directory: Option<PathBuf>,
    time: Duration,
    max_output_bytes: usize,
    needs_approval: bool,
}

/// A program, found.
struct Allowed {
    path: PathBuf,
    first_arguments: Option<Vec<String>>,
}

/// What the model gives.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The program's name, then each of its arguments as a string of its own. No shell reads them: no quotes, pipes, redirections,
    /// variables or wildcards.
    #[schemars(length(min = 1))]
    argv: Vec<String>,
    /// What the program reads on its standard input. Default: nothing.
    #[serde(default)]
    stdin: Option<String>,
}

/// What the model is shown.
#[derive(Serialize)]
struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// The number of the signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    stdout: String,
    stderr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

impl RunCommand {
    /// Settings for the tool. Nothing is allowed yet.
    pub fn builder() -> RunCommandBuilder {
        RunCommandBuilder::new()
    }

    /// The program that was asked for, if it may run with these arguments.
    fn allowed<'a>(
        &self,
        argv: &'a [String],
    ) -> Result<(&Allowed, &'a str, &'a [String]), ToolError> {
        let invalid = |message| Err(ToolError::invalid_arguments(message));
        let Some((name, arguments)) = argv.split_first() else {
            return invalid("`argv` is empty: begin it with the program's name".to_owned());
        };
        let Some(allowed) = self.0.programs.get(name) else {
            return invalid(format!(
                "`argv` must begin with a program that is allowed: {}",
                self.0.names()
            ));
        };
        if let Some(first) = &allowed.first_arguments
            && !arguments.first().is_some_and(|given| first.contains(given))
        {
            return invalid(format!(
                "the first argument of `{name}` must be one of: {}",
                first.join(", ")
            ));
        }
        if argv.iter().any(|argument| argument.contains('\0')) {
            return invalid("an argument holds a NUL character, which none can".to_owned());
        }
        Ok((allowed, name, arguments))
    }

    fn directory(&self, context: &ToolContext) -> Result<PathBuf, ToolError> {
        #[cfg(feature = "workspace")]
        if let Some(workspace) = context.state::<crate::workspace::Workspace>() {
            return Ok(workspace.path().to_owned());
        }
        #[cfg(not(feature = "workspace"))]
        let _ = context;
        self.0.directory.clone().ok_or_else(|| {
            ToolError::failed("there is no directory to run in: the agent has no workspace, and the tool was given none")
        })
    }

    async fn run(&self, context: &ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        let Arguments { argv, stdin } = parse(arguments)?;
        let (program, name, arguments) = self.allowed(&argv)?;
        let directory = self.directory(context)?;
        let inner = &*self.0;
        let mut command = tokio::process::Command::new(&program.path);
        command.args(arguments).current_dir(&directory);
        inner.environment.give(&mut command, &directory);
        let started = Started::new(command, stdin, inner.max_output_bytes);
        let started = started.map_err(|why| ToolError::failed(format!("`{name}` {why}")))?;
        let ended = started.end(inner.time).await;
        let ended = ended.map_err(|why| ToolError::failed(format!("`{name}` {why}")))?;
        let is_late = ended.status.is_none();
        let shown = serde_json::to_string(&inner.shown(&ended));
        let shown = shown.map_err(|_| ToolError::failed("the output cannot be written as JSON"))?;
        if is_late {
            return Err(ToolError::new(
                ToolErrorKind::Timeout,
                format!(
                    "`{name}` did not end within {:?} and was killed with all that it started. What it wrote: {shown}",
                    inner.time
                ),
            ));
        }
        Ok(shown.into())
    }
}

impl Inner {
    fn shown(&self, ended: &Ended) -> Shown {
        use std::os::unix::process::ExitStatusExt;

        let secrets = Secrets(self.environment.secrets());
        Shown {
            exit_code: ended.status.and_then(|status| status.code()),
            signal: ended.status.and_then(|status| status.signal()),
            stdout: ended.stdout.show(&secrets),
            stderr: ended.stderr.show(&secrets),
            note: ended.is_held.then_some(
                "something that it started still held its output, and was no longer listened to",
            ),
        }
    }

    /// The programs that are allowed, in words.
    fn names(&self) -> String {
        let names = self.programs.iter().map(|(name, program)| {
            let first = program.first_arguments.as_ref();
            first.map_or_else(
                || name.clone(),
                |first| format!("{name} ({})", first.join("|")),
            )
        });
        names.collect::<Vec<_>>().join(", ")
    }
}

impl Tool for RunCommand {
    fn spec(&self) -> ToolSpec {
        let description = format!(
            "Runs one program, without a shell, and gives its exit code and what it wrote. Programs: {}.",
            self.0.names()
        );
        ToolSpec::new("run_command", description, schema_of::<Arguments>())
    }

    /// It [writes](crate::tool::Effect::Write), runs alone, and a person is asked before.
    fn options(&self) -> ToolOptions {
        let options = ToolOptions::default()
            .with_concurrency(Concurrency::Exclusive)
            // Its own limit comes first, and says more.
            .with_timeout(self.0.time.saturating_add(Duration::from_secs(5)));
        if self.0.needs_approval {
            options.with_approval()
        } else {
            options
        }
    }

    async fn call(&self, context: ToolContext, arguments: &str) -> Result<ToolOutput, ToolError> {
        self.run(&context, arguments).await
    }
}

impl fmt::Debug for RunCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunCommand")
            .field("programs", &self.0.names())
            .field("directory", &self.0.directory)
            .field("time", &self.0.time)
            .finish_non_exhaustive()
    }
}
