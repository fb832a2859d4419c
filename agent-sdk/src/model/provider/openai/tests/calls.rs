//! Tool calls from pieces in every order.

use proptest::{prelude::*, test_runner::TestCaseError};
use serde_json::{Value, json};

use super::*;
use crate::{
    message::ToolCall,
    model::wire::{Decode, Events, Failed, Frame},
};

fn assemble(pieces: &[Value]) -> Result<Vec<ToolCall>, ModelErrorKind> {
    let mut assembler = Assembler::new(&Limits::default());
    let mut events = Events::queue();
    for piece in pieces {
        let chunk = json!({"choices": [{"delta": {"tool_calls": [piece]}}]}).to_string();
        feed(&mut assembler, &chunk, &mut events)?;
    }
    let end = r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#;
    feed(&mut assembler, end, &mut events)?;
    let response = assembler
        .finish(&mut events)
        .map_err(|error| error.kind())?;
    let calls: Vec<_> = response.message.tool_calls().cloned().collect();
    agree(&calls, events);
    Ok(calls)
}

fn feed(assembler: &mut Assembler, data: &str, events: &mut Events) -> Result<(), ModelErrorKind> {
    let frame = Frame { event: "", data };
    match assembler.event(frame, events) {
        Ok(_) => Ok(()),
        Err(Failed::Because(error)) => Err(error.kind()),
        Err(failed) => panic!("{failed:?}"),
    }
}

/// The events tell of the same calls as the answer.
fn agree(calls: &[ToolCall], mut events: Events) {
    let mut told = Vec::new();
    while let Some(event) = events.pop() {
        match event {
            ChatEvent::ToolCall { index, id, name } => {
                told.push((index, id, name, String::new()));
            }
            ChatEvent::ToolCallArguments { index, fragment } => {
                let call = told.iter_mut().find(|(at, ..)| *at == index);
                call.expect("a call is told of before its arguments")
                    .3
                    .push_str(&fragment);
            }
            _ => {}
        }
    }
    told.sort_by_key(|(index, ..)| *index);
    for (call, (_, id, name, arguments)) in calls.iter().zip(&told) {
        assert_eq!((&call.id, &*call.name), (id, name.as_str()));
        assert_eq!(
            call.arguments.as_str(),
            if arguments.trim().is_empty() {
                "{}"
            } else {
                arguments
            }
        );
    }
    assert_eq!(calls.len(), told.len());
}

/// Id, name and arguments of each call.
fn brief(calls: &[ToolCall]) -> Vec<(&str, &str, &str)> {
    calls
        .iter()
        .map(|call| (call.id.as_str(), &*call.name, call.arguments.as_str()))
        .collect()
}

fn piece(index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let mut piece = json!({"function": {"arguments": arguments}});
    if let Some(index) = index {
        piece["index"] = index.into();
    }
    if let Some(id) = id {
        piece["id"] = id.into();
    }
    if let Some(name) = name {
        piece["function"]["name"] = name.into();
    }
    piece
}

/// What pieces are there, and what calls they make; nothing where they are refused.
type Row = (
    &'static str,
    Vec<Value>,
    Option<Vec<(&'static str, &'static str, &'static str)>>,
);

#[test]
#[expect(clippy::too_many_lines, reason = "it is one table")]
fn l13_pieces_belong_by_index_then_by_id_and_never_to_two_calls() {
    let (zero, one) = (Some(0), Some(1));
    let (a, b, f, g) = (Some("a"), Some("b"), Some("f"), Some("g"));
    let rows: Vec<Row> = vec![
        (
            "interleaved",
            vec![
                piece(zero, a, f, ""),
                piece(one, b, g, ""),
                piece(zero, None, None, "{\"x\""),
                piece(one, None, None, "{\"y\""),
                piece(zero, None, None, ":1}"),
                piece(one, None, None, ":2}"),
            ],
            Some(vec![("a", "f", "{\"x\":1}"), ("b", "g", "{\"y\":2}")]),
        ),
        (
            "whole calls under one index",
            vec![piece(zero, a, f, "{\"x\":1}"), piece(zero, b, g, "{}")],
            Some(vec![("a", "f", "{\"x\":1}"), ("b", "g", "{}")]),
        ),
        (
            "one index, pieces by id",
            vec![
                piece(zero, a, f, "{\"x\""),
                piece(zero, b, g, "{\"y\""),
                piece(zero, a, None, ":1}"),
                piece(zero, b, None, ":2}"),
            ],
            Some(vec![("a", "f", "{\"x\":1}"), ("b", "g", "{\"y\":2}")]),
        ),
        (
            "one index, one after the other",
            vec![
                piece(zero, a, f, "{\"x\":1}"),
                piece(zero, b, g, "{"),
                piece(zero, None, None, "}"),
            ],
            Some(vec![("a", "f", "{\"x\":1}"), ("b", "g", "{}")]),
        ),
        (
            "one index, two open calls",
            vec![
                piece(zero, a, f, "{"),
                piece(zero, b, g, "{"),
                piece(zero, None, None, "}"),
            ],
            None,
        ),
        (
            "no index",
            vec![
                piece(None, a, f, "{"),
                piece(None, a, None, "}"),
                piece(None, b, g, ""),
            ],
            Some(vec![("a", "f", "{}"), ("b", "g", "{}")]),
        ),
        (
            "no index, pieces without an id",
            vec![
                piece(None, a, f, ""),
                piece(None, None, None, "{"),
                piece(None, None, None, "}"),
            ],
            Some(vec![("a", "f", "{}")]),
        ),
        (
            "no index, two open calls",
            vec![
                piece(None, a, f, ""),
                piece(None, b, g, ""),
                piece(None, None, None, "{}"),
            ],
            None,
        ),
        (
            "neither index nor id, whole calls",
            vec![
                piece(None, None, f, "{\"x\":1}"),
                piece(None, None, f, "{\"x\":2}"),
            ],
            Some(vec![
                ("call_0", "f", "{\"x\":1}"),
                ("call_1", "f", "{\"x\":2}"),
            ]),
        ),
        (
            "one index and no id, whole calls",
            vec![
                piece(zero, None, f, "{\"x\":1}"),
                piece(zero, None, f, "{\"x\":2}"),
            ],
            Some(vec![
                ("call_0", "f", "{\"x\":1}"),
                ("call_1", "f", "{\"x\":2}"),
            ]),
        ),
        (
            "a late id",
            vec![
                piece(zero, None, f, "{"),
                piece(zero, a, None, ""),
                piece(zero, None, None, "}"),
            ],
            Some(vec![("a", "f", "{}")]),
        ),
        (
            "a repeated name",
            vec![
                piece(zero, a, f, "{\"x\""),
                piece(zero, a, f, ":1"),
                piece(zero, a, f, "}"),
            ],
            Some(vec![("a", "f", "{\"x\":1}")]),
        ),
        (
            "a whole call once more",
            vec![
                piece(zero, a, f, "{\"x\":1}"),
                piece(zero, a, f, "{\"x\":1}"),
            ],
            Some(vec![("a", "f", "{\"x\":1}")]),
        ),
        (
            "one id for two calls",
            vec![piece(zero, a, f, "{}"), piece(one, a, g, "{\"y\":1}")],
            Some(vec![("a", "f", "{}"), ("call_1", "g", "{\"y\":1}")]),
        ),
        (
            "an empty id",
            vec![piece(zero, Some(""), f, "{}")],
            Some(vec![("call_0", "f", "{}")]),
        ),
        (
            "no arguments",
            vec![piece(zero, a, f, "")],
            Some(vec![("a", "f", "{}")]),
        ),
        (
            "half arguments",
            vec![piece(zero, a, f, "{\"x\": ")],
            Some(vec![("a", "f", "{\"x\": ")]),
        ),
        (
            "a name in pieces",
            vec![
                piece(zero, a, Some("get_"), ""),
                piece(zero, None, Some("weather"), "{}"),
            ],
            None,
        ),
        ("no name", vec![piece(zero, a, None, "{}")], None),
        (
            "arguments from nowhere",
            vec![piece(None, None, None, "{}")],
            None,
        ),
        (
            "arguments as an object",
            vec![json!({"id": "a", "function": {"name": "f", "arguments": {"x": 1}}})],
            Some(vec![("a", "f", "{\"x\":1}")]),
        ),
        (
            "an index out of this world",
            vec![piece(Some(u64::MAX), a, f, "{}")],
            Some(vec![("a", "f", "{}")]),
        ),
    ];
    for (what, pieces, expected) in rows {
        let calls = assemble(&pieces);
        match (&calls, expected) {
            (Ok(calls), Some(expected)) => assert_eq!(brief(calls), expected, "{what}"),
            (Err(kind), None) => assert_eq!(*kind, ModelErrorKind::Decode, "{what}"),
            (calls, _) => panic!("{what}: {calls:?}"),
        }
    }
}

#[test]
fn the_number_of_calls_has_a_limit() {
    let many: Vec<_> = (0..2_000)
        .map(|index| piece(Some(index), None, Some("f"), "{}"))
        .collect();
    assert_eq!(assemble(&many).unwrap_err(), ModelErrorKind::Decode);
}

/// How a server marks the pieces of a call after the first.
#[derive(Clone, Copy, Debug)]
enum Marks {
    Index,
    Id,
    IndexAndId,
    SharedIndexAndId,
    SharedIndex,
    Nothing,
}

/// One call: its arguments, cut into pieces.
fn call() -> impl Strategy<Value = Vec<String>> {
    (0..1_000_u32, proptest::collection::vec(1..5_usize, 1..6)).prop_map(|(x, cuts)| {
        let mut rest = format!("{{\"x\":\"{{{x}\",\"y\":[{x}]}}");
        let mut pieces = Vec::new();
        for cut in cuts {
            let tail = rest.split_off(cut.min(rest.len()));
            pieces.push(std::mem::replace(&mut rest, tail));
        }
        pieces.push(rest);
        pieces
    })
}

/// Takes pieces of the calls in turn, as the numbers say; the pieces of one call keep their order.
fn interleave(calls: &[Vec<String>], order: &[usize], marks: Marks) -> Vec<Value> {
    let mut next = vec![0; calls.len()];
    let mut pieces = Vec::new();
    let all = order.iter().copied().chain(0..calls.len() * 8);
    for at in all.map(|at| at % calls.len()) {
        let Some(arguments) = calls[at].get(next[at]) else {
            continue;
        };
        let id = format!("id{at}");
        let name = format!("f{at}");
        let first = next[at] == 0;
        let (index, id) = match marks {
            Marks::Index => (Some(at as u64), first.then_some(id)),
            Marks::Id => (None, Some(id)),
            Marks::IndexAndId => (Some(at as u64), Some(id)),
            Marks::SharedIndexAndId => (Some(0), Some(id)),
            Marks::SharedIndex => (Some(0), first.then_some(id)),
            Marks::Nothing => (None, first.then_some(id)),
        };
        pieces.push(piece(
            index,
            id.as_deref(),
            first.then_some(name.as_str()),
            arguments,
        ));
        next[at] += 1;
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn any_order_gives_the_calls_or_an_error_and_never_a_mixture(
        calls in proptest::collection::vec(call(), 1..4),
        order in proptest::collection::vec(0..4_usize, 0..20),
        marks in prop::sample::select(vec![
            Marks::Index, Marks::Id, Marks::IndexAndId, Marks::SharedIndexAndId, Marks::SharedIndex, Marks::Nothing,
        ]),
    ) {
        let pieces = interleave(&calls, &order, marks);
        let ambiguous = matches!(marks, Marks::SharedIndex | Marks::Nothing) && calls.len() > 1;
        match assemble(&pieces) {
            Ok(assembled) => {
                prop_assert_eq!(assembled.len(), calls.len());
                for (at, call) in calls.iter().enumerate() {
                    let id = format!("id{at}");
                    let found = assembled.iter().find(|assembled| assembled.id.as_str() == id);
                    let found = found.ok_or_else(|| TestCaseError::fail("a call is missing"))?;
                    prop_assert_eq!(found.arguments.as_str(), call.concat());
                    prop_assert_eq!(&*found.name, format!("f{at}"));
                }
            }
            Err(kind) => {
                prop_assert!(ambiguous, "refused though each piece is marked");
                prop_assert_eq!(kind, ModelErrorKind::Decode);
            }
        }
    }
}

#[test]
fn pieces_that_never_repeat_are_not_kept_to_compare_with() {
    let mut assembler = Assembler::new(&Limits::default());
    let mut events = Events::none();
    let piece = |noise: usize| {
        let choice = json!({"delta": {"content": "x"}});
        json!({"choices": [choice], "obfuscation": noise}).to_string()
    };
    for noise in 0..8 {
        feed(&mut assembler, &piece(noise), &mut events).unwrap();
        assert!(assembler.keeps_a_template());
    }
    feed(&mut assembler, &piece(8), &mut events).unwrap();
    assert!(!assembler.keeps_a_template());

    let mut assembler = Assembler::new(&Limits::default());
    for _ in 0..100 {
        feed(&mut assembler, &piece(0), &mut events).unwrap();
    }
    assert!(assembler.keeps_a_template());
}
