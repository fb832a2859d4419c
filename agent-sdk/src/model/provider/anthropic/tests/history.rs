//! How a conversation is laid out.

use super::*;
use crate::{
    message::{
        Media, MediaKind, MediaSource, Message, Opaque, Part, Reasoning, Role, Signature, ToolCall,
        ToolResult,
    },
    model::PromptCache,
};

fn messages(list: impl IntoIterator<Item = Message>) -> Value {
    body(&ChatRequest::new(Conversation::from_iter(list)))["messages"].clone()
}

fn refused(message: Message) -> String {
    let request = ChatRequest::new(Conversation::from_iter([message]));
    let error = request::body("m", &request, false, Habits::default()).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::BadRequest, "{error}");
    error.message().to_owned()
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn opaque(api: &str, kind: &str, json: &Value) -> Part {
    Part::Opaque(Opaque::new(api, kind, json.to_string()))
}

#[test]
fn every_part_of_an_answer_goes_back_in_its_place() {
    let search = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}});
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": []});
    let cited = json!([{"type": "web_search_result_location", "url": "u"}]);
    let caller = r#"{"type":"code_execution_20250825","tool_id":"s"}"#;
    let mut hidden =
        Reasoning::new("").with_signature(Some(Signature::new("anthropic.messages", "data")));
    hidden.is_redacted = true;
    let call = |id: &str, arguments: &str| ToolCall::new(id, "f", arguments);
    let answer = Message::new(
        Role::Assistant,
        vec![
            Part::Reasoning(
                Reasoning::new("hm")
                    .with_signature(Some(Signature::new("anthropic.messages", "sig"))),
            ),
            Part::Reasoning(hidden),
            Part::Text("I look.".into()),
            opaque("anthropic.messages", "server_tool_use", &search),
            opaque("anthropic.messages", "web_search_tool_result", &found),
            Part::Text("Found.".into()),
            opaque("anthropic.messages", "citations", &cited),
            Part::ToolCall(call("a", "{\"x\": 1.0}")),
            Part::ToolCall(
                call("b", "").with_signature(Some(Signature::new("anthropic.messages", caller))),
            ),
            Part::ToolCall(call("c", "{\"x\": ")),
        ],
    );
    let expected = json!([
        {"role": "user", "content": [text("hi")]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "data"},
            text("I look."),
            search,
            found,
            {"type": "text", "text": "Found.", "citations": cited},
            {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1.0}},
            {"type": "tool_use", "id": "b", "name": "f", "input": {},
                "caller": {"type": "code_execution_20250825", "tool_id": "s"}},
            {"type": "tool_use", "id": "c", "name": "f", "input": {"arguments": "{\"x\": "}},
        ]},
    ]);
    assert_eq!(messages([Message::user("hi"), answer]), expected);
}

#[test]
fn what_other_apis_wrote_for_themselves_is_left_out_and_the_rest_goes_on() {
    let theirs = Signature::new("openai.responses", "secret");
    let answer = Message::new(
        Role::Assistant,
        vec![
            Part::Reasoning(Reasoning::new("hm").with_signature(Some(theirs.clone()))),
            Part::Reasoning(Reasoning::new("unsigned")),
            opaque("openai.responses", "web_search_call", &json!({"id": 1})),
            Part::Text(" \n".into()),
            Part::ToolCall(ToolCall::new("call|1.é", "f", "{}").with_signature(Some(theirs))),
            Part::Refusal("I will not.".into()),
        ],
    );
    let result = ToolResult::ok(&ToolCall::new("call|1.é", "f", ""), "1");
    let expected = json!([
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "call_1__", "name": "f", "input": {}}, text("I will not.")]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1__", "content": "1"}]},
    ]);
    assert_eq!(
        messages([answer, Message::tool_results([result])]),
        expected
    );
}

#[test]
fn citations_stay_with_the_text_before_them() {
    let cited = |n: u32| opaque("anthropic.messages", "citations", &json!([n]));
    let said = |parts| messages([Message::new(Role::Assistant, parts)])[0]["content"].clone();
    let (one, blank) = (Part::Text("one".into()), Part::Text(" ".into()));
    let first = json!([{"type": "text", "text": "one", "citations": [1]}]);
    let parts = vec![one.clone(), cited(1), blank, cited(2)];
    assert_eq!(said(parts), first);
    assert_eq!(said(vec![cited(2), one.clone()]), json!([text("one")]));
    let apart = [one.clone(), cited(2)].map(|part| Message::new(Role::Assistant, vec![part]));
    assert_eq!(messages(apart)[0]["content"], json!([text("one")]));
}

#[test]
fn roles_take_turns_and_results_come_first() {
    let call = ToolCall::new("a", "f", "");
    let empty = Message::new(Role::Assistant, vec![Part::Reasoning(Reasoning::new("hm"))]);
    let mixed = Message::new(
        Role::User,
        vec![
            Part::Text("see".into()),
            Part::ToolResult(ToolResult::error(&call, "")),
        ],
    );
    let expected = json!([
        {"role": "user", "content": [text("one"), text("two")]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": "1"},
            {"type": "tool_result", "tool_use_id": "a", "is_error": true},
            text("see"), text("and")]},
    ]);
    let written = messages([
        Message::user("one"),
        empty,
        Message::user("two"),
        Message::new(Role::Assistant, vec![Part::ToolCall(call.clone())]),
        Message::tool_results([ToolResult::ok(&call, "1")]),
        mixed,
        Message::user("and"),
    ]);
    assert_eq!(written, expected);
}

#[test]
fn instructions_stand_before_the_conversation() {
    let conversation = [
        Message::system("first"),
        Message::user("hi"),
        Message::system("then"),
    ];
    let request = ChatRequest::new(Conversation::from_iter(conversation));
    let body = body(&request.with_instructions("above all"));
    let system = [text("above all"), text("first"), text("then")];
    assert_eq!(body["system"], json!(system));
    assert_eq!(body["messages"].as_array().unwrap().len(), 1);
}

#[test]
fn pictures_and_documents_are_sources() {
    let document = |media_type: &str, data: &str| {
        let mut media = Media::base64(MediaKind::Document, media_type, data);
        media.name = Some("notes".into());
        media
    };
    let at = |kind, source| {
        let mut media = Media::image_url("");
        (media.kind, media.source) = (kind, source);
        media
    };
    let (image, paper) = (MediaKind::Image, MediaKind::Document);
    let rows = [
        (
            Media::base64(image, "image/png", "AA=="),
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}),
        ),
        (
            Media::image_url("https://x/y.png"),
            json!({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}),
        ),
        (
            Media::image_url("data:image/gif;base64,AA=="),
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "AA=="}}),
        ),
        (
            at(image, MediaSource::FileId("file_1".into())),
            json!({"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
        ),
        (
            document("application/pdf", "CC=="),
            json!({"type": "document", "title": "notes",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "CC=="}}),
        ),
        (
            document("text/markdown", "bmHDr3Zl"),
            json!({"type": "document", "title": "notes",
                "source": {"type": "text", "media_type": "text/plain", "data": "naïve"}}),
        ),
        (
            at(paper, MediaSource::Url("https://x/y.pdf".into())),
            json!({"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}),
        ),
        (
            at(paper, MediaSource::FileId("file_2".into())),
            json!({"type": "document", "source": {"type": "file", "file_id": "file_2"}}),
        ),
    ];
    for (media, expected) in rows {
        let written = messages([Message::new(Role::User, vec![Part::Media(media)])]);
        assert_eq!(written[0]["content"], json!([expected]));
    }
}

#[test]
fn a_part_that_has_no_place_is_refused_and_not_left_out() {
    let mut untyped = Media::base64(MediaKind::Image, "", "AA==");
    untyped.media_type = None;
    let call = || Part::ToolCall(ToolCall::new("c", "f", ""));
    let media = |kind, media_type: &str| Part::Media(Media::base64(kind, media_type, "/w=="));
    let rows = [
        (Role::User, media(MediaKind::Audio, "audio/wav"), "audio"),
        (
            Role::User,
            media(MediaKind::Document, "text/plain"),
            "UTF-8",
        ),
        (
            Role::User,
            media(MediaKind::Document, "application/zip"),
            "zip",
        ),
        (Role::User, Part::Media(untyped), "media type"),
        (Role::User, call(), "tool call"),
        (
            Role::User,
            Part::Reasoning(Reasoning::new("hm")),
            "reasoning",
        ),
        (Role::Tool, Part::Text("x".into()), "role `tool`"),
        (
            Role::System,
            media(MediaKind::Image, "image/png"),
            "role `system`",
        ),
        (
            Role::Assistant,
            media(MediaKind::Image, "image/png"),
            "role `assistant`",
        ),
        (
            Role::Assistant,
            Part::Opaque(Opaque::new("anthropic.messages", "x", "{")),
            "no JSON",
        ),
    ];
    for (role, part, names) in rows {
        let message = refused(Message::new(role, vec![part]));
        assert!(message.contains(names), "{message}");
    }
}

#[test]
fn the_prompt_cache_ends_with_the_last_block_that_can_say_so() {
    let thought =
        Reasoning::new("hm").with_signature(Some(Signature::new("anthropic.messages", "s")));
    let answer = Message::new(
        Role::Assistant,
        vec![
            Part::Text("a".into()),
            Part::Reasoning(thought.clone()),
            opaque(
                "anthropic.messages",
                "compaction",
                &json!({"type": "compaction"}),
            ),
        ],
    );
    let only_thoughts = Message::new(Role::Assistant, vec![Part::Reasoning(thought)]);
    for (last, marked) in [(answer, Some(0)), (only_thoughts, None)] {
        let settings = ChatSettings::new().with_prompt_cache(PromptCache::default());
        let conversation = Conversation::from_iter([Message::user("hi"), last]);
        let body = body(&ChatRequest::new(conversation).with_settings(settings));
        let blocks = body["messages"][1]["content"].as_array().unwrap().clone();
        let has = |block: &Value| block.get("cache_control").is_some();
        assert_eq!(blocks.iter().position(has), marked);
        assert_eq!(
            body.to_string().matches("cache_control").count(),
            usize::from(marked.is_some())
        );
    }
}
