//! What the user sees of a run: its answer as it is written, then its trace.

use std::{sync::Arc, time::Duration};

use agent_sdk::{
    budget::Alert,
    cost::Usd,
    operation::{Event, EventKind, Observer, Outcome, RunContext},
    orchestrator::PlanReport,
    run::{RunReport, RunStream},
};
use futures_util::StreamExt;
use serde_json::{Value, json};

use agent_sdk::text::escape_json;

use crate::{
    budget::{Purse, Stands, Told},
    exit::{Exit, Failure},
    interrupt::Interrupt,
    live::Live,
    output::Output,
    person::{Person, Said},
    steps::{self, Steps},
    terminal::{Paint, safe, safe_line},
    text::length,
    tree::Trace,
};

/// How wide a trace is drawn where no terminal says.
const WIDTH: usize = 100;

/// How a run is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people: the answer, the trace, the totals.
    Text,
    /// For programs: an event a line.
    Json,
}

/// Shows a run.
pub(crate) struct Screen {
    pub(crate) output: Output,
    live: Live,
    form: Form,
    interrupt: Interrupt,
    /// Who is asked about tool calls, where somebody is there.
    person: Option<Person>,
    /// The alerts of budgets.
    told: Option<Told>,
    /// The agent whose text is the answer; those inside it have theirs for themselves.
    agent: Arc<str>,
    /// Of a plan, what is known of its steps.
    steps: Option<Steps>,
    /// Whether text was written, whether its line is still open, and whether what follows belongs to another turn.
    has_text: bool,
    is_mid_line: bool,
    is_new_turn: bool,
}

impl Screen {
    /// A screen for the runs of an agent; with `quiet` there is no live line.
    pub(crate) fn new(
        output: Output,
        form: Form,
        agent: &str,
        quiet: bool,
        interrupt: Interrupt,
    ) -> Self {
        let mut style = output.err_style;
        style.live &= !quiet;
        Self {
            live: Live::new(style),
            output,
            form,
            interrupt,
            person: None,
            told: None,
            agent: agent.into(),
            steps: None,
            has_text: false,
            is_mid_line: false,
            is_new_turn: false,
        }
    }

    /// Shows the steps of a plan from now on, and no text before the end: several agents write at once.
    pub(crate) fn show_steps(&mut self) {
        self.steps = Some(Steps::default());
    }

    /// Lets a person be asked about tool calls.
    pub(crate) fn ask(&mut self, person: Person) {
        self.person = Some(person);
    }

    /// Shows what the run spends of what it may, and the alerts of its budgets.
    pub(crate) async fn purse(&mut self, purse: &mut Purse, context: &RunContext) {
        self.told = purse.told();
        if let Some(cap) = purse.cap() {
            let stands = purse.stands(context).await;
            let own = stands.iter().find(|stands| stands.is_of_run());
            let spent = own.and_then(|own| own.spent.first());
            let before = spent.map_or(Usd::ZERO, |(_, spent, _)| Usd::from_nanos(*spent));
            self.live.cap(before, cap);
        }
    }

    /// How runs are shown.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// What has to watch the run for the live line.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.live.observer()
    }

    /// Shows a run while it goes on, and returns what it came to. A reader that goes away, or an output that cannot be written,
    /// cancels it.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub(crate) async fn follow<T: Unpin, E: Unpin>(
        &mut self,
        mut run: RunStream<'_, T, E>,
    ) -> Result<Result<T, E>, Failure> {
        self.live.show();
        let mut failed = None;
        loop {
            let person = async {
                match &mut self.person {
                    Some(person) => person.next().await,
                    None => std::future::pending().await,
                }
            };
            let alert = async {
                match &mut self.told {
                    Some(told) => told.next().await,
                    None => std::future::pending().await,
                }
            };
            let heard = tokio::select! {
                biased;
                event = run.next() => match event {
                    Some(event) => self.event(&event),
                    None => break,
                },
                said = person => self.said(&said),
                alert = alert => if let Some(alert) = alert {
                    self.alert(&alert)
                } else {
                    // There will be no more.
                    self.told = None;
                    Ok(())
                },
            };
            if let Err(failure) = heard {
                failed.get_or_insert(failure);
            }
            if failed.is_some() || self.output.is_closed() {
                self.interrupt.token().cancel();
            }
        }
        self.live.hide();
        let ended = run.report().await;
        failed.map_or(Ok(ended), Err)
    }

    /// Shows what goes between the command and a person.
    fn said(&mut self, said: &Said) -> Result<(), Failure> {
        match said {
            Said::Ask(question) => {
                self.end_line()?;
                self.live.hide();
                self.output.prompt(question);
            }
            Said::Over(remark) => {
                if let Some(remark) = remark {
                    self.output.note(remark);
                }
                self.live.show();
            }
        }
        Ok(())
    }

    /// Shows an alert of a budget, on a line of its own.
    fn alert(&mut self, alert: &Alert) -> Result<(), Failure> {
        if self.form == Form::Text {
            self.end_line()?;
        }
        self.live.hide();
        self.output.note(format_args!("alert: {alert}"));
        self.show_live();
        Ok(())
    }

    /// Shows the alerts that are still to be shown when the run is over.
    pub(crate) fn alerts(&mut self) {
        while let Some(alert) = self.told.as_mut().and_then(Told::waiting) {
            self.output.note(format_args!("alert: {alert}"));
        }
    }

    /// Shows in text how the budgets of the run stand.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub(crate) fn budgets(&mut self, stands: &[Stands]) -> Result<(), Failure> {
        if self.form == Form::Json || stands.is_empty() || self.output.is_closed() {
            return Ok(());
        }
        let label = self.output.out_style.paint(Paint::Strong, "Budgets:");
        let stands: Vec<_> = stands.iter().map(ToString::to_string).collect();
        let stands = safe_line(&stands.join("; ")).into_owned();
        self.output.line(format_args!("{label} {stands}."))
    }

    /// Shows the live line, unless a question stands there.
    fn show_live(&mut self) {
        if !self.person.as_ref().is_some_and(Person::is_asked) {
            self.live.show();
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), Failure> {
        if self.form == Form::Json {
            let json = serde_json::to_string(event).map_err(|error| {
                Failure::new(Exit::Failed, format!("an event is no JSON: {error}"))
            })?;
            return self.output.line(escape_json(&json));
        }
        if let Some(steps) = &mut self.steps {
            let style = self.output.out_style;
            let lines = steps.hear(event, style, !style.live);
            self.step_lines(&lines)?;
        }
        match &event.kind {
            EventKind::TextChunk { content } if event.agent_id.as_ref() == Some(&self.agent) => {
                self.text(content)
            }
            EventKind::ToolUse { .. } | EventKind::ChatStarted { .. } => {
                self.end_line()?;
                self.show_live();
                Ok(())
            }
            EventKind::ChatRetry {
                model,
                attempt,
                reason,
                delay_ms,
                ..
            } => {
                self.end_line()?;
                self.live.hide();
                let wait = length(
                    Duration::from_secs_f64(delay_ms.max(0.0) / 1_000.0),
                    self.output.err_style.unicode,
                );
                self.output.note(format_args!(
                    "`{model}` failed ({reason}): try {attempt} in {wait}"
                ));
                self.show_live();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn step_lines(&mut self, lines: &[steps::Line]) -> Result<(), Failure> {
        if lines.is_empty() {
            return Ok(());
        }
        self.live.hide();
        let style = self.output.out_style;
        for (paint, line) in lines {
            match paint {
                Some(paint) => self.output.line(style.paint(*paint, line))?,
                None => self.output.line(line)?,
            }
        }
        self.show_live();
        Ok(())
    }

    /// Writes more of the answer.
    fn text(&mut self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        // On the same terminal the line would stand in the text.
        if self.output.out_style.live {
            self.live.hide();
        }
        // What was written before this turn stands apart from it.
        if self.has_text && self.is_new_turn {
            self.output.write("\n")?;
        }
        self.has_text = true;
        self.is_new_turn = false;
        self.is_mid_line = !text.ends_with('\n');
        self.output.write(safe(text))
    }

    fn end_line(&mut self) -> Result<(), Failure> {
        self.is_new_turn = true;
        if self.is_mid_line {
            self.is_mid_line = false;
            self.output.write("\n")?;
        }
        Ok(())
    }

    /// Shows what a run came to: in text, the trace, the totals and the bottleneck. Returns its exit code.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub(crate) fn report(&mut self, report: &RunReport) -> Result<Exit, Failure> {
        if self.form == Form::Text {
            if !self.has_text {
                self.text(&report.text)?;
            }
            self.end_line()?;
            if self.has_text {
                self.output.write("\n")?;
            }
            let style = self.output.out_style;
            self.output.write(Trace::of(report).draw(style, width()))?;
        }
        Ok(self.exit(report.outcome))
    }

    /// Shows what a plan came to: in text what it gave, every step, the trace, the totals, and what decided how long it took; else all of
    /// it as one line of JSON. Returns its exit code.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub(crate) fn plan_report(&mut self, report: &PlanReport) -> Result<Exit, Failure> {
        let (outcome, run) = (&report.outcome, &report.run);
        if self.form == Form::Json {
            let mut json = serde_json::to_value(outcome).unwrap_or_default();
            if let Some(json) = json.as_object_mut() {
                json.insert("type".to_owned(), json!("plan_report"));
                json.insert("run_id".to_owned(), json!(run.run_id));
            }
            self.output.line(escape_json(&json.to_string()))?;
            return Ok(self.exit(run.outcome));
        }
        let style = self.output.out_style;
        let text = match &outcome.output {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => format!("{other:#}"),
        };
        if !text.trim().is_empty() {
            self.output.write("\n")?;
            self.text(&text)?;
            self.end_line()?;
        }
        let is_paused = run.outcome == Outcome::Paused;
        let table = steps::table(outcome, is_paused, style, width());
        self.output.write(format_args!("\n{table}\n"))?;
        self.output.write(Trace::of(run).draw(style, width()))?;
        for (label, said) in [
            ("Critical path:", steps::critical(&run.profile, style)),
            ("Parallel:", steps::together(&run.profile, style)),
        ] {
            if let Some(said) = said {
                let label = style.paint(Paint::Strong, label);
                self.output.line(format_args!("{label} {said}."))?;
            }
        }
        Ok(self.exit(run.outcome))
    }

    fn exit(&self, outcome: Outcome) -> Exit {
        match outcome {
            Outcome::Cancelled if self.output.is_closed() => Exit::Ok,
            Outcome::Cancelled => self.interrupt.exit().unwrap_or(Exit::Interrupted),
            outcome => outcome.into(),
        }
    }

    /// Writes a line that is less important than the rest.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written.
    pub(crate) fn aside(&mut self, line: &str) -> Result<(), Failure> {
        let line = safe(line);
        let line = self.output.out_style.paint(Paint::Dim, &line);
        self.output.line(line)
    }
}

/// The width of the terminal that standard output is.
pub(crate) fn width() -> usize {
    console::Term::stdout()
        .size_checked()
        .map_or(WIDTH, |(_, columns)| columns.into())
}
