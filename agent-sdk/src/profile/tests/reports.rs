//! Runs made by hand, and all that is said of them.

use super::*;
use crate::cost::Usd;

#[test]
fn the_slower_of_two_parallel_tools_is_on_the_path() {
    let run = [
        operation(2, 1, Kind::Chat, "gpt-5", 1, 5),
        operation(4, 1, Kind::Tool, "read", 5, 7),
        operation(3, 1, Kind::Tool, "search", 5, 9),
        operation(5, 1, Kind::Chat, "gpt-5", 10, 20),
        operation(1, 0, Kind::Agent, "triage", 0, 21),
    ];
    assert_eq!(
        report(&profile(&run)),
        "\
*agent triage 21 self 3
*  chat gpt-5 4 self 4
*  tool search 4 self 4
   tool read 2 self 2
*  chat gpt-5 10 self 10
0+1 invoke_agent triage
1+4 chat gpt-5
5+4 execute_tool search
9+1 invoke_agent triage
10+10 chat gpt-5
20+1 invoke_agent triage
chat gpt-5 x2 total 14 self 14 critical 14
execute_tool search x1 total 4 self 4 critical 4
invoke_agent triage x1 total 21 self 3 critical 3
execute_tool read x1 total 2 self 2 critical 0
`chat gpt-5` took 67 % of the run (2 calls, 14.0 ms of 21.0 ms on the critical path)"
    );
}

#[test]
fn the_path_leads_through_an_agent_inside_an_agent() {
    let run = [
        operation(3, 2, Kind::Chat, "small", 2, 4),
        operation(5, 4, Kind::Chat, "large", 5, 6),
        operation(7, 6, Kind::Tool, "search_files", 7, 37),
        operation(6, 4, Kind::Tool, "search_files", 6, 38),
        operation(4, 2, Kind::Agent, "researcher", 5, 39),
        operation(2, 1, Kind::Tool, "research", 1, 40),
        operation(1, 0, Kind::Agent, "lead", 0, 40),
    ];
    assert_eq!(
        report(&profile(&run)),
        "\
*agent lead 40 self 1
*  tool research 39 self 3
*    chat small 2 self 2
*    agent researcher 34 self 1
*      chat large 1 self 1
*      tool search_files 32 self 2
*        tool search_files 30 self 30
0+1 invoke_agent lead
1+1 execute_tool research
2+2 chat small
4+1 execute_tool research
5+1 chat large
6+1 execute_tool search_files
7+30 execute_tool search_files
37+1 execute_tool search_files
38+1 invoke_agent researcher
39+1 execute_tool research
execute_tool search_files x2 total 62 self 32 critical 32
execute_tool research x1 total 39 self 3 critical 3
chat small x1 total 2 self 2 critical 2
invoke_agent lead x1 total 40 self 1 critical 1
invoke_agent researcher x1 total 34 self 1 critical 1
chat large x1 total 1 self 1 critical 1
tool `search_files` took 80 % of the run (2 calls, 32.0 ms of 40.0 ms on the critical path)"
    );
}

#[test]
fn a_profile_of_a_nested_operation_counts_from_its_start() {
    let run = [
        operation(3, 2, Kind::Chat, "m", 110, 130),
        operation(2, 1, Kind::Agent, "inner", 100, 140),
        operation(4, 1, Kind::Tool, "other", 100, 140),
        operation(1, 0, Kind::Agent, "outer", 0, 200),
    ];
    let profile = Profile::of(OperationId(2), &run, 0);
    assert_eq!(profile.operations.len(), 2, "it keeps no others");
    assert_eq!(
        report(&profile),
        "\
*agent inner 40 self 20
*  chat m 20 self 20
0+10 invoke_agent inner
10+20 chat m
30+10 invoke_agent inner
invoke_agent inner x1 total 40 self 20 critical 20
chat m x1 total 20 self 20 critical 20
agent `inner` itself took 50 % of the run (20.0 ms of 40.0 ms on the critical path)"
    );
}

#[test]
fn attempts_count_as_their_model_request() {
    let run = [
        operation(3, 2, Kind::Attempt, "gpt-5", 1, 30),
        operation(4, 2, Kind::Attempt, "gpt-5", 50, 99),
        operation(2, 1, Kind::Chat, "gpt-5", 0, 100),
        operation(1, 0, Kind::Agent, "a", 0, 101),
    ];
    let profile = profile(&run);
    assert_eq!(
        report(&profile),
        "\
*agent a 101 self 1
*  chat gpt-5 100 self 22
*    attempt gpt-5 29 self 29
*    attempt gpt-5 49 self 49
0+100 chat gpt-5
100+1 invoke_agent a
chat gpt-5 x1 total 100 self 100 critical 100
invoke_agent a x1 total 101 self 1 critical 1
`chat gpt-5` took 99 % of the run (1 call, 2 attempts in all, 100.0 ms of 101.0 ms on the critical path)"
    );
    let chats = &profile.by_kind()[0];
    assert_eq!((chats.kind, chats.attempts), (Kind::Chat, 2));
}

#[test]
fn an_attempt_outside_of_a_model_request_counts_as_itself() {
    let run = [
        operation(2, 1, Kind::Attempt, "gpt-5", 0, 9),
        operation(1, 0, Kind::Tool, "t", 0, 10),
    ];
    assert_eq!(
        report(&profile(&run)),
        "\
*tool t 10 self 1
*  attempt gpt-5 9 self 9
0+9 POST
9+1 execute_tool t
POST x1 total 9 self 9 critical 9
execute_tool t x1 total 10 self 1 critical 1
`POST` took 90 % of the run (1 call, 9.0 ms of 10.0 ms on the critical path)"
    );
}

#[test]
fn overlapping_children_count_once_in_the_self_time_and_skip_each_other_on_the_path() {
    let run = [
        operation(2, 1, Kind::Tool, "a", 0, 6),
        operation(3, 1, Kind::Tool, "b", 4, 10),
        operation(1, 0, Kind::Agent, "x", 0, 10),
    ];
    assert_eq!(
        report(&profile(&run)),
        "\
*agent x 10 self 0
   tool a 6 self 6
*  tool b 6 self 6
0+4 invoke_agent x
4+6 execute_tool b
execute_tool b x1 total 6 self 6 critical 6
invoke_agent x x1 total 10 self 0 critical 4
execute_tool a x1 total 6 self 6 critical 0
tool `b` took 60 % of the run (1 call, 6.0 ms of 10.0 ms on the critical path)"
    );
}

#[test]
fn of_children_that_end_together_the_longest_is_on_the_path_and_of_equal_ones_the_first() {
    let run = [
        operation(4, 1, Kind::Tool, "t", 2, 8),
        operation(3, 1, Kind::Tool, "t", 2, 8),
        operation(2, 1, Kind::Tool, "t", 5, 8),
        operation(1, 0, Kind::Agent, "x", 0, 8),
    ];
    let profile = profile(&run);
    let on_path: Vec<_> = profile
        .critical_path()
        .iter()
        .map(|segment| segment.operation.get())
        .collect();
    assert_eq!(on_path, [1, 3]);
    assert_eq!(
        profile.bottleneck(),
        "tool `t` took 75 % of the run (1 of 3 calls, 6.0 ms of 8.0 ms on the critical path)"
    );
}

#[test]
fn operations_without_length_are_in_the_tree_and_not_on_the_path() {
    let run = [
        operation(2, 1, Kind::Tool, "start", 0, 0),
        operation(3, 1, Kind::Tool, "middle", 5, 5),
        operation(4, 1, Kind::Tool, "end", 10, 10),
        operation(1, 0, Kind::Agent, "x", 0, 10),
    ];
    assert_eq!(
        report(&profile(&run)),
        "\
*agent x 10 self 10
   tool start 0 self 0
   tool middle 0 self 0
   tool end 0 self 0
0+10 invoke_agent x
invoke_agent x x1 total 10 self 10 critical 10
execute_tool end x1 total 0 self 0 critical 0
execute_tool middle x1 total 0 self 0 critical 0
execute_tool start x1 total 0 self 0 critical 0
agent `x` itself took 100 % of the run (10.0 ms of 10.0 ms on the critical path)"
    );
}

#[test]
fn a_run_without_length_has_an_empty_path() {
    let run = [
        operation(2, 1, Kind::Tool, "t", 3, 3),
        operation(1, 0, Kind::Agent, "x", 3, 3),
    ];
    let profile = profile(&run);
    assert_eq!(profile.tree().count(), 2);
    assert!(profile.critical_path().is_empty());
    assert_eq!(profile.bottleneck(), "the run took no time");
}

#[test]
fn children_are_cut_to_their_parents_interval() {
    let run = [
        operation(3, 2, Kind::Tool, "inside", 0, 50),
        operation(2, 1, Kind::Tool, "outside", 5, 40),
        operation(4, 1, Kind::Tool, "before", 1, 8),
        operation(5, 1, Kind::Tool, "after", 30, 31),
        operation(1, 0, Kind::Agent, "x", 10, 30),
    ];
    assert_eq!(
        report(&profile(&run)),
        "\
*agent x 20 self 0
*  tool outside 20 self 0
*    tool inside 20 self 20
   tool before 0 self 0
   tool after 0 self 0
0+20 execute_tool inside
execute_tool inside x1 total 20 self 20 critical 20
invoke_agent x x1 total 20 self 0 critical 0
execute_tool outside x1 total 20 self 0 critical 0
execute_tool after x1 total 0 self 0 critical 0
execute_tool before x1 total 0 self 0 critical 0
tool `inside` took 100 % of the run (1 call, 20.0 ms of 20.0 ms on the critical path)"
    );
}

#[test]
fn operations_under_an_unknown_parent_are_not_part_of_it() {
    let run = [
        operation(4, 3, Kind::Tool, "orphan", 1, 2),
        operation(5, 5, Kind::Tool, "its own parent", 1, 2),
        operation(6, 7, Kind::Tool, "circle", 1, 2),
        operation(7, 6, Kind::Tool, "circle", 1, 2),
        operation(8, 0, Kind::Agent, "another run", 1, 2),
        operation(1, 0, Kind::Agent, "x", 0, 10),
    ];
    let profile = profile(&run);
    assert_eq!(profile.tree().count(), 1);
    assert_eq!(profile.duration(), Duration::from_millis(10));
}

#[test]
fn nothing_ran_in_an_empty_profile() {
    let empty = Profile::default();
    assert_eq!(report(&empty), "nothing ran");
    assert_eq!(empty.duration(), Duration::ZERO);
    assert!(empty.by_kind().is_empty());
    assert_eq!(report(&Profile::of(OperationId(1), &[], 0)), "nothing ran");
}

#[test]
fn a_profile_says_what_it_lacks() {
    let run = [operation(1, 0, Kind::Agent, "x", 0, 10)];
    let profile = Profile::of(OperationId(1), &run, 3);
    assert_eq!(profile.left_out(), 3);
    assert_eq!(
        profile.bottleneck(),
        "agent `x` itself took 100 % of the run (10.0 ms of 10.0 ms on the critical path); 3 operations of the run left out"
    );
    let rootless = Profile::of(OperationId(2), &run, 1);
    assert_eq!(
        rootless.bottleneck(),
        "unknown: 1 operation of the run left out"
    );
}

#[test]
fn costs_and_tokens_add_up_and_unknown_ones_stay_unknown() {
    let mut first = operation(2, 1, Kind::Chat, "m", 0, 4);
    first.cost = Some(Usd::from_nanos(5));
    first.usage = Usage::new(10, 2);
    let mut second = first.clone();
    second.id = OperationId(3);
    let third = operation(4, 1, Kind::Chat, "unpriced", 0, 1);
    let run = [
        first,
        second,
        third,
        operation(1, 0, Kind::Agent, "x", 0, 10),
    ];
    let profile = profile(&run);
    let of = |name| {
        profile
            .by_name()
            .iter()
            .find(|share| share.name.as_deref() == Some(name))
            .unwrap()
    };
    assert_eq!(of("m").cost, Some(Usd::from_nanos(10)));
    assert_eq!(of("m").usage, Usage::new(20, 4));
    assert_eq!(of("unpriced").cost, None);
    assert!(of("unpriced").usage.is_unknown());
    let chats = profile
        .by_kind()
        .iter()
        .find(|share| share.kind == Kind::Chat)
        .unwrap();
    assert_eq!((chats.count, chats.cost), (3, Some(Usd::from_nanos(10))));
}

#[test]
fn the_json_form_is_stable() {
    let mut chat = operation(2, 1, Kind::Chat, "gpt-5", 0, 12);
    chat.end = Duration::from_micros(12_300);
    chat.cost = Some(Usd::from_nanos(1_500_000));
    chat.usage = Usage::new(7, 3);
    let run = [chat, operation(1, 0, Kind::Agent, "", 0, 15)];
    let chats = |name| {
        let mut share = serde_json::json!({
            "kind": "chat", "count": 1, "attempts": 0, "on_critical_path": 1,
            "total_ms": 12.3, "self_ms": 12.3, "critical_ms": 12.3,
            "cost_usd": 0.0015, "usage": {"input_tokens": 7, "output_tokens": 3}
        });
        if let Some(name) = name {
            share["name"] = serde_json::Value::from(name);
        }
        share
    };
    let agents = |name| {
        let mut share = serde_json::json!({
            "kind": "agent", "count": 1, "attempts": 0, "on_critical_path": 1,
            "total_ms": 15.0, "self_ms": 2.7, "critical_ms": 2.7, "cost_usd": null, "usage": {}
        });
        if let Some(name) = name {
            share["name"] = serde_json::Value::from(name);
        }
        share
    };
    assert_eq!(
        serde_json::to_value(profile(&run)).unwrap(),
        serde_json::json!({
            "duration_ms": 15.0,
            "bottleneck": "`chat gpt-5` took 82 % of the run (1 call, 12.3 ms of 15.0 ms on the critical path)",
            "critical_path": [
                {"operation": 2, "kind": "chat", "name": "chat gpt-5", "span_id": "0000000000000002", "start_ms": 0.0, "duration_ms": 12.3},
                {"operation": 1, "kind": "agent", "name": "invoke_agent", "span_id": "0000000000000001", "start_ms": 12.3, "duration_ms": 2.7}
            ],
            "by_kind": [chats(None), agents(None)],
            "by_name": [chats(Some("chat gpt-5")), agents(Some("invoke_agent"))],
            "left_out": 0
        })
    );
}
