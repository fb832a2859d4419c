//! What ran when a process ended without a shutdown, written down for the next one.
//!
//! A process owns one file of a folder, and says so by the lock on a second one, which the operating system takes back however the
//! process ends. The next process to start there takes over the files whose owners are gone.

mod file;
mod record;

#[cfg(test)]
pub(crate) use file::OUTLIVED;
pub(crate) use file::{CrashFile, claim};
pub use record::{CrashReason, CrashedOperation};
