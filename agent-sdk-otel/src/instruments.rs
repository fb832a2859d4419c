//! The metrics of operations.
