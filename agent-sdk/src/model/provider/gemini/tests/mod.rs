//! The client as a whole: what is sent, what is read, on our own cases and on recorded traffic.

mod fixtures;

use super::*;
