//! What a plan does where two things meet: a change and a queue, a stop and a wait, an earlier round and a later one.

use super::hand::{Hand, step};
use crate::plan::{Change, Input, Plan};

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
