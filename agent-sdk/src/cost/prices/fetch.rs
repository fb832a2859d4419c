//! Fetching a price table.

use std::time::Duration;

use reqwest::{Url, header};

use super::{
    error::{PriceError, PriceErrorKind},
    table::{MAX_BYTES, PriceTable},
};
use crate::model::{Timeouts, default_client, is_loopback};

/// From the first byte sent to the last one read.
const TOTAL: Duration = Duration::from_mins(1);

impl PriceTable {
    /// Fetches a table and checks it whole; give it to [`PriceBook::refresh`](super::PriceBook::refresh). It is TOML where
    /// the path ends in `.toml`, else JSON.
    ///
    /// The address must be `https`, or `http` on this machine. Redirects are not followed, at most 16 MiB are read, and it
    /// takes at most a minute. Dropping the future gives it up.
    ///
    /// # Errors
    ///
    /// [`PriceErrorKind::Unreachable`] where no table came, [`PriceErrorKind::TooLarge`], [`PriceErrorKind::Invalid`]. They name
    /// the address without its query and without a password.
    pub async fn fetch(url: &str) -> Result<Self, PriceError> {
        let refused = |reason: &str| PriceError::of(PriceErrorKind::Unreachable, reason);
        let url: Url = url.parse().map_err(|_| refused("the address is no URL"))?;
        let shown = format!("{}{}", url.origin().ascii_serialization(), url.path());
        let fetched = get(&url).await.map_err(|error| error.from(&*shown));
        let text = fetched?;
        let table = if has_toml_name(&url) {
            Self::from_toml(&text)
        } else {
            Self::from_json(&text)
        };
        table.map_err(|error| error.from(shown))
    }
}

#[expect(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "paths of URLs have a case"
)]
fn has_toml_name(url: &Url) -> bool {
    url.path().ends_with(".toml")
}

async fn get(url: &Url) -> Result<String, PriceError> {
    let refused = |reason: String| PriceError::of(PriceErrorKind::Unreachable, reason);
    let failed = |reason: &str, error: reqwest::Error| {
        refused(reason.to_owned()).with_source(error.without_url())
    };
    let host = url.host_str().unwrap_or_default();
    if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(host)) {
        return Err(refused(
            "prices decide over money: only https is allowed, and http on this machine".to_owned(),
        ));
    }
    let client = default_client(&Timeouts::default(), url)
        .map_err(|error| refused("the HTTP client cannot be made".to_owned()).with_source(error))?;
    let request = client.get(url.clone()).timeout(TOTAL);
    let request = request.header(
        header::ACCEPT,
        "application/json, application/toml, text/plain",
    );
    let response = request.send().await;
    let mut response = response.map_err(|error| failed("no answer came", error))?;
    let status = response.status();
    if status.is_redirection() {
        return Err(refused(format!(
            "the server answered {status}, and redirects are not followed: give the address that it leads to"
        )));
    }
    if status != reqwest::StatusCode::OK {
        return Err(refused(format!("the server answered {status}")));
    }
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|error| failed("the answer broke off", error))?;
        let Some(chunk) = chunk else { break };
        if body.len().saturating_add(chunk.len()) > MAX_BYTES {
            return Err(PriceError::of(
                PriceErrorKind::TooLarge,
                format!("it has more than {MAX_BYTES} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body)
        .map_err(|error| PriceError::new("the text", "it is not UTF-8").with_source(error))
}
