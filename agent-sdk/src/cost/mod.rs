//! What requests cost.
