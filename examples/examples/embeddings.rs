//! Embeddings: texts as vectors, what is nearest to a question, what it used and what that cost.
//!
//! With `OPENAI_API_KEY` it asks `OpenAI`; without, it replays a recording. `GeminiEmbeddings` and `OllamaEmbeddings` take the same
//! requests.

use agent_sdk::{
    model::embedding::{EmbeddingHandle, EmbeddingRequest, OpenAiEmbeddings},
    operation::{RunContext, trace_agent},
};

const MODEL: &str = "text-embedding-3-small";

/// How alike two vectors are, from -1 to 1.
fn likeness(one: &[f32], other: &[f32]) -> f32 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    product(one, other) / (product(one, one) * product(other, other)).sqrt()
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let model = match agent_sdk_examples::recording("embeddings", &["OPENAI_API_KEY"])? {
        Some(recording) => OpenAiEmbeddings::builder(MODEL).replay(recording).build()?,
        None => OpenAiEmbeddings::from_env(MODEL)?,
    };
    let model = EmbeddingHandle::new(model);
    let question = "How do I keep slugs off my lettuce?";
    let pages = [
        "Pests in the vegetable garden",
        "Sharpening a chisel",
        "A short history of lighthouses",
    ];

    // The request hangs under whatever operation its context is of.
    let texts = pages.iter().chain([&question]).copied();
    let request = EmbeddingRequest::new(texts).with_dimensions(8);
    let (response, report) = trace_agent(&RunContext::new(), "search")
        .run_reported(async |search| model.embed(search.context(), request).await)
        .await;
    let vectors = response?.vectors;

    println!("{question}");
    if let Some((question, vectors)) = vectors.split_last() {
        for (page, vector) in pages.iter().zip(vectors) {
            println!("  {:>5.2}  {page}", likeness(question, vector));
        }
    }
    agent_sdk_examples::spent(&report);
    Ok(())
}
