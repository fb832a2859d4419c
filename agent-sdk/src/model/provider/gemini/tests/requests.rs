//! What is sent.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::*;
use crate::{
    message::{
        Conversation, Media, MediaKind, MediaSource, Message, Opaque, Part, Reasoning, Role,
        Signature, ToolCall, ToolResult,
    },
    model::{ChatSettings, OutputFormat, ServerTool, ToolChoice, ToolSpec, WebSearch},
};

const NEW: &str = "gemini-3-flash-preview";
const OLD: &str = "gemini-2.5-flash";

fn schema(text: &str) -> Arc<RawValue> {
    Arc::from(RawValue::from_string(text.into()).unwrap())
}

fn tool() -> ToolSpec {
    ToolSpec::new("f", "does f", schema(r#"{"type":"object"}"#))
}

fn answer_of_a_schema() -> OutputFormat {
    OutputFormat::JsonSchema {
        name: "s".into(),
        schema: schema(r#"{"b":1,"a":[]}"#),
        strict: true,
    }
}

fn contents(model: &str, messages: impl IntoIterator<Item = Message>) -> Value {
    let conversation = Conversation::from_iter(messages);
    body(model, &ChatRequest::new(conversation))["contents"].take()
}

#[test]
fn only_what_is_set_is_sent() {
    assert_eq!(
        body(NEW, &ChatRequest::new("hi")),
        json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]})
    );
}

#[test]
fn every_setting_has_its_field() {
    let mut settings = ChatSettings::new()
        .with_max_output_tokens(9)
        .with_temperature(0.5)
        .with_top_p(0.75)
        .with_top_k(40)
        .with_seed(-1)
        .with_stop("END")
        .with_reasoning_effort("low")
        .with_service_tier("flex")
        .with_prompt_cache_key("left out")
        .with_extra("cachedContent", "cachedContents/1")
        .with_extra("contents", "not replaced")
        .with_extra("generationConfig", json!({"topK": 1, "candidateCount": 2}))
        .with_extra(
            "toolConfig",
            json!({"retrievalConfig": {"languageCode": "en"}}),
        );
    settings.frequency_penalty = Some(1.0);
    settings.presence_penalty = Some(-1.0);
    settings.parallel_tool_calls = Some(false);
    let request = ChatRequest::new("hi")
        .with_instructions("be brief")
        .with_tools(vec![tool()])
        .with_tool_choice(ToolChoice::Tool("f".into()))
        .with_output(answer_of_a_schema())
        .with_settings(settings);
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [{"functionDeclarations": [
            {"name": "f", "description": "does f", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]},
            "retrievalConfig": {"languageCode": "en"},
        },
        "generationConfig": {
            "maxOutputTokens": 9, "temperature": 0.5, "topP": 0.75, "topK": 1, "seed": -1,
            "frequencyPenalty": 1.0, "presencePenalty": -1.0, "stopSequences": ["END"],
            "thinkingConfig": {"thinkingLevel": "low", "includeThoughts": true},
            "responseMimeType": "application/json", "responseJsonSchema": {"b": 1, "a": []},
            "candidateCount": 2,
        },
        "serviceTier": "flex",
        "cachedContent": "cachedContents/1",
    });
    assert_eq!(body(NEW, &request), expected);
    let text = GenerateContent::default()
        .body(NEW, &request, false)
        .unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains(r#"{"b":1,"a":[]}"#),
        "the schema is unchanged"
    );
    assert_eq!(text.matches("\"generationConfig\"").count(), 1);
}

#[test]
fn each_tool_choice_has_its_mode() {
    for (choice, expected) in [
        (ToolChoice::Auto, Value::Null),
        (ToolChoice::None, json!({"mode": "NONE"})),
        (ToolChoice::Required, json!({"mode": "ANY"})),
        (
            ToolChoice::Tool("f".into()),
            json!({"mode": "ANY", "allowedFunctionNames": ["f"]}),
        ),
    ] {
        let request = ChatRequest::new("hi").with_tool_choice(choice);
        assert!(body(NEW, &request).get("toolConfig").is_none());
        let sent = body(NEW, &request.with_tools(vec![tool()]));
        assert_eq!(sent["toolConfig"]["functionCallingConfig"], expected);
    }
}

#[test]
fn a_history_of_every_part_is_written_in_the_api_s_form() {
    let call =
        ToolCall::new("c1", "f", r#"{"x":1}"#).with_signature(Some(Signature::new(API, "sig")));
    let broken = ToolCall::new("c2", "g", r#"{"x":"#);
    let mut uploaded = Media::image_url("https://files.example/v1beta/files/1");
    uploaded.source = MediaSource::FileId("https://files.example/files/1".into());
    let messages = [
        Message::system("sys"),
        Message::new(
            Role::User,
            vec![
                Part::Text("look".into()),
                Part::Media(Media::image_url("https://x/y.PNG?z=1")),
                Part::Media(Media::base64(MediaKind::Audio, "audio/mpeg", "BB==")),
                Part::Media(Media::base64(
                    MediaKind::Document,
                    "application/pdf",
                    "CC==",
                )),
                Part::Media(uploaded),
            ],
        ),
        Message::new(
            Role::Assistant,
            vec![
                Part::Reasoning(Reasoning::new("not ours")),
                Part::Reasoning(
                    Reasoning::new("hm").with_signature(Some(Signature::new(API, "t"))),
                ),
                Part::ToolCall(call.clone()),
                Part::ToolCall(broken.clone()),
            ],
        ),
        Message::tool_results([ToolResult::ok(&call, "1")]),
        Message::tool_results([ToolResult::error(&broken, "no")]),
        Message::user("go on"),
        Message::new(Role::Assistant, vec![Part::Refusal("no".into())]),
        Message::new(Role::Assistant, vec![Part::Text("".into())]),
    ];
    let expected = json!([
        {"role": "user", "parts": [
            {"text": "look"},
            {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.PNG?z=1"}},
            {"inlineData": {"mimeType": "audio/mpeg", "data": "BB=="}},
            {"inlineData": {"mimeType": "application/pdf", "data": "CC=="}},
            {"fileData": {"fileUri": "https://files.example/files/1"}},
        ]},
        {"role": "model", "parts": [
            {"text": "hm", "thought": true, "thoughtSignature": "t"},
            {"functionCall": {"id": "c1", "name": "f", "args": {"x": 1}}, "thoughtSignature": "sig"},
            {"functionCall": {"id": "c2", "name": "g", "args": {"arguments": "{\"x\":"}}},
        ]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "1"}}},
            {"functionResponse": {"id": "c2", "name": "g", "response": {"error": "no"}}},
            {"text": "go on"},
        ]},
        {"role": "model", "parts": [{"text": "no"}]},
    ]);
    assert_eq!(contents(NEW, messages.clone()), expected);
    let request = ChatRequest::new(Conversation::from_iter(messages)).with_instructions("first");
    assert_eq!(
        body(NEW, &request)["systemInstruction"],
        json!({"parts": [{"text": "first"}, {"text": "sys"}]})
    );
}

#[test]
fn a_history_of_another_model_goes_on_without_what_that_one_wrote_for_itself() {
    let foreign = Some(Signature::new("anthropic.messages", "x"));
    let first = ToolCall::new("toolu_1", "f", "{}").with_signature(foreign.clone());
    let second = ToolCall::new("toolu_2", "f", "{}");
    let message = Message::new(
        Role::Assistant,
        vec![
            Part::Reasoning(Reasoning::new("hm").with_signature(foreign)),
            Part::Opaque(Opaque::new("anthropic.messages", "k", "{}")),
            Part::ToolCall(first),
            Part::ToolCall(second),
        ],
    );
    let call = |id: &str| json!({"id": id, "name": "f", "args": {}});
    assert_eq!(
        contents(NEW, [message.clone()])[0]["parts"],
        json!([
            {"functionCall": call("toolu_1"), "thoughtSignature": "skip_thought_signature_validator"},
            {"functionCall": call("toolu_2")},
        ])
    );
    let old = contents(OLD, [message]);
    assert_eq!(old[0]["parts"][0], json!({"functionCall": call("toolu_1")}));
}

#[test]
fn parts_that_only_this_api_knows_go_back_unchanged_and_signatures_on_their_parts() {
    let code = r#"{"executableCode":{"code":"1","language":"PYTHON"},"thoughtSignature":"c"}"#;
    let signed = |value: &str| Part::Opaque(Opaque::new(API, SIGNATURE, json!(value).to_string()));
    let parts = vec![
        Part::Text("a".into()),
        signed("one"),
        Part::Opaque(Opaque::new(API, "executableCode", code)),
        Part::Media(Media::base64(MediaKind::Image, "image/png", "AA==")),
        signed("two"),
        Part::Refusal("r".into()),
        signed("three"),
    ];
    assert_eq!(
        contents(NEW, [Message::new(Role::Assistant, parts)])[0]["parts"],
        json!([
            {"text": "a", "thoughtSignature": "one"},
            {"executableCode": {"code": "1", "language": "PYTHON"}, "thoughtSignature": "c"},
            {"inlineData": {"mimeType": "image/png", "data": "AA=="}, "thoughtSignature": "two"},
            {"text": "r"},
            {"text": "", "thoughtSignature": "three"},
        ])
    );
}

#[test]
fn server_tools_are_written_the_provider_s_way() {
    let with = |tools: &[ServerTool]| {
        let mut settings = ChatSettings::new();
        settings.server_tools = tools.to_vec();
        ChatRequest::new("hi").with_settings(settings)
    };
    let search = ServerTool::WebSearch(WebSearch::new());
    let code = ServerTool::Native(json!({"codeExecution": {}}));
    let both = with(&[search.clone(), code.clone(), code.clone()]);
    assert_eq!(
        body(NEW, &both)["tools"],
        json!([{"googleSearch": {}, "codeExecution": {}}, {"codeExecution": {}}])
    );
    // Beside tools of ours, the newer models want to be told so.
    let mixed = both.with_tools(vec![tool()]);
    let sent = body(NEW, &mixed);
    assert_eq!(sent["toolConfig"]["includeServerSideToolInvocations"], true);
    assert_eq!(sent["tools"][0]["functionDeclarations"][0]["name"], "f");
    assert!(body(OLD, &mixed).get("toolConfig").is_none());
    let vertex = Gemini::vertex("p", "global", NEW).api;
    assert!(written(&vertex, NEW, &mixed).get("toolConfig").is_none());

    let mut blocked = WebSearch::new();
    blocked.blocked_domains = vec!["x.example".into()];
    let blocked = with(&[ServerTool::WebSearch(blocked)]);
    assert_eq!(
        written(&vertex, NEW, &blocked)["tools"],
        json!([{"googleSearch": {"excludeDomains": ["x.example"]}}])
    );
    let limited = ServerTool::WebSearch(WebSearch::new().with_max_uses(1));
    let allowed = ServerTool::WebSearch(WebSearch::new().with_allowed_domain("x.example"));
    for request in [
        blocked,
        with(&[limited]),
        with(&[allowed]),
        with(&[ServerTool::Native(json!("googleSearch"))]),
    ] {
        let sent = GenerateContent::default().body(NEW, &request, false);
        assert_eq!(sent.unwrap_err().kind(), ModelErrorKind::BadRequest);
    }
}

#[test]
fn a_schema_beside_tools_is_asked_for_otherwise_where_a_model_takes_none() {
    let api = GenerateContent::default();
    let plain = ChatRequest::new("hi").with_output(answer_of_a_schema());
    let with_tools = plain.clone().with_tools(vec![tool()]);
    let search = ServerTool::WebSearch(WebSearch::new());
    let searching = plain
        .clone()
        .with_settings(ChatSettings::new().with_server_tool(search));
    for (model, request, expected) in [
        (OLD, &plain, StructuredOutput::Native),
        (OLD, &with_tools, StructuredOutput::Tool),
        (OLD, &searching, StructuredOutput::Prompt),
        (NEW, &with_tools, StructuredOutput::Native),
        ("my-model", &with_tools, StructuredOutput::Native),
    ] {
        assert_eq!(api.structured(model, request), expected, "{model}");
    }
    let any = with_tools.with_output(OutputFormat::JsonObject);
    let told = &body(OLD, &any)["systemInstruction"]["parts"][0]["text"];
    assert!(told.as_str().unwrap().contains("JSON"));
    assert!(body(OLD, &any).get("generationConfig").is_none());
    assert_eq!(
        body(NEW, &any)["generationConfig"],
        json!({"responseMimeType": "application/json"})
    );
}

#[test]
fn a_part_that_has_no_place_is_refused_and_not_left_out() {
    let mut untyped = Media::base64(MediaKind::Image, "image/png", "AA==");
    untyped.media_type = None;
    let call = ToolCall::new("c", "f", "");
    let image = Part::Media(Media::image_url("https://x/y.png"));
    let rows = [
        (Role::User, Part::Media(untyped), "media type"),
        (Role::User, Part::ToolCall(call.clone()), "a tool call"),
        (
            Role::User,
            Part::Reasoning(Reasoning::new("x")),
            "reasoning",
        ),
        (Role::System, image, "media"),
        (
            Role::Assistant,
            Part::ToolResult(ToolResult::ok(&call, "")),
            "a tool result",
        ),
        (
            Role::Assistant,
            Part::Opaque(Opaque::new(API, "text", "{\"text\":")),
            "`text`",
        ),
        (
            Role::Assistant,
            Part::Opaque(Opaque::new(API, "text", "[1]")),
            "`text`",
        ),
    ];
    for (role, part, names) in rows {
        let message = Message::new(role, vec![part]);
        let request = ChatRequest::new(Conversation::from_iter([message]));
        let error = GenerateContent::default()
            .body(NEW, &request, false)
            .unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::BadRequest, "{error}");
        assert!(error.message().contains(names), "{error}");
    }
}
