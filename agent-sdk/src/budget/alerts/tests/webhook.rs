//! The webhook, against a receiver on loopback that answers as it is told.

use std::{
    fmt::Write,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::alert;
use crate::{
    budget::{AlertSink, WebhookAlerts, WebhookAlertsBuilder},
    operation::FixedClock,
};

/// Answers one request each with these heads, and keeps what it was sent.
struct Receiver {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn start(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let (seen, answers) = (requests.clone(), answers.to_vec());
        tokio::spawn(async move {
            for answer in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let request = request(&mut socket).await;
                seen.lock().unwrap().push(request);
                if answer == "hangs" {
                    let _ = socket.read(&mut [0]).await;
                } else if answer != "breaks off" {
                    let head = format!(
                        "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    );
                    socket.write_all(head.as_bytes()).await.unwrap();
                }
            }
        });
        Self {
            url: format!("http://127.0.0.1:{port}/services/path-secret?token=query-secret"),
            requests,
        }
    }

    fn webhook(&self) -> WebhookAlertsBuilder {
        let quick = Duration::from_millis(1);
        WebhookAlerts::builder(&self.url).first_wait(quick)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn request(socket: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4_096];
    loop {
        let read = socket.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        if read == 0 || body.len() >= length.unwrap().parse().unwrap() {
            return text;
        }
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = request.split("\r\n\r\n").next().unwrap().lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn body(request: &str) -> &str {
    request.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn an_alert_is_posted_as_json_with_a_sentence_for_people() {
    let receiver = Receiver::start(&["200 OK"]).await;
    let webhook = receiver.webhook().build().unwrap();
    webhook.deliver(&alert("team", "acme")).await.unwrap();
    let [request] = &receiver.requests()[..] else {
        panic!("one request");
    };
    assert!(request.starts_with("POST /services/path-secret?token=query-secret HTTP/1.1\r\n"));
    assert_eq!(header(request, "content-type"), Some("application/json"));
    assert_eq!(header(request, "x-agent-sdk-signature"), None);
    let message = r#"{"message":"budget `team` of `acme` has reached 80 % of its cap; $161.000000001 of $200; until 2026-12-01T00:00:00Z","#;
    assert_eq!(body(request), super::PLAIN.replacen('{', message, 1));
}

#[tokio::test]
async fn slack_gets_a_text_in_which_nothing_is_markup() {
    let receiver = Receiver::start(&["200 OK"]).await;
    let webhook = receiver.webhook().slack().build().unwrap();
    webhook.deliver(&alert("R&D", "<!channel>")).await.unwrap();
    assert_eq!(
        body(&receiver.requests()[0]),
        r#"{"text":"budget `R&amp;D` of `&lt;!channel&gt;` has reached 80 % of its cap; $161.000000001 of $200; until 2026-12-01T00:00:00Z"}"#
    );
}

#[tokio::test]
async fn what_may_pass_is_tried_again_under_one_key() {
    let answers = [
        "503 Unavailable",
        "429 Slow\r\nretry-after: 0",
        "408 Timeout",
        "breaks off",
        "204 Fine",
    ];
    let receiver = Receiver::start(&answers).await;
    let webhook = receiver.webhook().build().unwrap();
    webhook.deliver(&alert("R & D", "ü")).await.unwrap();
    let requests = receiver.requests();
    assert_eq!(requests.len(), 5);
    for request in &requests {
        let key = "R%20&%20D/%C3%BC/2026-11-21T14:10:00Z/threshold-80";
        assert_eq!(header(request, "idempotency-key"), Some(key));
        assert_eq!(body(request), body(&requests[0]));
    }
}

#[tokio::test]
async fn tries_are_bounded_and_an_answer_that_stays_the_same_is_taken_at_once() {
    let receiver = Receiver::start(&["500 X"; 9]).await;
    let attempts = NonZeroU32::new(3).unwrap();
    let webhook = receiver.webhook().max_attempts(attempts).build().unwrap();
    let error = webhook.deliver(&alert("b", "")).await.unwrap_err();
    assert!(error.ends_with("answered 500"), "{error}");
    assert_eq!(receiver.requests().len(), 3);

    // A redirect is not followed.
    for answer in ["404 X", "302 X\r\nlocation: /elsewhere"] {
        let receiver = Receiver::start(&[answer; 9]).await;
        let webhook = receiver.webhook().build().unwrap();
        webhook.deliver(&alert("b", "")).await.unwrap_err();
        assert_eq!(receiver.requests().len(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_given_up() {
    let receiver = Receiver::start(&["hangs"; 2]).await;
    let webhook = receiver
        .webhook()
        .timeout(Duration::from_millis(50))
        .max_attempts(NonZeroU32::new(2).unwrap());
    let error = webhook
        .build()
        .unwrap()
        .deliver(&alert("b", ""))
        .await
        .unwrap_err();
    assert!(error.ends_with("did not answer in time"), "{error}");
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test]
async fn it_is_signed_with_the_secret_over_the_time_and_the_body() {
    let receiver = Receiver::start(&["200 OK"]).await;
    let webhook = receiver
        .webhook()
        .secret("key-secret")
        .clock(FixedClock::at(1_795_270_200))
        .build()
        .unwrap();
    webhook.deliver(&alert("team", "acme")).await.unwrap();
    let request = &receiver.requests()[0];
    assert_eq!(header(request, "x-agent-sdk-timestamp"), Some("1795270200"));
    assert_eq!(
        header(request, "x-agent-sdk-signature"),
        Some("v1=8b77e30e4b339a69234a11412ebd1c3b43c8af53bfb3dac8db4c0cfe76a4e2ca")
    );
}

#[tokio::test]
async fn neither_the_secret_nor_the_path_stands_in_what_is_printed() {
    let receiver = Receiver::start(&["400 X", "breaks off"]).await;
    let builder = receiver
        .webhook()
        .secret("key-secret")
        .max_attempts(NonZeroU32::MIN);
    let mut printed = format!("{builder:?}");
    let webhook = builder.build().unwrap();
    write!(printed, "{webhook:?}").unwrap();
    for _ in 0..2 {
        printed += &webhook.deliver(&alert("b", "")).await.unwrap_err();
    }
    // Nobody is there any more.
    printed += &webhook.deliver(&alert("b", "")).await.unwrap_err();
    for url in [
        "http://example.com/x-secret",
        "ftp://y-secret",
        "z-secret",
        "https://u:p-secret@example.com",
    ] {
        printed += &WebhookAlerts::builder(url).build().unwrap_err().to_string();
    }
    assert!(
        printed.contains("answered 400") && printed.contains("cannot be reached"),
        "{printed}"
    );
    assert!(
        !printed.contains("secret\"") && !printed.contains("-secret"),
        "{printed}"
    );
}

#[test]
fn only_https_or_this_machine_is_posted_to() {
    let build = |url: &str| WebhookAlerts::builder(url).build();
    for url in [
        "https://hooks.example.com/x",
        "http://localhost:1/x",
        "http://[::1]/x",
    ] {
        build(url).unwrap();
    }
    for url in [
        "http://hooks.example.com/x",
        "http://10.0.0.1/x",
        "file:///x",
        "",
        "https://",
    ] {
        build(url).unwrap_err();
    }
    let webhook = WebhookAlerts::builder("https://hooks.example.com/x").secret("");
    webhook.build().unwrap_err();
}

#[tokio::test]
async fn a_long_id_is_sent_as_its_hash() {
    let receiver = Receiver::start(&["200 OK"]).await;
    let webhook = receiver.webhook().build().unwrap();
    webhook
        .deliver(&alert("b", &"x".repeat(10_000)))
        .await
        .unwrap();
    let request = &receiver.requests()[0];
    let key = header(request, "idempotency-key").unwrap();
    assert_eq!(key.len(), 64);
    assert!(key.bytes().all(|byte| byte.is_ascii_hexdigit()));
}
