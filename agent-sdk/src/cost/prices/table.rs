//! The table of providers and models, and how a name finds its model.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use serde::Deserializer;

use super::define::ModelPrice;
use super::error::{PriceError, PriceErrorKind};
use super::layer::{Layer, LayerKind};
use super::listing::{ModelPrices, Written};
use super::matching::{self, Clause};
use super::price::Model;
use super::schema::RawTable;

/// The most bytes of a table that is read. The embedded one has a fortieth of that.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// What a price file says, checked whole.
///
/// The form is that of [`PriceBook::from_json`](super::PriceBook::from_json), in JSON or in TOML. A price is a string, or a whole
/// number of dollars: other numbers are refused, because as they are read they are not exact.
///
/// # Example
///
/// ```
/// use agent_sdk::cost::{PriceBook, PriceTable};
///
/// let ours = PriceTable::from_toml(r#"
///     date = "2026-11-20"
///
///     [[providers]]
///     id = "openai"
///
///     [[providers.models]]
///     id = "gpt-4o"
///     match.exact = "gpt-4o"
///     prices = [{ input = "2", output = "8" }]
/// "#)?;
/// let book = PriceBook::builder().overrides(ours).build()?;
/// assert_eq!(book.model("openai", "gpt-4o").map(|model| model.provenance()).as_deref(), Some("override"));
/// assert_eq!(book.model("openai", "gpt-5").map(|model| model.provenance()).as_deref(), Some("table@2026-11-20"));
/// # Ok::<(), agent_sdk::cost::PriceError>(())
/// ```
#[derive(Clone)]
pub struct PriceTable(Arc<Table>);

impl PriceTable {
    /// Reads a table in JSON.
    ///
    /// # Errors
    ///
    /// It is not of that form; the error names the place.
    pub fn from_json(text: &str) -> Result<Self, PriceError> {
        Self::checked(Table::from_json(text)?)
    }

    /// Reads a table in TOML. Dates and times are strings.
    ///
    /// # Errors
    ///
    /// It is not of that form; the error names the place.
    pub fn from_toml(text: &str) -> Result<Self, PriceError> {
        let toml = toml::Deserializer::parse(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            PriceError::new(format!("line {line}"), error.message())
        })?;
        Self::checked(Table::read(toml, |error| error.message().to_owned())?)
    }

    /// Reads a file of at most 16 MiB: in TOML where its name ends in `.toml`, else in JSON. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`PriceErrorKind::Unreadable`], [`PriceErrorKind::TooLarge`], [`PriceErrorKind::Invalid`]; they name the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PriceError> {
        let path = path.as_ref();
        let read = || {
            let text = read(path)?;
            let is_toml = |name: &OsStr| name.eq_ignore_ascii_case("toml");
            if path.extension().is_some_and(is_toml) {
                Self::from_toml(&text)
            } else {
                Self::from_json(&text)
            }
        };
        read().map_err(|error: PriceError| error.from(path.display().to_string()))
    }

    /// The prices that were set in code.
    pub(super) fn of(models: &[(String, String, ModelPrice)]) -> Result<Self, PriceError> {
        // What was set last comes first, and so holds where a model was set twice.
        let models = models.iter().rev().map(|(provider, id, price)| {
            let model = price.model(provider, id)?;
            Ok(Provider {
                id: provider.to_lowercase().into(),
                clause: None,
                fallback: Box::default(),
                models: Box::new([Arc::new(model)]),
            })
        });
        let mut providers: Vec<Provider> = Vec::new();
        for one in models {
            let one: Provider = one?;
            match providers.iter_mut().find(|provider| provider.id == one.id) {
                Some(provider) => {
                    let all = provider.models.iter().chain(&one.models);
                    provider.models = all.cloned().collect();
                }
                None => providers.push(one),
            }
        }
        Ok(Self(Arc::new(Table {
            date: Arc::default(),
            providers: providers.into(),
        })))
    }

    pub(super) fn checked(table: Table) -> Result<Self, PriceError> {
        table.check()?;
        Ok(Self(Arc::new(table)))
    }

    /// The day on which its prices were collected, as `2026-11-20`.
    pub fn date(&self) -> &str {
        &self.0.date
    }

    /// The same as a date.
    ///
    /// # Errors
    ///
    /// It is none.
    pub(super) fn collected(&self) -> Result<Date, PriceError> {
        self.0.collected().ok_or_else(|| {
            PriceError::new(
                "date",
                format!("{:?} is not a date such as 2026-01-31", self.0.date),
            )
        })
    }

    /// How many models it knows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of its models.
    pub fn models(&self) -> Vec<ModelPrices> {
        let layer = self.clone().into_layer(LayerKind::Override);
        ModelPrices::of_all(&[layer])
    }

    /// The table in JSON, as [`from_json`](Self::from_json) reads it.
    pub fn to_json(&self) -> String {
        // Strings, numbers and maps with text for keys can always be written.
        serde_json::to_string_pretty(&Written::new(&self.0)).unwrap_or_default()
    }

    pub(super) fn into_layer(self, kind: LayerKind) -> Arc<Layer> {
        Arc::new(Layer::new(kind, self.0))
    }
}

impl fmt::Debug for PriceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriceTable")
            .field("date", &self.date())
            .field("models", &self.len())
            .finish_non_exhaustive()
    }
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, PriceError> {
    let mut bytes = Vec::new();
    let most = MAX_BYTES as u64 + 1;
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| {
            PriceError::of(PriceErrorKind::Unreadable, error.to_string()).with_source(error)
        })?;
    if bytes.len() > MAX_BYTES {
        let reason = format!("it has more than {MAX_BYTES} bytes");
        return Err(PriceError::of(PriceErrorKind::TooLarge, reason));
    }
    String::from_utf8(bytes)
        .map_err(|error| PriceError::new("the text", "it is not UTF-8").with_source(error))
}

/// Every provider, in the order in which they are tried.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) date: Arc<str>,
    pub(super) providers: Box<[Provider]>,
}

/// Who sells models.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) id: Box<str>,
    pub(super) clause: Option<Clause>,
    /// Whose models it sells beside its own.
    pub(super) fallback: Box<[Box<str>]>,
    pub(super) models: Box<[Arc<Model>]>,
}

impl Table {
    /// The model that `model` stands for at `provider`: one of its own, or else one of its fallback providers'.
    pub(super) fn find(&self, provider: &str, model: &str) -> Option<Arc<Model>> {
        let provider = self.provider(&provider.trim().to_lowercase())?;
        let model = model.to_lowercase();
        let fallback = provider.fallback.iter().filter_map(|id| self.with_id(id));
        std::iter::once(provider)
            .chain(fallback)
            .flat_map(|provider| &provider.models)
            .find(|candidate| candidate.clause.matches(&model))
            .cloned()
    }

    pub(super) fn with_id(&self, id: &str) -> Option<&Provider> {
        self.providers.iter().find(|provider| *provider.id == *id)
    }

    /// The provider of a lower-cased name.
    pub(super) fn provider(&self, name: &str) -> Option<&Provider> {
        self.with_id(name)
            .or_else(|| self.with_id(matching::alias(name)?))
            .or_else(|| {
                self.providers
                    .iter()
                    .find(|p| p.clause.as_ref().is_some_and(|c| c.matches(name)))
            })
    }

    /// How many models there are.
    pub(super) fn len(&self) -> usize {
        self.providers
            .iter()
            .map(|provider| provider.models.len())
            .sum()
    }

    /// Reads a table; regexes are not compiled yet.
    pub(super) fn from_json(text: &str) -> Result<Self, PriceError> {
        let mut json = serde_json::Deserializer::from_str(text);
        let table = Self::read(&mut json, ToString::to_string)?;
        json.end()
            .map_err(|error| PriceError::new("the end", error.to_string()))?;
        Ok(table)
    }

    pub(super) fn read<'de, D: Deserializer<'de>>(
        from: D,
        say: impl FnOnce(&D::Error) -> String,
    ) -> Result<Self, PriceError> {
        let raw: RawTable = serde_path_to_error::deserialize(from)
            .map_err(|error| PriceError::new(error.path().to_string(), say(error.inner())))?;
        raw.build()
    }

    /// The day on which its prices were collected.
    pub(super) fn collected(&self) -> Option<Date> {
        self.date.parse().ok()
    }

    /// Compiles every regex, and looks for fallback providers that do not exist.
    pub(super) fn check(&self) -> Result<(), PriceError> {
        for provider in &self.providers {
            if let Some(missing) = provider
                .fallback
                .iter()
                .find(|id| self.with_id(id).is_none())
            {
                let reason = format!("no provider of the table has the id {missing:?}");
                return Err(PriceError::new(format!("{}.fallback", provider.id), reason));
            }
            if let Some(clause) = &provider.clause {
                let place = || format!("{}.match", provider.id);
                clause
                    .check()
                    .map_err(|reason| PriceError::new(place(), reason))?;
            }
            for model in &provider.models {
                let place = || format!("{}/{}.match", provider.id, model.id);
                model
                    .clause
                    .check()
                    .map_err(|reason| PriceError::new(place(), reason))?;
            }
        }
        Ok(())
    }
}
