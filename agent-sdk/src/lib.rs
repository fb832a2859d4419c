//! The core of the agent SDK.
#![forbid(unsafe_code)]

pub mod agent;
pub mod cost;
pub mod journal;
pub mod message;
pub mod model;
pub mod operation;
pub mod profile;
pub mod run;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tool;
