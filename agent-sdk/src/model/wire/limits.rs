//! How large a reply may be.

const MEBIBYTE: usize = 1024 * 1024;

/// How large a reply may be; a larger one is refused with [`ModelErrorKind::Decode`](crate::model::ModelErrorKind::Decode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The whole reply, decompressed. Default: 32 MiB.
    pub reply_bytes: usize,
    /// The arguments of all tool calls of a reply together. Default: 1 MiB.
    pub tool_argument_bytes: usize,
    /// One line, and one event, of a streamed reply. Default: 8 MiB.
    pub line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reply_bytes: 32 * MEBIBYTE,
            tool_argument_bytes: MEBIBYTE,
            line_bytes: 8 * MEBIBYTE,
        }
    }
}
