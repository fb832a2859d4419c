//! The core of the agent SDK.
#![forbid(unsafe_code)]

pub mod cost;
pub mod model;
