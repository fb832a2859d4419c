//! Region, credentials, keys.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::{
    model::{Model, ModelErrorKind, http::testing::Server},
    operation::{FixedClock, RunContext},
};

fn with(pairs: &'static [(&str, &str)]) -> Result<Bedrock, ModelError> {
    let look = move |name: &str| {
        let pair = pairs.iter().find(|(known, _)| *known == name);
        pair.map(|(_, value)| (*value).to_owned())
    };
    Bedrock::builder("m").variables(look)?.build()
}

const PAIR: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "id-secret"),
    ("AWS_SECRET_ACCESS_KEY", "key-secret"),
];

#[test]
fn the_environment_gives_region_and_credentials_or_a_key() {
    let signed = with(&[
        PAIR[0],
        PAIR[1],
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_SESSION_TOKEN", "t"),
    ])
    .unwrap();
    assert_eq!(
        signed.client.endpoint(false).as_str(),
        "https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse"
    );
    assert!(!signed.client.http().headers.contains_key("authorization"));
    let keyed = with(&[
        ("AWS_BEARER_TOKEN_BEDROCK", "secret"),
        ("AWS_REGION", "us-east-1"),
    ])
    .unwrap();
    assert!(keyed.client.http().headers.contains_key("authorization"));
    let elsewhere = with(&[
        PAIR[0],
        PAIR[1],
        ("AWS_REGION", "r"),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://localhost:1/x"),
    ])
    .unwrap();
    assert_eq!(
        elsewhere.client.endpoint(true).as_str(),
        "http://localhost:1/x/model/m/converse-stream"
    );
    assert_eq!(&*elsewhere.info().provider, "aws.bedrock");
    for (pairs, names) in [
        (&[][..], "AWS_ACCESS_KEY_ID"),
        (&[PAIR[0]], "AWS_BEARER_TOKEN_BEDROCK"),
        (&PAIR, "AWS_REGION"),
        (&[("AWS_BEARER_TOKEN_BEDROCK", "secret")], "AWS_REGION"),
    ] {
        let error = with(pairs).unwrap_err();
        assert_eq!(error.kind(), ModelErrorKind::Configuration);
        assert!(error.message().contains(names), "{error}");
    }
    for printed in [format!("{signed:?}"), format!("{keyed:?}")] {
        assert!(!printed.contains("secret"), "{printed}");
    }
    let bare = Bedrock::builder("m").region("r").build().unwrap_err();
    assert!(bare.message().contains("credentials"), "{bare}");
    let builder = Bedrock::builder("m").credentials(AwsCredentials::new("id", "secret"));
    assert!(!format!("{builder:?}{:?}", builder.api).contains("secret"));
}

fn signed(server: &Server) -> BedrockBuilder {
    let credentials =
        AwsCredentials::new("AKIDEXAMPLE", "the-secret").with_session_token("the-token");
    let mut builder = Bedrock::builder("a.b:0")
        .region("us-east-1")
        .base_url(&server.base_url)
        .credentials(credentials);
    builder.api.clock = Arc::new(FixedClock::at(1_440_938_160));
    builder
}

async fn asked(server: &Server, builder: BedrockBuilder) -> (String, ModelError) {
    let client = builder.build().unwrap();
    let answer = client
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await;
    let head = server.requests().last().cloned().unwrap_or_default();
    (head, answer.unwrap_err())
}

#[tokio::test]
async fn a_request_carries_its_signature_or_its_key_and_an_error_repeats_neither() {
    let body = r#"{"message":"wrong: AKIDEXAMPLE the-secret the-token the-key"}"#;
    let server = Server::answering(403, "", body).await;
    let (head, error) = asked(&server, signed(&server)).await;
    let scope = "authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=";
    assert!(head.contains(scope), "{head}");
    assert!(
        head.contains("x-amz-date: 20150830T123600Z")
            && head.contains("x-amz-security-token: the-token")
    );
    assert_eq!(
        error.message(),
        "wrong: [redacted:secret] [redacted:secret] [redacted:secret] the-key"
    );
    let (head, error) = asked(&server, signed(&server).api_key("the-key")).await;
    assert!(
        head.contains("authorization: Bearer the-key") && !head.contains("AWS4"),
        "{head}"
    );
    assert!(error.message().ends_with("[redacted:secret]"), "{error}");
}

#[tokio::test]
async fn credentials_that_expire_are_asked_for_with_each_request() {
    let server = Server::answering(403, "", "{}").await;
    let asked_for = Arc::new(AtomicU32::new(0));
    let counted = asked_for.clone();
    let builder = signed(&server).credentials_from(move || {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        (number < 2).then(|| AwsCredentials::new(format!("ID{number}"), "s"))
    });
    let client = builder.build().unwrap();
    for id in ["Credential=ID0/", "Credential=ID1/"] {
        let answer = client
            .chat(&RunContext::new(), ChatRequest::new("hi"))
            .await;
        assert_eq!(answer.unwrap_err().kind(), ModelErrorKind::Authentication);
        assert!(server.requests().last().unwrap().contains(id));
    }
    let none = client
        .chat(&RunContext::new(), ChatRequest::new("hi"))
        .await
        .unwrap_err();
    assert_eq!(
        (none.kind(), none.provider()),
        (ModelErrorKind::Configuration, Some("aws.bedrock"))
    );
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_recording_needs_neither_credentials_nor_a_region() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let replay = || crate::model::Replay::open(file.path()).unwrap();
    let builder = || Bedrock::builder("m").replay(replay());
    let client = builder().build().unwrap();
    assert!(format!("{client:?}").contains("Bedrock"));
    let credentials = AwsCredentials::new("ID", "s");
    builder().credentials(credentials).build().unwrap();
    builder().region("eu-west-1").build().unwrap();
}
