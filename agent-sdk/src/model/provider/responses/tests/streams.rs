//! Streams, whole and broken.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    message::Part,
    model::{ChatEvent, FinishReason, wire::Reader},
};

/// A stream of these events.
fn stream(events: &[Value]) -> String {
    let lines = events.iter().map(|event| {
        let kind = event["type"].as_str().unwrap_or_default();
        format!("event: {kind}\ndata: {event}\n\n")
    });
    lines.collect()
}

fn added(index: u64, item: Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn done(index: u64, item: Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn delta(kind: &str, index: u64, id: &str, delta: &str) -> Value {
    let kind = format!("response.{kind}.delta");
    json!({"type": kind, "output_index": index, "item_id": id, "delta": delta})
}

fn completed(output: Value) -> Value {
    let usage = json!({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7});
    json!({"type": "response.completed", "response": {
        "id": "resp_1", "model": "m-1", "status": "completed", "output": output, "usage": usage}})
}

/// Reasoning, a search, a text and two calls whose arguments are interleaved.
fn everything() -> Vec<Value> {
    let call = |n: u64, arguments: &str| json!({"type": "function_call", "id": format!("fc_{n}"), "call_id": format!("c{n}"), "name": "f", "arguments": arguments});
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}});
    let message = json!({"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "日本\n"}]});
    let thought = |proof: &str| {
        json!({"type": "reasoning", "id": "rs_1", "encrypted_content": proof,
        "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}]})
    };
    let summary = |index: u64, text: &str| {
        json!({"type": "response.reasoning_summary_text.delta",
        "output_index": 0, "item_id": "rs_1", "summary_index": index, "delta": text})
    };
    vec![
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "m-1", "status": "in_progress", "service_tier": "auto"}}),
        added(0, json!({"type": "reasoning", "id": "rs_1", "summary": []})),
        summary(0, "on"),
        summary(0, "e"),
        summary(1, "two"),
        done(0, thought("gA")),
        added(
            1,
            json!({"type": "web_search_call", "id": "ws_1", "status": "in_progress"}),
        ),
        json!({"type": "response.web_search_call.searching", "output_index": 1, "item_id": "ws_1"}),
        done(1, search.clone()),
        added(2, json!({"type": "message", "id": "msg_1", "content": []})),
        delta("output_text", 2, "msg_1", "日"),
        delta("output_text", 2, "msg_1", "本\n"),
        done(2, message.clone()),
        added(3, call(3, "")),
        added(4, call(4, "")),
        delta("function_call_arguments", 3, "fc_3", "{\"a\""),
        delta("function_call_arguments", 4, "fc_4", "{\"b\""),
        delta("function_call_arguments", 3, "fc_3", ":1}"),
        delta("function_call_arguments", 4, "fc_4", ":2}"),
        done(3, call(3, "{\"a\":1}")),
        done(4, call(4, "{\"b\":2}")),
        completed(json!([
            thought("gB"),
            search,
            message,
            call(3, "{\"a\":1}"),
            call(4, "{\"b\":2}")
        ])),
    ]
}

fn read(chunks: &[&[u8]]) -> Result<ChatResponse, ModelError> {
    let mut reader = Reader::<Assembler>::new(&Limits::default());
    let error = |broken: crate::model::wire::Broken| {
        broken.into_error::<Assembler>("", &Secrets::default())
    };
    for chunk in chunks {
        if let Some(end) = reader.feed(chunk) {
            return end.map_err(error);
        }
    }
    reader.cut("", |broken| broken).map_err(error)
}

#[tokio::test]
async fn events_tell_of_the_answer_that_they_make() {
    let (events, answer) = drain(reply([stream(&everything())])).await;
    let answer = answer.unwrap();
    assert_eq!(
        (text_of(&events).as_str(), answer.text().as_str()),
        ("日本\n", "日本\n")
    );
    let thoughts = events.iter().filter_map(|event| match event {
        ChatEvent::Reasoning(text) => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(thoughts.collect::<String>(), "one\n\ntwo");
    let calls: Vec<_> = answer
        .message
        .tool_calls()
        .map(|call| (call.id.as_str(), call.arguments.as_str()))
        .collect();
    assert_eq!(calls, [("c3", "{\"a\":1}"), ("c4", "{\"b\":2}")]);
    let [
        Part::Reasoning(thought),
        Part::Opaque(search),
        Part::Text(_),
        ..,
    ] = &answer.message.parts[..]
    else {
        panic!("{:?}", answer.message.parts);
    };
    assert_eq!(thought.text, "one\n\ntwo");
    // The proof of the item, and not the other one at the end.
    assert!(
        thought
            .signature
            .as_ref()
            .unwrap()
            .of(API)
            .unwrap()
            .contains("gA")
    );
    assert!(search.json.contains("completed"));
    assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    assert_eq!(answer.usage.total_tokens(), Some(7));
    assert_eq!(answer.usage.web_search_requests, Some(1));
    let whole =
        completed(everything().pop().unwrap()["response"]["output"].take())["response"].take();
    let whole = super::whole(&whole.to_string()).unwrap();
    assert_eq!(whole.text(), answer.text());
    assert_eq!(
        whole.message.tool_calls().collect::<Vec<_>>(),
        answer.message.tool_calls().collect::<Vec<_>>()
    );
}

#[test]
fn l1_l4_a_stream_cut_anywhere_is_the_same_or_truncated_with_what_came() {
    let body = stream(&everything());
    let whole = read(&[body.as_bytes()]).unwrap();
    let last = body.rfind("event: response.completed").unwrap();
    for at in 0..body.len() {
        let (start, end) = body.as_bytes().split_at(at);
        assert_eq!(read(&[start, end]).unwrap(), whole, "cut at {at}");
        // The last event counts once its line has ended, or where all of it came.
        match read(&[start]) {
            Ok(answer) => assert!(at > last && answer == whole, "cut short at {at}"),
            Err(error) => {
                assert_eq!(error.kind(), ModelErrorKind::Truncated, "{at}");
                let partial = error.partial().unwrap();
                assert!("日本\n".starts_with(partial.text().as_str()));
                assert_eq!(partial.message.tool_calls().count(), 0);
                assert_eq!(partial.finish_reason, FinishReason::Error);
            }
        }
    }
    let bytes: Vec<_> = body.as_bytes().chunks(1).collect();
    assert_eq!(read(&bytes).unwrap(), whole);
}

#[test]
fn servers_that_leave_out_events_are_understood() {
    let call = json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"});
    let message = json!({"type": "message", "id": "m", "content": [{"type": "output_text", "text": "hello"}]});
    let begun =
        json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": ""});
    let text = |id: &str, text: &str| json!({"type": "response.output_text.delta", "item_id": id, "delta": text});
    let arguments = |id: &str| json!({"type": "response.function_call_arguments.delta", "output_index": 1, "item_id": id, "delta": "{\"a\":1}"});
    let both = json!([message, call]);
    let rows = [
        ("the end alone", vec![completed(both.clone())]),
        (
            "an end without output",
            vec![
                done(0, message.clone()),
                done(1, call.clone()),
                completed(json!([])),
            ],
        ),
        (
            "items without deltas",
            vec![
                added(0, json!({"type": "message", "id": "m"})),
                done(0, message.clone()),
                done(1, call.clone()),
                completed(both.clone()),
            ],
        ),
        (
            "deltas without items",
            vec![text("m", "hel"), text("m", "lo"), completed(both.clone())],
        ),
        (
            "no places",
            vec![
                text("m", "hel"),
                done(0, message.clone()),
                done(1, call.clone()),
                completed(Value::Null),
            ],
        ),
        (
            "half of the deltas",
            vec![
                added(0, json!({"type": "message", "id": "m"})),
                text("m", "he"),
                completed(both.clone()),
            ],
        ),
        (
            "one item ended and the other did not",
            vec![
                added(0, json!({"type": "message", "id": "m"})),
                text("m", "he"),
                done(1, call.clone()),
                completed(both.clone()),
            ],
        ),
        (
            "another id in every event",
            vec![
                added(0, message.clone()),
                added(1, begun.clone()),
                arguments("x"),
                delta("output_text", 0, "y", "hello"),
                completed(json!([])),
            ],
        ),
        (
            "one place for all",
            vec![
                added(0, json!({"type": "message", "id": "m"})),
                delta("output_text", 0, "m", "hello"),
                added(0, begun),
                delta("function_call_arguments", 0, "fc", "{\"a\":1}"),
                done(0, message.clone()),
                done(0, call.clone()),
                completed(json!([])),
            ],
        ),
        (
            "an item twice",
            vec![
                done(0, message.clone()),
                done(0, message),
                done(1, call.clone()),
                done(1, call),
                completed(both),
            ],
        ),
    ];
    for (what, events) in rows {
        let answer =
            read(&[stream(&events).as_bytes()]).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(answer.text(), "hello", "{what}");
        let calls: Vec<_> = answer
            .message
            .tool_calls()
            .map(|call| (call.id.as_str(), call.arguments.as_str()))
            .collect();
        assert_eq!(calls, [("c", "{\"a\":1}")], "{what}");
    }
}

#[test]
fn calls_are_never_mixed() {
    let begun =
        json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": ""});
    let other = json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{\"b\":2}"});
    let half = delta("function_call_arguments", 0, "fc", "{\"a\"");
    let error = read(&[stream(&[added(0, begun), half, done(0, other)]).as_bytes()]).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Decode);
}

#[test]
fn calls_without_ids_in_one_place_follow_one_another() {
    let call = |id: &str, arguments: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": arguments});
    let more = |arguments: &str| json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": arguments});
    let mut events = Vec::new();
    for (id, arguments) in [("c1", "{\"a\":1}"), ("c2", "{\"b\":2}")] {
        events.extend([
            added(0, call(id, "")),
            more(arguments),
            done(0, call(id, arguments)),
        ]);
    }
    events.push(completed(json!([])));
    let answer = read(&[stream(&events).as_bytes()]).unwrap();
    let calls: Vec<_> = answer
        .message
        .tool_calls()
        .map(|call| (call.id.as_str(), call.arguments.as_str()))
        .collect();
    assert_eq!(calls, [("c1", "{\"a\":1}"), ("c2", "{\"b\":2}")]);
}

#[test]
fn l6_an_error_in_a_stream_keeps_its_class_and_what_was_used() {
    let text = delta("output_text", 0, "m", "hel");
    let failed = json!({"type": "response.failed", "response": {"status": "failed",
        "usage": {"input_tokens": 5, "output_tokens": 1}, "error": {"code": "rate_limit_exceeded", "message": "slow"}}});
    let event = json!({"type": "error", "error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "x"}});
    let flat = json!({"type": "error", "code": "context_length_exceeded", "message": "long", "param": null});
    let bare = json!({"error": {"code": "invalid_api_key", "message": "x"}});
    for (last, kind, input) in [
        (failed, ModelErrorKind::RateLimited, Some(5)),
        (event, ModelErrorKind::Quota, None),
        (flat, ModelErrorKind::ContextLength, None),
        (bare, ModelErrorKind::Authentication, None),
    ] {
        let error = read(&[stream(&[text.clone(), last]).as_bytes()]).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let partial = error.partial().unwrap();
        assert_eq!(
            (partial.text().as_str(), partial.usage.input_tokens),
            ("hel", input)
        );
    }
}

#[test]
fn l5_the_sentinel_without_a_last_event_is_a_broken_answer() {
    let body = stream(&[delta("output_text", 0, "m", "hel")]) + "data: [DONE]\n\n";
    let error = read(&[body.as_bytes()]).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Truncated);
    assert_eq!(error.partial().unwrap().text(), "hel");
}

#[test]
fn l14_an_answer_that_is_too_long_says_so_and_keeps_its_half_call_as_it_came() {
    let begun =
        json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": ""});
    let end = json!({"type": "response.incomplete", "response": {"status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"}, "output": []}});
    let body = stream(&[
        added(0, begun),
        delta("function_call_arguments", 0, "fc", "{\"a\""),
        end,
    ]);
    let answer = read(&[body.as_bytes()]).unwrap();
    assert_eq!(answer.finish_reason, FinishReason::Length);
    assert_eq!(
        answer.message.tool_calls().next().unwrap().arguments,
        "{\"a\""
    );
}

#[test]
fn l8_arguments_and_items_have_their_limits() {
    let limits = Limits {
        tool_argument_bytes: 100,
        ..Limits::default()
    };
    let mut reader = Reader::<Assembler>::new(&limits);
    let more = delta("function_call_arguments", 0, "fc", &"x".repeat(60));
    let end = reader
        .feed(stream(&[more.clone(), more]).as_bytes())
        .unwrap();
    let error = end
        .unwrap_err()
        .into_error::<Assembler>("", &Secrets::default());
    assert!(error.message().contains("tool_argument_bytes"), "{error}");

    let many: Vec<_> = (0..1_100)
        .map(|index| added(index, json!({"type": "odd"})))
        .collect();
    let error = read(&[stream(&many).as_bytes()]).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Decode);
}

proptest! {
    #[test]
    fn nothing_panics_whatever_comes(
        picks in prop::collection::vec((0_usize..22, 0_u64..4, 0_usize..4), 0..24),
        noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let known = everything();
        let odd = [json!(null), json!([1]), json!({"type": 7}), json!("x")];
        let mut events = Vec::new();
        for (pick, index, change) in picks {
            let mut event = known[pick].clone();
            match change {
                0 => event["output_index"] = index.into(),
                1 => event["item"] = odd[usize::try_from(index).unwrap()].clone(),
                2 => { event.as_object_mut().unwrap().remove("item_id"); }
                _ => {}
            }
            events.push(event);
        }
        let body = stream(&events);
        let one = read(&[body.as_bytes(), &noise]);
        let chunks: Vec<_> = body.as_bytes().chunks(7).chain([noise.as_slice()]).collect();
        let brief = |result: Result<ChatResponse, ModelError>| result.map_err(|error| error.kind());
        prop_assert_eq!(brief(read(&chunks)), brief(one));
        let _ = super::whole(&String::from_utf8_lossy(&noise));
    }
}
