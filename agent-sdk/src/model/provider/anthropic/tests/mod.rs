//! The client as a whole: in memory, against a server of scripts, and on recorded traffic.

mod fixtures;

use super::*;
