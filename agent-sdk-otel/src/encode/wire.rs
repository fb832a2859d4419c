//! The few parts of protobuf's wire format that spans need.

/// A field's wire type.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
pub(super) const BYTES: u32 = 2;
const FIXED32: u32 = 5;

/// Writes a number in groups of seven bits, the lowest first.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        // The mark that more follow.
        out.push(low | 0x80);
    }
}

/// How many bytes [`varint`] writes.
pub(super) const fn varint_len(value: u64) -> usize {
    // One byte for each seven bits that are needed, at least one.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn tag(out: &mut Vec<u8>, field: u32, wire: u32) {
    varint(out, u64::from(field << 3 | wire));
}

/// How many bytes the tag of a field takes.
pub(super) const fn tag_len(field: u32) -> usize {
    varint_len((field as u64) << 3)
}

/// The beginning of a field of `length` bytes, which the caller writes next.
pub(super) fn open(out: &mut Vec<u8>, field: u32, length: usize) {
    if field < 16 && length < 0x80 {
        let [[tag, ..], [length, ..]] =
            [(field << 3 | BYTES) as usize, length].map(usize::to_le_bytes);
        return out.extend_from_slice(&[tag, length]);
    }
    tag(out, field, BYTES);
    varint(out, length as u64);
}

/// How many bytes a field of `length` bytes takes, its beginning included.
pub(super) const fn bytes_len(field: u32, length: usize) -> usize {
    tag_len(field) + varint_len(length as u64) + length
}

pub(super) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    open(out, field, value.len());
    out.extend_from_slice(value);
}

pub(super) fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

pub(super) fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    tag(out, field, FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}
