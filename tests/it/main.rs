//! Behaviour of the whole workspace, one module each.

#[cfg(test)]
mod documents;
#[cfg(test)]
mod telemetry;
