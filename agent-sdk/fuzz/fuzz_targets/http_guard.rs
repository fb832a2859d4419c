//! No text leads the tool `http_request` to a host that it was not allowed, or to an address that is not public.
//!
//! Run with `cargo +nightly fuzz run http_guard fuzz/corpus/http_guard fuzz/seeds/http_guard` in `agent-sdk`.
#![no_main]

use std::{net::IpAddr, sync::LazyLock};

use agent_sdk::tool::builtin::{AllowedHost, HttpRequest, is_public};
use libfuzzer_sys::fuzz_target;

static NARROW: LazyLock<HttpRequest> = LazyLock::new(|| {
    let tool = HttpRequest::builder().allow_host("example.com").build();
    tool.expect("a host is allowed")
});
static WIDE: LazyLock<HttpRequest> = LazyLock::new(|| {
    let anywhere = AllowedHost::new("*").over_http();
    let tool = HttpRequest::builder().allow_host(anywhere).build();
    tool.expect("a host is allowed")
});

/// The host, told apart without the parser that the tool uses: what stands between the slashes and the next delimiter.
fn host(url: &str) -> String {
    let url = url.trim().replace(['\t', '\n', '\r'], "").to_lowercase();
    let after = url.split_once("://").map_or("", |(_, after)| after);
    let end = after.find(['/', '\\', '?', '#']).unwrap_or(after.len());
    after[..end].trim_end_matches(":443").trim_end_matches(":80").to_owned()
}

fuzz_target!(|url: &str| {
    if NARROW.check(url).is_ok() && url.contains("://") && url.is_ascii() && !url.contains('%') {
        assert_eq!(host(url).trim_end_matches('.'), "example.com", "{url:?}");
    }
    if WIDE.check(url).is_ok()
        && let Ok(address) = host(url).trim_matches(['[', ']']).parse::<IpAddr>()
    {
        assert!(is_public(address), "{url:?}");
    }
});
