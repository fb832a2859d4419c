//! What can be built.

use super::*;
use crate::{
    agent::Agent,
    testing::{ScriptedModel, Turn},
    tool::{
        Effect, Tool,
        builtin::{BuiltinErrorKind, HttpMethod},
    },
};

#[test]
fn without_a_host_and_with_what_is_none_it_does_not_build() {
    let kind = |builder: HttpRequestBuilder| builder.build().unwrap_err().kind();
    let with = |host: &str| kind(HttpRequest::builder().allow_host(host));
    assert_eq!(
        kind(HttpRequest::builder()),
        BuiltinErrorKind::NothingAllowed
    );
    for host in [
        "",
        " ",
        "https://example.com",
        "example.com/path",
        "user@example.com",
        "a.*.com",
        "**.example.com",
        "*example.com",
        "*.10.0.0.1",
        "*:8080",
        "exa mple.com",
        "example.com:x",
        "[::1",
    ] {
        assert_eq!(with(host), BuiltinErrorKind::Invalid, "{host:?}");
    }
    for host in [
        "127.0.0.1:8080",
        "0x7f.1",
        "[::1]",
        "169.254.169.254",
        "10.1.2.3",
    ] {
        assert_eq!(with(host), BuiltinErrorKind::NotPublic, "{host:?}");
    }
    for network in [
        "",
        "10.0.0.0/33",
        "fd00::/129",
        "10.0.0.0/-1",
        "ten",
        "10.0.0.0/8/8",
    ] {
        let builder = HttpRequest::builder()
            .allow_host("a.test")
            .allow_network(network);
        assert_eq!(kind(builder), BuiltinErrorKind::Invalid, "{network:?}");
    }
    for (name, value) in [
        ("host", "x"),
        ("content-length", "1"),
        ("a b", "x"),
        ("x", "a\nb"),
    ] {
        let host = AllowedHost::new("a.test").header(name, value);
        let error = HttpRequest::builder().allow_host(host).build().unwrap_err();
        assert_eq!(error.kind(), BuiltinErrorKind::Invalid, "{name:?}");
    }
    let twice = HttpRequest::builder()
        .allow_host("a.test")
        .allow_host("A.test.:443");
    assert_eq!(kind(twice), BuiltinErrorKind::Invalid);
}

#[test]
fn an_address_is_a_host_where_it_was_said_to_be_meant() {
    let host = || AllowedHost::new("10.1.2.3:8080").over_http();
    let by_network = HttpRequest::builder()
        .allow_host(host())
        .allow_network("10.1.0.0/16");
    let by_host = HttpRequest::builder().allow_host(host().at_private_addresses());
    for builder in [by_network, by_host] {
        let tool = builder.build().unwrap();
        tool.check("http://10.1.2.3:8080/").unwrap();
        tool.check("http://0xa.1.2.3:8080/").unwrap();
        tool.check("http://10.1.2.3/").unwrap_err();
        tool.check("http://10.1.2.4:8080/").unwrap_err();
    }
}

#[test]
fn what_says_most_of_a_host_counts() {
    let tool = HttpRequest::builder()
        .allow_host("*")
        .allow_host(AllowedHost::new("*.b.test").over_http())
        .allow_host("a.b.test")
        .build()
        .unwrap();
    tool.check("http://x.b.test/").unwrap();
    tool.check("http://a.b.test/").unwrap_err();
    tool.check("http://b.test/").unwrap_err();
    tool.check("https://b.test/").unwrap();
}

#[test]
fn the_model_is_told_what_is_allowed_and_the_effect_is_that_of_the_methods() {
    let builder = || HttpRequest::builder().allow_host("*.example.com");
    let reading = builder().build().unwrap();
    assert_eq!(
        &*reading.spec().description,
        "Sends one HTTP request and gives the answer's status, headers and text. Methods: GET, HEAD. Hosts: *.example.com."
    );
    assert_eq!(reading.options().effect, Effect::ReadOnly);
    assert!(!reading.options().needs_approval);
    let writing = builder().allow_method(HttpMethod::Delete).build().unwrap();
    assert_eq!(writing.options().effect, Effect::Write);
}

#[tokio::test]
async fn an_agent_asks_for_a_page() {
    let server = Server::of(ok("text/plain", "It rains.")).await;
    let url = server.url("weather.test", "/bern");
    let turns = [
        Turn::new().tool_call("c", "http_request", json!({ "url": url }).to_string()),
        Turn::from("Rain."),
    ];
    let model = ScriptedModel::new(turns).recording();
    let tool = here()
        .allow_host(server.host("weather.test"))
        .build()
        .unwrap();
    let agent = Agent::builder("a", model.clone())
        .tool(tool)
        .build()
        .unwrap();
    assert_eq!(agent.run("Weather?").await.unwrap().text, "Rain.");
    let last = model.requests()[1].conversation.last().unwrap().clone();
    let crate::message::Part::ToolResult(result) = &last.parts[0] else {
        panic!("not a result");
    };
    assert!(result.content.as_str().ends_with("\n\nIt rains."));
}
