//! What is sent besides the history.

use super::*;
use crate::model::{Model, PromptCache, ServerTool, WebSearch};

#[test]
fn only_what_is_set_is_sent() {
    let request = ChatRequest::new("hi");
    let mut expected = json!({
        "model": "m", "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    });
    assert_eq!(body(&request), expected);
    let streamed = request::body("m", &request, true, Habits::default()).unwrap();
    expected["stream"] = true.into();
    assert_eq!(
        serde_json::from_slice::<Value>(&streamed).unwrap(),
        expected
    );
}

#[test]
fn every_setting_has_its_field() {
    let mut settings = ChatSettings::new()
        .with_max_output_tokens(9)
        .with_temperature(0.5)
        .with_top_p(0.75)
        .with_top_k(40)
        .with_stop("END")
        .with_reasoning_effort("low")
        .with_service_tier("standard_only")
        .with_extra("metadata", json!({"user_id": "u"}))
        .with_extra("temperature", 0.25)
        .with_extra("model", "other")
        .with_extra("stream", true)
        // The API has no place for these.
        .with_seed(7)
        .with_prompt_cache_key("k");
    settings.frequency_penalty = Some(1.0);
    settings.presence_penalty = Some(1.0);
    let request = ChatRequest::new("hi")
        .with_instructions("be brief")
        .with_settings(settings);
    let expected = json!({
        "model": "m", "max_tokens": 9,
        "system": [{"type": "text", "text": "be brief"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "thinking": {"type": "adaptive"}, "output_config": {"effort": "low"},
        "temperature": 0.25, "top_p": 0.75, "top_k": 40, "stop_sequences": ["END"],
        "service_tier": "standard_only", "metadata": {"user_id": "u"},
    });
    assert_eq!(body(&request), expected);
}

#[test]
fn thinking_follows_the_budget_and_else_the_effort() {
    let mut effort_alone = Habits {
        max_tokens: NonZeroU32::new(100).unwrap(),
        ..Habits::default()
    };
    let adaptive = effort_alone;
    effort_alone.no_adaptive_thinking = true;
    let enabled = json!({"type": "enabled", "budget_tokens": 2_000});
    for (budget, effort, set_up, thinking, longest) in [
        (None, None, adaptive, Value::Null, 100),
        (Some(0), None, adaptive, json!({"type": "disabled"}), 100),
        (Some(2_000), None, adaptive, enabled.clone(), 2_100),
        (
            None,
            Some("max"),
            adaptive,
            json!({"type": "adaptive"}),
            100,
        ),
        (None, Some("max"), effort_alone, Value::Null, 100),
        (Some(2_000), Some("max"), adaptive, enabled, 2_100),
    ] {
        let mut settings = ChatSettings::new();
        settings.reasoning_budget = budget;
        settings.reasoning_effort = effort.map(Into::into);
        let body = habits(&ChatRequest::new("hi").with_settings(settings), set_up);
        assert_eq!(body["thinking"], thinking, "{budget:?} {effort:?}");
        assert_eq!(body["max_tokens"], longest);
        assert_eq!(body["output_config"]["effort"], json!(effort));
    }
}

#[test]
fn tools_are_declared_and_chosen_in_the_api_s_words() {
    let described = ToolSpec::new("g", "does g", schema(r#"{"type": "object", "x": 1}"#));
    let request = ChatRequest::new("hi").with_tools(vec![tool("f"), described]);
    let declared = json!([
        {"name": "f", "input_schema": {"type": "object"}},
        {"name": "g", "description": "does g", "input_schema": {"type": "object", "x": 1}},
    ]);
    assert_eq!(body(&request)["tools"], declared);
    let named = json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true});
    let one = |kind: &str| json!({"type": kind, "disable_parallel_tool_use": true});
    for (choice, parallel, expected) in [
        (ToolChoice::Auto, None, Value::Null),
        (ToolChoice::Auto, Some(true), Value::Null),
        (ToolChoice::Auto, Some(false), one("auto")),
        (ToolChoice::Required, None, json!({"type": "any"})),
        (ToolChoice::Required, Some(false), one("any")),
        (ToolChoice::None, Some(false), json!({"type": "none"})),
        (ToolChoice::Tool("f".into()), Some(false), named),
    ] {
        let mut settings = ChatSettings::new();
        settings.parallel_tool_calls = parallel;
        let request = request.clone().with_tool_choice(choice);
        let body = body(&request.with_settings(settings));
        assert_eq!(body["tool_choice"], expected);
    }
    let without = ChatRequest::new("hi").with_tool_choice(ToolChoice::None);
    assert_eq!(body(&without)["tool_choice"], Value::Null);
}

#[test]
fn the_provider_s_tools_are_written_its_way() {
    let mut search = WebSearch::new()
        .with_max_uses(3)
        .with_allowed_domain("example.com");
    let mut settings = ChatSettings::new()
        .with_server_tool(ServerTool::WebSearch(search.clone()))
        .with_server_tool(ServerTool::Native(
            json!({"type": "code_execution_20250825", "name": "code_execution"}),
        ));
    search.allowed_domains.clear();
    search.max_uses = None;
    search.blocked_domains.push("example.org".into());
    settings.server_tools.push(ServerTool::WebSearch(search));
    let request = ChatRequest::new("hi").with_settings(settings);
    let web_search = "web_search_20250305";
    let expected = json!([
        {"type": web_search, "name": "web_search", "max_uses": 3, "allowed_domains": ["example.com"]},
        {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": web_search, "name": "web_search", "blocked_domains": ["example.org"]},
    ]);
    assert_eq!(body(&request)["tools"], expected);

    let wrong = ServerTool::Native(json!("web_search"));
    let settings = ChatSettings::new().with_server_tool(wrong);
    let request = ChatRequest::new("hi").with_settings(settings);
    let error = request::body("m", &request, false, Habits::default()).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::BadRequest);
}

#[test]
fn a_strict_schema_is_the_api_s_own_and_any_other_goes_by_a_tool_or_by_words() {
    let asked = |strict| {
        ChatRequest::new("hi").with_output(OutputFormat::JsonSchema {
            name: "s".into(),
            schema: schema(r#"{"type":"object","s":1}"#),
            strict,
        })
    };
    let strict = body(&asked(true));
    let format = json!({"type": "json_schema", "schema": {"type": "object", "s": 1}});
    assert_eq!(strict["output_config"], json!({"format": format}));
    let search = ServerTool::WebSearch(WebSearch::new());
    for (strict, settings, way) in [
        (true, ChatSettings::new(), StructuredOutput::Native),
        (false, ChatSettings::new(), StructuredOutput::Tool),
        // The API refuses a forced call together with a budget for thinking.
        (
            false,
            ChatSettings::new().with_reasoning_budget(2_000),
            StructuredOutput::Prompt,
        ),
        (
            false,
            ChatSettings::new().with_reasoning_budget(0),
            StructuredOutput::Tool,
        ),
        (
            false,
            ChatSettings::new().with_server_tool(search),
            StructuredOutput::Prompt,
        ),
    ] {
        let request = asked(strict).with_settings(settings);
        assert_eq!(Messages::default().structured("m", &request), way);
    }
    let object = body(&ChatRequest::new("hi").with_output(OutputFormat::JsonObject));
    let said = object["system"][0]["text"].as_str().unwrap();
    assert!(said.contains("JSON object"), "{said}");
    assert_eq!(object["output_config"], Value::Null);
}

#[test]
fn the_prompt_cache_ends_where_it_is_asked_to() {
    let five_minutes = json!({"type": "ephemeral"});
    let request = |cache: PromptCache| {
        let search = ServerTool::WebSearch(WebSearch::new());
        let settings = ChatSettings::new()
            .with_prompt_cache(cache)
            .with_server_tool(search);
        ChatRequest::new("hi")
            .with_instructions("be brief")
            .with_tools(vec![tool("f"), tool("g")])
            .with_settings(settings)
    };
    let whole = body(&request(PromptCache::default()));
    assert_eq!(whole["tools"][2]["cache_control"], five_minutes);
    assert_eq!(whole["system"][0]["cache_control"], five_minutes);
    let said = &whole["messages"][0]["content"][0];
    assert_eq!(said["cache_control"], five_minutes);
    assert_eq!(whole.to_string().matches("cache_control").count(), 3);

    let mut long = PromptCache::default().for_one_hour();
    (long.instructions, long.conversation) = (false, false);
    let long = body(&request(long));
    let hour = json!({"type": "ephemeral", "ttl": "1h"});
    assert_eq!(long["tools"][2]["cache_control"], hour);
    assert_eq!(long.to_string().matches("cache_control").count(), 1);

    let native = ServerTool::Native(json!({"type": "t", "cache_control": {"type": "other"}}));
    let settings = ChatSettings::new()
        .with_prompt_cache(PromptCache::default())
        .with_server_tool(native);
    let native = body(&ChatRequest::new("hi").with_settings(settings));
    assert_eq!(
        native["tools"],
        json!([{"type": "t", "cache_control": five_minutes}])
    );
}

#[test]
fn the_environment_gives_key_and_base_url_without_the_version() {
    let with = |pairs: &'static [(&str, &str)]| {
        let look = move |name: &str| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let builder = Anthropic::builder("m").variables(look)?;
        builder.build()
    };
    let error = with(&[]).unwrap_err();
    assert_eq!(error.kind(), ModelErrorKind::Configuration);
    assert!(error.message().contains("ANTHROPIC_API_KEY"), "{error}");
    let client = with(&[("ANTHROPIC_API_KEY", "k")]).unwrap();
    let endpoint = client.client.endpoint(true).as_str();
    assert_eq!(endpoint, "https://api.anthropic.com/v1/messages");
    assert_eq!(&*client.info().provider, "anthropic");
    let gateway = [
        ("ANTHROPIC_API_KEY", "k"),
        ("ANTHROPIC_BASE_URL", "http://localhost:4000/anthropic/"),
    ];
    let client = with(Box::leak(Box::new(gateway))).unwrap();
    let endpoint = client.client.endpoint(false).as_str();
    assert_eq!(endpoint, "http://localhost:4000/anthropic/v1/messages");
}
