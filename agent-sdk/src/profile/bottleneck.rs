//! What most of the critical path was spent on, in words.

use std::{borrow::Cow, time::Duration};

use super::{Share, tree::nanos};
use crate::operation::Kind;

/// Says what the first of the shares took; `by_name` begins with the largest on the critical path.
///
/// It is written piece by piece: every exported run asks for it, and formatting took three times as long.
pub(super) fn sentence(duration: Duration, by_name: &[Share], left_out: u64) -> Cow<'static, str> {
    let most = match by_name.first() {
        Some(most) if !duration.is_zero() => most,
        Some(_) => return Cow::Borrowed("the run took no time"),
        None if left_out == 0 => return Cow::Borrowed("nothing ran"),
        None => {
            let mut text = String::from("unknown: ");
            count(&mut text, left_out, "operation");
            text.push_str(" of the run left out");
            return Cow::Owned(text);
        }
    };
    let mut text = String::with_capacity(128);
    write(&mut text, duration, most, left_out);
    Cow::Owned(text)
}

fn write(text: &mut String, duration: Duration, most: &Share, left_out: u64) {
    let is_around_others = matches!(
        most.kind,
        Kind::Workflow | Kind::Step | Kind::Plan | Kind::Agent
    );
    match most.name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) if is_around_others || most.kind == Kind::Tool => {
            text.push_str(most.kind.as_str());
            quote(text, " `", name);
        }
        _ => quote(text, "`", &most.span_name()),
    }
    if is_around_others {
        text.push_str(" itself");
    }
    text.push_str(" took ");
    match percent(most.critical_time, duration) {
        0 => text.push_str("less than 1"),
        percent => number(text, percent),
    }
    text.push_str(" % of the run (");
    if !is_around_others || most.count > 1 {
        if most.on_critical_path < most.count {
            number(text, most.on_critical_path);
            text.push_str(" of ");
        }
        let noun = if is_around_others { "run" } else { "call" };
        count(text, most.count, noun);
        text.push_str(", ");
    }
    if most.attempts > most.count {
        count(text, most.attempts, "attempt");
        text.push_str(" in all, ");
    }
    length(text, most.critical_time);
    text.push_str(" of ");
    length(text, duration);
    text.push_str(" on the critical path)");
    if left_out > 0 {
        text.push_str("; ");
        count(text, left_out, "operation");
        text.push_str(" of the run left out");
    }
}

fn quote(text: &mut String, before: &str, name: &str) {
    text.push_str(before);
    text.push_str(name);
    text.push('`');
}

/// The rounded percentage.
fn percent(part: Duration, whole: Duration) -> u64 {
    let whole = nanos(whole).max(1);
    // At most the whole of 584 years in nanoseconds: half a percent of it is exact enough where twice a hundred of it is too much.
    match nanos(part).checked_mul(200) {
        Some(parts) if whole < u64::MAX / 2 => parts.saturating_add(whole) / (whole * 2),
        _ => nanos(part) / (whole / 100).max(1),
    }
}

/// A number of things.
fn count(text: &mut String, of: u64, noun: &str) {
    number(text, of);
    text.push(' ');
    text.push_str(noun);
    if of != 1 {
        text.push('s');
    }
}

/// A length of time as people say it: `12.3 ms`, `4.5 s`, `2 min 5 s`.
fn length(text: &mut String, time: Duration) {
    let nanos = nanos(time);
    for (unit, per_unit, below) in [
        (" µs", 1_000_u64, 1_000),
        (" ms", 1_000_000, 1_000),
        (" s", 1_000_000_000, 60),
    ] {
        let tenths = nanos.saturating_add(per_unit / 20) / (per_unit / 10);
        if tenths < below * 10 {
            number(text, tenths / 10);
            text.push('.');
            number(text, tenths % 10);
            return text.push_str(unit);
        }
    }
    let seconds = nanos.saturating_add(500_000_000) / 1_000_000_000;
    number(text, seconds / 60);
    text.push_str(" min ");
    number(text, seconds % 60);
    text.push_str(" s");
}

/// A number in decimal digits.
fn number(text: &mut String, number: u64) {
    if number >= 10 {
        self::number(text, number / 10);
    }
    let [digit, ..] = (number % 10).to_le_bytes();
    text.push(char::from(b'0' + digit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_say_them() {
        let said = |nanos| {
            let mut text = String::new();
            length(&mut text, Duration::from_nanos(nanos));
            text
        };
        assert_eq!(said(0), "0.0 µs");
        assert_eq!(said(450), "0.5 µs");
        assert_eq!(said(999_949), "999.9 µs");
        assert_eq!(said(999_950), "1.0 ms");
        assert_eq!(said(12_345_678), "12.3 ms");
        assert_eq!(said(999_950_000), "1.0 s");
        assert_eq!(said(59_949_999_999), "59.9 s");
        assert_eq!(said(59_950_000_000), "1 min 0 s");
        assert_eq!(said(125_400_000_000), "2 min 5 s");
    }

    #[test]
    fn percentages_are_rounded() {
        let rounded =
            |part, whole| percent(Duration::from_nanos(part), Duration::from_nanos(whole));
        assert_eq!(rounded(1, 3), 33);
        assert_eq!(rounded(2, 3), 67);
        assert_eq!(rounded(1, 200), 1);
        assert_eq!(rounded(1, 201), 0);
        assert_eq!(rounded(7, 7), 100);
    }
}
