//! A body, gathered from its pieces.

/// How large a block grows before the next one is begun.
const BLOCK: usize = 1024 * 1024;

/// The pieces of a body so far.
///
/// One vector would hold twice or three times as much whenever it grows; blocks hold what came and at most one block more, until
/// the body is whole.
#[derive(Debug, Default)]
pub(super) struct Gather {
    full: Vec<Vec<u8>>,
    last: Vec<u8>,
    bytes: usize,
}

impl Gather {
    /// How many bytes came.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// Adds a piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(piece.len());
        self.last.extend_from_slice(piece);
        if self.last.len() >= BLOCK {
            self.full.push(std::mem::take(&mut self.last));
        }
    }

    /// The whole body.
    pub(super) fn whole(self) -> Vec<u8> {
        if self.full.is_empty() {
            return self.last;
        }
        let mut whole = Vec::with_capacity(self.bytes);
        for block in self.full.into_iter().chain([self.last]) {
            whole.extend_from_slice(&block);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_its_pieces_in_their_order() {
        let byte = |n: usize| u8::try_from(n % 251).unwrap();
        for length in [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK + 7] {
            let body: Vec<u8> = (0..length).map(byte).collect();
            let mut gather = Gather::default();
            for piece in body.chunks(70_001) {
                gather.push(piece);
            }
            assert_eq!(gather.len(), length);
            assert!(gather.whole() == body, "{length}");
        }
    }
}
