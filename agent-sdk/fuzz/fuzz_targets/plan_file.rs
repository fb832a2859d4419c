//! Any bytes as a plan's file: nothing panics, and what is read is checked and written and read back as the same plan.
//! Run with `cargo +nightly fuzz run plan_file corpus/plan_file seeds/plan_file` in `fuzz`.
#![no_main]

use agent_sdk::plan::{Machine, Open, Params, Plan};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    for read in [Plan::from_toml(text), Plan::from_json(text)] {
        let Ok(plan) = read else { continue };
        let json = serde_json::to_string(&plan).expect("every plan can be said in JSON");
        assert_eq!(Plan::from_json(&json).as_ref(), Ok(&plan));
        if let Ok(toml) = plan.to_toml() {
            assert_eq!(Plan::from_toml(&toml).as_ref(), Ok(&plan));
        }
        let checked = plan.check(&Open);
        let machine = Machine::new(&plan, &Open, &Params::new(), 0);
        assert!(checked.is_ok() || machine.is_err());
    }
});
