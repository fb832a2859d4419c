//! The client as a whole: on streams in memory, on what it sends, and on recorded traffic.

mod fixtures;

use super::*;
