//! A store that cannot be written: what it did not keep is not reported as done, and the run goes on when there is room.

use std::sync::Arc;

use super::world::{FaultyStore, Kept, World, allow, boss};
use crate::{
    journal::Runs,
    operation::{Outcome, RunContext},
    run::RunErrorKind,
    store::{StoreError, StoreErrorKind},
};

#[tokio::test(start_paused = true)]
async fn s3_where_the_nth_append_finds_no_room_the_run_pauses_and_completes_when_there_is_some() {
    for n in 0.. {
        let (world, store) = (World::default(), FaultyStore::with_room(n));
        let context = RunContext::builder().run_id("r").build();
        let run = boss(&world)
            .run("go")
            .context(&context)
            .store(Arc::new(store.clone()));
        let ended = run.await;
        if store.has_room() {
            assert!(n > 25, "{n} appends are all there are");
            return;
        }
        let runs = Runs::new(Arc::new(store.clone()));
        let kept = Kept::of(&runs, "r").await;
        match &ended {
            // All but the last record, which says that it is over, is kept.
            Ok(report) => assert_eq!((report.outcome, kept.answers.len()), (Outcome::Ok, 8)),
            Err(error) => {
                assert_eq!(error.kind(), RunErrorKind::Journal, "{n}: {error:?}");
                assert_eq!(
                    error.store_error().map(StoreError::kind),
                    Some(StoreErrorKind::Full)
                );
                assert_eq!(error.report().outcome, Outcome::Paused, "{n}");
            }
        }
        let before = world.take();
        let begun_unkept = before.begun.iter().filter(|key| {
            ["b3", "b5", "b6", "i1"].iter().any(|id| key.ends_with(id))
                && !kept.results.contains(key)
                && !kept.in_doubt.contains(key)
        });
        assert_eq!(
            begun_unkept.count(),
            0,
            "{n}: a call that writes is made only once its beginning is kept"
        );

        store.make_room();
        let resumed = boss(&world)
            .resume("r", Arc::new(store))
            .approver(world.person(allow));
        let resumed = resumed.await;
        if n == 0 {
            let missing = resumed.unwrap_err();
            assert_eq!(
                missing.store_error().map(StoreError::kind),
                Some(StoreErrorKind::NotFound)
            );
            assert!(
                missing
                    .store_error()
                    .unwrap()
                    .to_string()
                    .contains("run the agent again")
            );
            continue;
        }
        assert_eq!(resumed.unwrap().text, r#"{"n": 7}"#, "{n}");
        let after = world.take();
        let again = after
            .asked
            .iter()
            .filter(|key| kept.answers.contains(key))
            .count();
        let again = again
            + after
                .begun
                .iter()
                .filter(|key| kept.results.contains(key))
                .count();
        assert_eq!(again, 0, "{n}: what was kept is not done again");
    }
}
