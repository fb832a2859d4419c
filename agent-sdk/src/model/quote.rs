//! What a provider's error quotes of the request.
//!
//! Errors are shown, logged and kept where prompts may not be. A provider that refuses a request often repeats a piece of it.

use std::{borrow::Cow, collections::HashMap};

use super::ChatRequest;
use crate::message::Part;

/// How many bytes must be the same to be a quote: shorter ones are names and phrases.
const SHORTEST: usize = 16;

/// What stands in place of a quote.
const MARK: &str = "[redacted:quote]";

/// The text without what it quotes of the request's content: of its instructions, its messages, its tool data.
pub(super) fn without<'t>(text: &'t str, request: &ChatRequest) -> Cow<'t, str> {
    if text.len() < SHORTEST {
        return Cow::Borrowed(text);
    }
    let mut quotes = Quotes::in_text(text);
    if let Some(instructions) = &request.instructions {
        quotes.look_into(instructions);
    }
    for message in request.conversation.messages() {
        for part in &message.parts {
            match part {
                Part::Text(text) | Part::Refusal(text) => quotes.look_into(text),
                Part::Reasoning(reasoning) => quotes.look_into(&reasoning.text),
                Part::ToolCall(call) => quotes.look_into(&call.arguments),
                Part::ToolResult(result) => quotes.look_into(&result.content),
                Part::Media(_) | Part::Opaque(_) => {}
            }
        }
    }
    quotes.taken_out()
}

/// A short text whose pieces are looked for in long ones.
struct Quotes<'t> {
    text: &'t str,
    /// Where each piece begins.
    pieces: HashMap<&'t [u8], Vec<usize>>,
    /// By a few bits of their first bytes, whether there are any: most places of a long text need no more than this.
    begins: Vec<bool>,
    quoted: Vec<bool>,
}

fn bits(piece: &[u8]) -> usize {
    let first = piece.iter().take(4);
    let number = first.fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    usize::try_from(number.wrapping_mul(0x9E37_79B1) >> 20).unwrap_or(0)
}

impl<'t> Quotes<'t> {
    fn in_text(text: &'t str) -> Self {
        let mut pieces: HashMap<&[u8], Vec<usize>> = HashMap::new();
        let mut begins = vec![false; 1 << 12];
        for (at, piece) in text.as_bytes().windows(SHORTEST).enumerate() {
            pieces.entry(piece).or_default().push(at);
            if let Some(place) = begins.get_mut(bits(piece)) {
                *place = true;
            }
        }
        Self {
            text,
            pieces,
            begins,
            quoted: vec![false; text.len()],
        }
    }

    /// Marks what is quoted of this. An error is on one line: its breaks of lines have become blanks.
    fn look_into(&mut self, source: &str) {
        let line = source.bytes().map(|byte| match byte {
            0..32 | 127 => b' ',
            byte => byte,
        });
        let line: Vec<u8> = line.collect();
        for piece in line.windows(SHORTEST) {
            if self.begins.get(bits(piece)) != Some(&true) {
                continue;
            }
            for at in self.pieces.get(piece).into_iter().flatten() {
                if let Some(quoted) = self.quoted.get_mut(*at..*at + SHORTEST) {
                    quoted.fill(true);
                }
            }
        }
    }

    fn taken_out(&self) -> Cow<'t, str> {
        if !self.quoted.contains(&true) {
            return Cow::Borrowed(self.text);
        }
        let (mut clean, mut inside) = (String::with_capacity(self.text.len()), false);
        for (at, letter) in self.text.char_indices() {
            let bytes = self.quoted.get(at..at + letter.len_utf8());
            let is_quoted = bytes.is_some_and(|bytes| bytes.contains(&true));
            if !is_quoted {
                clean.push(letter);
            } else if !inside {
                clean.push_str(MARK);
            }
            inside = is_quoted;
        }
        Cow::Owned(clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{CallId, Conversation, Message, ToolCall, ToolResult};

    fn request() -> ChatRequest {
        let mut asked = Message::user("My diagnosis is\nsomething rare, ächz: what now?");
        let call = ToolCall::new(
            CallId::from("1"),
            "look",
            r#"{"patient":"Erika Mustermann"}"#,
        );
        let result = ToolResult::ok(&call, "blood pressure 180 over 120");
        asked.parts.push(Part::ToolCall(call));
        asked.parts.push(Part::ToolResult(result));
        let said = Conversation::from_iter([asked]);
        ChatRequest::new(said).with_instructions("You are the doctor of a small village.")
    }

    #[test]
    fn o7_what_an_error_quotes_of_the_request_is_taken_out() {
        let table = [
            (
                "bad input 'My diagnosis is something rare, ächz: what' at 1",
                "bad input '[redacted:quote]' at 1",
            ),
            (
                "not allowed: doctor of a small village",
                "not allowed:[redacted:quote]",
            ),
            (
                "arguments {\"patient\":\"Erika Mustermann\"} ?",
                "arguments [redacted:quote] ?",
            ),
            ("blood pressure 180 over 12", "[redacted:quote]"),
        ];
        for (said, shown) in table {
            assert_eq!(without(said, &request()), shown);
        }
    }

    #[test]
    fn what_is_no_quote_is_lent() {
        for said in [
            "the model `x` does not exist",
            "diagnosis",
            "",
            "My diagnosis",
        ] {
            assert!(
                matches!(without(said, &request()), Cow::Borrowed(_)),
                "{said}"
            );
        }
    }
}
