//! Writing.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{Sandbox, WriteMode};
use crate::{
    tool::{Concurrency, Effect},
    workspace::{EntryKind, WorkspaceErrorKind},
};

#[test]
fn the_model_is_told_what_each_tool_takes() {
    let sandbox = Sandbox::new(&[]);
    let tools = sandbox.workspace.tools();
    let told: Vec<_> = tools
        .iter()
        .map(|tool| {
            (
                &*tool.spec().name,
                tool.options().effect,
                tool.options().concurrency,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("list_files", Effect::ReadOnly, Concurrency::Parallel),
            ("read_file", Effect::ReadOnly, Concurrency::Parallel),
            ("search_files", Effect::ReadOnly, Concurrency::Parallel),
            ("write_file", Effect::Idempotent, Concurrency::Exclusive),
            ("append_file", Effect::Write, Concurrency::Exclusive),
        ]
    );
    for tool in &tools {
        let schema: serde_json::Value = serde_json::from_str(tool.spec().parameters.get()).unwrap();
        assert_eq!(schema["additionalProperties"], false);
        for (name, property) in schema["properties"].as_object().unwrap() {
            assert!(property["description"].is_string(), "{name}: {property}");
        }
    }
    let schema: serde_json::Value = serde_json::from_str(tools[3].spec().parameters.get()).unwrap();
    assert_eq!(
        schema["properties"]["mode"]["enum"],
        serde_json::json!(["overwrite", "create"])
    );
    assert_eq!(schema["required"], serde_json::json!(["path", "content"]));
    let reading = sandbox.workspace.read_tools();
    assert!(
        reading
            .iter()
            .all(|tool| tool.options().effect == Effect::ReadOnly)
    );
    assert_eq!(reading.len(), 3);
}

#[test]
fn a_file_is_made_with_its_folders_and_replaced_whole() {
    let sandbox = Sandbox::new(&[]);
    let written = sandbox.write("notes/2026/a.md", "Größe\n").unwrap();
    assert_eq!(
        (&*written.path, written.bytes, written.note),
        ("notes/2026/a.md", 8, None)
    );
    assert_eq!(sandbox.read("notes/2026/a.md").unwrap(), "Größe\n");
    assert_eq!(
        sandbox.write("./notes//2026/a.md", "x").unwrap().path,
        "notes/2026/a.md"
    );
    assert_eq!(sandbox.read("notes/2026/a.md").unwrap(), "x");
    for _ in 0..2 {
        assert_eq!(sandbox.write("notes/2026/a.md", "x").unwrap().bytes, 1);
    }
    let error = sandbox.write("notes", "x").unwrap_err();
    assert_eq!(error.to_string(), "`notes` is no regular file");
    let error = sandbox.write("notes/2026/a.md/b", "x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`notes/2026/a.md/b` leads through something that is no folder"
    );
}

#[test]
fn what_must_be_new_is_not_replaced_but_may_be_written_twice() {
    let sandbox = Sandbox::new(&[("old", "before")]);
    let create = |path, content| sandbox.write_with(path, content, WriteMode::Create);
    let error = create("old", "after!").unwrap_err();
    assert_eq!(error.kind(), WorkspaceErrorKind::AlreadyExists);
    assert_eq!(
        error.to_string(),
        "`old` exists already and holds something else"
    );
    assert_eq!(sandbox.read("old").unwrap(), "before");
    for _ in 0..2 {
        assert_eq!(create("new", "once").unwrap().bytes, 4);
    }
    assert_eq!(sandbox.read("new").unwrap(), "once");
}

#[test]
fn text_is_added_at_the_end() {
    let sandbox = Sandbox::new(&[]);
    assert_eq!(sandbox.append("log", "one\n").unwrap().bytes, 4);
    assert_eq!(sandbox.append("log", "two\n").unwrap().bytes, 8);
    assert_eq!(sandbox.read("log").unwrap(), "one\ntwo\n");
}

#[test]
fn text_that_several_threads_add_is_all_there() {
    let sandbox = Sandbox::new(&[]);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let sandbox = &sandbox;
            scope.spawn(move || {
                for line in 0..50 {
                    sandbox
                        .append("log", &format!("{thread} {line}\n"))
                        .unwrap();
                }
            });
        }
    });
    let log = sandbox.read("log").unwrap();
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 200);
}

#[test]
fn a_reader_sees_the_old_file_or_the_new_one() {
    let sandbox = Sandbox::new(&[]);
    let large = 256 * 1024;
    let (a, b) = ("a".repeat(large), "b".repeat(large));
    sandbox.write("f", &a).unwrap();
    let done = AtomicBool::new(false);
    let mut seen = [0_u32; 2];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                sandbox.write("f", &b).unwrap();
                sandbox.write("f", &a).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            let held = fs::read(sandbox.inside("f")).unwrap();
            assert_eq!(held.len(), large);
            assert!(held.iter().all(|byte| *byte == held[0]), "a mixture");
            seen[usize::from(held[0] == b'b')] += 1;
            let listed = sandbox.workspace.files().unwrap().entries;
            assert_eq!(listed.len(), 1, "{listed:?}");
            assert_eq!(sandbox.list(".").unwrap(), format!("f {large}\n"));
        }
    });
    assert!(seen[0] + seen[1] > 0);
    assert_eq!(
        fs::read_dir(sandbox.inside("")).unwrap().count(),
        1,
        "something was left behind"
    );
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else() {
    let sandbox = Sandbox::new(&[("f", "old")]);
    let small = sandbox.workspace.clone().with_max_file_bytes(4);
    let error = small.write("f", "12345").unwrap_err();
    assert_eq!(error.kind(), WorkspaceErrorKind::Limit);
    assert_eq!(
        error.to_string(),
        "`f` would hold 5 bytes; a file may hold 4"
    );
    assert_eq!(small.read("f").unwrap(), b"old");
    small.write("f", "1234").unwrap();
    let sandbox_of_four = Sandbox {
        workspace: small,
        ..sandbox
    };
    let error = sandbox_of_four.append("f", "5").unwrap_err();
    assert_eq!(error.kind(), WorkspaceErrorKind::Limit);
    assert_eq!(sandbox_of_four.read("f").unwrap(), "1234");
    assert_eq!(fs::read_dir(sandbox_of_four.inside("")).unwrap().count(), 1);
    fs::write(sandbox_of_four.inside("large"), "12345").unwrap();
    let error = sandbox_of_four.workspace.read("large").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`large` holds 5 bytes; a file of up to 4 is read"
    );
}

#[test]
fn the_default_limit_on_a_file_is_eight_mebibytes() {
    let sandbox = Sandbox::new(&[]);
    let whole = vec![b'x'; 8 * 1024 * 1024];
    sandbox.workspace.write("f", &whole).unwrap();
    assert_eq!(sandbox.workspace.read("f").unwrap().len(), whole.len());
    let more = [whole.as_slice(), b"x"].concat();
    assert_eq!(
        sandbox.workspace.write("f", &more).unwrap_err().kind(),
        WorkspaceErrorKind::Limit
    );
}

#[test]
fn there_is_a_limit_on_files_made_and_listed() {
    let sandbox = Sandbox::new(&[("old", "x")]);
    let few = sandbox.workspace.clone().with_max_entries(2);
    few.write("a", "1").unwrap();
    few.write("b", "1").unwrap();
    let error = few.write("new/c", "1").unwrap_err();
    assert_eq!(error.kind(), WorkspaceErrorKind::Limit);
    assert!(!sandbox.inside("new").exists());
    few.write("a", "2").unwrap();
    few.write("old", "2").unwrap();
    let files = few.files().unwrap();
    assert_eq!((files.entries.len(), files.truncated), (2, true));
    let listed = few.list(".").unwrap();
    assert_eq!((listed.entries.len(), listed.truncated), (2, true));
}

#[test]
fn entries_are_listed_in_order_with_what_they_are() {
    let sandbox = Sandbox::new(&[
        ("b/c", "12"),
        ("b.txt", "1"),
        ("target/x", "123"),
        (".git/x", "1"),
    ]);
    let paths = |entries: &[crate::workspace::Entry]| -> Vec<_> {
        entries
            .iter()
            .map(|entry| (entry.path.clone(), entry.bytes))
            .collect()
    };
    let files = sandbox.workspace.files().unwrap();
    assert_eq!(
        paths(&files.entries),
        [
            ("b.txt".into(), 1),
            ("b/c".into(), 2),
            ("target/x".into(), 3)
        ]
    );
    assert!(!files.truncated && files.entries.iter().all(|entry| entry.modified.is_some()));
    let listed = sandbox.workspace.list("b").unwrap();
    assert_eq!(paths(&listed.entries), [("b/c".into(), 2)]);
    let top = sandbox.workspace.list(".").unwrap();
    let kinds: Vec<_> = top
        .entries
        .iter()
        .map(|entry| (&*entry.path, entry.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            (".git", EntryKind::Folder),
            ("b", EntryKind::Folder),
            ("b.txt", EntryKind::File),
            ("target", EntryKind::Folder)
        ]
    );
    assert!(sandbox.workspace.list("b.txt").is_err());
}

#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_keeps_who_may_use_it() {
    use std::os::unix::fs::PermissionsExt;

    let sandbox = Sandbox::new(&[("script", "x"), ("private", "x")]);
    let set = |path, mode| {
        fs::set_permissions(sandbox.inside(path), PermissionsExt::from_mode(mode)).unwrap();
    };
    let mode = |path| {
        fs::metadata(sandbox.inside(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    set("script", 0o4755);
    set("private", 0o600);
    sandbox.write("script", "y").unwrap();
    sandbox.append("private", "y").unwrap();
    assert_eq!(mode("script"), 0o755);
    assert_eq!(mode("private"), 0o600);
}

#[test]
fn c3_nothing_that_acts_on_a_terminal_is_written() {
    let sandbox = Sandbox::new(&[]);
    for byte in 0..=u8::MAX {
        let c = char::from(byte);
        let written = sandbox.write("f", &format!("a{c}b")).unwrap();
        sandbox.append("f", &format!("{c}[31mc\u{202e}")).unwrap();
        let held = String::from_utf8(sandbox.workspace.read("f").unwrap()).unwrap();
        let acts = |c: &char| c.is_control() && !matches!(c, '\n' | '\t');
        assert!(
            !held.chars().any(|c| acts(&c) || c == '\u{202e}'),
            "{byte:#x}: {held:?}"
        );
        assert_eq!(written.note.is_some(), acts(&c), "{byte:#x}");
    }
    sandbox
        .write("f", "\x1b]52;c;cm0gLXJm\x07a\x1b[2J\rb\u{2066}\n\tc")
        .unwrap();
    assert_eq!(sandbox.read("f").unwrap(), "ab\n\tc");
}

#[test]
fn what_the_application_writes_is_written_as_it_is() {
    let sandbox = Sandbox::new(&[]);
    let bytes: Vec<u8> = (0..=u8::MAX).collect();
    let artifact = sandbox
        .workspace
        .with_sync(true)
        .write("bytes", &bytes)
        .unwrap();
    assert_eq!((&*artifact.path, artifact.bytes), ("bytes", 256));
    assert_eq!(
        fs::read(sandbox.folder.path().join("ws/bytes")).unwrap(),
        bytes
    );
}
