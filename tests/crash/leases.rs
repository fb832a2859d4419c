//! Two processes that want one run.

use std::sync::mpsc::channel;

use super::{
    child::{Folder, ID, Said, finish, kill, said, undisturbed},
    server::{Received, Server, TOOL_TURNS},
};

fn was_refused(said: &Said, holder: u32) {
    assert_eq!(said.error_kind.as_deref(), Some("journal"), "{said:?}");
    let error = said.error.as_deref().unwrap();
    let mut lines = error.lines();
    let first = lines.next().unwrap();
    assert!(
        first.ends_with("cannot go on here: another process has it"),
        "{error}"
    );
    let second = lines.next().unwrap();
    assert!(
        second.starts_with(&format!("run {ID} is in the hands of ")),
        "{error}"
    );
    assert!(
        second.contains(&format!("(process {holder}) until 20")),
        "{error}"
    );
    assert!(second.ends_with("; wait, or stop it there"), "{error}");
}

#[test]
fn s4_a_second_process_is_told_who_has_the_run_and_until_when() {
    let (folder, server) = (Folder::new(), Server::start());
    server.hold_from(3);
    let first = folder.spawn(&server, false);
    server.wait_for(Received::Request(3));
    let second = finish(folder.spawn(&server, true));
    was_refused(&second, first.id());
    assert_eq!(server.keys_of(1).len(), 3);
    assert!(server.keys_of(2).is_empty(), "it asks nothing");
    server.hold_from(usize::MAX);
    let first = finish(first);
    assert_eq!((&*first.text, first.lives), ("All is noted.", 1));
}

#[test]
fn s4_of_two_processes_that_resume_a_killed_run_one_wins() {
    let whole = undisturbed();
    let (folder, server) = (Folder::new(), Server::start());
    server.hold_from(5);
    let first = folder.spawn(&server, false);
    server.wait_for(Received::Request(5));
    kill(first);

    // The one that wins waits for its first answer until the other has ended.
    let racers = [folder.spawn(&server, true), folder.spawn(&server, true)];
    let pids = racers.each_ref().map(std::process::Child::id);
    let (sender, ended) = channel();
    for racer in racers {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let pid = racer.id();
            sender
                .send((pid, racer.wait_with_output().unwrap()))
                .unwrap();
        });
    }
    let (loser, output) = ended.recv().unwrap();
    let winner = if loser == pids[0] { pids[1] } else { pids[0] };
    was_refused(&said(&output), winner);
    server.hold_from(usize::MAX);
    let (_, output) = ended.recv().unwrap();
    let said = said(&output);
    assert_eq!(
        (said.text, said.usage, said.cost_nanos),
        (whole.text, whole.usage, whole.cost_nanos)
    );
    assert_eq!((said.model_calls, said.tool_calls, said.lives), (13, 24, 2));
    let asked = server.keys_of(2).len() + server.keys_of(3).len();
    assert_eq!(asked, TOOL_TURNS + 1 - 4);
    assert_eq!(folder.effects("note").len(), TOOL_TURNS);
}
