//! What is sent.

use std::sync::Arc;

use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::{
    message::{
        Conversation, Media, MediaKind, MediaSource, Message, Opaque, Part, Reasoning, Role,
        ToolCall, ToolResult,
    },
    model::{ChatSettings, OutputFormat, ServerTool, ToolChoice, ToolSpec, WebSearch},
};

fn body(request: &ChatRequest, stream: bool) -> Value {
    let body = request::body("m", request, stream, Dialect::default()).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn schema(text: &str) -> Arc<RawValue> {
    Arc::from(RawValue::from_string(text.into()).unwrap())
}

#[test]
fn only_what_is_set_is_sent() {
    let request = ChatRequest::new("hi");
    let messages = json!([{"role": "user", "content": "hi"}]);
    assert_eq!(
        body(&request, false),
        json!({"model": "m", "messages": messages})
    );
    assert_eq!(
        body(&request, true),
        json!({"model": "m", "messages": messages, "stream": true, "stream_options": {"include_usage": true}})
    );
}

#[test]
fn every_setting_has_its_field() {
    let mut settings = ChatSettings::new()
        .with_max_output_tokens(9)
        .with_temperature(0.5)
        .with_seed(-1)
        .with_reasoning_effort("low")
        .with_extra("top_p", 0.25)
        .with_extra("stream", false)
        .with_extra("user", "u");
    settings.top_p = Some(0.75);
    settings.frequency_penalty = Some(1.0);
    settings.presence_penalty = Some(-1.0);
    settings.stop = vec!["END".into()];
    settings.parallel_tool_calls = Some(false);
    let tool = ToolSpec::new("f", "does f", schema(r#"{"type":"object"}"#));
    let request = ChatRequest::new("hi")
        .with_instructions("be brief")
        .with_tools(vec![tool])
        .with_tool_choice(ToolChoice::Tool("f".into()))
        .with_output(OutputFormat::JsonSchema {
            name: "s".into(),
            schema: schema("{}"),
            strict: true,
        })
        .with_settings(settings);
    let expected = json!({
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "does f", "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}, "strict": true}},
        "max_completion_tokens": 9, "temperature": 0.5, "seed": -1, "reasoning_effort": "low", "top_p": 0.25,
        "frequency_penalty": 1.0, "presence_penalty": -1.0, "stop": ["END"], "user": "u",
    });
    assert_eq!(body(&request, false), expected);
    let dialect = Dialect {
        max_tokens: true,
        no_stream_options: true,
        ..Dialect::default()
    };
    let old = request::body("m", &request, true, dialect).unwrap();
    let old = String::from_utf8(old).unwrap();
    assert!(old.contains("\"max_tokens\":9") && old.contains("\"stream\":true"));
    assert!(!old.contains("stream_options") && old.matches("\"stream\"").count() == 1);
}

#[test]
fn a_history_of_every_part_is_written_in_the_api_s_form() {
    let call = ToolCall::new("c1", "f", "");
    let conversation = Conversation::from_iter([
        Message::system("sys"),
        Message::new(
            Role::User,
            vec![
                Part::Text("look".into()),
                Part::Media(Media::image_url("https://x/y.png")),
                Part::Media(Media::base64(MediaKind::Image, "image/png", "AA==")),
                Part::Media(Media::base64(MediaKind::Audio, "audio/mpeg", "BB==")),
                Part::Media(Media::base64(
                    MediaKind::Document,
                    "application/pdf",
                    "CC==",
                )),
            ],
        ),
        Message::new(
            Role::Assistant,
            vec![
                Part::Reasoning(Reasoning::new("hm")),
                Part::ToolCall(call.clone()),
            ],
        ),
        Message::tool_results([ToolResult::ok(&call, "1"), ToolResult::error(&call, "2")]),
        Message::new(
            Role::Assistant,
            vec![Part::Text("a".into()), Part::Text("b".into())],
        ),
        Message::new(Role::Assistant, vec![Part::Refusal("no".into())]),
        Message::new(Role::Assistant, vec![]),
    ]);
    let data = "data:application/pdf;base64,CC==";
    let expected = json!([
        {"role": "system", "content": "sys"},
        {"role": "user", "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            {"type": "input_audio", "input_audio": {"data": "BB==", "format": "mp3"}},
            {"type": "file", "file": {"file_data": data, "filename": "document"}},
        ]},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "assistant", "content": "ab"},
        {"role": "assistant", "content": null, "refusal": "no"},
        {"role": "assistant", "content": ""},
    ]);
    assert_eq!(
        body(&ChatRequest::new(conversation), false)["messages"],
        expected
    );
}

#[test]
fn a_part_that_has_no_place_is_refused_and_not_left_out() {
    let mut sound = Media::base64(MediaKind::Audio, "audio/wav", "AA==");
    sound.source = MediaSource::Url("https://x/y.wav".into());
    let messages = [
        Message::new(Role::User, vec![Part::Media(sound)]),
        Message::new(
            Role::User,
            vec![Part::ToolCall(ToolCall::new("c", "f", ""))],
        ),
        Message::new(Role::Tool, vec![Part::Text("x".into())]),
        Message::new(
            Role::Assistant,
            vec![Part::Media(Media::image_url("https://x/y.png"))],
        ),
    ];
    for message in messages {
        let request = ChatRequest::new(Conversation::from_iter([message]));
        let error = request::body("m", &request, false, Dialect::default()).unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::BadRequest, "{error}");
    }
}

#[test]
fn settings_that_are_wrong_are_named() {
    let key = |builder: OpenAiBuilder| builder.api_key("sk-secret");
    let base = |url: &str| key(OpenAi::builder("m")).base_url(url);
    let cases = [
        (OpenAi::builder("m"), "api_key"),
        (OpenAi::builder("m").without_key(), "base_url"),
        (OpenAi::builder("m").api_key("  "), "key"),
        (OpenAi::builder("m").api_key("sk-\nsecret"), "key"),
        (base("localhost/v1"), "base_url"),
        (base("ftp://secret.host/v1"), "https://"),
        (base("https://user:secret@host/v1"), "header"),
        (
            key(OpenAi::builder("m")).header("bad name", "secret"),
            "bad name",
        ),
    ];
    for (builder, names) in cases {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Configuration);
        assert!(error.message().contains(names), "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[test]
fn the_environment_gives_key_and_base_url() {
    let with = |pairs: &'static [(&str, &str)]| {
        let look = move |name: &str| {
            pairs
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        OpenAi::builder("m")
            .variables(look)
            .and_then(OpenAiBuilder::build)
    };
    let error = with(&[("OPENAI_API_KEY", " ")]).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Configuration);
    assert!(error.message().contains("OPENAI_API_KEY"));
    let client = with(&[("OPENAI_API_KEY", "k")]).unwrap().client;
    assert_eq!(
        client.endpoint(false).as_str(),
        "https://api.openai.com/v1/chat/completions"
    );
    let client = with(&[
        ("OPENAI_API_KEY", "k"),
        ("OPENAI_BASE_URL", "http://[::1]:8080"),
    ])
    .unwrap();
    assert_eq!(
        client.client.endpoint(true).as_str(),
        "http://[::1]:8080/chat/completions"
    );
    assert_eq!(client.info().server_port, Some(8080));
}

#[test]
fn the_path_is_added_once_and_nothing_secret_is_printed() {
    for base_url in [
        "https://h/v1",
        "https://h/v1/",
        " https://h/v1?api-version=secret ",
    ] {
        let builder = OpenAi::builder("m")
            .base_url(base_url)
            .api_key("sk-secret")
            .header("x-team", "secret");
        let printed = format!("{builder:?}");
        let client = builder.build().unwrap();
        assert_eq!(client.client.endpoint(false).path(), "/v1/chat/completions");
        for printed in [
            printed,
            format!("{client:?}{:?}", client.client.http().headers),
        ] {
            assert!(!printed.contains("secret"), "{printed}");
        }
    }
}

#[test]
fn a_cache_key_a_tier_searches_and_native_tools_have_their_fields() {
    let native = json!({"type": "mcp", "server_label": "x"});
    let settings = ChatSettings::new()
        .with_prompt_cache_key("k")
        .with_service_tier("flex")
        .with_top_k(3)
        .with_extra("repetition_penalty", 1.1)
        .with_server_tool(ServerTool::WebSearch(WebSearch::new()))
        .with_server_tool(ServerTool::Native(native.clone()));
    let request = ChatRequest::new("hi").with_settings(settings);
    let expected = json!({
        "model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [native], "prompt_cache_key": "k",
        "service_tier": "flex", "web_search_options": {}, "repetition_penalty": 1.1,
    });
    assert_eq!(body(&request, false), expected);

    let search = ServerTool::WebSearch(WebSearch::new());
    let alone = ChatRequest::new("hi").with_settings(ChatSettings::new().with_server_tool(search));
    assert!(body(&alone, false).get("tools").is_none());
    let limited = ServerTool::WebSearch(WebSearch::new().with_max_uses(1));
    let request =
        ChatRequest::new("hi").with_settings(ChatSettings::new().with_server_tool(limited));
    let error = request::body("m", &request, false, Dialect::default()).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::BadRequest);
}

#[test]
fn reasoning_goes_back_to_servers_that_want_it_and_what_was_spoken_by_its_id() {
    let call = ToolCall::new("c1", "f", "");
    let spoken = Opaque::new(
        "openai.chat",
        "audio",
        r#"{"id":"audio_1","data":"AA==","transcript":"hi"}"#,
    );
    let conversation = Conversation::from_iter([
        Message::new(
            Role::Assistant,
            vec![
                Part::Reasoning(Reasoning::new("one ")),
                Part::Reasoning(Reasoning::new("two")),
                Part::ToolCall(call),
            ],
        ),
        Message::new(Role::Assistant, vec![Part::Opaque(spoken)]),
        Message::new(
            Role::Assistant,
            vec![Part::Reasoning(Reasoning::new("")), Part::Text("a".into())],
        ),
    ]);
    let request = ChatRequest::new(conversation);
    let wants = Dialect {
        send_reasoning: true,
        ..Dialect::default()
    };
    let sent = request::body("m", &request, false, wants).unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    let expected = json!([
        {"role": "assistant", "content": null, "reasoning_content": "one two", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "assistant", "content": null, "audio": {"id": "audio_1"}},
        {"role": "assistant", "content": "a"},
    ]);
    assert_eq!(sent["messages"], expected);
    assert!(
        body(&request, false)["messages"][0]
            .get("reasoning_content")
            .is_none()
    );
}
