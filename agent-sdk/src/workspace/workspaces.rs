//! A directory for each run.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

#[cfg(unix)]
use cap_std::fs::DirBuilderExt;
use cap_std::{
    ambient_authority,
    fs::{Dir, DirBuilder},
};
use jiff::{Timestamp, tz::TimeZone};

use super::{
    Workspace, WorkspaceError, WorkspaceErrorKind,
    jail::{self, Jail},
    template::Template,
};

/// How many directories may have one name, told apart by a number.
const SAME_NAME: u32 = 10_000;

/// Where the directories of runs are, and how they are called.
///
/// The template is the path of a run's directory below the root. Its placeholders:
///
/// | Placeholder | What it becomes | Example |
/// |---|---|---|
/// | `{year}` | the calendar year | `2026` |
/// | `{week}` | the ISO week, two digits; at a turn of the year it may be of the other year | `47` |
/// | `{date}` | the date | `2026-11-20` |
/// | `{time}` | the time, `HHMMSS` | `142905` |
/// | `{slug}` | the task's first words: ASCII letters, digits, hyphens, at most 40 | `review-the-code` |
/// | `{run}` `{agent}` `{user}` `{session}` | that id or name, whatever is no ASCII letter, digit, `-` or `_` made a hyphen | `ada` |
///
/// Default: `week-{week}/{date}/{slug}-{time}`. Dates and times are in the time zone of [`Named`].
///
/// # Example
///
/// ```
/// use agent_sdk::workspace::{Named, Workspaces};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let root = folder.path();
/// let workspaces = Workspaces::new(root);
/// let named = Named::new("Review the code!", "2026-11-20T14:29:05Z".parse()?);
/// let workspace = workspaces.create(&named)?;
/// assert!(workspace.path().ends_with("week-47/2026-11-20/review-the-code-142905"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Workspaces {
    root: PathBuf,
    template: Template,
}

impl Workspaces {
    /// Directories below this folder, which is made when it is needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            template: Template::default(),
        }
    }

    /// Sets how the directories are called.
    ///
    /// # Errors
    ///
    /// [`WorkspaceErrorKind::Invalid`]: a placeholder that does not exist, an absolute path, `..`, or a name that not every system
    /// allows.
    pub fn template(mut self, template: &str) -> Result<Self, WorkspaceError> {
        self.template = Template::parse(template)?;
        Ok(self)
    }

    /// The folder in which they are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes a directory for a run. It is always a new one: where the name is taken, `-2`, `-3`, … comes after it.
    ///
    /// On Unix it, and each folder that is made on the way, is its owner's alone (mode 0700). Blocks while the file system works.
    ///
    /// # Errors
    ///
    /// [`WorkspaceErrorKind::Invalid`] where the template asks for something that was not given; [`WorkspaceErrorKind::Refused`] where a
    /// folder on the way is a link; what the system says.
    pub fn create(&self, named: &Named) -> Result<Workspace, WorkspaceError> {
        let parts = self.template.render(named)?;
        let path = parts.join("/");
        let Some((last, above)) = parts.split_last() else {
            return Err(WorkspaceError::invalid("the template is empty"));
        };
        let mut folder = self.make_root()?;
        let how = for_its_owner();
        for name in above {
            folder = jail::open_or_make(&path, &folder, name, &how)?;
        }
        for number in 1..=SAME_NAME {
            let name = match number {
                1 => last.clone(),
                _ => format!("{last}-{number}"),
            };
            match folder.create_dir_with(&name, &how) {
                Ok(()) => {
                    let made = jail::open_or_make(&path, &folder, &name, &how)?;
                    let shown = above
                        .iter()
                        .chain([&name])
                        .fold(self.root.clone(), |path, name| path.join(name));
                    return Ok(Workspace::of(Jail::of(made), shown));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(WorkspaceError::io(jail::shown(&path), "made", error)),
            }
        }
        Err(WorkspaceError::new(
            WorkspaceErrorKind::AlreadyExists,
            format!(
                "{} is the name of {SAME_NAME} directories already",
                jail::shown(&path)
            ),
        ))
    }

    /// Opens a directory that exists: a path below the root, or the whole path that [`Workspace::path`] gave.
    ///
    /// # Errors
    ///
    /// [`WorkspaceErrorKind::NotFound`] where there is none; [`WorkspaceErrorKind::Refused`] where the path leads out of the root or over
    /// a link.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Workspace, WorkspaceError> {
        let path = path.as_ref();
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let Some(text) = below.to_str() else {
            let shown = below.to_string_lossy();
            return Err(WorkspaceError::refused(format!(
                "{} is no UTF-8",
                jail::shown(&shown)
            )));
        };
        let text = if cfg!(windows) {
            text.replace('\\', "/")
        } else {
            text.to_owned()
        };
        if jail::names(&text)?.is_empty() {
            return Err(WorkspaceError::invalid(format!(
                "{} is the root of all workspaces, and none itself",
                self.shown()
            )));
        }
        let root = Jail::open(&self.root)
            .map_err(|error| WorkspaceError::io(self.shown(), "opened", error))?;
        let folder = root.folder(&text)?;
        Ok(Workspace::of(Jail::of(folder), self.root.join(below)))
    }

    fn make_root(&self) -> Result<Dir, WorkspaceError> {
        let mut how = fs::DirBuilder::new();
        how.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut how, 0o700);
        how.create(&self.root)
            .and_then(|()| Dir::open_ambient_dir(&self.root, ambient_authority()))
            .map_err(|error| WorkspaceError::io(self.shown(), "made", error))
    }

    fn shown(&self) -> String {
        jail::shown(&self.root.to_string_lossy())
    }
}

fn for_its_owner() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut how = DirBuilder::new();
    #[cfg(unix)]
    how.mode(0o700);
    how
}

/// What a run's directory is called after.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Named {
    /// What the run shall do; its first words become the slug.
    pub task: String,
    /// When it began.
    pub at: Timestamp,
    /// Where dates and times are told. Default: UTC.
    pub time_zone: TimeZone,
    /// The run's id. Default: none, as with the other three; a template that asks for one of them needs it.
    pub run: Option<String>,
    /// The agent's name.
    pub agent: Option<String>,
    /// The user on whose behalf it runs.
    pub user: Option<String>,
    /// The session.
    pub session: Option<String>,
}

impl Named {
    /// After a task, and the time at which its run began.
    pub fn new(task: impl Into<String>, at: Timestamp) -> Self {
        Self {
            task: task.into(),
            at,
            time_zone: TimeZone::UTC,
            run: None,
            agent: None,
            user: None,
            session: None,
        }
    }

    /// Sets where dates and times are told.
    #[must_use]
    pub fn time_zone(mut self, time_zone: TimeZone) -> Self {
        self.time_zone = time_zone;
        self
    }

    /// Sets the run's id.
    #[must_use]
    pub fn run(mut self, run: impl Into<String>) -> Self {
        self.run = Some(run.into());
        self
    }

    /// Sets the agent's name.
    #[must_use]
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.agent = Some(agent.into());
        self
    }

    /// Sets the user.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the session.
    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }
}
