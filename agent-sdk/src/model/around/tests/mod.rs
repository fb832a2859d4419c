//! The layers together, as a caller and an observer see them.
