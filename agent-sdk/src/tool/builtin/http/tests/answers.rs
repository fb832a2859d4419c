//! What a model is shown, and what it may ask for.

use std::time::Duration;

use tokio::sync::oneshot;

use super::*;
use crate::tool::{
    State, ToolErrorKind,
    builtin::{HttpMethod, testing::call_with},
};

async fn shown(answer: impl Into<Vec<u8>>) -> String {
    let server = Server::of(answer).await;
    let tool = here()
        .allow_host(server.host("a.test"))
        .max_body_bytes(1_000)
        .build()
        .unwrap();
    get(&tool, &server.url("a.test", "/")).await.unwrap()
}

#[tokio::test]
async fn an_answer_is_shown_with_its_status_and_some_headers_whatever_it_is() {
    let answer = "HTTP/1.1 404 Whatever\r\ncontent-type: application/problem+json\r\nset-cookie: id=1\r\n\
        etag: \"7\"\r\nx-powered-by: x\r\ncontent-length: 9\r\n\r\n{\"a\": 12}";
    assert_eq!(
        shown(answer).await,
        "HTTP 404 Not Found\ncontent-type: application/problem+json\netag: \"7\"\n\n{\"a\": 12}"
    );
}

#[tokio::test]
async fn t3_only_so_much_of_an_answer_is_read() {
    let (gone, heard) = oneshot::channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        let start = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n";
        socket.write_all(start.as_bytes()).await.unwrap();
        // It goes on until nobody listens.
        while socket.write_all(&[b'x'; 10_000]).await.is_ok() {}
        let _ = gone.send(());
    });
    let tool = here()
        .allow_host(AllowedHost::new(format!("a.test:{port}")).over_http())
        .build()
        .unwrap();
    let shown = get(&tool, &format!("http://a.test:{port}/")).await.unwrap();
    let (start, body) = shown.split_once("\n\n").unwrap();
    assert_eq!(
        start,
        "HTTP 200 OK\ncontent-type: text/html\n[only the first 258048 bytes of the body are shown, of unknown length]"
    );
    assert_eq!(body.len(), 252 * 1024);
    assert!(shown.len() < crate::tool::perform::MAX_OUTPUT_BYTES);
    heard.await.unwrap();
}

#[tokio::test]
async fn t3_the_length_that_a_server_gives_is_named_where_a_body_is_cut() {
    let shown = shown(ok("text/plain", &"é".repeat(1_000))).await;
    assert!(
        shown.contains("[only the first 1000 bytes of the body are shown, of 2000 bytes]"),
        "{shown}"
    );
    assert!(shown.ends_with("éé"));
}

#[tokio::test]
async fn t3_a_body_that_is_compressed_unasked_is_not_unpacked() {
    let bomb = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip\r\ncontent-length: 5\r\n\r\n\x1f\x0b\x08xx";
    let server = Server::of(bomb).await;
    let tool = here().allow_host(server.host("a.test")).build().unwrap();
    let shown = get(&tool, &server.url("a.test", "/")).await.unwrap();
    assert_eq!(
        shown,
        "HTTP 200 OK\ncontent-type: text/plain\n[the body is not shown: compressed (gzip), though that was not asked for, 5 bytes]\n\n"
    );
    assert!(server.seen()[0].contains("accept-encoding: identity\r\n"));
}

#[tokio::test]
async fn t3_what_is_no_text_is_described() {
    assert_eq!(
        shown(ok("image/png", "12345")).await,
        "HTTP 200 OK\ncontent-type: image/png\n[the body is not shown: image/png, 5 bytes]\n\n"
    );
    let untyped = |body: &[u8]| {
        let mut answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        answer.extend_from_slice(body);
        answer
    };
    assert_eq!(
        shown(untyped(b"a\0b")).await,
        "HTTP 200 OK\n[the body is not shown: of no type, and no text, 3 bytes]\n\n"
    );
    assert_eq!(shown(untyped(b"a\xffb")).await, "HTTP 200 OK\n\na\u{fffd}b");
}

#[tokio::test]
async fn a_header_can_neither_break_the_line_nor_go_on_for_ever() {
    let long = "y".repeat(5_000);
    let answer = format!("HTTP/1.1 200 OK\r\netag: a\tb\x1f{long}\r\ncontent-length: 0\r\n\r\n");
    // The HTTP client refuses control characters itself; a tab is none to it.
    let answer = answer.replace('\x1f', "");
    let shown = shown(answer).await;
    let etag = shown.lines().nth(1).unwrap();
    assert!(etag.starts_with("etag: aby") && etag.len() < 320, "{etag}");
}

#[tokio::test]
async fn o7_a_secret_that_comes_back_is_marked_and_stands_in_no_error() {
    let server = Server::start(|request| {
        if request.starts_with("GET /broken") {
            return b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 99\r\n\r\nx"
                .to_vec();
        }
        ok("text/plain", request).into()
    })
    .await;
    let secret = "Bearer planted-7d1f";
    let tool = here()
        .allow_host(server.host("a.test").header("authorization", secret))
        .build()
        .unwrap();
    let shown = get(&tool, &server.url("a.test", "/echo")).await.unwrap();
    assert!(server.seen()[0].contains("planted-7d1f"));
    assert!(
        !shown.contains("planted-7d1f") && shown.contains("authorization: ["),
        "{shown}"
    );
    let error = get(&tool, &server.url("a.test", "/broken?q=mine"))
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        "the server broke off in the midst of its answer"
    );
    assert!(!format!("{tool:?} {error:?}").contains("planted"));
    let builder = here().allow_host(server.host("a.test").header("authorization", secret));
    assert!(!format!("{builder:?}").contains("planted"));
}

#[tokio::test]
async fn a_model_sets_few_headers_and_none_of_the_user_s() {
    let server = Server::of(ok("text/plain", "")).await;
    let tool = here()
        .allow_host(server.host("a.test").header("accept", "text/csv"))
        .build()
        .unwrap();
    let url = server.url("a.test", "/");
    let ask = async |headers: serde_json::Value| {
        call(&tool, json!({"url": url, "headers": headers})).await
    };
    ask(json!({"Accept": "text/html", "accept-language": "de"}))
        .await
        .unwrap();
    let request = &server.seen()[0];
    assert!(
        request.contains("accept: text/csv\r\n") && !request.contains("text/html"),
        "{request}"
    );
    assert!(request.contains("accept-language: de\r\n"), "{request}");
    for headers in [
        json!({"authorization": "x"}),
        json!({"Host": "evil.test"}),
        json!({"cookie": "x"}),
        json!({"x-forwarded-for": "127.0.0.1"}),
        json!({"Metadata-Flavor": "Google"}),
        json!({"transfer-encoding": "chunked"}),
        json!({"accept": "a\r\nhost: evil"}),
        json!({"accept\r\nx": "a"}),
        json!({"": "a"}),
    ] {
        let error = ask(headers.clone()).await.expect_err(&headers.to_string());
        assert_eq!(error.kind(), ToolErrorKind::InvalidArguments);
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_method_that_writes_is_allowed_by_the_user_and_then_by_a_person() {
    let server = Server::of(ok("text/plain", "done")).await;
    let url = server.url("a.test", "/items?q=1");
    let post = json!({"url": url, "method": "POST", "body": "{}", "headers": {"content-type": "application/json"}});
    let reading = here().allow_host(server.host("a.test")).build().unwrap();
    let error = call(&reading, post.clone()).await.unwrap_err();
    assert_eq!(
        error.message(),
        "the method POST is not allowed; use GET or HEAD"
    );
    let body = json!({"url": url, "body": "x"});
    assert!(call(&reading, body).await.is_err());

    let writing = || {
        here()
            .allow_host(server.host("a.test"))
            .allow_method(HttpMethod::Post)
    };
    let asking = writing().build().unwrap();
    let question = call(&asking, post.clone()).await.unwrap_err();
    assert_eq!(question.kind(), ToolErrorKind::NeedsApproval);
    assert_eq!(
        question.message(),
        format!(
            "may a POST request be sent to {}?",
            server.url("a.test", "/items")
        )
    );
    assert!(server.seen().is_empty());
    let shown = call_with(&asking, post.clone(), State::default(), true)
        .await
        .unwrap();
    assert!(shown.ends_with("done"));
    let request = &server.seen()[0];
    assert!(
        request.starts_with("POST /items?q=1 ") && request.ends_with("\r\n\r\n{}"),
        "{request}"
    );
    let free = writing().ask_before_writing(false).build().unwrap();
    call(&free, post).await.unwrap();
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time_and_left_when_the_call_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tool = here()
        .allow_host(AllowedHost::new(format!("a.test:{port}")).over_http())
        .timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let url = format!("http://a.test:{port}/");
    let waits = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        // Ends when the client goes.
        socket.read(&mut [0]).await.unwrap_or(0)
    };
    let (answer, read) = tokio::join!(get(&tool, &url), waits);
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), ToolErrorKind::Timeout);
    assert!(error.message().contains("100ms"), "{error}");
    assert_eq!(read, 0);
}

#[tokio::test]
async fn a_host_that_nobody_answers_for_is_said_not_to_be_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let tool = here()
        .allow_host(AllowedHost::new(format!("a.test:{port}")).over_http())
        .build()
        .unwrap();
    let error = get(&tool, &format!("http://a.test:{port}/path?with=secret"))
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        "the host `a.test` cannot be reached, or has no valid certificate"
    );
}
