//! What the documents say of the code is so.

use std::{fs, path::Path};

/// The text of all Rust files of a crate.
fn source(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&source(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    all
}

#[test]
fn each_invariant_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let folders = [
        ("agent_sdk", "agent-sdk/src"),
        ("agent_sdk_otel", "agent-sdk-otel/src"),
        ("it", "tests/it"),
        ("crash", "tests/crash"),
        ("memory", "tests/memory"),
    ];
    let sources = folders.map(|(name, folder)| (name, source(&root.join(folder))));
    let mut named = 0;
    let is_test = |word: &&str| {
        word.contains("::tests::")
            || word.starts_with("it::")
            || word.starts_with("memory::")
            || word.starts_with("crash::")
    };
    for path in text.split('`').filter(is_test) {
        let (name, _) = path.split_once("::").unwrap();
        let (_, function) = path.rsplit_once("::").unwrap();
        let (_, source) = sources.iter().find(|(known, _)| *known == name).unwrap();
        assert!(
            source.contains(&format!("fn {function}(")),
            "there is no test {path}"
        );
        named += 1;
    }
    assert!(named > 17, "each invariant names a test");
}
