//! What a run waits to be told, for people.

use std::fmt::Write;

use agent_sdk::journal::{Question, QuestionKind};

use crate::{
    live::cut,
    terminal::{safe, safe_line},
    text::{count, counted},
};

/// The most characters of arguments that are shown.
const ARGUMENTS: usize = 400;

/// A question: the call, and what is asked about it.
pub(crate) fn line(question: &Question) -> String {
    let asked = match question.kind {
        QuestionKind::Approval if is_of_call(question) => "may this be called?",
        QuestionKind::InDoubt if is_of_call(question) => {
            "this was under way when the run stopped, and may have taken effect: shall it be called again?"
        }
        _ => &question.text,
    };
    format!("{}\n  {}", call(question), safe_line(asked))
}

/// `write_file {"path": "a"}`.
pub(crate) fn call(question: &Question) -> String {
    let arguments = safe_line(&question.arguments);
    let tool = safe_line(&question.tool);
    let more = arguments.chars().count().saturating_sub(ARGUMENTS);
    if more == 0 {
        return format!("{tool} {arguments}");
    }
    let arguments = cut(&arguments, ARGUMENTS);
    let more = counted(more as u64, "more character");
    format!("{tool} {arguments} ({more}; `agent runs show ID --json` has all)")
}

/// All questions of a run, each with the command that answers it.
pub(crate) fn list(run: &str, questions: &[Question]) -> String {
    let mut listed = String::new();
    for question in questions {
        let same_id = |other: &&Question| other.call_id == question.call_id;
        let is_alone = questions.iter().filter(same_id).count() == 1;
        let name = if is_alone {
            question.call_id.as_str()
        } else {
            &question.path
        };
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            listed,
            "  {}\n    agent approve {run} {} yes    (or: no --reason TEXT)",
            line(question).replace('\n', "\n  "),
            quoted(name)
        );
    }
    listed
}

/// `it waits to be told about 2 tool calls`.
pub(crate) fn waits(questions: &[Question]) -> String {
    let noun = if questions.iter().all(is_of_call) {
        "tool call"
    } else if questions.iter().any(is_of_call) {
        "step or tool call"
    } else {
        "step"
    };
    let many = questions.len() as u64;
    let many = if many != 1 && noun.starts_with("step or") {
        format!("{} steps and tool calls", count(many))
    } else {
        counted(many, noun)
    };
    format!("it waits to be told about {many}")
}

/// Whether an agent asks about a call, whose place is `TURN/CALL`; else a plan asks about a step.
fn is_of_call(question: &Question) -> bool {
    let before = question.path.rsplit('/').nth(1);
    before.is_some_and(|turn| turn.parse::<u32>().is_ok())
}

/// A word as a shell takes it for one word and nothing more: models choose the ids of calls.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) && !word.starts_with('-') {
        word.to_owned()
    } else {
        format!("'{}'", safe(word).replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_calls_its_call_is_one_word_of_a_shell() {
        for (word, shown) in [
            ("call_1", "call_1"),
            ("1/call_1/2/x", "1/call_1/2/x"),
            ("", "''"),
            ("$(reboot)", "'$(reboot)'"),
            ("a'; reboot; '", r"'a'\''; reboot; '\'''"),
            ("--help", "'--help'"),
            ("a\x1b[2Jb", r"'a\x1b[2Jb'"),
        ] {
            assert_eq!(quoted(word), shown);
        }
    }
}
