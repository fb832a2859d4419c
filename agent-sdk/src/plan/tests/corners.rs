//! What a plan does where two things meet: a change and a queue, a stop and a wait, an earlier round and a later one.

use std::time::Duration;

use serde_json::json;

use super::hand::{Hand, plan, step};
use crate::plan::{Change, Ended, Input, Join, Map, Plan, Retry, Timer, Work};

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
