//! Answers that do not come to their end.

use std::time::Duration;

use agent_sdk::{
    budget::{Amounts, Budget, Ledger},
    cost::Usd,
    model::{ChatRequest, ModelHandle},
    operation::RunContext,
    testing::TraceCapture,
};
use futures_util::StreamExt as _;

use super::provider::{Break, Provider};

/// A provider, a ledger with room for everything, and what was recorded.
struct Scene {
    provider: Provider,
    model: ModelHandle,
    ledger: Ledger,
    trace: TraceCapture,
}

impl Scene {
    async fn new(silence: Duration) -> Self {
        let provider = Provider::start().await;
        let ledger = Ledger::builder()
            .budget(Budget::new("all").max_usd(Usd::MAX))
            .build()
            .unwrap();
        Self {
            model: provider.model(silence),
            provider,
            ledger,
            trace: TraceCapture::new(),
        }
    }

    fn context(&self) -> RunContext {
        RunContext::builder()
            .ledger(&self.ledger)
            .observers(self.trace.observers())
            .build()
    }

    /// Asks once, and holds the three accounts against each other: the provider's, the ledger's, and what was recorded.
    async fn ask(&self, breaks: Break, is_streamed: bool, pieces: usize) {
        self.provider.breaks(breaks);
        self.trace.clear();
        let before = (self.provider.bill(), self.committed().await);
        let (context, request) = (self.context(), ChatRequest::new("Say something."));
        let is_whole = if is_streamed {
            let stream = self.model.stream(&context, request).await;
            match stream {
                Ok(stream) => {
                    let read: Vec<_> = stream.take(pieces).collect().await;
                    read.len() < pieces && read.last().is_some_and(Result::is_ok)
                }
                Err(_) => false,
            }
        } else {
            self.model.chat(&context, request).await.is_ok()
        };
        let billed = self.provider.bill() - before.0;
        let charged = self.committed().await.nanos() - before.1.nanos();
        let case = format!("{breaks:?}, streamed: {is_streamed}, {pieces} pieces");
        assert!(
            billed > 0 && charged >= billed,
            "{case}: {billed} billed, {charged} charged"
        );
        let chat = self.trace.find("chat gpt-4o").unwrap();
        assert_eq!(chat.cost.map(Usd::nanos), Some(charged), "{case}");
        // An answer may be whole and its usage lost.
        let is_estimated = chat.facts.estimate.is_some_and(|cost| cost.estimated);
        assert_eq!(is_estimated, charged > billed, "{case}");
        assert!(is_whole || is_estimated, "{case}");
    }

    async fn committed(&self) -> Usd {
        match self.ledger.standings().await.unwrap().first() {
            Some(standing) => {
                assert_eq!(standing.reserved, Amounts::ZERO, "nothing stays put aside");
                assert_eq!(standing.debt, Amounts::ZERO);
                standing.committed.usd
            }
            None => Usd::ZERO,
        }
    }
}

#[tokio::test]
async fn b2_a_stream_that_the_server_cuts_at_any_byte_is_charged_for_no_less_than_its_bill() {
    let scene = Scene::new(Duration::from_secs(30)).await;
    for byte in 0..700 {
        scene.ask(Break::Cut(byte), true, usize::MAX).await;
    }
}

#[tokio::test]
async fn b2_an_answer_in_one_piece_that_the_server_cuts_at_any_byte_is_charged_for_no_less_than_its_bill()
 {
    let scene = Scene::new(Duration::from_secs(30)).await;
    for byte in 0..200 {
        scene.ask(Break::Cut(byte), false, 0).await;
    }
    scene.ask(Break::Never, false, 0).await;
    scene.ask(Break::Never, true, usize::MAX).await;
}

#[tokio::test]
async fn b2_a_stream_whose_reader_goes_away_after_any_piece_is_charged_for_no_less_than_its_bill() {
    let scene = Scene::new(Duration::from_secs(30)).await;
    for pieces in 0..3 {
        scene.ask(Break::Never, true, pieces).await;
    }
}

#[tokio::test]
async fn b2_a_stream_that_falls_silent_is_charged_for_no_less_than_its_bill() {
    let scene = Scene::new(Duration::from_millis(300)).await;
    for byte in [0, 1, 200, 400, 600] {
        scene.ask(Break::Silence(byte), true, usize::MAX).await;
    }
}
