//! What is sent.

use std::sync::Arc;

use serde_json::{json, value::RawValue};

use super::*;
use crate::{
    message::{
        Conversation, Media, MediaKind, MediaSource, Message, Opaque, Part, Reasoning, Role,
        Signature, ToolCall, ToolResult,
    },
    model::{
        ChatSettings, Model, ModelErrorKind, OutputFormat, PromptCache, ServerTool, ToolChoice,
        ToolSpec, WebSearch, http::testing::Server,
    },
    operation::RunContext,
};

fn body(request: &ChatRequest) -> Value {
    body_of("anthropic.m", request)
}

fn body_of(model: &str, request: &ChatRequest) -> Value {
    serde_json::from_slice(&request::body(model, request).unwrap()).unwrap()
}

fn schema(text: &str) -> Arc<RawValue> {
    Arc::from(RawValue::from_string(text.into()).unwrap())
}

fn tool() -> ToolSpec {
    ToolSpec::new("f", "does f", schema(r#"{"type":"object"}"#))
}

#[test]
fn only_what_is_set_is_sent() {
    assert_eq!(
        body(&ChatRequest::new("hi")),
        json!({"messages": [{"role": "user", "content": [{"text": "hi"}]}]})
    );
}

#[test]
fn every_setting_has_its_field() {
    let mut settings = ChatSettings::new()
        .with_max_output_tokens(9)
        .with_temperature(0.5)
        .with_top_p(0.75)
        .with_top_k(4)
        .with_stop("END")
        .with_reasoning_effort("low")
        .with_reasoning_budget(1_024)
        .with_service_tier("flex")
        .with_prompt_cache(PromptCache::default().for_one_hour())
        .with_server_tool(ServerTool::Native(
            json!({"systemTool": {"name": "nova_grounding"}}),
        ))
        .with_extra(
            "additionalModelRequestFields",
            json!({"top_k": 5, "own": 1}),
        )
        .with_extra("guardrailConfig", json!({"guardrailIdentifier": "g"}))
        .with_extra("messages", json!([]));
    settings.seed = Some(1);
    let request = ChatRequest::new("hi")
        .with_instructions("be brief")
        .with_tools(vec![tool()])
        .with_tool_choice(ToolChoice::Tool("f".into()))
        .with_output(OutputFormat::JsonSchema {
            name: "s".into(),
            schema: schema(r#"{"type":"object"}"#),
            strict: true,
        })
        .with_settings(settings);
    let point = json!({"cachePoint": {"type": "default", "ttl": "1h"}});
    assert_eq!(
        body(&request),
        json!({
            "system": [{"text": "be brief"}, point],
            "messages": [{"role": "user", "content": [{"text": "hi"}, point]}],
            "toolConfig": {"tools": [
                {"toolSpec": {"name": "f", "description": "does f", "inputSchema": {"json": {"type": "object"}}}},
                {"systemTool": {"name": "nova_grounding"}},
                point,
            ], "toolChoice": {"tool": {"name": "f"}}},
            "inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "topP": 0.75, "stopSequences": ["END"]},
            "additionalModelRequestFields": {"top_k": 5, "own": 1, "output_config": {"effort": "low"},
                "thinking": {"type": "enabled", "budget_tokens": 1024}},
            "outputConfig": {"textFormat": {"type": "json_schema",
                "structure": {"jsonSchema": {"name": "s", "schema": "{\"type\":\"object\"}"}}}},
            "serviceTier": {"type": "flex"},
            "guardrailConfig": {"guardrailIdentifier": "g"},
        })
    );
}

#[test]
fn each_family_is_told_in_its_own_words() {
    let fields = |model: &str, settings: ChatSettings| {
        body_of(model, &ChatRequest::new("hi").with_settings(settings))["additionalModelRequestFields"].clone()
    };
    let hard = || {
        ChatSettings::new()
            .with_top_k(4)
            .with_reasoning_effort("low")
    };
    let off = || ChatSettings::new().with_reasoning_budget(0);
    let nova = "eu.amazon.nova-2-lite-v1:0";
    assert_eq!(
        fields(nova, hard()),
        json!({"inferenceConfig": {"topK": 4}, "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}})
    );
    assert_eq!(
        fields(nova, off()),
        json!({"reasoningConfig": {"type": "disabled"}})
    );
    assert_eq!(
        fields("us.anthropic.m", off()),
        json!({"thinking": {"type": "disabled"}})
    );
    assert_eq!(
        fields("openai.gpt-oss-20b-1:0", hard()),
        json!({"top_k": 4, "reasoning_effort": "low"})
    );
    assert_eq!(fields("openai.gpt-oss-20b-1:0", off()), Value::Null);
}

#[test]
fn a_history_of_every_part_is_written_in_turns() {
    let call = ToolCall::new("c1", "f", "{\"x\": 1}");
    let odd = ToolCall::new("c2", "f", "{\"x\":");
    let proof = |api: &str| Some(Signature::new(api, "sig"));
    let mut redacted = Reasoning::new("").with_signature(proof(API));
    redacted.is_redacted = true;
    let mut named = Media::base64(MediaKind::Document, "text/plain", "CC==");
    named.name = Some("my  file_1.txt".into());
    let mut far = Media::image_url("s3://bucket/a.jpg");
    far.kind = MediaKind::Image;
    let conversation = Conversation::from_iter([
        Message::system("sys"),
        Message::user("look"),
        Message::new(
            Role::User,
            vec![
                Part::Text(" ".into()),
                Part::Media(Media::base64(MediaKind::Image, "image/png", "AA==")),
                Part::Media(Media::base64(
                    MediaKind::Document,
                    "application/pdf",
                    "BB==",
                )),
                Part::Media(named),
                Part::Media(far),
            ],
        ),
        Message::new(
            Role::Assistant,
            vec![
                Part::Reasoning(Reasoning::new("hm").with_signature(proof(API))),
                Part::Reasoning(redacted),
                Part::Reasoning(
                    Reasoning::new("other").with_signature(proof("anthropic.messages")),
                ),
                Part::Reasoning(Reasoning::new("none")),
                Part::Opaque(Opaque::new("openai.responses", "search", "{}")),
                Part::Opaque(Opaque::new(API, "toolUse", r#"{"toolUse": {"n": 1}}"#)),
                Part::ToolCall(call.clone()),
                Part::ToolCall(odd.clone()),
            ],
        ),
        Message::tool_results([ToolResult::ok(&call, ""), ToolResult::error(&odd, "2")]),
        Message::new(Role::Assistant, vec![]),
        Message::user("and?"),
        Message::new(Role::Assistant, vec![Part::Refusal("no".into())]),
    ]);
    let request = ChatRequest::new(conversation).with_instructions("be brief");
    let body = body(&request);
    assert_eq!(
        body["system"],
        json!([{"text": "be brief"}, {"text": "sys"}])
    );
    let image =
        |format: &str, source: Value| json!({"image": {"format": format, "source": source}});
    let document = |name: &str, format: &str, bytes: &str| json!({"document": {"name": name, "format": format, "source": {"bytes": bytes}}});
    let s3 = json!({"s3Location": {"uri": "s3://bucket/a.jpg"}});
    let expected = json!([
        {"role": "user", "content": [
            {"text": "look"},
            image("png", json!({"bytes": "AA=="})),
            document("document 1", "pdf", "BB=="),
            document("my file-1-txt", "txt", "CC=="),
            image("jpeg", s3),
        ]},
        {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": "sig"}},
            {"toolUse": {"n": 1}},
            {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"x": 1}}},
            {"toolUse": {"toolUseId": "c2", "name": "f", "input": {"arguments": "{\"x\":"}}},
        ]},
        {"role": "user", "content": [
            {"toolResult": {"toolUseId": "c1", "content": []}},
            {"toolResult": {"toolUseId": "c2", "content": [{"text": "2"}], "status": "error"}},
            {"text": "and?"},
        ]},
        {"role": "assistant", "content": [{"text": "no"}]},
    ]);
    assert_eq!(body["messages"], expected);
}

#[test]
fn tools_may_be_kept_from_being_called_only_while_none_was() {
    let with = |choice| {
        ChatRequest::new("hi")
            .with_tools(vec![tool()])
            .with_tool_choice(choice)
    };
    assert_eq!(
        body(&with(ToolChoice::Required))["toolConfig"]["toolChoice"],
        json!({"any": {}})
    );
    assert_eq!(
        body(&with(ToolChoice::Auto))["toolConfig"]["toolChoice"],
        Value::Null
    );
    assert_eq!(body(&with(ToolChoice::None))["toolConfig"], Value::Null);
}

#[test]
fn what_has_no_place_is_refused_and_not_left_out() {
    let said =
        |role, part| ChatRequest::new(Conversation::from_iter([Message::new(role, vec![part])]));
    let media = |media| said(Role::User, Part::Media(media));
    let call = || ToolCall::new("c", "f", "");
    let mut file = Media::image_url("");
    file.source = MediaSource::FileId("f".into());
    let called = said(Role::Assistant, Part::ToolCall(call()));
    let search = ServerTool::WebSearch(WebSearch::new());
    for (request, names) in [
        (media(Media::image_url("https://x/y.png")), "S3"),
        (media(file), "S3"),
        (
            media(Media::base64(MediaKind::Audio, "audio/wav", "AA==")),
            "Audio",
        ),
        (
            media(Media::base64(
                MediaKind::Document,
                "application/zip",
                "AA==",
            )),
            "document",
        ),
        (said(Role::User, Part::ToolCall(call())), "a tool call"),
        (said(Role::Tool, Part::Text("x".into())), "`tool`"),
        (
            said(Role::Assistant, Part::Opaque(Opaque::new(API, "x", "{"))),
            "JSON",
        ),
        (
            called
                .with_tools(vec![tool()])
                .with_tool_choice(ToolChoice::None),
            "once some were called",
        ),
        (
            ChatRequest::new("hi").with_settings(ChatSettings::new().with_server_tool(search)),
            "web",
        ),
    ] {
        let error = request::body("m", &request).unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::BadRequest, "{error}");
        assert!(error.message().contains(names), "{error}");
    }
}

#[test]
fn json_of_any_shape_is_asked_for_in_words() {
    let request = ChatRequest::new("hi").with_output(OutputFormat::JsonObject);
    let body = body(&request);
    assert!(
        body["system"][0]["text"]
            .as_str()
            .unwrap()
            .contains("JSON object")
    );
}

#[tokio::test]
async fn an_answer_of_a_schema_is_asked_for_by_a_tool_and_reads_as_text() {
    let answer = json!({"output": {"message": {"content": [
        {"toolUse": {"toolUseId": "a", "name": "give_answer", "input": {"x": 1}}}]}}, "stopReason": "tool_use"});
    let json = "content-type: application/json\r\n";
    let server = Server::answering(200, json, &answer.to_string()).await;
    let client = Bedrock::builder("m")
        .base_url(&server.base_url)
        .without_key();
    let client = client.build().unwrap();
    let request = ChatRequest::new("hi").with_output(OutputFormat::JsonSchema {
        name: "s".into(),
        schema: schema(r#"{"type":"object"}"#),
        strict: true,
    });
    let response = client.chat(&RunContext::new(), request).await.unwrap();
    assert_eq!(response.text(), r#"{"x":1}"#);
    assert_eq!(response.finish_reason, crate::model::FinishReason::Stop);
    let sent = server.requests()[0].clone();
    assert!(
        sent.contains(r#""toolChoice":{"tool":{"name":"give_answer"}}"#),
        "{sent}"
    );
}
