//! What happens to an item that finds the queue full.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// What happens to a span or log record that finds the queue full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is dropped and counted, and nobody waits.
    #[default]
    Drop,
    /// Whoever ends it waits for room, at most this long; then it is dropped and counted. The
    /// thread is blocked, also where it carries an async runtime.
    Block(Duration),
    /// Batches go to files, and are sent when the collector has room again or at the next start.
    Spill(SpillSettings),
}

/// Where batches wait on disk, and how many bytes of them.
///
/// The directory is made with access for the owner alone, and so are the files, which hold
/// telemetry in plain. Several processes may share it. What one of them left behind is taken over
/// by the next that starts with the same directory.
///
/// A batch is in a file before its spans count as spilled, so that the death of the process loses
/// none of them. Files are not forced to the disk: a power failure may damage the newest, which is
/// then recognised and counted.
///
/// A batch that a collector took, but whose file could not be removed in time, is sent twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillSettings {
    directory: PathBuf,
    max_bytes: u64,
}

impl SpillSettings {
    /// Files in this directory, 1 GiB at most for each signal.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            max_bytes: 1024 * 1024 * 1024,
        }
    }

    /// How many bytes the files of a signal may take. What comes when they are full is dropped.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn limit(&self) -> u64 {
        self.max_bytes
    }
}

impl WhenFull {
    /// The policy that a text names: `drop`, `block:MS` or `spill:DIRECTORY`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => (text == "drop").then_some(Self::Drop),
            Some(("block", millis)) => {
                let millis = millis.trim().parse::<u32>().ok()?;
                Some(Self::Block(Duration::from_millis(millis.into())))
            }
            Some(("spill", directory)) if !directory.is_empty() => {
                Some(Self::Spill(SpillSettings::new(directory)))
            }
            Some(_) => None,
        }
    }

    /// What a full queue does, in words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Drop => "a full queue drops what comes".to_owned(),
            Self::Block(most) => format!("a full queue is waited for, {most:?} at most"),
            Self::Spill(spill) => format!(
                "a full queue spills to {}, {} bytes at most",
                spill.directory().display(),
                spill.limit()
            ),
        }
    }

    /// How long an item waits for room.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::Drop => Duration::ZERO,
            Self::Block(most) => *most,
            // Room is made as fast as the disk writes.
            Self::Spill(_) => Duration::from_secs(1),
        }
    }
}
