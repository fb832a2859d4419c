//! A process whose store finds no room.

use super::{
    child::{Folder, finish},
    server::{Server, TOOL_TURNS},
};

#[test]
fn s3_a_run_whose_store_finds_no_room_pauses_says_where_and_what_to_do_and_completes_with_room() {
    // Answers so long that the store outgrows the limit in the midst of the run.
    let (folder, server) = (Folder::new(), Server::with_answers_of(40_000));
    let stopped = finish(folder.spawn_in_small_files(&server, 1_440));
    let asked = server.keys_of(1).len();
    assert!(
        asked > 1 && asked <= TOOL_TURNS,
        "{asked} requests: {stopped:?}"
    );
    assert_eq!(
        stopped.error_kind.as_deref(),
        Some("journal"),
        "{stopped:?}"
    );
    let error = stopped.error.unwrap();
    let store = folder.store();
    assert!(
        error.contains(store.to_str().unwrap()),
        "it names the file: {error}"
    );
    assert!(
        error.contains("make room, and try again"),
        "it says what to do: {error}"
    );

    let resumed = finish(folder.spawn(&server, true));
    assert_eq!((&*resumed.text, resumed.error), ("All is noted.", None));
    let asked_again = server.keys_of(2).len();
    assert!(
        asked + asked_again <= TOOL_TURNS + 2,
        "{asked} and {asked_again} requests"
    );
    assert_eq!(folder.effects("note").len(), TOOL_TURNS);
}
