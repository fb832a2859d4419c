//! The workspace tests: see `it/`.
