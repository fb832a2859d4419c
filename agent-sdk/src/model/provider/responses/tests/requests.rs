//! What is sent.

use std::sync::Arc;

use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::{
    message::{
        Conversation, Media, MediaKind, MediaSource, Message, Opaque, Part, Reasoning, Role,
        Signature, ToolCall, ToolResult,
    },
    model::{ChatSettings, OutputFormat, ServerTool, ToolChoice, ToolSpec, WebSearch},
};

fn body_of(model: &str, request: &ChatRequest, dialect: Dialect) -> Value {
    let body = request::body(model, request, false, dialect).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn body(request: &ChatRequest) -> Value {
    body_of("m", request, Dialect::default())
}

fn with(settings: ChatSettings) -> ChatRequest {
    ChatRequest::new("hi").with_settings(settings)
}

fn schema(text: &str) -> Arc<RawValue> {
    Arc::from(RawValue::from_string(text.into()).unwrap())
}

fn refused(request: &ChatRequest) -> String {
    let error = request::body("m", request, false, Dialect::default()).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::BadRequest);
    error.message().to_owned()
}

#[test]
fn only_what_is_set_is_sent_and_nothing_is_stored() {
    let request = ChatRequest::new("hi");
    let expected =
        json!({"model": "m", "input": [{"role": "user", "content": "hi"}], "store": false});
    assert_eq!(body(&request), expected);
    let stream = request::body("m", &request, true, Dialect::default()).unwrap();
    let stream: Value = serde_json::from_slice(&stream).unwrap();
    assert_eq!(stream["stream"], true);
}

#[test]
fn every_setting_has_its_field() {
    let mut settings = ChatSettings::new()
        .with_max_output_tokens(9)
        .with_temperature(0.5)
        .with_top_p(0.75)
        .with_reasoning_effort("low")
        .with_prompt_cache_key("k")
        .with_service_tier("flex")
        .with_server_tool(ServerTool::WebSearch(
            WebSearch::new()
                .with_max_uses(3)
                .with_allowed_domain("x.org"),
        ))
        .with_extra("reasoning", json!({"summary": "auto"}))
        .with_extra("text", json!({"verbosity": "low"}))
        .with_extra("include", json!(["web_search_call.action.sources"]))
        .with_extra("temperature", 0.25)
        .with_extra("input", "mine")
        .with_extra("user", "u")
        // What the API has no place for.
        .with_seed(1)
        .with_stop("END")
        .with_top_k(5)
        .with_reasoning_budget(6);
    settings.frequency_penalty = Some(1.0);
    settings.parallel_tool_calls = Some(false);
    let tool = ToolSpec::new("f", "does f", schema(r#"{"type":"object"}"#));
    let request = with(settings)
        .with_instructions("be brief")
        .with_tools(vec![tool])
        .with_tool_choice(ToolChoice::Tool("f".into()))
        .with_output(OutputFormat::JsonSchema {
            name: "s".into(),
            schema: schema("{}"),
            strict: true,
        });
    let expected = json!({
        "model": "m", "instructions": "be brief", "input": [{"role": "user", "content": "hi"}],
        "tools": [
            {"type": "function", "name": "f", "description": "does f", "parameters": {"type": "object"}, "strict": false},
            {"type": "web_search", "filters": {"allowed_domains": ["x.org"]}},
        ],
        "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false, "max_tool_calls": 3,
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {}, "strict": true}, "verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"}, "max_output_tokens": 9, "temperature": 0.25, "top_p": 0.75,
        "prompt_cache_key": "k", "service_tier": "flex", "store": false, "user": "u",
        "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
    });
    assert_eq!(body(&request), expected);

    let message = Dialect {
        system_message: true,
        ..Dialect::default()
    };
    let sent = body_of("m", &request, message);
    assert_eq!(
        sent["input"][0],
        json!({"role": "system", "content": "be brief"})
    );
    assert!(sent.get("instructions").is_none());
    let object = body(&ChatRequest::new("hi").with_output(OutputFormat::JsonObject));
    assert_eq!(object["text"], json!({"format": {"type": "json_object"}}));
}

#[test]
fn reasoning_is_asked_for_where_the_model_reasons_and_nothing_is_stored() {
    let asks = |model: &str, request: &ChatRequest| {
        let sent = body_of(model, request, Dialect::default());
        sent["include"] == json!(["reasoning.encrypted_content"])
    };
    let plain = ChatRequest::new("hi");
    for model in [
        "o3",
        "o4-mini",
        "gpt-5",
        "gpt-5.2-chat",
        "gpt-6.1-sol",
        "openai/gpt-5",
        "openai.gpt-5.6-luna",
        "gpt-5.2-codex",
    ] {
        assert!(asks(model, &plain), "{model}");
    }
    for model in [
        "gpt-4o",
        "gpt-4.1",
        "gpt-5-chat-latest",
        "Qwen/Qwen3-4B",
        "omni",
        "gpt-oss-20b",
        "grok-4",
        "é",
    ] {
        assert!(!asks(model, &plain), "{model}");
    }
    assert!(asks(
        "m",
        &with(ChatSettings::new().with_reasoning_effort("low"))
    ));
    assert!(!asks(
        "gpt-5",
        &with(ChatSettings::new().with_reasoning_effort("none"))
    ));
    assert!(asks(
        "m",
        &with(ChatSettings::new().with_extra("reasoning", json!({"summary": "auto"})))
    ));
    let never = Dialect {
        encrypted_reasoning: Some(false),
        ..Dialect::default()
    };
    assert!(body_of("gpt-5", &plain, never).get("include").is_none());

    for (key, value) in [
        ("store", json!(true)),
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("background", json!(true)),
    ] {
        let sent = body_of(
            "gpt-5",
            &with(ChatSettings::new().with_extra(key, value.clone())),
            Dialect::default(),
        );
        assert_eq!(sent[key], value);
        assert!(sent.get("include").is_none());
        assert!(key == "store" || sent.get("store").is_none(), "{key}");
    }
}

#[test]
fn a_history_of_every_part_is_written_in_order() {
    let call = ToolCall::new("c1", "f", r#"{"a":1}"#);
    let custom = ToolCall::new("c2", "sql", "SELECT 1")
        .with_signature(Some(Signature::new(API, r#"{"custom":true}"#)));
    let found = ToolCall::new("c3", "g", "")
        .with_signature(Some(Signature::new(API, r#"{"namespace":"tools"}"#)));
    let foreign = ToolCall::new("c4", "h", "").with_signature(Some(Signature::new("gemini", "xx")));
    let proof = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAA"}"#;
    let search = r#"{"type":"web_search_call","id":"ws_1",  "status":"completed"}"#;
    let mut stored = Reasoning::new("why");
    stored.id = Some("rs_2".into());
    let thoughts = [
        Reasoning::new("").with_signature(Some(Signature::new(API, proof))),
        Reasoning::new("theirs").with_signature(Some(Signature::new("anthropic.messages", "sig"))),
        stored,
    ];
    let [own, theirs, stored] = thoughts.map(Part::Reasoning);
    let conversation = Conversation::from_iter([
        Message::system("sys"),
        Message::new(
            Role::User,
            vec![
                Part::Text("look".into()),
                Part::Media(Media::image_url("https://x/y.png")),
                Part::Media(Media::base64(MediaKind::Image, "image/png", "AA==")),
                Part::Media(Media {
                    source: MediaSource::FileId("file-1".into()),
                    ..Media::image_url("")
                }),
                Part::Media(Media::base64(
                    MediaKind::Document,
                    "application/pdf",
                    "CC==",
                )),
                Part::Media(Media {
                    kind: MediaKind::Document,
                    ..Media::image_url("https://x/y.pdf")
                }),
            ],
        ),
        Message::new(
            Role::Assistant,
            vec![
                own,
                theirs,
                stored,
                Part::Opaque(Opaque::new(API, "web_search_call", search)),
                Part::Opaque(Opaque::new("gemini", "x", "not json")),
                Part::Text("a".into()),
                Part::Text("b".into()),
                Part::ToolCall(call.clone()),
                Part::ToolCall(custom.clone()),
                Part::ToolCall(found),
                Part::ToolCall(foreign),
                Part::Text("c".into()),
            ],
        ),
        Message::tool_results([ToolResult::ok(&call, "1"), ToolResult::error(&custom, "2")]),
        Message::new(Role::Assistant, vec![Part::Refusal("no".into())]),
    ]);
    let expected = json!([
        {"role": "system", "content": "sys"},
        {"role": "user", "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "https://x/y.png"},
            {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
            {"type": "input_image", "file_id": "file-1"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,CC==", "filename": "document"},
            {"type": "input_file", "file_url": "https://x/y.pdf"},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAA"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"role": "assistant", "content": "ab"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "sql", "input": "SELECT 1"},
        {"type": "function_call", "call_id": "c3", "name": "g", "namespace": "tools", "arguments": "{}"},
        {"type": "function_call", "call_id": "c4", "name": "h", "arguments": "{}"},
        {"role": "assistant", "content": "c"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "2"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ]);
    let request = ChatRequest::new(conversation);
    assert_eq!(body(&request)["input"], expected);
    // What came back unchanged is sent back byte for byte.
    let text = request::body("m", &request, false, Dialect::default()).unwrap();
    assert!(String::from_utf8(text).unwrap().contains(search));

    // A server that keeps its answers knows reasoning by its id.
    let request = request.with_settings(ChatSettings::new().with_extra("store", true));
    let thought = json!({"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "why"}]});
    assert_eq!(body(&request)["input"][3], thought);
}

#[test]
fn what_has_no_place_is_refused_and_named() {
    let message =
        |role, part| ChatRequest::new(Conversation::from_iter([Message::new(role, vec![part])]));
    let sound = Part::Media(Media::base64(MediaKind::Audio, "audio/wav", "AA=="));
    let mut untyped = Media::base64(MediaKind::Image, "", "AA==");
    untyped.media_type = None;
    let unsigned = Reasoning::new("x").with_signature(Some(Signature::new(API, "gAA")));
    for (request, named) in [
        (message(Role::User, sound), "sound"),
        (message(Role::User, Part::Media(untyped)), "media type"),
        (
            message(Role::User, Part::ToolCall(ToolCall::new("c", "f", ""))),
            "a tool call",
        ),
        (message(Role::Tool, Part::Text("x".into())), "text"),
        (
            message(Role::Assistant, Part::Media(Media::image_url("u"))),
            "media",
        ),
        (
            message(
                Role::Assistant,
                Part::Opaque(Opaque::new(API, "odd", "[1]")),
            ),
            "odd",
        ),
        (
            message(Role::Assistant, Part::Reasoning(unsigned)),
            "signature",
        ),
    ] {
        assert!(refused(&request).contains(named), "{named}");
    }
    let mut blocked = WebSearch::new();
    blocked.blocked_domains.push("x.org".into());
    let blocked = ChatSettings::new().with_server_tool(ServerTool::WebSearch(blocked));
    assert!(refused(&with(blocked)).contains("blocked_domains"));
    let limited = ChatSettings::new()
        .with_server_tool(ServerTool::WebSearch(WebSearch::new().with_max_uses(1)))
        .with_server_tool(ServerTool::Native(json!({"type": "file_search"})));
    assert!(refused(&with(limited)).contains("max_uses"));
}

#[test]
fn a_server_tool_alone_is_sent_as_it_is() {
    let native = json!({"type": "code_interpreter", "container": {"type": "auto"}});
    let settings = ChatSettings::new().with_server_tool(ServerTool::Native(native.clone()));
    let sent = body(&with(settings));
    assert_eq!(sent["tools"], json!([native]));
    assert!(sent.get("max_tool_calls").is_none());
}

#[test]
fn the_environment_gives_key_and_base_url() {
    let look = |name: &str| match name {
        "OPENAI_API_KEY" => Some("k".to_owned()),
        _ => None,
    };
    let client = OpenAiResponses::builder("m").variables(look).unwrap();
    let client = client.build().unwrap().client;
    let address = "https://api.openai.com/v1/responses";
    assert_eq!(client.endpoint(true).as_str(), address);
}
