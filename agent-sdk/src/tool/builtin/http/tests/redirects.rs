//! Redirects, each of them a request to all rules.

use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::*;
use crate::tool::{
    State,
    builtin::{
        HttpMethod,
        http::exchange::{Request, redirected},
        testing::call_with,
    },
};

#[tokio::test]
async fn a_redirect_is_followed_and_named() {
    let server = Server::start(|request| {
        let answer = if request.starts_with("GET /old ") {
            redirect(302, "/new?a=b#c")
        } else {
            ok("text/plain", "here")
        };
        answer.into()
    })
    .await;
    let tool = here().allow_host(server.host("a.test")).build().unwrap();
    let shown = get(&tool, &server.url("a.test", "/old")).await.unwrap();
    assert_eq!(
        shown,
        format!(
            "HTTP 200 OK\nredirected-to: {}\ncontent-type: text/plain\n\nhere",
            server.url("a.test", "/new?a=b")
        )
    );
    let requests = server.seen();
    assert!(requests[1].starts_with("GET /new?a=b HTTP/1.1\r\n"));
}

#[tokio::test]
async fn t7_a_chain_of_redirects_that_leads_to_a_private_address_ends_there() {
    let private = Server::of(ok("text/plain", "the keys")).await;
    for target in [
        "http://127.0.0.1:PORT/".to_owned(),
        "http://2130706433:PORT/".to_owned(),
        "http://[::ffff:127.0.0.1]:PORT/".to_owned(),
        "http://private.test:PORT/".to_owned(),
        "//private.test:PORT/".to_owned(),
    ] {
        let target = target.replace("PORT", &private.port.to_string());
        let last = target.clone();
        let server = Server::start(move |request| {
            let to = match request {
                request if request.starts_with("GET /1 ") => "/2",
                request if request.starts_with("GET /2 ") => "/3",
                _ => &last,
            };
            redirect(307, to).into()
        })
        .await;
        // The name `private.test` is allowed, its address is not: its answer is the fourth.
        let here_alone: &[&str] = &["127.0.0.1"];
        let says = Says::new(&[here_alone, here_alone, here_alone, &["127.0.0.2"]]);
        let any = AllowedHost::new("*.test");
        let tool = here()
            .resolver(says)
            .allow_host(server.host("a.test"))
            .allow_host(private.host("private.test"))
            .allow_host(any.over_http())
            .build()
            .unwrap();
        let error = get(&tool, &server.url("a.test", "/1")).await.unwrap_err();
        assert!(
            error.message().contains("may not be asked")
                || error.message().contains("is not allowed"),
            "{target}: {error}"
        );
        assert_eq!(server.seen().len(), 3, "{target}");
    }
    assert!(private.seen().is_empty());
}

#[tokio::test]
async fn t7_redirects_end_after_so_many() {
    let server = Server::of(redirect(302, "/again")).await;
    let tool = || here().allow_host(server.host("a.test"));
    let url = server.url("a.test", "/");
    let error = get(&tool().build().unwrap(), &url).await.unwrap_err();
    assert_eq!(error.message(), "the server redirects more than 5 times");
    assert_eq!(server.seen().len(), 6);
    let none = tool().max_redirects(0).build().unwrap();
    let shown = get(&none, &url).await.unwrap();
    assert_eq!(shown, "HTTP 302 Found\nlocation: /again\n\n");
}

#[tokio::test]
async fn t7_no_redirect_takes_the_user_s_headers_to_another_origin() {
    let other = Server::of(ok("text/plain", "b")).await;
    let to = other.url("b.test", "/from");
    let server = Server::start(move |request| {
        let answer = match request {
            request if request.starts_with("GET /far ") => redirect(302, &to),
            request if request.starts_with("GET /near ") => redirect(302, "/here"),
            _ => ok("text/plain", "a"),
        };
        answer.into()
    })
    .await;
    let tool = here()
        .allow_host(
            server
                .host("a.test")
                .header("Authorization", "Bearer for-a-alone")
                .header("cookie", "for=a"),
        )
        .allow_host(other.host("b.test").header("x-api-key", "for-b-alone"))
        .build()
        .unwrap();
    get(&tool, &server.url("a.test", "/near")).await.unwrap();
    get(&tool, &server.url("a.test", "/far")).await.unwrap();
    get(&tool, &other.url("b.test", "/straight")).await.unwrap();
    let (requests, others) = (server.seen(), other.seen());
    for request in &requests {
        assert!(
            request.contains("authorization: Bearer for-a-alone\r\n"),
            "{request}"
        );
        assert!(request.contains("cookie: for=a\r\n"), "{request}");
    }
    assert_eq!((requests.len(), others.len()), (3, 2));
    // Another origin gets nothing, not even its own: the first may have written the request.
    assert!(
        !others[0].contains("-alone") && !others[0].contains("for=a"),
        "{}",
        others[0]
    );
    assert!(!others[0].contains("referer"), "{}", others[0]);
    assert!(
        others[1].contains("x-api-key: for-b-alone\r\n"),
        "{}",
        others[1]
    );
}

#[tokio::test]
async fn t7_no_redirect_takes_a_body_to_another_origin() {
    let other = Server::of(ok("text/plain", "b")).await;
    let to = other.url("b.test", "/");
    let server = Server::start(move |request| {
        let status = request.get(6..9).unwrap().parse().unwrap();
        redirect(status, &to).into()
    })
    .await;
    let tool = here()
        .allow_host(server.host("a.test"))
        .allow_host(other.host("b.test"))
        .allow_method(HttpMethod::Post)
        .build()
        .unwrap();
    let post = async |status: u16| {
        let url = server.url("a.test", &format!("/{status}"));
        let arguments = json!({"url": url, "method": "POST", "body": "private words"});
        call_with(&tool, arguments, State::default(), true).await
    };
    for status in [307, 308] {
        let error = post(status).await.unwrap_err();
        assert!(
            error.message().contains("is not sent on to another host"),
            "{error}"
        );
    }
    assert!(other.seen().is_empty());
    for status in [301, 302, 303] {
        post(status).await.unwrap();
    }
    for request in other.seen() {
        assert!(request.starts_with("GET / "), "{request}");
        assert!(
            !request.contains("private words") && !request.contains("content-"),
            "{request}"
        );
    }
}

#[test]
fn t7_a_redirect_is_judged_as_a_request() {
    let tool = HttpRequest::builder()
        .allow_host(AllowedHost::new("*.example.com").over_http())
        .allow_host("example.org")
        .build()
        .unwrap();
    let follow = |method: Method, status: u16, location: &str| {
        let url = reqwest::Url::parse("https://a.example.com/x/y").unwrap();
        let request = Request {
            method,
            rule: tool.0.rule(&url).unwrap(),
            url,
            headers: HeaderMap::new(),
            body: None,
            is_first_origin: true,
        };
        let status = StatusCode::from_u16(status).unwrap();
        let location = HeaderValue::try_from(location).unwrap();
        let next = redirected(&tool.0, request, status, &location);
        next.map(|next| format!("{} {} {}", next.method, next.url, next.is_first_origin))
            .map_err(|error| error.message().to_owned())
    };
    for (status, location, expected) in [
        (302, "z", "GET https://a.example.com/x/z true"),
        (
            302,
            "//b.example.com/z",
            "GET https://b.example.com/z false",
        ),
        (301, "https://example.org", "GET https://example.org/ false"),
        (
            308,
            "https://a.example.com:443/#f",
            "GET https://a.example.com/ true",
        ),
    ] {
        assert_eq!(follow(Method::GET, status, location).unwrap(), expected);
    }
    for (location, why) in [
        ("http://a.example.com/", "from https:// to http://"),
        ("http://example.org/", "from https:// to http://"),
        ("https://a.example.com:8443/", "is not allowed"),
        ("https://evil.net/", "is not allowed"),
        ("https://127.0.0.1/", "is not allowed"),
        ("https://u:p@a.example.com/", "a user name or a password"),
        ("file:///etc/passwd", "begin with https://"),
        ("https://[", "not to a URL"),
    ] {
        let error = follow(Method::GET, 302, location).unwrap_err();
        assert!(error.contains(why), "{location}: {error}");
    }
    assert_eq!(
        follow(Method::HEAD, 303, "z").unwrap(),
        "HEAD https://a.example.com/x/z true"
    );
    assert_eq!(
        follow(Method::PUT, 307, "z").unwrap(),
        "PUT https://a.example.com/x/z true"
    );
    assert!(follow(Method::PUT, 302, "//b.example.com/").is_err());
}
