//! Behaviour of the whole workspace, one module each.

mod documents;
