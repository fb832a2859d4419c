//! What a plan does where two things meet: a change and a queue, a stop and a wait, an earlier round and a later one.

use std::time::Duration;

use serde_json::json;

use super::hand::{Hand, plan, step};
use crate::plan::{
    Change, Command, End, Ended, FailurePolicy, Fault, Input, Join, Machine, Map, Open, Params,
    Plan, Retry, Task, Timer, Work,
};

#[test]
fn p5_a_step_that_was_taken_out_of_the_queue_never_begins_and_is_never_spoken_of_again() {
    let one_at_a_time = Plan::builder("test").sequential().steps([
        step("a"),
        step("b"),
        step("c").approval("may it?"),
    ]);
    let mut hand = Hand::of(&one_at_a_time.build().unwrap());
    hand.change(&Change::Remove { id: "b".into() }).unwrap();
    hand.change(&Change::Remove { id: "c".into() }).unwrap();
    assert!(!hand.say(Input::Decided {
        step: 2,
        round: 0,
        allowed: true,
        reason: None
    }));
    hand.say(Input::Stop);
    hand.ok("a");
    assert_eq!(
        hand.said(),
        ["ask c", "start a", "interrupt a", "finish cancelled"]
    );
    assert_eq!(hand.ends().into_keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn p3_the_time_of_a_step_begins_with_its_first_try_and_not_while_it_waits_for_room() {
    let second = Duration::from_secs(1);
    let one_at_a_time = Plan::builder("test").sequential().steps([
        step("a").timeout(second),
        step("b").timeout(second).retry(Retry::attempts(2)),
    ]);
    let mut hand = Hand::of(&one_at_a_time.build().unwrap());
    let times = |hand: &Hand| {
        let timers = hand.timers.iter();
        let steps = timers.filter_map(|(timer, _)| match timer {
            Timer::Step { step, .. } => Some(*step),
            _ => None,
        });
        steps.collect::<Vec<_>>()
    };
    assert_eq!(times(&hand), [0]);
    hand.ok("a");
    assert_eq!(times(&hand), [0, 1]);
    hand.fail("b");
    hand.timers
        .retain(|(timer, _)| matches!(timer, Timer::Retry(_)));
    hand.ring();
    assert!(times(&hand).is_empty());
    hand.ok("b try 2");
    assert_eq!(
        hand.said(),
        ["start a", "start b", "start b try 2", "finish ok"]
    );
}

#[test]
fn a_step_is_given_what_was_there_when_its_turn_came_however_long_it_waits_for_room() {
    let two_at_a_time = Plan::builder("test").concurrency(2).steps([
        step("a"),
        step("b"),
        step("long").priority(1),
        step("join")
            .after(["a", "b"])
            .join(Join::Any)
            .input("${steps.a}|${steps.b}"),
    ]);
    let mut hand = Hand::of(&two_at_a_time.build().unwrap());
    hand.ok("a");
    hand.ok("b");
    assert_eq!(hand.input("join"), "a is done|null");
}

#[test]
fn p6_an_input_that_is_not_there_leads_to_the_fallbacks_at_once_and_is_a_cause_like_others() {
    let steps = [
        step("first"),
        step("a")
            .input("${steps.first/part}")
            .retry(Retry::attempts(3).with_classes(["input"]))
            .fallback(Work::function("second"))
            .fallback_with(Work::function("third"), "other"),
        step("b").input("${steps.first/part}"),
        step("each")
            .map(Map::over(json!([1, {"part": 2}])))
            .input("${item/part}")
            .after(["first"]),
    ];
    let mut hand = Hand::of(&plan(steps));
    hand.ok("first");
    assert_eq!(
        hand.said(),
        [
            "start first",
            "passed b",
            "passed each",
            "start a fallback 2"
        ]
    );
    hand.fail("a fallback 2");
    let classes = |step| {
        let end = hand.machine.end(step).unwrap();
        let causes = end.causes().iter();
        causes
            .map(|cause| (cause.choice, cause.class.to_string()))
            .collect::<Vec<_>>()
    };
    let expected = [(0, "input"), (1, "input"), (2, "broken")];
    assert_eq!(
        classes(1),
        expected.map(|(choice, class)| (choice, class.to_owned()))
    );
    assert_eq!(classes(2), [(0, "input".to_owned())]);
    assert_eq!(classes(3), [(0, "input".to_owned())]);
}

#[test]
fn what_a_step_gave_in_an_earlier_round_is_not_taken_for_a_later_one_s() {
    let mut hand = Hand::of(&plan([step("a").retry(Retry::attempts(2))]));
    hand.fail("a");
    let (late, _) = hand.timers.remove(0);
    hand.change(&Change::Skip { id: "a".into() }).unwrap();
    hand.change(&Change::Retry { id: "a".into() }).unwrap();
    hand.change(&Change::Skip { id: "a".into() }).unwrap();
    hand.change(&Change::Retry { id: "a".into() }).unwrap();
    let (first, second) = (hand.running[0].0, hand.running[1].0);
    assert_ne!(first, second);
    let gave = |task, output: &str| Input::Ended {
        task,
        ended: Ended::Ok {
            output: json!(output),
        },
    };
    assert!(!hand.say(Input::Timer(late)));
    assert!(hand.say(gave(first, "old")));
    assert!(hand.say(gave(second, "new")));
    assert!(!hand.say(gave(second, "again")));
    assert_eq!(hand.machine.output(), Ok(json!("new")));
}

#[test]
fn what_ends_at_once_is_known_to_every_step_that_comes_after_it_in_the_plan() {
    let steps = [
        step("a"),
        step("b").after(["a"]).when("steps.a == 0"),
        step("c").after(["a"]).when("steps.a == 0"),
        step("d").after(["c"]),
        step("last")
            .after(["a", "b"])
            .join(Join::Any)
            .when("status.d == 'skipped'"),
    ];
    let mut hand = Hand::of(&plan(steps));
    hand.ok("a");
    assert_eq!(
        hand.said(),
        ["start a", "passed b", "passed c", "passed d", "start last"]
    );
}

#[test]
fn a_retry_after_a_stop_lets_go_on_what_the_stop_took_with_it_and_the_plan_s_time_begins_anew() {
    let minute = Duration::from_mins(1);
    let stop = Plan::builder("test")
        .on_failure(FailurePolicy::Stop)
        .timeout(minute)
        .steps([step("a"), step("b"), step("c").after(["b"])]);
    let mut hand = Hand::of(&stop.build().unwrap());
    hand.fail("a");
    hand.end("b", Ended::Cancelled);
    assert_eq!(
        hand.said(),
        [
            "start a",
            "start b",
            "interrupt b",
            "passed c",
            "finish failed"
        ]
    );
    hand.timers.clear();
    hand.change(&Change::Retry { id: "a".into() }).unwrap();
    assert_eq!(hand.timers, [(Timer::Plan, minute)]);
    for name in ["a", "b", "c"] {
        hand.ok(name);
    }
    assert_eq!(hand.said(), ["start a", "start b", "start c", "finish ok"]);
    hand.change(&Change::Restart { id: "a".into() }).unwrap();
    hand.say(Input::Timer(Timer::Plan));
    hand.end("a", Ended::Cancelled);
    assert_eq!(hand.machine.over(), Some(End::TimedOut));
    hand.change(&Change::Restart { id: "a".into() }).unwrap();
    hand.ok("a");
    assert_eq!(hand.machine.over(), Some(End::Ok));
    let wrong = hand.change(&Change::Skip { id: "c".into() }).unwrap_err();
    assert_eq!(wrong, "the plan is wrong: the plan is over");
}

#[test]
fn only_what_ended_is_restarted() {
    let mut hand = Hand::of(&plan([step("a"), step("b").after(["a"])]));
    for (id, wrong) in [("a", "has not ended"), ("b", "has not ended")] {
        let said = hand.change(&Change::Restart { id: id.into() }).unwrap_err();
        assert!(said.contains(wrong), "{said}");
    }
    hand.ok("a");
    let said = hand
        .change(&Change::Restart { id: "a".into() })
        .unwrap_err();
    assert!(
        said.ends_with("step `b` is under way: skip it first"),
        "{said}"
    );
}

#[test]
fn a_plan_that_was_stopping_when_its_process_died_ends_as_it_would_have() {
    let stop = Plan::builder("test")
        .on_failure(FailurePolicy::Stop)
        .steps([
            step("a"),
            step("b"),
            step("each").map(Map::over(json!([1, 2]))),
            step("lost"),
            step("c").after(["b"]),
        ]);
    let stop = stop.build().unwrap();
    let mut hand = Hand::of(&stop);
    let mut told = Vec::new();
    for name in ["a", "b", "each[0]", "each[1]"] {
        let fault = Fault::new("broken", "it broke");
        let ended = match name {
            "a" => Ended::Failed { fault },
            _ => Ended::Ok {
                output: json!(name),
            },
        };
        told.push(hand.end(name, ended));
    }
    let mut other = Machine::new(&stop, &Open, &Params::new(), 7).unwrap();
    for input in told {
        assert!(other.apply(input));
    }
    other.go_on();
    assert_eq!(other.command(), Some(Command::Finish(End::Failed)));
    let ends: Vec<_> = other
        .steps()
        .map(|step| step.end.unwrap().as_str())
        .collect();
    assert_eq!(ends, ["failed", "ok", "ok", "skipped", "skipped"]);
    let again = Change::Retry { id: "lost".into() };
    other.change(&again, &Open).unwrap();
    let begun: Vec<_> = std::iter::from_fn(|| other.command()).collect();
    assert!(matches!(
        begun.as_slice(),
        [
            Command::Start {
                task: Task { step: 3, .. },
                ..
            },
            Command::Start {
                task: Task { step: 4, .. },
                ..
            }
        ]
    ));
}

#[test]
fn a_wait_that_begins_anew_in_another_life_is_as_long_as_it_was() {
    let retried = plan([step("a").retry(Retry::attempts(3))]);
    let mut hand = Hand::of(&retried);
    let fault = Fault::new("broken", "it broke").passing();
    let failed = hand.end("a", Ended::Failed { fault });
    let mut other = Machine::new(&retried, &Open, &Params::new(), 7).unwrap();
    other.apply(failed);
    other.go_on();
    let (timer, time) = hand.timers.remove(0);
    assert_eq!(other.command(), Some(Command::Wait { timer, time }));
}

#[test]
fn a_list_that_is_shorter_than_what_must_succeed_of_it_is_refused() {
    let most = |over: serde_json::Value| Map {
        join: Join::Quorum(std::num::NonZeroU32::new(3).unwrap()),
        ..Map::over(over)
    };
    let literal = step("each").map(most(json!([1, 2])));
    let wrong = Plan::builder("test").step(literal).build().unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the plan is wrong: steps[0].map.join: needs 3 that succeed, and the list has 2"
    );
    let mut hand = Hand::of(&plan([
        step("list"),
        step("each").map(most(json!("${steps.list}"))),
    ]));
    let output = json!([]);
    hand.end("list", Ended::Ok { output });
    assert_eq!(hand.said(), ["start list", "passed each", "finish failed"]);
    assert_eq!(
        hand.machine.end(1).unwrap().causes()[0].to_string(),
        "try 1: input: 3 elements must succeed, and its list has 0"
    );
}

#[test]
fn a_plan_stops_when_a_change_leaves_a_failed_step_that_nothing_waits_for() {
    let stop = Plan::builder("test")
        .on_failure(FailurePolicy::Stop)
        .steps([
            step("a"),
            step("b"),
            step("join").after(["a", "b"]).join(Join::Any),
        ]);
    let mut hand = Hand::of(&stop.build().unwrap());
    hand.fail("a");
    let alone = step("join").after(["b"]);
    hand.change(&Change::Modify {
        step: Box::new(alone.into()),
    })
    .unwrap();
    assert_eq!(
        hand.said(),
        ["start a", "start b", "interrupt b", "passed join"]
    );
}
