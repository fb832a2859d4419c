//! What names and labels become.
//!
//! Prometheus allows letters, digits and `_`; everything else becomes `_`. A metric's unit stands at the end of its name.

use std::borrow::Cow;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use opentelemetry::{Key, Value};

/// The longest value of a label, in bytes; a longer one is cut and marked, with a hash of the whole so that two values stay two.
pub(crate) const MAX_VALUE_BYTES: usize = 256;

/// What stands for the rest of a value that was cut: an ellipsis, a number sign and 16 digits.
const MARK_BYTES: usize = 3 + 1 + 16;

/// The label of the series that takes what is beyond the limit of a metric, as it stands on the page.
pub(crate) const OVERFLOW: &str = "otel_metric_overflow=\"true\"";

/// A metric's name on the page, without the suffix of its type, and the unit at its end.
pub(crate) fn family(name: &str, unit: &str) -> (String, Option<Cow<'static, str>>) {
    let mut family = legal(name, |c| c == ':');
    let unit = unit_name(unit);
    if let Some(unit) = &unit {
        family.push('_');
        family.push_str(unit);
    }
    (family, unit)
}

/// `name` with `_` for what is not allowed, and before a digit at its start.
fn legal(name: &str, also: impl Fn(char) -> bool) -> String {
    let mut legal = String::with_capacity(name.len() + 16);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        legal.push('_');
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || also(c);
    legal.extend(name.chars().map(|c| if allowed(c) { c } else { '_' }));
    legal
}

/// The name of a unit; `None` for an annotation such as `{token}`, and for what is not known.
fn unit_name(unit: &str) -> Option<Cow<'static, str>> {
    if let Some(name) = simple_unit(unit) {
        return Some(name.into());
    }
    let (of, per) = unit.split_once('/')?;
    let per = match per {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        _ => return None,
    };
    Some(match simple_unit(of).filter(|_| of != "1") {
        Some(of) => format!("{of}_per_{per}").into(),
        None => format!("per_{per}").into(),
    })
}

fn simple_unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" | "B" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" | "KB" => "kilobytes",
        "MBy" | "MB" => "megabytes",
        "GBy" | "GB" => "gigabytes",
        "TBy" | "TB" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "ratio",
        "%" => "percent",
        _ => return None,
    })
}

/// A series' labels as they stand between the braces, and how many there are.
///
/// They are sorted by name. Where two keys become one name, their values are joined by `;`.
pub(crate) fn labels<'a>(
    attributes: impl IntoIterator<Item = (&'a Key, &'a Value)>,
) -> (String, usize) {
    let mut pairs: Vec<(&str, &Value)> = Vec::with_capacity(8);
    pairs.extend(
        attributes
            .into_iter()
            .map(|(key, value)| (key.as_str(), value)),
    );
    pairs.sort_by(|a, b| with_underscores(a.0).cmp(with_underscores(b.0)));
    let is_same = |pair: &[(&str, &Value)]| match pair {
        [a, b] => with_underscores(a.0).eq(with_underscores(b.0)),
        _ => false,
    };
    if !pairs.iter().all(|(key, _)| is_dotted(key)) || pairs.windows(2).any(is_same) {
        return odd_labels(&pairs);
    }
    let mut text = String::with_capacity(64 * pairs.len());
    for (index, (key, value)) in pairs.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for (index, part) in key.split('.').enumerate() {
            if index > 0 {
                text.push('_');
            }
            text.push_str(part);
        }
        label_value(&mut text, &value_text(value));
    }
    (text, pairs.len())
}

/// Whether a key is what nearly all keys are: a legal name but for its dots, and nobody's own.
fn is_dotted(key: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'.';
    key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.bytes().all(is_plain) && key != "le"
}

fn with_underscores(key: &str) -> impl Iterator<Item = u8> {
    key.bytes()
        .map(|byte| if byte == b'.' { b'_' } else { byte })
}

fn value_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    }
}

/// Appends what stands behind a label's name.
fn label_value(out: &mut String, value: &str) {
    out.push_str("=\"");
    escape(out, &capped(value), true);
    out.push('"');
}

/// As [`labels`], of any keys.
fn odd_labels(pairs: &[(&str, &Value)]) -> (String, usize) {
    let pairs = pairs.iter();
    let mut named: Vec<_> = pairs
        .map(|(key, value)| (label_name(key), *key, value_text(value)))
        .collect();
    named.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    named.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            let joined = kept.2.to_mut();
            joined.push(';');
            joined.push_str(&next.2);
        }
        is_same
    });
    let mut text = String::new();
    for (index, (name, _, value)) in named.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(name);
        label_value(&mut text, value);
    }
    (text, named.len())
}

/// A label's name. Names that begin with two underscores belong to Prometheus, and `le` to histograms.
fn label_name(key: &str) -> Cow<'_, str> {
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let begins_well = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_reserved = key.starts_with("__") || key == "le";
    if begins_well && !is_reserved && key.bytes().all(is_plain) {
        return Cow::Borrowed(key);
    }
    let legal = legal(key, |_| false);
    if is_reserved || legal.starts_with("__") {
        return Cow::Owned(format!("key_{legal}"));
    }
    Cow::Owned(legal)
}

/// `value` in at most [`MAX_VALUE_BYTES`].
pub(crate) fn capped(value: &str) -> Cow<'_, str> {
    if value.len() <= MAX_VALUE_BYTES {
        return Cow::Borrowed(value);
    }
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    let end = value.floor_char_boundary(MAX_VALUE_BYTES - MARK_BYTES);
    let kept = value.get(..end).unwrap_or_default();
    Cow::Owned(format!("{kept}…#{:016x}", hasher.finish()))
}

/// Appends `text` so that it ends where it ends. A NUL would end the page for some readers, and other control characters are for
/// terminals: both become the replacement character.
pub(super) fn escape(out: &mut String, text: &str, quotes: bool) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'\\' && byte != b'"' && byte < 0x7f;
    if text.bytes().all(is_plain) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c if c.is_control() && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;

    use super::*;
    use crate::attrs;

    fn rendered(attributes: &[KeyValue]) -> String {
        labels(attributes.iter().map(|kv| (&kv.key, &kv.value))).0
    }

    #[test]
    fn units_stand_at_the_end_of_a_name() {
        for (name, unit, expected) in [
            (
                "gen_ai.client.inference.duration",
                "s",
                "gen_ai_client_inference_duration_seconds",
            ),
            ("agent_sdk.cost", "{USD}", "agent_sdk_cost"),
            (
                "agent_sdk.plan.speedup",
                "1",
                "agent_sdk_plan_speedup_ratio",
            ),
            ("disk", "By/s", "disk_bytes_per_second"),
            ("calls", "1/s", "calls_per_second"),
            ("calls", "{call}/h", "calls_per_hour"),
            ("9 lives-left:x", "", "_9_lives_left:x"),
            ("größe", "parsec", "gr__e"),
        ] {
            assert_eq!(family(name, unit).0, expected);
        }
    }

    #[test]
    fn labels_are_legal_sorted_and_joined() {
        let labels = rendered(&[
            attrs::custom("z.y", "2"),
            attrs::custom("a", 1_i64),
            attrs::custom("z_y", "3"),
            attrs::custom("le", "x"),
            attrs::custom("__name__", "x"),
            attrs::custom("9", true),
        ]);
        assert_eq!(
            labels,
            "_9=\"true\",a=\"1\",key___name__=\"x\",key_le=\"x\",z_y=\"2;3\""
        );
    }

    #[test]
    fn o6_hostile_values_are_escaped() {
        let labels = rendered(&[attrs::custom("v", "a\"b\\c\nd\0e\u{1b}[31m} 1 # {x=\"")]);
        assert_eq!(
            labels,
            "v=\"a\\\"b\\\\c\\nd\u{fffd}e\u{fffd}[31m} 1 # {x=\\\"\""
        );
    }

    #[test]
    fn o6_a_long_value_is_cut_and_still_its_own() {
        let (one, two) = ("é".repeat(500_000), "é".repeat(500_001));
        let (one, two) = (capped(&one), capped(&two));
        assert!(one.len() <= MAX_VALUE_BYTES && one.contains("…#"), "{one}");
        assert_ne!(one, two);
        assert_eq!(capped("short"), "short");
    }
}
