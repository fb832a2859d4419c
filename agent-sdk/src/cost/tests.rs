//! Prices as a whole.
