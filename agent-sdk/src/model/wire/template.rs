//! Pieces of a stream that differ in nothing but their text.
//!
//! Most servers send one piece after the other with the same id, the same model and the same fields. Where a piece is, byte for
//! byte, the one before it with another text in its place, it means the same with that text, and need not be parsed. This takes
//! a tenth of the instructions of parsing it.

/// What stood around the text of a piece.
#[derive(Debug)]
pub(in crate::model) struct Template {
    before: Box<str>,
    after: Box<str>,
}

impl Template {
    /// Keeps what stands around `text`, where that was lent from `data`.
    pub(in crate::model) fn around(data: &str, text: &str) -> Option<Self> {
        // A text that needed no escapes was lent from the data, and stands in them where it points.
        let start = (text.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        let (before, rest) = data.split_at_checked(start)?;
        let after = rest.strip_prefix(text)?;
        (before.ends_with('"') && after.starts_with('"')).then(|| Self {
            before: before.into(),
            after: after.into(),
        })
    }

    /// The text of a piece that differs in nothing else.
    pub(in crate::model) fn text<'a>(&self, data: &'a str) -> Option<&'a str> {
        let rest = data.strip_prefix(&*self.before)?;
        let text = rest.strip_suffix(&*self.after)?;
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        text.bytes().all(is_plain).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Piece<'a> {
        #[serde(borrow)]
        text: Cow<'a, str>,
    }

    fn piece(data: &str) -> Option<Piece<'_>> {
        serde_json::from_str(data).ok()
    }

    #[test]
    fn only_the_text_may_differ() {
        let data = r#"{"id":"a","text":"one","n":null}"#;
        let template = Template::around(data, &piece(data).unwrap().text).unwrap();
        let text = |data| template.text(data);
        assert_eq!(text(r#"{"id":"a","text":" two","n":null}"#), Some(" two"));
        assert_eq!(text(r#"{"id":"a","text":"日本","n":null}"#), Some("日本"));
        for other in [
            r#"{"id":"b","text":"one","n":null}"#,
            r#"{"id":"a","text":"one","n":1}"#,
            r#"{"id":"a","text":"one","more":"x","n":null}"#,
            r#"{"id":"a","text":"o\ne","n":null}"#,
            r#"{"id":"a","text":null,"n":null}"#,
            "",
        ] {
            assert_eq!(text(other), None, "{other}");
        }
        let escaped = r#"{"text":"a\nb"}"#;
        assert!(Template::around(escaped, &piece(escaped).unwrap().text).is_none());
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_parsing_gives(first in "[a-z\"\\\\é{}:,]{0,8}", next in "\\PC{0,12}", tail in "[a-z]{0,3}") {
            let of = |text: &str| serde_json::json!({"id": 1, "text": text, "z": tail}).to_string();
            let (first, next) = (of(&first), of(&next));
            let template = Template::around(&first, &piece(&first).unwrap().text);
            for data in [&first, &next] {
                if let Some(text) = template.as_ref().and_then(|template| template.text(data)) {
                    prop_assert_eq!(text, &*piece(data).unwrap().text);
                }
            }
        }

        #[test]
        fn bytes_that_are_no_json_are_never_taken_for_a_piece(noise in "[\"\\\\a-c{}:,]{0,20}") {
            let data = r#"{"text":"one"}"#;
            let template = Template::around(data, &piece(data).unwrap().text).unwrap();
            if let Some(text) = template.text(&noise) {
                let parsed = piece(&noise);
                prop_assert!(parsed.is_some_and(|piece| piece.text == text));
            }
        }
    }
}
