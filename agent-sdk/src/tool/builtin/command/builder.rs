//! Settings for the tool.

use std::{
    collections::BTreeMap,
    env, fmt,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::SecretString;

use super::{
    Allowed, Inner, RunCommand,
    environment::{Environment, WHERE},
};
use crate::tool::builtin::{BuiltinError, BuiltinErrorKind};

/// A program that [`RunCommand`] may run. A text becomes one, as `git`.
#[derive(Clone, Debug)]
pub struct Program {
    name: String,
    path: Option<PathBuf>,
    first_arguments: Option<Vec<String>>,
}

impl Program {
    /// A program of this name, which is looked for in this process's `PATH` when the tool is made.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: None,
            first_arguments: None,
        }
    }

    /// Says where it is, instead of looking for it.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Allows it with a first argument among these alone, as `git` with `status` and `diff`. What comes after is the model's to say.
    #[must_use]
    pub fn first_arguments(mut self, allowed: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.first_arguments = Some(allowed.into_iter().map(Into::into).collect());
        self
    }

    fn find(self) -> Result<(String, Allowed), BuiltinError> {
        let name = self.name;
        if name.is_empty() || name.contains(['/', '\0']) {
            return Err(BuiltinError::invalid(format!(
                "{name:?} is no program's name: say where it is with `path`"
            )));
        }
        let path = match self.path {
            Some(path) if !path.is_absolute() => {
                return Err(BuiltinError::invalid(format!(
                    "the path of the program {name:?} must begin at the root"
                )));
            }
            Some(path) => Some(path).filter(|path| can_be_run(path)),
            // What is found from the current directory would be whatever lies there.
            None => env::split_paths(&env::var_os("PATH").unwrap_or_else(|| WHERE.into()))
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join(&name))
                .find(|path| can_be_run(path)),
        };
        let path = path.ok_or_else(|| {
            BuiltinError::new(
                BuiltinErrorKind::NotFound,
                format!("the program {name:?} is not there, or cannot be run"),
            )
        })?;
        let first_arguments = self.first_arguments;
        Ok((
            name,
            Allowed {
                path,
                first_arguments,
            },
        ))
    }
}

fn can_be_run(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

impl From<&str> for Program {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Program {
    fn from(name: String) -> Self {
        Self::new(name)
    }
}

/// Settings for [`RunCommand`]; made by [`RunCommand::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct RunCommandBuilder {
    programs: Vec<Program>,
    environment: Environment,
    directory: Option<PathBuf>,
    time: Duration,
    max_output_bytes: usize,
    needs_approval: bool,
}

impl RunCommandBuilder {
    pub(super) fn new() -> Self {
        Self {
            programs: Vec::new(),
            environment: Environment::default(),
            directory: None,
            time: Duration::from_mins(1),
            max_output_bytes: 64 * 1024,
            needs_approval: true,
        }
    }

    /// Allows a program.
    pub fn allow_program(mut self, program: impl Into<Program>) -> Self {
        self.programs.push(program.into());
        self
    }

    /// Sets the directory that programs run in where the run has no workspace. Default: none, and then nothing is run.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Gives programs a variable, in place of a default of the same name.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.set(name.into(), value.into());
        self
    }

    /// Hands a variable of this process's environment on, as it is when a program is run.
    pub fn keep(mut self, name: impl Into<String>) -> Self {
        self.environment.keep(name.into());
        self
    }

    /// Gives programs a variable whose value is a secret: it is printed nowhere, and marked where their output repeats it. They, and all
    /// that they start, can read it, and send it where they like.
    pub fn secret(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.environment.secret(name.into(), value.into());
        self
    }

    /// Sets how long a program may run. Default: a minute.
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets how much of each of the two outputs is kept, in bytes: one half from its beginning, one from its end. Default: 64 KiB.
    pub fn max_output_bytes(mut self, bytes: usize) -> Self {
        self.max_output_bytes = bytes;
        self
    }

    /// Runs programs without asking a person before each call. Default: somebody is asked.
    pub fn without_approval(mut self) -> Self {
        self.needs_approval = false;
        self
    }

    /// Makes the tool.
    ///
    /// # Errors
    ///
    /// No program is allowed; one is not there, or allowed twice; a variable has no name that can be given, or that of a secret; the
    /// directory is none.
    pub fn build(self) -> Result<RunCommand, BuiltinError> {
        if self.programs.is_empty() {
            return Err(BuiltinError::new(
                BuiltinErrorKind::NothingAllowed,
                "`run_command` may run no program: name those that it may with `allow_program`",
            ));
        }
        let mut programs = BTreeMap::new();
        for program in self.programs {
            let (name, program) = program.find()?;
            if programs.insert(name.clone(), program).is_some() {
                return Err(BuiltinError::invalid(format!(
                    "the program {name:?} is allowed twice"
                )));
            }
        }
        self.environment.check()?;
        if let Some(directory) = &self.directory
            && !(directory.is_absolute() && directory.is_dir())
        {
            return Err(BuiltinError::invalid(
                "the directory to run in must be one, and begin at the root",
            ));
        }
        Ok(RunCommand(Arc::new(Inner {
            programs,
            environment: self.environment,
            directory: self.directory,
            time: self.time,
            max_output_bytes: self.max_output_bytes,
            needs_approval: self.needs_approval,
        })))
    }
}

impl fmt::Debug for RunCommandBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunCommandBuilder")
            .field("programs", &self.programs)
            .field("directory", &self.directory)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}
