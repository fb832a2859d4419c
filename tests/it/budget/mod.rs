//! Budgets against a provider that keeps its own bill.

mod broken;
mod fan_out;
mod provider;
