//! Ids in hexadecimal digits.

use agent_sdk::operation::SpanId;

/// A span's id as people and back ends write it.
pub(super) fn hex(id: SpanId) -> [u8; 16] {
    let [high, low] = [id.0 >> 32, id.0 & u64::from(u32::MAX)].map(digits);
    let mut hex = [0; 16];
    hex[..8].copy_from_slice(&high);
    hex[8..].copy_from_slice(&low);
    hex
}

/// The digits of a number of 32 bits, all at once: its groups of four bits are moved to a byte each.
fn digits(number: u64) -> [u8; 8] {
    const ONES: u64 = u64::MAX / 0xFF;
    let pairs = (number | number << 16) & 0x0000_FFFF_0000_FFFF;
    let bytes = (pairs | pairs << 8) & 0x00FF_00FF_00FF_00FF;
    let digits = (bytes | bytes << 4) & (ONES * 0x0F);
    let letters = (digits + ONES * 6) >> 4 & ONES;
    let between = u64::from(b'a' - b'0' - 10);
    (digits + ONES * u64::from(b'0') + letters * between).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_the_core() {
        let mut id = 0x0123_4567_89AB_CDEF_u64;
        for _ in 0..1_000 {
            for id in [id, id >> 32, id << 32, 0, u64::MAX].map(SpanId) {
                assert_eq!(str::from_utf8(&hex(id)), Ok(id.to_string().as_str()));
            }
            id = id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17);
        }
    }
}
