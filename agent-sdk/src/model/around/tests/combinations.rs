//! All layers at once, in any combination: what must hold whatever the models do and whoever gives up.

use proptest::{prelude::*, test_runner::TestCaseError};
use tokio::runtime::Builder;

use super::*;
use crate::model::{CircuitBreaker, Hedge, ModelHandle};

/// What a model does, so that it can be printed and repeated.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Answer(u32),
    Fail(u32, ModelErrorKind),
    Break(usize),
    Hang,
}

impl Deed {
    fn act(self) -> Act {
        match self {
            Self::Answer(ms) => Act::Answer(ms * MS),
            Self::Fail(ms, kind) => Act::Fail(ms * MS, error(kind)),
            Self::Break(pieces) => Act::Break(pieces, overloaded()),
            Self::Hang => Act::Hang,
        }
    }
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let kind = prop_oneof![
        Just(ModelErrorKind::Overloaded),
        Just(ModelErrorKind::RateLimited),
        Just(ModelErrorKind::Timeout),
        Just(ModelErrorKind::BadRequest),
        Just(ModelErrorKind::Quota),
    ];
    let deed = prop_oneof![
        2 => (0_u32..2_000).prop_map(Deed::Answer),
        4 => (0_u32..2_000, kind).prop_map(|(ms, kind)| Deed::Fail(ms, kind)),
        1 => (0_usize..3).prop_map(Deed::Break),
        1 => Just(Deed::Hang),
    ];
    proptest::collection::vec(deed, 0..12)
}

/// Which layers there are, and how the callers behave.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each layer is there or not")]
struct Setting {
    retry: bool,
    breaker: bool,
    slots: bool,
    rate: bool,
    hedge: bool,
    fallback: bool,
    stream: bool,
    deadline: Option<u32>,
    patience: u32,
}

prop_compose! {
    fn setting()(
        layers in any::<[bool; 7]>(),
        deadline in proptest::option::of(1_u32..10_000),
        patience in 1_u32..20_000,
    ) -> Setting {
        let [retry, breaker, slots, rate, hedge, fallback, stream] = layers;
        Setting { retry, breaker, slots, rate, hedge, fallback, stream, deadline, patience }
    }
}

const CALLS: usize = 4;

async fn holds(setting: Setting, deeds: [Vec<Deed>; 3]) -> Result<(), TestCaseError> {
    let [first, second, third] = deeds.map(|deeds| Fake::acting(deeds.into_iter().map(Deed::act)));
    let (second, third) = (second.named("second"), third.named("third"));
    let breaker = CircuitBreaker::builder()
        .window(n(3))
        .min_calls(n(2))
        .open_for(SECOND)
        .build();
    let mut builder = ModelHandle::builder(first.clone());
    if setting.retry {
        builder = builder.retry(Retry::default());
    }
    if setting.breaker {
        builder = builder.breaker(breaker.clone());
    }
    if setting.slots {
        builder = builder.max_concurrent(n(2));
    }
    if setting.rate {
        builder = builder
            .requests_per_minute(n(6))
            .tokens_per_minute(n(5_000));
    }
    if setting.hedge {
        builder = builder.hedge(Hedge::after(800 * MS, second.clone()));
    }
    if setting.fallback {
        builder = builder.fallback(third.clone());
    }
    let handle = builder.build();

    let trace = TraceCapture::new();
    let calls = (0..CALLS).map(|_| async {
        let context = trace.context();
        let context = match setting.deadline {
            Some(ms) => context.with_timeout(ms * MS),
            None => context,
        };
        let call = async {
            if setting.stream {
                handle.stream(&context, ask()).await?.collect().await
            } else {
                handle.chat(&context, ask()).await
            }
        };
        let _ = tokio::time::timeout(setting.patience * MS, call).await;
    });
    futures_util::future::join_all(calls).await;

    prop_assert_eq!(trace.well_formed(), Ok(()));
    let operations = trace.operations();
    let chats = operations.iter().filter(|op| op.kind == Kind::Chat);
    let models = 1 + usize::from(setting.hedge) + usize::from(setting.fallback);
    prop_assert!(chats.clone().count() <= CALLS * models);
    for chat in chats {
        let inside = |op: &&crate::testing::CapturedOperation| {
            op.parent == Some(chat.id) && op.run_id == chat.run_id
        };
        let tries = operations.iter().filter(inside).count();
        let retries = setting.retry && &*chat.name == "primary";
        let most = if retries { 3 } else { 1 };
        prop_assert!(tries <= most);
        if retries {
            prop_assert_eq!(chat.facts.attempts.unwrap_or(0) as usize, tries);
        }
        let stands_in = chat.facts.fallback_for.is_some() || chat.facts.hedge_for.is_some();
        prop_assert_eq!(stands_in, &*chat.name != "primary");
        prop_assert_eq!(chat.links.len(), usize::from(stands_in));
    }
    for model in [&first, &second, &third] {
        prop_assert_eq!(model.under_way.load(Ordering::SeqCst), 0);
    }
    if setting.slots {
        prop_assert!(first.most() <= 2);
    }
    if let Some(slots) = handle
        .layers
        .as_ref()
        .and_then(|layers| layers.gates.slots.as_ref())
    {
        prop_assert_eq!(slots.available_permits(), 2);
    }
    // No probe's place was lost.
    tokio::time::advance(2 * SECOND).await;
    prop_assert!(breaker.admit().is_ok());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn p3_in_any_combination_tries_are_bounded_and_everything_is_given_back(
        setting in setting(),
        first in deeds(),
        second in deeds(),
        third in deeds(),
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(holds(setting, [first, second, third]))?;
    }
}
