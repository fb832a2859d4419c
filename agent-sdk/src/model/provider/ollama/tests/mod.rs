//! The client as a whole: what it sends, what it reads, in memory, on loopback and on recorded traffic.

mod requests;
mod streams;

use super::*;
use crate::model::{Model, provider::judge::judge};

/// A client of a server that is not there.
fn offline() -> OllamaBuilder {
    Ollama::builder("m").base_url("http://127.0.0.1:9")
}

#[tokio::test]
async fn recorded_traffic_reads_as_its_manifest_says() {
    judge("ollama.chat", 3, &[], |base_url| {
        let builder = Ollama::builder("m").base_url(base_url);
        builder.build().unwrap().client
    })
    .await;
}

#[test]
fn the_environment_gives_an_address_and_a_key_and_needs_neither() {
    let with = |pairs: &'static [(&str, &str)]| {
        let look = move |name: &str| {
            let pair = pairs.iter().find(|(known, _)| *known == name);
            pair.map(|(_, value)| (*value).to_owned())
        };
        Ollama::builder("m").variables(look).unwrap().build()
    };
    let local = with(&[("OLLAMA_HOST", " ")]).unwrap();
    assert_eq!(
        local.client.endpoint(true).as_str(),
        "http://localhost:11434/api/chat"
    );
    assert_eq!(&*local.info().provider, "ollama");
    let elsewhere = with(&[("OLLAMA_HOST", "0.0.0.0:1234")]).unwrap();
    assert_eq!(
        elsewhere.client.endpoint(true).as_str(),
        "http://127.0.0.1:1234/api/chat"
    );
    let cloud = with(&[
        ("OLLAMA_HOST", "https://ollama.com/"),
        ("OLLAMA_API_KEY", "secret"),
    ])
    .unwrap();
    assert_eq!(
        cloud.client.endpoint(false).as_str(),
        "https://ollama.com/api/chat"
    );
    assert!(cloud.client.http().headers.contains_key("authorization"));
    assert!(!format!("{cloud:?}").contains("secret"));
    assert!(with(&[("OLLAMA_HOST", "ftp://box")]).is_err());
}
