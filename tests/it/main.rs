//! Behaviour of the whole workspace, one module each.
