//! A person at the terminal, who is asked about tool calls while the run goes on.
//!
//! The run's side is [`Asker`], which the run asks; [`Person`] is the terminal's side, polled by whoever shows the run. One
//! question stands at a time. What was typed before it stood there answers nothing.

use std::{
    io::{self, IsTerminal},
    thread,
};

use agent_sdk::journal::{Approver, Question, Verdict};
use futures_util::future::BoxFuture;
use tokio::sync::{
    mpsc::{self, UnboundedReceiver, UnboundedSender},
    oneshot,
};
use tokio_util::sync::CancellationToken;

use crate::{home, questions};

/// What goes between the command and the person.
pub(crate) enum Said {
    /// This is to be asked; the answer comes on standard input.
    Ask(String),
    /// The question does not stand any more, for this reason.
    Over(Option<String>),
}

/// The person.
pub(crate) struct Person {
    questions: UnboundedReceiver<Asked>,
    current: Option<Asked>,
    lines: Option<UnboundedReceiver<String>>,
    /// Whether a question was left open: the run pauses, and asks nothing more.
    is_over: bool,
}

/// What the run asks. It gets an answer, or pauses.
pub(crate) struct Asker {
    questions: UnboundedSender<Asked>,
    pause: CancellationToken,
}

struct Asked {
    question: Question,
    answer: oneshot::Sender<Verdict>,
}

/// What a line says.
#[derive(Debug, PartialEq)]
enum Line {
    Answer(Verdict),
    LeaveOpen,
    Unclear,
}

/// Whether somebody is there: standard input and standard error are terminals.
pub(crate) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// A person, and what a run asks them with; where they leave a question open, `pause` is cancelled.
pub(crate) fn person(pause: CancellationToken) -> (Person, Asker) {
    let (sender, questions) = mpsc::unbounded_channel();
    let person = Person {
        questions,
        current: None,
        lines: None,
        is_over: false,
    };
    let asker = Asker {
        questions: sender,
        pause,
    };
    (person, asker)
}

impl Approver for Asker {
    fn decide<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let (answer, verdict) = oneshot::channel();
            let question = question.clone();
            // Where nobody listens any more, the question stays open.
            let _ = self.questions.send(Asked { question, answer });
            if let Ok(verdict) = verdict.await {
                return verdict;
            }
            self.pause.cancel();
            std::future::pending().await
        })
    }
}

impl Person {
    /// Whether a question stands on the terminal.
    pub(crate) fn is_asked(&self) -> bool {
        self.current.is_some()
    }

    /// Waits for what is to be shown next. Nothing is lost where the future is dropped.
    pub(crate) async fn next(&mut self) -> Said {
        let (Some(asked), Some(lines)) = (&mut self.current, &mut self.lines) else {
            let asked = self.questions.recv().await;
            let Some(asked) = asked.filter(|_| !self.is_over) else {
                return std::future::pending().await;
            };
            forget_what_was_typed();
            // Only now: a command in the background that reads its terminal is stopped.
            let lines = self.lines.get_or_insert_with(lines);
            while lines.try_recv().is_ok() {}
            let text = prompt(&asked.question);
            self.current = Some(asked);
            return Said::Ask(text);
        };
        let line = tokio::select! {
            biased;
            () = asked.answer.closed() => {
                self.current = None;
                return Said::Over(Some("\nthe question does not stand any more".to_owned()));
            }
            line = lines.recv() => line,
        };
        match line.as_deref().map_or(Line::LeaveOpen, read) {
            Line::Unclear => Said::Ask("please answer y or n:".to_owned()),
            Line::LeaveOpen => {
                // The sender goes with it, and so the run learns that nobody answers.
                self.current = None;
                self.is_over = true;
                Said::Over(Some(
                    "left open; the run pauses once what it has begun is over".to_owned(),
                ))
            }
            Line::Answer(verdict) => {
                if let Some(asked) = self.current.take() {
                    // Somebody else may have answered in this moment.
                    let _ = asked.answer.send(verdict.by(home::user()));
                }
                Said::Over(None)
            }
        }
    }
}

/// Throws away what the terminal holds for standard input.
fn forget_what_was_typed() {
    // Where that cannot be done there is nothing to throw away, or nobody to tell.
    #[cfg(unix)]
    let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
}

fn prompt(question: &Question) -> String {
    let asked = questions::line(question);
    format!("{asked}\n  y = yes, n = no, n REASON = no and why, Enter = leave it open:")
}

fn read(line: &str) -> Line {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (word.to_lowercase().as_str(), rest.trim()) {
        ("", _) => Line::LeaveOpen,
        ("y" | "yes", "") => Line::Answer(Verdict::allow()),
        ("n" | "no", reason) => Line::Answer(Verdict::deny(reason)),
        _ => Line::Unclear,
    }
}

/// The lines of standard input, read by a thread that ends with them or with the process.
fn lines() -> UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let read = move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    };
    // Without the thread there are no lines, and questions stay open.
    let _ = thread::Builder::new().name("stdin".to_owned()).spawn(read);
    receiver
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn only_a_clear_word_is_an_answer() {
        for yes in ["y", " YES ", "Yes"] {
            assert_eq!(read(yes), Line::Answer(Verdict::allow()));
        }
        assert_eq!(
            read("n  not here\n"),
            Line::Answer(Verdict::deny("not here"))
        );
        assert_eq!(read("no"), Line::Answer(Verdict::deny("")));
        for open in ["", "  ", "\n"] {
            assert_eq!(read(open), Line::LeaveOpen);
        }
        for unclear in ["yes but", "maybe", "yn", "j", "nope"] {
            assert_eq!(read(unclear), Line::Unclear, "{unclear}");
        }
    }

    fn question(tool: &str) -> Question {
        let json = serde_json::json!({
            "path": format!("1/{tool}"), "call_id": tool, "tool": tool, "arguments": "{}", "kind": "approval", "text": "?",
        });
        serde_json::from_value(json).unwrap()
    }

    fn asked(said: Said) -> String {
        match said {
            Said::Ask(text) => text,
            Said::Over(remark) => panic!("{remark:?}"),
        }
    }

    #[tokio::test]
    async fn one_question_stands_at_a_time_and_what_was_typed_before_answers_nothing() {
        let pause = CancellationToken::new();
        let (mut person, asker) = person(pause.clone());
        let (typed, lines) = mpsc::unbounded_channel();
        person.lines = Some(lines);
        typed.send("y".to_owned()).unwrap();
        let (first, second) = (question("first"), question("second"));
        let work = async {
            assert!(asked(person.next().await).starts_with("first {}"));
            typed.send("n not now".to_owned()).unwrap();
            assert!(matches!(person.next().await, Said::Over(None)));
            assert!(asked(person.next().await).starts_with("second {}"));
            typed.send("what?".to_owned()).unwrap();
            assert!(asked(person.next().await).contains("y or n"));
            typed.send("yes".to_owned()).unwrap();
            assert!(matches!(person.next().await, Said::Over(None)));
        };
        let (first, second, ()) = tokio::join!(asker.decide(&first), asker.decide(&second), work);
        assert_eq!(first.reason.as_deref(), Some("not now"));
        assert!(!first.allowed && second.allowed && second.by.is_some());
        assert!(!pause.is_cancelled());
    }

    #[tokio::test]
    async fn a_question_that_is_left_open_pauses_the_run_and_is_the_last() {
        let pause = CancellationToken::new();
        let (mut person, asker) = person(pause.clone());
        let (typed, lines) = mpsc::unbounded_channel();
        person.lines = Some(lines);
        let (first, second) = (question("first"), question("second"));
        let work = async {
            asked(person.next().await);
            typed.send(String::new()).unwrap();
            assert!(matches!(person.next().await, Said::Over(Some(_))));
            pause.cancelled().await;
            assert!(person.next().now_or_never().is_none());
        };
        tokio::select! {
            biased;
            _ = asker.decide(&first) => panic!("answered"),
            _ = asker.decide(&second) => panic!("answered"),
            () = work => {}
        }
    }

    #[tokio::test]
    async fn a_question_that_was_answered_elsewhere_is_taken_back() {
        let (mut person, asker) = person(CancellationToken::new());
        let (typed, lines) = mpsc::unbounded_channel::<String>();
        person.lines = Some(lines);
        let first = question("first");
        let mut decision = asker.decide(&first);
        assert!((&mut decision).now_or_never().is_none());
        asked(person.next().await);
        drop(decision);
        assert!(matches!(person.next().await, Said::Over(Some(_))));
        assert!(!person.is_asked());
        drop(typed);
    }
}
