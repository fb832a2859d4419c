//! What is sent.

use std::sync::Arc;

use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::{
    message::{
        Conversation, Media, MediaKind, Message, Opaque, Part, Reasoning, Role, Signature,
        ToolCall, ToolResult,
    },
    model::{
        ChatSettings, ModelErrorKind, OutputFormat, ServerTool, ToolChoice, ToolSpec, WebSearch,
    },
};

fn body(request: &ChatRequest, stream: bool) -> Value {
    let body = request::body("m", request, stream).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn schema(text: &str) -> Arc<RawValue> {
    Arc::from(RawValue::from_string(text.into()).unwrap())
}

fn tool() -> ToolSpec {
    ToolSpec::new("f", "does f", schema(r#"{"type":"object"}"#))
}

#[test]
fn only_what_is_set_is_sent() {
    for stream in [false, true] {
        assert_eq!(
            body(&ChatRequest::new("hi"), stream),
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream})
        );
    }
}

#[test]
fn every_setting_has_its_field() {
    let mut settings = ChatSettings::new()
        .with_max_output_tokens(9)
        .with_temperature(0.5)
        .with_top_p(0.75)
        .with_top_k(4)
        .with_seed(-1)
        .with_stop("END")
        .with_reasoning_effort("low")
        .with_server_tool(ServerTool::Native(json!({"type": "own"})))
        .with_extra("options", json!({"num_ctx": 8192, "temperature": 1}))
        .with_extra("keep_alive", "5m")
        .with_extra("stream", true);
    settings.frequency_penalty = Some(1.0);
    settings.presence_penalty = Some(-1.0);
    let request = ChatRequest::new("hi")
        .with_instructions("be brief")
        .with_tools(vec![tool()])
        .with_output(OutputFormat::JsonSchema {
            name: "s".into(),
            schema: schema(r#"{"type":"object"}"#),
            strict: true,
        })
        .with_settings(settings);
    let expected = json!({
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "stream": false,
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "does f", "parameters": {"type": "object"}}},
            {"type": "own"},
        ],
        "format": {"type": "object"},
        "think": "low",
        "options": {"num_predict": 9, "temperature": 1, "top_p": 0.75, "top_k": 4, "frequency_penalty": 1.0,
            "presence_penalty": -1.0, "seed": -1, "stop": ["END"], "num_ctx": 8192},
        "keep_alive": "5m",
    });
    assert_eq!(body(&request, false), expected);
    let written = String::from_utf8(request::body("m", &request, false).unwrap()).unwrap();
    for field in ["\"stream\"", "\"temperature\"", "\"options\""] {
        assert_eq!(written.matches(field).count(), 1, "{field}");
    }
}

#[test]
fn thinking_is_a_switch_or_a_level() {
    let think = |settings: ChatSettings| {
        body(&ChatRequest::new("hi").with_settings(settings), false)["think"].clone()
    };
    let effort = |word: &str| think(ChatSettings::new().with_reasoning_effort(word));
    assert_eq!(effort("true"), true);
    assert_eq!(effort("none"), false);
    assert_eq!(effort("high"), "high");
    assert_eq!(think(ChatSettings::new().with_reasoning_budget(0)), false);
    assert_eq!(think(ChatSettings::new().with_reasoning_budget(9)), true);
    assert_eq!(think(ChatSettings::new()), Value::Null);
}

#[test]
fn any_json_has_its_format_and_no_tools_may_be_called_where_none_are_offered() {
    let request = ChatRequest::new("hi")
        .with_tools(vec![tool()])
        .with_tool_choice(ToolChoice::None)
        .with_output(OutputFormat::JsonObject);
    let body = body(&request, false);
    assert_eq!(body["format"], "json");
    assert_eq!(body["tools"], Value::Null);
}

#[test]
fn a_history_of_every_part_is_written_in_the_api_s_form() {
    let call = ToolCall::new("c1", "f", "{\"x\": 1}");
    let odd = ToolCall::new("c2", "f", "{\"x\":");
    let thought =
        Reasoning::new("hm").with_signature(Some(Signature::new("anthropic.messages", "s")));
    let conversation = Conversation::from_iter([
        Message::system("sys"),
        Message::new(
            Role::User,
            vec![
                Part::Text("look".into()),
                Part::Media(Media::base64(MediaKind::Image, "image/png", "AA==")),
            ],
        ),
        Message::new(
            Role::Assistant,
            vec![
                Part::Reasoning(thought),
                Part::Opaque(Opaque::new("openai.responses", "search", "{}")),
                Part::ToolCall(call.clone()),
                Part::ToolCall(odd.clone()),
            ],
        ),
        Message::tool_results([ToolResult::ok(&call, "1"), ToolResult::error(&odd, "2")]),
        Message::new(
            Role::Assistant,
            vec![Part::Text("a".into()), Part::Refusal("no".into())],
        ),
    ]);
    let expected = json!([
        {"role": "system", "content": "sys"},
        {"role": "user", "content": "look", "images": ["AA=="]},
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [
            {"id": "c1", "function": {"name": "f", "arguments": {"x": 1}}},
            {"id": "c2", "function": {"name": "f", "arguments": {"arguments": "{\"x\":"}}},
        ]},
        {"role": "tool", "content": "1", "tool_name": "f", "tool_call_id": "c1"},
        {"role": "tool", "content": "2", "tool_name": "f", "tool_call_id": "c2"},
        {"role": "assistant", "content": "ano"},
    ]);
    assert_eq!(
        body(&ChatRequest::new(conversation), false)["messages"],
        expected
    );
}

#[test]
fn what_has_no_place_is_refused_and_not_left_out() {
    let said =
        |role, part| ChatRequest::new(Conversation::from_iter([Message::new(role, vec![part])]));
    let media = |media| said(Role::User, Part::Media(media));
    let hi = || ChatRequest::new("hi").with_tools(vec![tool()]);
    let search = ServerTool::WebSearch(WebSearch::new());
    for (request, names) in [
        (media(Media::image_url("https://x/y.png")), "base64"),
        (
            media(Media::base64(MediaKind::Audio, "audio/wav", "AA==")),
            "Audio",
        ),
        (
            said(Role::User, Part::ToolCall(ToolCall::new("c", "f", ""))),
            "a tool call",
        ),
        (said(Role::Tool, Part::Text("x".into())), "`tool`"),
        (hi().with_tool_choice(ToolChoice::Required), "call a tool"),
        (
            hi().with_tool_choice(ToolChoice::Tool("f".into())),
            "call a tool",
        ),
        (
            hi().with_settings(ChatSettings::new().with_server_tool(search)),
            "web",
        ),
    ] {
        let error = request::body("m", &request, false).unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::BadRequest, "{error}");
        assert!(error.message().contains(names), "{error}");
    }
}
