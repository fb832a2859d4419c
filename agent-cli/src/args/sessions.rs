//! What is done with sessions.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{Args, Subcommand};

use super::Pair;

const SESSIONS_HELP: &str = "\
A session is a conversation that runs go on with, and that outlives them: `agent run PROMPT --session ID`. Each change makes a
version; none is rewritten. AT is a version's number or the name of a snapshot.

Examples:
  agent run 'Where to?' --session new --model openai:gpt-5-mini
  agent sessions list
  agent sessions snapshot trip before-booking
  agent sessions diff trip before-booking 9
  agent sessions branch trip --at before-booking
  agent sessions export trip --output trip.json";

/// What `sessions` takes.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = SESSIONS_HELP)]
pub(crate) struct SessionsArguments {
    /// Whose sessions. Default: the system's name for who runs the command.
    #[arg(long, value_name = "USER", global = true)]
    pub(crate) user: Option<String>,
    #[command(subcommand)]
    pub(crate) what: SessionsCommand,
}

/// What is done with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// Makes a session, and prints its id.
    Create {
        /// Its id: letters, digits, `-`, `_`, `.` and `:`. Default: a new one.
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// What people call it.
        #[arg(long, value_name = "TEXT")]
        title: Option<String>,
        /// What it is found by; may be given again.
        #[arg(long = "tag", value_name = "KEY=VALUE")]
        tags: Vec<Pair>,
    },
    /// Lists sessions, those that changed last first.
    List {
        /// The most sessions to list.
        #[arg(long, value_name = "N", default_value = "20")]
        limit: NonZeroUsize,
        /// Prints one session as JSON a line.
        #[arg(long)]
        json: bool,
    },
    /// Shows what was said in a session, and what else it holds.
    Show {
        /// The session.
        id: String,
        /// As it was then: a version's number or a snapshot's name. Default: as it is.
        #[arg(long, value_name = "AT")]
        at: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Lists the versions of a session and what changed in each.
    Versions {
        /// The session.
        id: String,
        /// Prints one version as JSON a line.
        #[arg(long)]
        json: bool,
    },
    /// Says what is different between two versions.
    Diff {
        /// The session.
        id: String,
        /// The old one: a version's number or a snapshot's name.
        old: String,
        /// The new one.
        new: String,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Makes a session that begins as this one is or was, and prints its id.
    Branch {
        /// The session.
        id: String,
        /// From then: a version's number or a snapshot's name. Default: as it is.
        #[arg(long, value_name = "AT")]
        at: Option<String>,
    },
    /// Names the version that a session is at.
    Snapshot {
        /// The session.
        id: String,
        /// The name.
        name: String,
    },
    /// Leaves old turns out of what models see; they stay in the versions before.
    Compress {
        /// The session.
        id: String,
        /// How many of the last turns stay.
        #[arg(long, value_name = "N")]
        keep_turns: usize,
    },
    /// Gives up the run that is under way in a session.
    Abandon {
        /// The session.
        id: String,
    },
    /// Writes a session with all its versions as JSON.
    Export {
        /// The session.
        id: String,
        /// The file to write, for this user alone; one that exists is replaced. Default: standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Makes a session of what `export` wrote, under a new id, and prints that.
    Import {
        /// The file; `-` reads standard input.
        file: PathBuf,
    },
    /// Deletes a session; its branches keep what they had.
    Delete {
        /// The session.
        id: String,
    },
}
