//! What budgets hold, seen from an account and from a run.

mod account;
mod requests;
