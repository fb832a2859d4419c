//! Bytes that claim to be UTF-8.
//!
//! Decoding value by value gives what decoding the whole stream would: the bytes that separate
//! values are ASCII, and an ASCII byte ends whatever sequence stands before it.

/// Appends `bytes`, with one U+FFFD for each sequence that is not UTF-8.
///
/// Answers how many there were, or `None`, with a part appended, when the text does not fit `room`.
pub(super) fn push(text: &mut String, bytes: &[u8], mut room: usize) -> Option<u64> {
    if bytes.len() > room {
        // A replaced sequence is at most as long as U+FFFD, so decoding never shortens.
        return None;
    }
    if let Ok(valid) = std::str::from_utf8(bytes) {
        text.push_str(valid);
        return Some(0);
    }
    let mut replaced = 0;
    for part in bytes.utf8_chunks() {
        room = room.checked_sub(part.valid().len())?;
        text.push_str(part.valid());
        if !part.invalid().is_empty() {
            room = room.checked_sub(char::REPLACEMENT_CHARACTER.len_utf8())?;
            text.push(char::REPLACEMENT_CHARACTER);
            replaced += 1;
        }
    }
    Some(replaced)
}

/// The number of sequences in `bytes` that are not UTF-8.
pub(super) fn bad_sequences(bytes: &[u8]) -> u64 {
    bytes
        .utf8_chunks()
        .map(|part| u64::from(!part.invalid().is_empty()))
        .sum()
}
