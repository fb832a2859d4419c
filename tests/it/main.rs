//! Behaviour of the whole workspace, one module each.

mod dashboards;
mod documents;
mod telemetry;
