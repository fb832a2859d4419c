//! What comes of blocks, of counts and of reasons.

use super::*;
use crate::{
    cost::Usd,
    message::{Message, Part},
    model::{ChatResponse, ModelError, SideUsage, Usage, wire::Decode},
};

fn whole(body: &Value) -> ChatResponse {
    let body = body.to_string();
    let read = Assembler::new(&Limits::default()).whole(&body);
    read.unwrap_or_else(|failed| panic!("{failed:?}"))
}

fn answer(content: &Value, reason: &str) -> ChatResponse {
    whole(
        &json!({"type": "message", "id": "msg_1", "model": "m-1", "content": content, "stop_reason": reason}),
    )
}

/// The answer of a stream of these events, and its events.
async fn streamed(events: &[Value]) -> (Vec<ChatEvent>, Result<ChatResponse, ModelError>) {
    let data: Vec<String> = events.iter().map(Value::to_string).collect();
    let data: Vec<&str> = data.iter().map(String::as_str).collect();
    let client = offline().build().unwrap();
    drain(testing::reply(&client.client, [sse(&data)])).await
}

fn begin(index: u64, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn piece(index: u64, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn stop(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

/// The end of a stream.
fn end(reason: &str) -> [Value; 2] {
    [
        json!({"type": "message_delta", "delta": {"stop_reason": reason}}),
        json!({"type": "message_stop"}),
    ]
}

#[test]
fn each_stop_reason_has_its_class() {
    for (reason, class) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("tool_use", FinishReason::ToolCalls),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("refusal", FinishReason::ContentFilter),
        ("pause_turn", FinishReason::Paused),
        ("a_new_one", FinishReason::Other("a_new_one".into())),
    ] {
        let response = answer(&json!([]), reason);
        assert_eq!(response.finish_reason, class);
        assert_eq!(response.native_finish_reasons, [reason]);
    }
    let silent = whole(&json!({"content": [], "stop_reason": null}));
    assert_eq!(silent.native_finish_reasons, ["unknown"]);
}

#[test]
fn counts_are_inclusive_and_unknown_is_no_zero() {
    let all = json!({
        "input_tokens": 3, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 500,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 400},
        "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 7},
        "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
        "service_tier": "priority",
        "iterations": [
            {"type": "message", "input_tokens": 3, "output_tokens": 9},
            {"type": "compaction", "input_tokens": 60_000, "output_tokens": 600},
            {"type": "advisor_message", "model": "m-2", "input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 4},
        ],
    });
    let response = whole(&json!({"content": [], "usage": all}));
    assert_eq!(response.service_tier.as_deref(), Some("priority"));
    let mut expected = Usage::new(543, 9)
        .with_cache_read(40)
        .with_cache_write(500)
        .with_reasoning(7);
    expected.cache_write_1h_tokens = Some(400);
    expected.web_search_requests = Some(2);
    assert_eq!(response.usage, expected);
    let advice = Usage::new(5, 2).with_cache_read(4);
    let side = [
        SideUsage::new("compaction", Usage::new(60_000, 600)),
        SideUsage::new("advisor_message", advice).with_model(Some("m-2".into())),
    ];
    assert_eq!(response.side_usage, side);

    let of = |usage: Value| whole(&json!({"content": [], "usage": usage}));
    assert!(of(Value::Null).usage.is_unknown());
    assert!(
        of(json!({"input_tokens": null, "output_tokens": -1}))
            .usage
            .is_unknown()
    );
    assert_eq!(
        of(json!({"input_tokens": 0, "output_tokens": 0})).usage,
        Usage::new(0, 0)
    );
    let parts_only = of(json!({"input_tokens": 1, "output_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0}}));
    assert_eq!(parts_only.usage.input_tokens, Some(11));
    assert_eq!(parts_only.usage.cache_write_tokens, Some(10));
    let unknown_input = of(json!({"cache_read_input_tokens": 5, "output_tokens": 2}));
    assert_eq!(unknown_input.usage.input_tokens, None);
    let huge = of(json!({"input_tokens": u64::MAX, "cache_read_input_tokens": 5}));
    assert_eq!(huge.usage.input_tokens, Some(u64::MAX));
    let billed = of(json!({"input_tokens": 1, "output_tokens": 1, "cost": 0.5}));
    assert_eq!(billed.provider_cost, Some(Usd::from_nanos(500_000_000)));
}

#[tokio::test]
async fn a_stream_s_last_counts_win_and_zeros_replace_nothing() {
    let start = |usage: Value| json!({"type": "message_start", "message": {"id": "msg_1", "model": "m-1", "usage": usage}});
    let last = |usage: Value| {
        [
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
            json!({"type": "message_stop"}),
        ]
    };
    let full = json!({"input_tokens": 40, "output_tokens": 1, "cache_read_input_tokens": 2,
        "cache_creation_input_tokens": 8, "cache_creation": {"ephemeral_1h_input_tokens": 8}});
    let nothing = json!({"input_tokens": 0, "output_tokens": 0});
    for (first, then, input, output, hour) in [
        (&full, json!({"output_tokens": 7}), 50, 7, Some(8)),
        (
            &full,
            json!({"input_tokens": 60, "output_tokens": 7}),
            70,
            7,
            Some(8),
        ),
        (
            &full,
            json!({"input_tokens": 0, "output_tokens": 7, "cache_read_input_tokens": 0}),
            50,
            7,
            Some(8),
        ),
        (
            &full,
            json!({"cache_creation_input_tokens": 5, "output_tokens": 7}),
            47,
            7,
            Some(5),
        ),
        (
            &nothing,
            json!({"input_tokens": 32, "output_tokens": 16}),
            32,
            16,
            None,
        ),
        (&nothing, json!({"output_tokens": 0}), 0, 0, None),
    ] {
        let [delta, done] = last(then);
        let response = streamed(&[start(first.clone()), delta, done])
            .await
            .1
            .unwrap();
        let usage = response.usage;
        assert_eq!(
            (usage.input_tokens, usage.output_tokens),
            (Some(input), Some(output))
        );
        assert_eq!(usage.cache_write_1h_tokens, hour);
        assert_eq!(response.id.as_deref(), Some("msg_1"));
    }
}

#[tokio::test]
async fn blocks_keep_their_order_and_what_is_not_known_is_kept_whole() {
    let citation = json!({"type": "char_location", "cited_text": "é"});
    let result =
        json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"x": 1.5}]});
    let [delta, done] = end("tool_use");
    let events = [
        begin(
            0,
            &json!({"type": "thinking", "thinking": "", "signature": ""}),
        ),
        piece(0, &json!({"type": "thinking_delta", "thinking": "h"})),
        piece(0, &json!({"type": "thinking_delta", "thinking": "m"})),
        piece(0, &json!({"type": "signature_delta", "signature": "sig"})),
        stop(0),
        begin(1, &json!({"type": "redacted_thinking", "data": "data"})),
        stop(1),
        begin(
            2,
            &json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
        ),
        piece(2, &json!({"type": "input_json_delta", "partial_json": ""})),
        piece(
            2,
            &json!({"type": "input_json_delta", "partial_json": "{\"query\":"}),
        ),
        json!({"type": "ping"}),
        json!({"type": "an_event_of_the_future", "index": 2}),
        piece(
            2,
            &json!({"type": "input_json_delta", "partial_json": " \"q\"}"}),
        ),
        stop(2),
        begin(3, &result),
        stop(3),
        begin(4, &json!({"type": "text", "text": "", "citations": []})),
        piece(4, &json!({"type": "citations_delta", "citation": citation})),
        piece(4, &json!({"type": "text_delta", "text": "Found"})),
        piece(4, &json!({"type": "text_delta", "text": "."})),
        stop(4),
        begin(5, &json!({"type": "compaction", "content": null})),
        piece(
            5,
            &json!({"type": "compaction_delta", "content": "sum", "encrypted_content": "a"}),
        ),
        piece(
            5,
            &json!({"type": "compaction_delta", "content": "mary", "encrypted_content": "b"}),
        ),
        stop(5),
        begin(
            6,
            &json!({"type": "tool_use", "id": "c", "name": "f", "input": {}}),
        ),
        piece(
            6,
            &json!({"type": "input_json_delta", "partial_json": "{\"x\":"}),
        ),
        piece(
            6,
            &json!({"type": "input_json_delta", "partial_json": "1}"}),
        ),
        stop(6),
        delta,
        done,
    ];
    let (told, response) = streamed(&events).await;
    let response = response.unwrap();
    let expected = json!([
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "data"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        result,
        {"type": "text", "text": "Found.", "citations": [citation]},
        {"type": "compaction", "content": "summary", "encrypted_content": "b"},
        {"type": "tool_use", "id": "c", "name": "f", "input": {"x": 1}},
    ]);
    let conversation = Conversation::from_iter([response.message.clone()]);
    let back = body(&ChatRequest::new(conversation));
    assert_eq!(back["messages"][0]["content"], expected);
    assert_eq!(response.text(), "Found.");
    assert_eq!(text_of(&told), "Found.");
    let thoughts: String = told
        .iter()
        .filter_map(|event| match event {
            ChatEvent::Reasoning(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(thoughts, "hm");
    let calls: Vec<_> = response.message.tool_calls().collect();
    assert_eq!((calls.len(), calls[0].arguments.as_str()), (1, "{\"x\":1}"));
    let named = told.iter().any(|event| {
        matches!(event, ChatEvent::ToolCall { index: 0, id, name } if id.as_str() == "c" && name == "f")
    });
    assert!(named, "{told:?}");
}

#[tokio::test]
async fn arguments_are_the_pieces_or_else_what_the_call_began_with() {
    let input = |input: Value| json!({"type": "tool_use", "id": "c", "name": "f", "input": input});
    let args = |text: &str| {
        piece(
            0,
            &json!({"type": "input_json_delta", "partial_json": text}),
        )
    };
    let [delta, done] = end("tool_use");
    for (block, pieces, expected) in [
        (input(json!({})), vec![], "{}"),
        (input(json!({})), vec![args("")], "{}"),
        (input(json!({"x": 1})), vec![], "{\"x\":1}"),
        (
            input(json!({"x": 1})),
            vec![args("{\"x\":"), args("2}")],
            "{\"x\":2}",
        ),
        (input(json!({})), vec![args("{\"x\": ")], "{\"x\": "),
    ] {
        for ended in [true, false] {
            let mut events = vec![begin(0, &block)];
            events.extend(pieces.clone());
            events.extend(ended.then(|| stop(0)));
            events.extend([delta.clone(), done.clone()]);
            let response = streamed(&events).await.1.unwrap();
            let call = response.message.tool_calls().next().unwrap();
            assert_eq!(call.arguments.as_str(), expected);
        }
    }
}

#[tokio::test]
async fn calls_of_one_index_that_follow_each_other_are_apart() {
    let [delta, done] = end("tool_use");
    let call = |id: &str| {
        begin(
            0,
            &json!({"type": "tool_use", "id": id, "name": "f", "input": {}}),
        )
    };
    let args = |text: &str| {
        piece(
            0,
            &json!({"type": "input_json_delta", "partial_json": text}),
        )
    };
    let events = [
        call("a"),
        stop(0),
        call("b"),
        args("{}"),
        stop(0),
        delta,
        done,
    ];
    let response = streamed(&events).await.1.unwrap();
    let ids: Vec<_> = response
        .message
        .tool_calls()
        .map(|call| call.id.as_str())
        .collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn a_piece_without_a_block_of_its_own_is_refused() {
    let text = json!({"type": "text", "text": ""});
    let more = piece(0, &json!({"type": "text_delta", "text": "x"}));
    for events in [
        vec![more.clone()],
        vec![begin(0, &text), stop(0), more],
        vec![begin(0, &text), begin(0, &text)],
        vec![begin(0, &json!("text"))],
        vec![
            begin(0, &json!({"type": "tool_use", "id": "c"})),
            stop(0),
            end("tool_use")[0].clone(),
            end("")[1].clone(),
        ],
    ] {
        let error = streamed(&events).await.1.unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Decode, "{error}");
    }
}

/// A turn that thinks, searches and calls; its result; the answer.
#[tokio::test]
async fn a_turn_with_tools_goes_back_whole_and_is_gone_on_with() {
    use crate::message::ToolResult;
    let search = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}});
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"encrypted_content": "e"}]});
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": "sig"});
    let call =
        json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Zürich"}});
    let first = json!([thought, search, found, {"type": "text", "text": "I ask."}, call]);
    let mut conversation = Conversation::from_iter([Message::user("hi")]);
    let turn = answer(&first, "tool_use");
    assert_eq!(turn.finish_reason, FinishReason::ToolCalls);
    let results: Vec<_> = turn
        .message
        .tool_calls()
        .map(|call| ToolResult::ok(call, "sunny"))
        .collect();
    conversation.push(turn.message);
    conversation.push(Message::tool_results(results));
    let sent = body(&ChatRequest::new(conversation.clone()));
    let expected = json!([
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": first},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]},
    ]);
    assert_eq!(sent["messages"], expected);

    // The same conversation survives being stored.
    let stored = serde_json::to_string(conversation.messages()).unwrap();
    let stored: Vec<Message> = serde_json::from_str(&stored).unwrap();
    let sent = body(&ChatRequest::new(Conversation::from_iter(stored)));
    assert_eq!(sent["messages"], expected);

    let last = answer(&json!([{"type": "text", "text": "Sunny."}]), "end_turn");
    assert_eq!(last.message.parts, [Part::Text("Sunny.".into())]);
}
