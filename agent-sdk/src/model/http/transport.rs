//! How requests travel: over the network, over the network and into a cassette, or out of a cassette.

use futures_util::{StreamExt, TryStreamExt};
use http::{HeaderMap, StatusCode};
use reqwest::Url;

use super::{Timeouts, exchange::Body, settings::default_client};
use crate::model::{
    ModelError,
    cassette::{Recorder, Replay, Tape},
    wire::Secrets,
};

/// How the requests of a client are to travel.
#[derive(Clone, Debug, Default)]
pub(in crate::model) enum Way {
    #[default]
    Network,
    /// Over the network, and written down.
    Recorded(Recorder),
    /// Not at all: answers are those that were written down.
    Replayed(Replay),
}

/// What carries the requests of a client.
pub(super) enum Transport {
    Network(reqwest::Client),
    Recorded(reqwest::Client, Recorder),
    Replayed(Replay),
}

/// The head of an answer, and its body as it arrives.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
    /// Whose answer it is, where that may be another server's than the one that was asked.
    pub(super) url: Option<Url>,
}

/// Why no answer began.
pub(super) enum Unanswered {
    Network(reqwest::Error),
    /// As it was recorded, or because it was not.
    Replayed(ModelError),
}

impl Transport {
    pub(super) fn new(
        way: Way,
        client: Option<reqwest::Client>,
        timeouts: &Timeouts,
        base: &Url,
    ) -> Result<Self, ModelError> {
        let client = || client.map_or_else(|| default_client(timeouts, base), Ok);
        Ok(match way {
            Way::Network => Self::Network(client()?),
            Way::Recorded(recorder) => Self::Recorded(client()?, recorder),
            Way::Replayed(replay) => Self::Replayed(replay),
        })
    }

    pub(super) fn is_replayed(&self) -> bool {
        matches!(self, Self::Replayed(_))
    }

    /// What a request is written on, where it is.
    pub(super) fn tape(
        &self,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
        secrets: impl FnOnce() -> Secrets,
    ) -> Option<Tape> {
        match self {
            Self::Recorded(_, recorder) => Some(recorder.begin(url, headers, body, &secrets())),
            Self::Network(_) | Self::Replayed(_) => None,
        }
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Vec<u8>,
        tape: Option<Tape>,
    ) -> Result<Answer, Unanswered> {
        let client = match self {
            Self::Network(client) | Self::Recorded(client, _) => client,
            Self::Replayed(replay) => {
                let answer = replay.answer(&url, &headers, &body).await;
                let answer = answer.map_err(Unanswered::Replayed)?;
                return Ok(Answer {
                    status: StatusCode::from_u16(answer.status).unwrap_or_default(),
                    headers: answer.headers,
                    body: answer.body,
                    url: None,
                });
            }
        };
        let request = client.post(url).headers(headers).body(body);
        let response = request.send().await.map_err(Unanswered::Network)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let url = Some(response.url().clone());
        let mut body = response
            .bytes_stream()
            .map_err(|error| error.without_url().into())
            .boxed();
        if let Some(tape) = tape {
            tape.head(status.as_u16(), &headers);
            body = tape.listen(body);
        }
        Ok(Answer {
            status,
            headers,
            body,
            url,
        })
    }
}
