//! Models: what is asked of them, what they answer, what it used.

pub mod sse;
mod usage;

pub use usage::Usage;
