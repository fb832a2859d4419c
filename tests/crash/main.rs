//! Runs in processes of their own, which are killed, crowded out or have no room on the disk, and are resumed by others.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may panic as tests do"
)]

mod child;
mod ladder;
mod leases;
mod ledger;
mod plan;
mod room;
mod server;
