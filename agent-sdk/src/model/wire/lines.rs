//! Streams of lines, each a JSON text of its own.

use super::Failed;
use crate::model::{ModelError, ModelErrorKind};

/// Cuts a stream into lines at `\n`; what stands around a line, such as the `\r` of `\r\n`, is no part of it.
#[derive(Debug)]
pub(super) struct Lines {
    /// The line whose end has not come yet.
    open: Vec<u8>,
    max_bytes: usize,
    count: u64,
}

impl Lines {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            open: Vec::new(),
            max_bytes,
            count: 0,
        }
    }

    /// How many lines were handed out.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Reads a chunk and calls `each` for every line that it completes; empty ones are left out. Bytes that are no UTF-8 read
    /// as U+FFFD.
    pub(super) fn feed<E: From<Failed>>(
        &mut self,
        mut chunk: &[u8],
        mut each: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            let (line, rest) = chunk.split_at(end);
            chunk = rest.get(1..).unwrap_or_default();
            self.room(line)?;
            if self.open.is_empty() {
                self.hand_out(line, &mut each)?;
            } else {
                self.open.extend_from_slice(line);
                let line = std::mem::take(&mut self.open);
                self.hand_out(&line, &mut each)?;
                // The next one is likely to need as much room.
                self.open = line;
                self.open.clear();
            }
        }
        self.room(chunk)?;
        self.open.extend_from_slice(chunk);
        Ok(())
    }

    /// The last line, whose end never came. It may be whole: only who reads it can tell.
    pub(super) fn rest(&mut self) -> Option<String> {
        let open = std::mem::take(&mut self.open);
        let line = String::from_utf8_lossy(open.trim_ascii());
        (!line.is_empty()).then(|| line.into_owned())
    }

    fn hand_out<E>(
        &mut self,
        line: &[u8],
        each: &mut impl FnMut(&str) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        self.count += 1;
        each(&String::from_utf8_lossy(line))
    }

    fn room(&self, more: &[u8]) -> Result<(), Failed> {
        if more.len() <= self.max_bytes.saturating_sub(self.open.len()) {
            return Ok(());
        }
        let message = format!("a line passed the {} bytes of `line_bytes`", self.max_bytes);
        Err(ModelError::new(ModelErrorKind::Decode, message).into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<String>) {
        let mut lines = Lines::new(1_000);
        let mut all = Vec::new();
        for chunk in chunks {
            let fed: Result<(), Failed> = lines.feed(chunk, |line| {
                all.push(line.to_owned());
                Ok(())
            });
            fed.unwrap();
        }
        assert_eq!(lines.count(), all.len() as u64);
        (all, lines.rest())
    }

    #[test]
    fn a_line_ends_with_either_ending_and_empty_ones_are_left_out() {
        let body = "{\"a\":\"日\"}\r\n\n  \r\n{\"b\":1}\n{\"c\":";
        let whole = read([body.as_bytes()]);
        assert_eq!(whole.0, ["{\"a\":\"日\"}", "{\"b\":1}"]);
        assert_eq!(whole.1.as_deref(), Some("{\"c\":"));
        for at in 0..=body.len() {
            let (start, end) = body.as_bytes().split_at(at);
            assert_eq!(read([start, end]), whole, "cut at {at}");
        }
        assert_eq!(read(body.as_bytes().chunks(1)), whole);
    }

    #[test]
    fn a_line_longer_than_allowed_is_refused_before_its_end_comes() {
        let mut lines = Lines::new(10);
        let mut feed = |chunk: &[u8]| lines.feed(chunk, |_| Ok::<(), Failed>(()));
        assert!(feed(b"0123456789\n").is_ok());
        assert!(feed(b"0123456").is_ok());
        let Err(Failed::Because(error)) = feed(b"7890") else {
            panic!("it was read");
        };
        assert_eq!(error.kind(), ModelErrorKind::Decode);
        assert!(error.message().contains("line_bytes"), "{error}");
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_cuts(
            body in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r')], 0..200),
            size in 1..50_usize,
        ) {
            prop_assert_eq!(read(body.chunks(size)), read([&body[..]]));
        }
    }
}
