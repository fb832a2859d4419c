//! Behaviour of the whole workspace, one module each.

// `cfg(test)` tells clippy that these are tests.
#[cfg(test)]
mod budget;
#[cfg(test)]
mod dashboards;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod telemetry;
