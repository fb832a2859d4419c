//! Random plans against an oracle.
//!
//! [`draft`] makes plans, [`world`] says what their tasks do and when, [`drive`] runs a machine in virtual time and watches what must
//! always hold, and [`expect`] works out from the documented rules alone what must come of it. Nothing here waits or draws a number:
//! a seed says everything, and no two things happen at the same moment unless one leads to the other.

pub(crate) mod changes;
pub(crate) mod draft;
pub(crate) mod drive;
pub(crate) mod ends;
pub(crate) mod expect;
mod fold;
pub(crate) mod world;

use proptest::test_runner::Config;

/// As many plans as this, or as `AGENT_SDK_PLANS` says.
pub(crate) fn plans(fewest: u32) -> Config {
    let cases = std::env::var("AGENT_SDK_PLANS");
    Config {
        cases: cases.map_or(fewest, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        ..Config::default()
    }
}
