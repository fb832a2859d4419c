//! Lists of `name=value`, as environment variables hold them.

/// Splits `a=1,b=2` and undoes percent encoding in the values.
///
/// An entry that has no `=` or no name gives its position, counted from one, as the error: the
/// text itself may be a secret.
pub(crate) fn pairs(list: &str) -> Result<Vec<(String, String)>, usize> {
    let mut pairs = Vec::new();
    for (position, entry) in list.split(',').enumerate() {
        if entry.trim().is_empty() {
            continue;
        }
        let (name, value) = entry.split_once('=').ok_or(position + 1)?;
        let name = name.trim();
        if name.is_empty() {
            return Err(position + 1);
        }
        let value = percent_decoded(value.trim()).ok_or(position + 1)?;
        pairs.push((name.to_owned(), value));
    }
    Ok(pairs)
}

/// `None` when the decoded bytes are not UTF-8. A `%` that begins no escape stands for itself.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            bytes.push(high << 4 | low);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_may_hold_equals_signs() {
        let list = "authorization=Basic%20dXNlcg==, x = 100%,,";
        let expected = [("authorization", "Basic dXNlcg=="), ("x", "100%")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(pairs(list).unwrap(), expected);
    }

    #[test]
    fn a_bad_entry_is_named_by_position_only() {
        assert_eq!(pairs("a=1,sk-secret"), Err(2));
        assert_eq!(pairs("=v"), Err(1));
        assert_eq!(pairs("a=%ff"), Err(1));
    }
}
