//! Two recordings side by side: what was, and what the replay made of it.

use std::sync::Arc;

use super::{
    Difference, DifferenceKind as Kind,
    recording::{Added, Call, Ended, Played, Recording, Turn},
};
use crate::{message::ToolResult, model::Usage, operation::Outcome, run::RunErrorKind};

/// In what a replay is not as the run was, in the run's order; `ran_out` says that it wanted what was not recorded.
pub(super) fn compare(then: &Recording, now: &Recording, ran_out: bool) -> Vec<Difference> {
    let mut found = Found {
        then,
        now,
        list: Vec::new(),
    };
    for (path, agent) in &then.agents {
        match now.agents.get(path) {
            Some(again) => found.agents(path, agent, again),
            None => found.agent_left(path, agent),
        }
    }
    for path in now
        .agents
        .keys()
        .filter(|path| !then.agents.contains_key(*path))
    {
        let text = "an agent runs here that did not run: the recording ends here";
        found.add(path, None, Kind::RecordingEnds, text);
    }
    found
        .list
        .sort_by_key(|difference| difference.version.unwrap_or(u64::MAX));
    found.ending(ran_out);
    found.sums();
    found.list
}

struct Found<'a> {
    then: &'a Recording,
    now: &'a Recording,
    list: Vec<Difference>,
}

impl Found<'_> {
    fn add(&mut self, path: &str, version: Option<u64>, kind: Kind, text: impl Into<String>) {
        self.list.push(Difference {
            path: path.into(),
            version,
            kind,
            text: text.into(),
        });
    }

    fn agents(&mut self, path: &Arc<str>, then: &Played, now: &Played) {
        for change in then.definition.changes(&now.definition) {
            self.add(path, Some(then.version), Kind::Definition, change);
        }
        for (number, was) in (1..).zip(&then.turns) {
            let Some(is) = now.turns.get(number - 1) else {
                let left = then.turns.len() + 1 - number;
                let answers = if left == 1 {
                    "answer was"
                } else {
                    "answers were"
                };
                let text = format!("{left} recorded {answers} not asked for");
                self.add(path, Some(was.version), Kind::LeftOver, text);
                break;
            };
            let is_last = number == then.turns.len();
            if !is_last || self.then.is_over(path) {
                self.output_checks(path, was, is);
            }
            for (was, is) in was.calls.iter().zip(&is.calls) {
                self.calls(path, number, was, is);
            }
        }
    }

    /// An agent that did not run is told of once, not for each agent inside it.
    fn agent_left(&mut self, path: &str, then: &Played) {
        let above = self.then.agent_of(path);
        if path.is_empty() || self.now.agents.contains_key(above) {
            let text = format!("agent `{}` did not run", then.definition.agent);
            self.add(path, Some(then.version), Kind::LeftOver, text);
        }
    }

    fn output_checks(&mut self, path: &str, was: &Turn, is: &Turn) {
        let text = match (&was.rejected, &is.rejected) {
            (None, Some(_)) => "the answer fitted its schema, and does not now",
            (Some(_), None) => "the answer did not fit its schema, and is not refused now",
            (Some(was), Some(is)) if was != is => {
                "the answer does not fit its schema, for another reason than it did"
            }
            _ => return,
        };
        self.add(path, Some(was.version), Kind::OutputCheck, text);
    }

    fn calls(&mut self, agent: &str, turn: usize, was: &Call, is: &Call) {
        let id = &was.wanted.id;
        let path = match agent {
            "" => format!("{turn}/{id}"),
            agent => format!("{agent}/{turn}/{id}"),
        };
        let name = &was.wanted.name;
        let version = Some(was.version);
        let is_reached = is.result.is_some() || !is.asked.is_empty();
        match (was.approval(), is.approval()) {
            (None, Some(_)) => {
                let text = format!("a person is asked about `{name}`, and was not");
                self.add(&path, version, Kind::Asked, text);
            }
            (Some(_), None) if is_reached => {
                let text = format!("a person was asked about `{name}`, and is not now");
                self.add(&path, version, Kind::NotAsked, text);
            }
            _ => {}
        }
        match (&was.result, &is.result) {
            (Some((was, _)), Some((is, _))) if !is_same(was, is) => {
                let text = format!("`{name}` {}, and now {}", state(was), state(is));
                self.add(&path, version, Kind::ToolResult, text);
            }
            (Some(_), None) => {
                let text = format!("the recorded result of `{name}` was not asked for");
                self.add(&path, version, Kind::LeftOver, text);
            }
            (None, Some((is, _))) => {
                let text = format!("`{name}` gave no result, and now {}", state(is));
                self.add(&path, version, Kind::ToolResult, text);
            }
            _ => {}
        }
    }

    fn ending(&mut self, ran_out: bool) {
        let last = Some(self.then.last);
        let unfinished = |end: &Ended| {
            matches!(
                end.outcome,
                Outcome::Cancelled | Outcome::Timeout | Outcome::Paused
            )
        };
        match (&self.then.end, &self.now.end) {
            (None, _) if ran_out => {
                let text = "the recording ends here: the run was killed, or is still under way";
                self.add("", last, Kind::RecordingEnds, text);
            }
            (Some(then), _) if ran_out && !unfinished(then) => {
                let text = format!(
                    "the run {} here, and now goes on: the recording ends here",
                    ended(then)
                );
                self.add("", last, Kind::RecordingEnds, text);
            }
            (Some(then), Some(now)) if !ran_out && ended(then) != ended(now) => {
                let text = format!("the run {}, and now {}", ended(then), ended(now));
                self.add("", last, Kind::Ending, text);
            }
            _ => {}
        }
    }

    fn sums(&mut self) {
        let words = |it: &Recording| it.last_answer().map(crate::message::Message::text);
        let is_whole = |it: &Recording| {
            it.end
                .as_ref()
                .is_some_and(|end| end.outcome == Outcome::Ok)
        };
        if is_whole(self.then) && is_whole(self.now) && words(self.then) != words(self.now) {
            self.add("", None, Kind::Answer, "the final answer is another");
        }
        let (then, now) = (self.then.usage(), self.now.usage());
        if then != now {
            let text = format!(
                "the answers used {}, and now {}",
                tokens(&then),
                tokens(&now)
            );
            self.add("", None, Kind::Usage, text);
        }
        let (then, now) = costs(self.then, self.now);
        if (then.cost, then.unpriced) != (now.cost, now.unpriced) {
            let text = format!("the answers cost {}, and now {}", price(&then), price(&now));
            self.add("", None, Kind::Cost, text);
        }
    }
}

/// What the answers of both came to, as far as both used the same: a request that was tried again used more than its answer.
fn costs(then: &Recording, now: &Recording) -> (Added, Added) {
    let mut sums = (Added::default(), Added::default());
    for (path, was) in &then.agents {
        let again = now.agents.get(path).into_iter().flat_map(|is| &is.turns);
        for (was, is) in was.turns.iter().zip(again) {
            if was.added.tokens == is.added.tokens {
                for (sum, added) in [(&mut sums.0, &was.added), (&mut sums.1, &is.added)] {
                    sum.cost = sum.cost.saturating_add(added.cost);
                    sum.unpriced += added.unpriced;
                }
            }
        }
    }
    sums
}

fn is_same(was: &ToolResult, is: &ToolResult) -> bool {
    (was.is_error, &was.content) == (is.is_error, &is.content)
}

/// How a result is, by its class alone.
fn state(result: &ToolResult) -> String {
    if !result.is_error {
        return format!("gave a result of {} bytes", result.content.len());
    }
    let class = result.content.split_once(": ").map(|(class, _)| class);
    format!("failed with `{}`", class.unwrap_or("error"))
}

/// How a run ended, in words. That its file could not be written is no concern of a replay, which writes none.
fn ended(end: &Ended) -> String {
    match &end.error {
        Some(class)
            if end.outcome == Outcome::Error && class == RunErrorKind::OutputFile.as_str() =>
        {
            "ended well".to_owned()
        }
        _ if end.outcome == Outcome::Ok => "ended well".to_owned(),
        Some(class) if class != end.outcome.as_str() => {
            format!("ended with `{}` ({class})", end.outcome.as_str())
        }
        _ => format!("ended with `{}`", end.outcome.as_str()),
    }
}

fn tokens(usage: &Usage) -> String {
    let count = |tokens: Option<u64>| tokens.map_or("unknown".to_owned(), |it| it.to_string());
    let (read, written) = (count(usage.input_tokens), count(usage.output_tokens));
    format!("{read} input and {written} output tokens")
}

fn price(added: &Added) -> String {
    match added.unpriced {
        0 => format!("${}", added.cost),
        n => format!("${} and {n} of unknown price", added.cost),
    }
}
