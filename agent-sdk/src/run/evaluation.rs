//! What somebody thinks of a run or an answer of it.

use tracing::Level;

use super::RunReport;
use crate::operation::TraceContext;

/// The target of the event that an evaluation leaves as.
const TARGET: &str = "agent_sdk::evaluation";

/// The event's name by the GenAI conventions.
const NAME: &str = "gen_ai.evaluation.result";

/// What a judge says of a run or of one answer: a score, a label, or both, and why.
///
/// [`RunReport::record_evaluation`] says it as a `tracing` event named `gen_ai.evaluation.result`, which a log exporter sends with the
/// ids of the span that was judged. Nothing is recorded where no subscriber wants it.
///
/// # Example
///
/// ```
/// use agent_sdk::agent::Agent;
/// use agent_sdk::run::Evaluation;
/// use agent_sdk::testing::ScriptedModel;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let agent = Agent::builder("triage", ScriptedModel::new(["Paris."])).build()?;
/// let report = agent.run("What is the capital of France?").await?;
/// let judged = Evaluation::new("relevance").score(0.9).label("pass");
/// report.record_evaluation(&judged);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an evaluation is not recorded until a report records it"]
pub struct Evaluation {
    name: String,
    score: Option<f64>,
    label: Option<String>,
    explanation: Option<String>,
    response_id: Option<String>,
    error: Option<String>,
}

impl Evaluation {
    /// An evaluation by this measure, such as `relevance`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            score: None,
            label: None,
            explanation: None,
            response_id: None,
            error: None,
        }
    }

    /// Sets the score. What is no finite number is left out.
    pub fn score(mut self, score: f64) -> Self {
        self.score = Some(score).filter(|score| score.is_finite());
        self
    }

    /// Sets the score in a word, such as `pass`.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says why. It leaves as it is given, but for what the log's redactor takes out: it may quote what was said.
    pub fn explanation(mut self, words: impl Into<String>) -> Self {
        self.explanation = Some(words.into());
        self
    }

    /// Names the one answer that was judged, by the provider's id of it.
    pub fn response_id(mut self, id: impl Into<String>) -> Self {
        self.response_id = Some(id.into());
        self
    }

    /// Names the class of the failure, where the judge could not judge.
    pub fn error_type(mut self, class: impl Into<String>) -> Self {
        self.error = Some(class.into());
        self
    }

    /// Records it of what the current span stands for: for what is judged while it runs, or known by
    /// [`response_id`](Self::response_id) only.
    pub fn record(&self) {
        let words = Words::of(self);
        tracing::event!(name: NAME, target: TARGET, Level::INFO, {
            gen_ai.evaluation.name = words.name,
            gen_ai.evaluation.score.value = self.score,
            gen_ai.evaluation.score.label = words.label,
            gen_ai.evaluation.explanation = words.explanation,
            gen_ai.response.id = words.response_id,
            error.type = words.error
        });
    }

    /// Records it of a span that has ended: `trace_id`, `span_id`, `trace_sampled` and `run_id` name it.
    fn record_of(&self, run: &str, judged: TraceContext) {
        let words = Words::of(self);
        tracing::event!(name: NAME, target: TARGET, Level::INFO, {
            gen_ai.evaluation.name = words.name,
            gen_ai.evaluation.score.value = self.score,
            gen_ai.evaluation.score.label = words.label,
            gen_ai.evaluation.explanation = words.explanation,
            gen_ai.response.id = words.response_id,
            error.type = words.error,
            trace_id = %judged.trace_id,
            span_id = %judged.span_id,
            trace_sampled = judged.sampled,
            run_id = run
        });
    }
}

/// The texts, borrowed.
struct Words<'a> {
    name: &'a str,
    label: Option<&'a str>,
    explanation: Option<&'a str>,
    response_id: Option<&'a str>,
    error: Option<&'a str>,
}

impl<'a> Words<'a> {
    fn of(evaluation: &'a Evaluation) -> Self {
        Self {
            name: &evaluation.name,
            label: evaluation.label.as_deref(),
            explanation: evaluation.explanation.as_deref(),
            response_id: evaluation.response_id.as_deref(),
            error: evaluation.error.as_deref(),
        }
    }
}

impl RunReport {
    /// Records what a judge says of the run, or of one answer in it: the event carries the ids of the run's span, and a failed run can
    /// be judged too. See [`Evaluation`].
    pub fn record_evaluation(&self, evaluation: &Evaluation) {
        evaluation.record_of(self.run_id.as_str(), self.trace);
    }
}
