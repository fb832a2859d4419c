use std::num::NonZeroU32;

use proptest::prelude::*;

use crate::{
    journal::Record,
    message::{Conversation, Message, Part, Role, ToolCall, ToolResult},
    model::{ChatResponse, FinishReason, Usage},
    run::{Command, End, Limit, Limits, Machine},
};

fn call(n: usize) -> ToolCall {
    ToolCall::new(format!("call-{n}"), "look", "")
}

fn calls(count: usize) -> Record {
    let parts = (0..count).map(|n| Part::ToolCall(call(n))).collect();
    Record::answered(ChatResponse::new(
        parts,
        FinishReason::ToolCalls,
        Usage::unknown(),
    ))
}

fn text(text: &str, finish: FinishReason) -> Record {
    let parts = vec![Part::Text(text.into())];
    Record::answered(ChatResponse::new(parts, finish, Usage::unknown()))
}

fn returned(place: usize) -> Record {
    let result = ToolResult::ok(&call(place), format!("result {place}"));
    Record::tool_returned(place, result)
}

fn machine() -> Machine {
    Machine::new(Conversation::from("hi"), Limits::default())
}

/// Each tool call in a conversation, and how many results it has before the next model message.
fn results_per_call(conversation: &Conversation) -> Vec<usize> {
    let mut counts = Vec::new();
    let mut messages = conversation.messages().iter().peekable();
    while let Some(message) = messages.next() {
        let results: Vec<_> = match messages.peek() {
            Some(next) if next.role == Role::Tool => next
                .parts
                .iter()
                .filter_map(|part| match part {
                    Part::ToolResult(result) => Some(result.call_id.clone()),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        counts.extend(
            message
                .tool_calls()
                .map(|call| results.iter().filter(|id| **id == call.id).count()),
        );
    }
    counts
}

#[test]
fn results_are_given_in_call_order_whatever_order_they_came_in() {
    let mut machine = machine();
    assert!(matches!(machine.apply(calls(3)), Command::CallTools(_)));
    machine.apply(returned(2));
    let places: Vec<usize> = machine.pending().iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [0, 1]);
    machine.apply(returned(0));
    assert_eq!(machine.apply(returned(1)), Command::CallModel);
    let last = machine.conversation().last().unwrap();
    let order: Vec<_> = last
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolResult(result) => result.content.as_str(),
            _ => "",
        })
        .collect();
    assert_eq!(order, ["result 0", "result 1", "result 2"]);
    assert_eq!(
        machine.apply(text("done", FinishReason::Stop)),
        Command::Finish(End::Answered)
    );
}

#[test]
fn l14_no_call_of_a_truncated_answer_runs_and_none_stays_without_a_result() {
    let mut machine = machine();
    let parts = vec![Part::Text("half".into()), Part::ToolCall(call(0))];
    let cut = ChatResponse::new(parts, FinishReason::Length, Usage::unknown());
    assert_eq!(
        machine.apply(Record::answered(cut)),
        Command::Finish(End::Truncated)
    );
    assert!(results_per_call(machine.conversation()).is_empty());
    assert_eq!(
        machine.conversation().last(),
        Some(&Message::assistant("half"))
    );
}

#[test]
fn a_paused_turn_is_gone_on_with_until_the_turns_are_used_up() {
    let limits = Limits {
        max_turns: NonZeroU32::new(2).unwrap(),
        ..Limits::default()
    };
    let mut machine = Machine::new(Conversation::from("hi"), limits);
    let paused = || text("so far", FinishReason::Paused);
    assert_eq!(machine.apply(paused()), Command::CallModel);
    let last = machine.conversation().last();
    assert_eq!(last, Some(&Message::assistant("so far")));
    let mut other = machine.clone();
    let done = other.apply(text("done", FinishReason::Stop));
    assert_eq!(done, Command::Finish(End::Answered));
    let over = Command::Finish(End::Limit(Limit::MaxTurns(2)));
    assert_eq!(machine.apply(paused()), over);
}

#[test]
fn a_turn_that_would_pass_the_call_limit_runs_none_of_its_calls() {
    let limits = Limits {
        max_tool_calls: 3,
        ..Limits::default()
    };
    let mut machine = Machine::new(Conversation::from("hi"), limits);
    machine.apply(calls(2));
    machine.apply(returned(0));
    machine.apply(returned(1));
    assert_eq!(
        machine.apply(calls(2)),
        Command::Finish(End::Limit(Limit::MaxToolCalls(3)))
    );
    assert_eq!(results_per_call(machine.conversation()), [1, 1, 1, 1]);
}

#[test]
fn a_looping_model_is_stopped_by_max_turns() {
    let limits = Limits {
        max_turns: NonZeroU32::new(2).unwrap(),
        ..Limits::default()
    };
    let mut machine = Machine::new(Conversation::from("hi"), limits);
    machine.apply(calls(1));
    assert_eq!(machine.apply(returned(0)), Command::CallModel);
    machine.apply(calls(1));
    assert_eq!(
        machine.apply(returned(0)),
        Command::Finish(End::Limit(Limit::MaxTurns(2)))
    );
}

#[test]
fn an_answer_that_does_not_fit_is_sent_back_once() {
    let reject = || Record::OutputRejected {
        reason: "no".to_owned(),
    };
    let mut machine = machine();
    machine.apply(text("bad", FinishReason::Stop));
    assert_eq!(machine.apply(reject()), Command::CallModel);
    machine.apply(text("bad again", FinishReason::Stop));
    assert_eq!(machine.apply(reject()), Command::Finish(End::InvalidOutput));
}

#[test]
fn a_record_that_does_not_fit_the_moment_changes_nothing() {
    let mut machine = machine();
    let before = machine.conversation().clone();
    assert_eq!(machine.apply(returned(0)), Command::CallModel);
    assert_eq!(
        machine.apply(Record::OutputRejected {
            reason: String::new()
        }),
        Command::CallModel
    );
    assert_eq!(machine.conversation(), &before);
}

proptest! {
    /// Whatever happens and wherever it stops: one result a call, and the same records give the same machine.
    #[test]
    fn every_call_has_one_result_and_the_fold_repeats(
        turns in prop::collection::vec((0usize..5, any::<u64>()), 0..6),
        stop in 0usize..20,
    ) {
        let mut records = Vec::new();
        for (count, seed) in turns {
            if count == 0 {
                records.push(text("ok", FinishReason::Stop));
                continue;
            }
            records.push(calls(count));
            let mut places: Vec<_> = (0..count).collect();
            places.rotate_left(usize::try_from(seed % count as u64).unwrap());
            records.extend(places.into_iter().map(returned));
        }
        records.truncate(stop);
        let run = || {
            let mut machine = machine();
            for record in &records {
                machine.apply(record.clone());
            }
            machine
        };
        let (mut one, two) = (run(), run());
        prop_assert_eq!(one.command(), two.command());
        prop_assert_eq!(one.conversation(), two.conversation());
        one.settle("stopped");
        prop_assert!(results_per_call(one.conversation()).iter().all(|results| *results == 1));
    }
}
