//! Numbers as people read them.

use std::time::Duration;

use agent_sdk::cost::Usd;
use jiff::Timestamp;

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `3 tool calls`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// `$0.012345`: six decimals, so that amounts stand under each other.
pub(crate) fn dollars(amount: Usd) -> String {
    let nanos = u128::from(amount.nanos());
    if nanos > 0 && nanos < 500 {
        return "<$0.000001".to_owned();
    }
    let micros = (nanos + 500) / 1000;
    format!("${}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// `12.3 ms`, `4.5 s`, `2 min 5 s`; `us` stands for microseconds where only ASCII can be shown.
pub(crate) fn length(time: Duration, unicode: bool) -> String {
    let nanos = time.as_nanos();
    let micro = if unicode { "µs" } else { "us" };
    for (unit, per_unit, below) in [
        (micro, 1_000, 1_000),
        ("ms", 1_000_000, 1_000),
        ("s", 1_000_000_000, 60),
    ] {
        let tenths = (nanos + per_unit / 20) / (per_unit / 10);
        if tenths < below * 10 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    let seconds = (nanos + 500_000_000) / 1_000_000_000;
    format!("{} min {} s", seconds / 60, seconds % 60)
}

/// `512 bytes`, `12.3 kB`, `4.5 MB`.
pub(crate) fn bytes(number: u64) -> String {
    if number < 1000 {
        return counted(number, "byte");
    }
    let mut tenths = number.saturating_add(50) / 100;
    for unit in ["kB", "MB", "GB"] {
        if tenths < 10_000 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        tenths = tenths.saturating_add(500) / 1000;
    }
    format!("{} TB", count(tenths / 10))
}

/// `2026-11-20 12:00:00Z`.
pub(crate) fn moment(at: Timestamp) -> String {
    format!("{at:.0}").replace('T', " ")
}

/// The text with its long lines broken between words; what follows a break is indented as the items of a list are.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        let mut column = 0;
        for word in line.split_inclusive(' ') {
            let length = word.trim_end().chars().count();
            if column > 2 && column + length > width {
                wrapped.truncate(wrapped.trim_end().len());
                wrapped.push_str("\n  ");
                column = 2;
            }
            wrapped.push_str(word);
            column += word.chars().count();
        }
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        let shown = [0, 12, 999, 1000, 123_456, 1_234_567].map(count);
        assert_eq!(shown, ["0", "12", "999", "1,000", "123,456", "1,234,567"]);
        assert_eq!(counted(1, "tool call"), "1 tool call");
        assert_eq!(counted(0, "tool call"), "0 tool calls");
    }

    #[test]
    fn amounts_have_six_decimals() {
        let shown = |nanos| dollars(Usd::from_nanos(nanos));
        assert_eq!(shown(0), "$0.000000");
        assert_eq!(shown(499), "<$0.000001");
        assert_eq!(shown(500), "$0.000001");
        assert_eq!(shown(7_500_000), "$0.007500");
        assert_eq!(shown(12_000_000_400), "$12.000000");
        assert_eq!(shown(u64::MAX), "$18446744073.709552");
    }

    #[test]
    fn sizes_and_moments_are_short() {
        let shown = [0, 1, 999, 1000, 12_340, 999_949, 999_950, 4_500_000_000].map(bytes);
        assert_eq!(
            shown,
            [
                "0 bytes",
                "1 byte",
                "999 bytes",
                "1.0 kB",
                "12.3 kB",
                "999.9 kB",
                "1.0 MB",
                "4.5 GB"
            ]
        );
        let at = "2026-11-20T12:00:00.123Z".parse().unwrap();
        assert_eq!(moment(at), "2026-11-20 12:00:00Z");
    }

    #[test]
    fn long_lines_break_between_words() {
        assert_eq!(
            wrapped("- one two three\nfour\n", 9),
            "- one two\n  three\nfour\n"
        );
        assert_eq!(wrapped("- averylongword x", 5), "- averylongword\n  x");
        assert_eq!(wrapped("", 5), "");
    }

    #[test]
    fn lengths_read_as_people_say_them() {
        let shown = |micros| length(Duration::from_micros(micros), false);
        assert_eq!(shown(0), "0.0 us");
        assert_eq!(length(Duration::from_micros(7), true), "7.0 µs");
        assert_eq!(shown(12_340), "12.3 ms");
        assert_eq!(shown(999_960), "1.0 s");
        assert_eq!(shown(59_960_000), "1 min 0 s");
        assert_eq!(shown(125_400_000), "2 min 5 s");
    }
}
