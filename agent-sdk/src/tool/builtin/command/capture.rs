//! The beginning and the end of an output.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{redact::Secrets, text::strip_controls};

/// How much more than is shown of each part is kept, so that a secret at the cut is found whole.
const BEYOND: usize = 1024;

/// What is kept of an output, however long it is.
#[derive(Debug)]
pub(super) struct Capture {
    /// How much of each end is shown, in bytes.
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// All that was read.
    read: u64,
}

impl Capture {
    pub(super) fn new(most: usize) -> Self {
        Self {
            half: most / 2,
            head: Vec::new(),
            tail: VecDeque::new(),
            read: 0,
        }
    }

    /// Reads an output to its end.
    pub(super) async fn listen(&mut self, mut output: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 8 * 1024];
        // An output that cannot be read has ended.
        while let Ok(read @ 1..) = output.read(&mut buffer).await {
            self.take(buffer.get(..read).unwrap_or_default());
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = self.half + BEYOND;
        self.read = self.read.saturating_add(bytes.len() as u64);
        let to_head = bytes.len().min(room.saturating_sub(self.head.len()));
        let (head, rest) = bytes.split_at_checked(to_head).unwrap_or((bytes, &[]));
        self.head.extend_from_slice(head);
        let last = rest.get(rest.len().saturating_sub(room)..).unwrap_or(rest);
        let surplus = (self.tail.len() + last.len()).saturating_sub(room);
        self.tail.drain(..surplus);
        self.tail.extend(last);
    }

    /// What is kept, as text that acts on no terminal, with the number of bytes that are missing in its middle.
    pub(super) fn show(&self, secrets: &Secrets) -> String {
        let clean = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let text = strip_controls(&text);
            secrets.scrub(&text).into_owned()
        };
        let (front, back) = self.tail.as_slices();
        let tail = [front, back].concat();
        let is_whole = self.read <= (self.head.len() + tail.len()) as u64;
        let (head, tail) = if is_whole {
            let all = clean(&[self.head.as_slice(), &tail].concat());
            if all.len() <= 2 * self.half {
                return all;
            }
            (all.clone(), all)
        } else {
            (clean(&self.head), clean(&tail))
        };
        let head = head.get(..head.floor_char_boundary(self.half));
        let tail = tail.get(tail.ceil_char_boundary(tail.len().saturating_sub(self.half))..);
        let (head, tail) = (head.unwrap_or_default(), tail.unwrap_or_default());
        let shown = (head.len() + tail.len()) as u64;
        let cut = self.read.saturating_sub(shown).max(1);
        format!("{head}\n[… about {cut} bytes cut …]\n{tail}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(most: usize, pieces: &[&[u8]]) -> String {
        let mut capture = Capture::new(most);
        for piece in pieces {
            capture.take(piece);
            assert!(capture.head.len() + capture.tail.len() <= most + 2 * BEYOND);
        }
        capture.show(&Secrets::default())
    }

    #[test]
    fn t3_a_long_output_keeps_its_beginning_and_its_end() {
        let lines: Vec<String> = (0..100_000).map(|line| format!("line {line}\n")).collect();
        let pieces: Vec<&[u8]> = lines.iter().map(std::string::String::as_bytes).collect();
        let shown = shown(4_096, &pieces);
        assert!(shown.len() < 4_200, "{}", shown.len());
        assert!(shown.starts_with("line 0\nline 1\n"), "{shown}");
        assert!(shown.ends_with("line 99998\nline 99999\n"), "{shown}");
        assert!(shown.contains("bytes cut"), "{shown}");
    }

    #[test]
    fn t3_what_is_no_text_is_replaced_and_nothing_acts_on_a_terminal() {
        assert_eq!(shown(100, &[b"a\xff\xfeb"]), "a\u{fffd}\u{fffd}b");
        assert_eq!(shown(100, &[b"\x1b[31mred\x1b[0m\r\n"]), "red\n");
        assert_eq!(shown(100, &["é".as_bytes()]), "é");
    }

    #[test]
    fn o7_a_secret_at_a_cut_is_marked() {
        let secrets = Secrets(vec!["sesame-open-1234".into()]);
        for before in 30..60 {
            let mut capture = Capture::new(100);
            capture.take("x".repeat(before).as_bytes());
            capture.take(b"sesame-open-1234");
            capture.take("y".repeat(10_000).as_bytes());
            capture.take(b"sesame-open-1234");
            capture.take("z".repeat(before).as_bytes());
            let shown = capture.show(&secrets);
            assert!(
                !shown.contains("sesa") && !shown.contains("1234"),
                "{shown}"
            );
        }
    }

    proptest! {
        #[test]
        fn t3_any_bytes_in_any_pieces_stay_within_the_limit(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3_000), 0..12),
            most in 0_usize..4_000,
        ) {
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let text = shown(most, &slices);
            prop_assert!(text.len() <= most + 64);
        }
    }
}
