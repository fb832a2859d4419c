//! The line that shows what goes on while a run goes on, and one below it for each step of a plan.
//!
//! [`Progress`] hears of operations and only writes down what it hears; the lines are drawn by a thread of its own, on standard
//! error, and only where somebody watches. So no run waits for a terminal.

use std::{
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use agent_sdk::{
    cost::Usd,
    operation::{Kind, Observer, OperationId, OperationInfo, OperationRecord, Payload, RunId},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::{
    terminal::{Style, safe_line},
    text::{count, counted, dollars, length},
};

/// How often the line is drawn.
const TICK: Duration = Duration::from_millis(100);
/// The most names that are shown, and the most characters of one and of all.
const NAMES: usize = 4;
const NAME_CHARS: usize = 24;
const LINE_CHARS: usize = 76;
/// The most steps that have a line.
const STEPS: usize = 8;
/// The most operations that are remembered; more than run at once.
const OPEN: usize = 4096;

/// The line. It is gone when this is dropped.
pub(crate) struct Live {
    progress: Arc<Progress>,
    is_watched: bool,
    bar: Option<ProgressBar>,
}

impl Live {
    /// A line for a stream of this style; it is not shown yet.
    pub(crate) fn new(style: Style) -> Self {
        Self {
            progress: Arc::new(Progress::new(Instant::now())),
            is_watched: style.live,
            bar: None,
        }
    }

    /// What has to watch the run.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.progress.clone()
    }

    /// Shows what was spent as a part of what may be; `before` was spent before this life of the run.
    pub(crate) fn cap(&self, before: Usd, cap: Usd) {
        self.progress.state().cap = Some((before, cap));
    }

    /// Shows the line from now on, where somebody watches.
    pub(crate) fn show(&mut self) {
        if !self.is_watched || self.bar.is_some() {
            return;
        }
        let progress = Arc::clone(&self.progress);
        let Ok(style) = ProgressStyle::with_template("{spinner} {progress}") else {
            return;
        };
        let style = style.with_key(
            "progress",
            move |_: &ProgressState, line: &mut dyn Write| {
                // What cannot be written is drawn again soon.
                let _ = line.write_str(&progress.lines(Instant::now()));
            },
        );
        let bar =
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
        bar.enable_steady_tick(TICK);
        self.bar = Some(bar);
    }

    /// Takes the line away, so that something else can be written.
    pub(crate) fn hide(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.hide();
    }
}

/// What is known of a run while it goes on.
struct Progress {
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Vec<Open>,
    tokens: u64,
    cost: Usd,
    unpriced_calls: u64,
    /// What the run had cost before, and what it may cost.
    cap: Option<(Usd, Usd)>,
}

/// An operation that is under way.
struct Open {
    run: RunId,
    id: OperationId,
    kind: Kind,
    name: Arc<str>,
    /// The innermost step that it is in, or that it is.
    step: Option<Arc<str>>,
    since: Instant,
}

impl Progress {
    fn new(started: Instant) -> Self {
        Self {
            started,
            state: Mutex::default(),
        }
    }

    /// Held for as long as it takes to read or change a few fields.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line, and one for each step that is under way: `  research  1.2 s  gpt-5`.
    fn lines(&self, now: Instant) -> String {
        let mut lines = self.line(now);
        let state = self.state();
        let mut steps: Vec<(&Arc<str>, usize, Instant)> = Vec::new();
        for step in state.open.iter().filter(|open| open.kind == Kind::Step) {
            match steps.iter_mut().find(|(name, ..)| **name == step.name) {
                Some((_, times, _)) => *times += 1,
                None => steps.push((&step.name, 1, step.since)),
            }
        }
        for (name, times, since) in steps.iter().take(STEPS) {
            let inside = |open: &&Open| open.kind != Kind::Step && open.step.as_ref() == Some(name);
            let what = names(state.open.iter().filter(inside));
            let shown = shown(name, *times);
            let time = length(now.saturating_duration_since(*since), true);
            lines.push('\n');
            lines.push_str(&cut(&format!("  {shown}  {time}  {what}"), LINE_CHARS));
        }
        if steps.len() > STEPS {
            // Writing to a `String` cannot fail.
            let _ = write!(
                lines,
                "\n  and {} more",
                counted((steps.len() - STEPS) as u64, "step")
            );
        }
        lines
    }

    /// `4.2 s  read_file x3, gpt-5  1,234 tokens  $0.001200 of $0.05`.
    fn line(&self, now: Instant) -> String {
        let state = self.state();
        let mut line = length(now.saturating_duration_since(self.started), true);
        let names = state.names();
        if !names.is_empty() {
            line.push_str("  ");
            line.push_str(&names);
        }
        // Writing to a `String` cannot fail.
        if state.tokens > 0 {
            let _ = write!(line, "  {} tokens", count(state.tokens));
        }
        if let Some((before, cap)) = state.cap {
            let spent = dollars(before.saturating_add(state.cost));
            let _ = write!(line, "  {spent} of ${cap}");
        } else if state.cost > Usd::ZERO {
            let _ = write!(line, "  {}", dollars(state.cost));
        }
        if state.unpriced_calls > 0 {
            let _ = write!(line, "  {}", counted(state.unpriced_calls, "unpriced call"));
        }
        cut(&line, LINE_CHARS)
    }
}

impl State {
    /// What works at the moment: models and tools, or where there is none what is around them. Steps have lines of their own.
    fn names(&self) -> String {
        if self.open.iter().any(|open| open.kind == Kind::Step) {
            let plan = self.open.iter().find(|open| open.kind == Kind::Workflow);
            return names(plan.into_iter());
        }
        names(self.open.iter())
    }
}

/// What of these works: models and tools, or where there is none the last of them.
fn names<'a>(open: impl Iterator<Item = &'a Open> + Clone) -> String {
    let works = |kind: Kind| {
        !matches!(
            kind,
            Kind::Workflow | Kind::Step | Kind::Agent | Kind::Attempt
        )
    };
    let mut names: Vec<(&str, usize)> = Vec::new();
    for open in open.clone().filter(|open| works(open.kind)) {
        match names.iter_mut().find(|(known, _)| *known == &*open.name) {
            Some((_, times)) => *times += 1,
            None => names.push((&open.name, 1)),
        }
    }
    if names.is_empty() {
        names.extend(open.last().map(|open| (&*open.name, 1)));
    }
    let mut said: Vec<_> = names
        .iter()
        .take(NAMES)
        .map(|(name, times)| shown(name, *times))
        .collect();
    if names.len() > NAMES {
        said.push(format!("{} more", names.len() - NAMES));
    }
    said.join(", ")
}

fn shown(name: &str, times: usize) -> String {
    let name = cut(&safe_line(name), NAME_CHARS);
    if times > 1 {
        format!("{name} x{times}")
    } else {
        name
    }
}

impl Observer for Progress {
    fn started(&self, operation: &OperationInfo, _: Payload<'_>) {
        let mut state = self.state();
        if operation.kind != Kind::Attempt && state.open.len() < OPEN {
            state.open.push(Open {
                run: operation.run_id.clone(),
                id: operation.id,
                kind: operation.kind,
                name: operation.name.clone(),
                step: operation.step.clone(),
                since: operation.started_at.into_std(),
            });
        }
    }

    fn ended(&self, record: &OperationRecord<'_>, _: Payload<'_>) {
        let (info, facts) = (record.info, record.facts);
        let mut state = self.state();
        state
            .open
            .retain(|open| open.id != info.id || open.run != info.run_id);
        for (_, charge) in &facts.charges {
            state.cost = state.cost.saturating_add(*charge);
        }
        if info.kind.is_priced() {
            let used = [facts.usage.input_tokens, facts.usage.output_tokens];
            let used = used.into_iter().flatten().fold(0, u64::saturating_add);
            state.tokens = state.tokens.saturating_add(used);
            match record.cost {
                Some(cost) => state.cost = state.cost.saturating_add(cost.total),
                None if record.is_unpriced() => state.unpriced_calls += 1,
                None => {}
            }
        }
    }
}

/// A text of at most so many characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start = text.chars().take(most.saturating_sub(1));
    start.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use agent_sdk::{
        model::Usage,
        operation::{Details, Observers, Outcome, RunContext, StepDetails},
    };

    use super::*;

    fn watched() -> (Arc<Progress>, RunContext, Instant) {
        let now = Instant::now();
        let mut live = Live::new(Style::PLAIN);
        live.progress = Arc::new(Progress::new(now));
        let observers = Observers::none().with_shared(live.observer());
        let context = RunContext::builder().observers(observers).build();
        (live.progress.clone(), context, now)
    }

    #[test]
    fn the_line_names_what_works_and_what_it_took_so_far() {
        let (progress, context, now) = watched();
        assert_eq!(progress.line(now), "0.0 µs");
        let agent = context.start(Kind::Agent, "reviewer").begin();
        assert_eq!(progress.line(now), "0.0 µs  reviewer");
        let chat = agent.context().start(Kind::Chat, "gpt-5").begin();
        let attempt = chat.context().start(Kind::Attempt, "").begin();
        assert_eq!(progress.line(now), "0.0 µs  gpt-5");
        attempt.end(Outcome::Ok, Payload::None);
        chat.handle().record_usage(Usage::new(1000, 234));
        chat.end(Outcome::Ok, Payload::None);
        let tools: Vec<_> = ["read_file", "list_files", "read_file"]
            .map(|name| agent.context().start(Kind::Tool, name).begin())
            .into();
        let later = now + Duration::from_millis(4200);
        assert_eq!(
            progress.line(later),
            "4.2 s  read_file x2, list_files  1,234 tokens  1 unpriced call"
        );
        for tool in tools {
            let charge = ("search".into(), Usd::from_nanos(5_000_000));
            tool.handle().record(|facts| facts.charges.push(charge));
            tool.end(Outcome::Ok, Payload::None);
        }
        assert_eq!(
            progress.line(later),
            "4.2 s  reviewer  1,234 tokens  $0.015000  1 unpriced call"
        );
        drop(agent);
        assert!(progress.state().open.is_empty());
    }

    #[test]
    fn each_step_that_is_under_way_has_a_line() {
        let (progress, context, now) = watched();
        let plan = context.start(Kind::Workflow, "review").begin();
        let step = |name: String| {
            let details = StepDetails {
                id: Some(name.as_str().into()),
                ..StepDetails::default()
            };
            let start = plan.context().start(Kind::Step, name);
            start.details(Details::Step(details)).begin()
        };
        let steps: Vec<_> = ["one", "two", "two"]
            .map(|name| step(name.to_owned()))
            .into();
        let tool = steps[1].context().start(Kind::Tool, "read_file").begin();
        let later = now + Duration::from_secs(5);
        let lines = progress.lines(later);
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[0], "5.0 s  review");
        assert!(lines[1].starts_with("  one  5.0 s"), "{lines:?}");
        assert!(
            lines[2].starts_with("  two x2  5.0 s  read_file"),
            "{lines:?}"
        );
        drop(tool);
        let many: Vec<_> = (0..20).map(|number| step(format!("s{number}"))).collect();
        assert_eq!(progress.lines(later).lines().count(), 1 + STEPS + 1);
        drop((many, steps, plan));
        assert_eq!(progress.lines(later), "5.0 s");
    }

    #[test]
    fn what_is_spent_is_shown_of_what_may_be() {
        let (progress, context, now) = watched();
        progress.state().cap = Some((Usd::from_nanos(2_000_000), Usd::from_nanos(50_000_000)));
        assert_eq!(progress.line(now), "0.0 µs  $0.002000 of $0.05");
        let tool = context.start(Kind::Tool, "search").begin();
        let charge = ("search".into(), Usd::from_nanos(5_000_000));
        tool.handle().record(|facts| facts.charges.push(charge));
        tool.end(Outcome::Ok, Payload::None);
        assert_eq!(progress.line(now), "0.0 µs  $0.007000 of $0.05");
    }

    #[test]
    fn the_line_is_short_and_safe_whatever_runs() {
        let (progress, context, now) = watched();
        let agent = context.start(Kind::Agent, "a").begin();
        let tools: Vec<_> = (0..50)
            .map(|number| {
                let name = format!("tool \x1b[2J\r\n number {number} with a long name");
                agent.context().start(Kind::Tool, name).begin()
            })
            .collect();
        let line = progress.line(now);
        assert_eq!(line.chars().count(), LINE_CHARS, "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
        drop(tools);
    }

    #[test]
    fn nothing_is_drawn_where_nobody_watches() {
        let mut live = Live::new(Style::PLAIN);
        live.show();
        assert!(live.bar.is_none());
        live.hide();
    }
}
