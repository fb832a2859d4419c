//! The tools that only read, on real folders.

use std::fs;

use super::Sandbox;
use crate::workspace::tools::{
    list::{self, ListArguments},
    read,
    search::{self, SearchArguments},
};

#[test]
fn a_listing_is_sorted_and_leaves_generated_folders_closed() {
    let sandbox = Sandbox::new(&[
        ("z.txt", "123"),
        ("src/b.rs", ""),
        ("src/a.rs", "12"),
        (".git/config", "x"),
        ("target/debug/x", "x"),
        ("a/b/c/d/e/f", "deep"),
        ("line\nfeed", ""),
    ]);
    let expected = "\
.git/ ...
a/
a/b/
a/b/c/
a/b/c/d/ ...
line\\nfeed 0
src/
src/a.rs 2
src/b.rs 0
target/ ...
z.txt 3
";
    assert_eq!(sandbox.list(".").unwrap(), expected);
    assert_eq!(sandbox.list("./src//").unwrap(), "src/a.rs 2\nsrc/b.rs 0\n");
    assert_eq!(
        sandbox.list("target").unwrap(),
        "target/debug/\ntarget/debug/x 1\n"
    );
    let deep = ListArguments {
        path: None,
        depth: Some(1),
    };
    let flat = list::list(sandbox.workspace.jail(), &deep, &|| true).unwrap();
    assert!(flat.contains("a/ ...\n") && !flat.contains("a/b"), "{flat}");
}

#[test]
fn a_listing_stops_at_a_thousand_entries() {
    let sandbox = Sandbox::new(&[]);
    for number in 0..=list::ENTRIES {
        fs::write(sandbox.outside().join(format!("ws/{number:05}")), "").unwrap();
    }
    let listed = sandbox.list(".").unwrap();
    assert_eq!(listed.lines().count(), list::ENTRIES + 1);
    assert!(listed.ends_with("[cut at 1,000 entries: list a folder inside, or less deep]\n"));
}

#[test]
fn files_are_read_whole_or_by_lines() {
    let sandbox = Sandbox::new(&[
        ("f", "one\ntwo\nthree\n"),
        ("empty", ""),
        ("no-end", "one\ntwo"),
    ]);
    assert_eq!(sandbox.read("f").unwrap(), "one\ntwo\nthree\n");
    assert_eq!(sandbox.read("empty").unwrap(), "[empty]");
    assert_eq!(
        sandbox.read_lines("f", Some(2), Some(1)).unwrap(),
        "two\n\n[more: go on with `first_line` 3]"
    );
    assert_eq!(
        sandbox.read_lines("f", Some(3), Some(1)).unwrap(),
        "three\n"
    );
    assert_eq!(sandbox.read_lines("no-end", Some(2), None).unwrap(), "two");
    for line in [4, 99, u64::MAX] {
        let error = sandbox.read_lines("f", Some(line), None).unwrap_err();
        assert_eq!(error.to_string(), format!("`f` has no line {line}"));
    }
    assert_eq!(
        sandbox.read(".").unwrap_err().to_string(),
        "`.` is a folder; list it with `list_files`"
    );
    assert_eq!(
        sandbox.read("none").unwrap_err().to_string(),
        "`none` does not exist"
    );
    assert_eq!(
        sandbox.read("f/x").unwrap_err().to_string(),
        "`f/x` leads through something that is no folder"
    );
}

#[test]
fn a_large_file_is_cut_between_characters_and_says_so() {
    let sandbox = Sandbox::new(&[
        ("large", &"é".repeat(200_000)),
        ("lines", &"12345678\n".repeat(50_000)),
    ]);
    let read = sandbox.read("large").unwrap();
    assert!(read.len() <= read::ANSWER_BYTES);
    assert!(read.ends_with("\n[cut at 256 KiB of 400000 bytes, within line 1]"));
    assert!(!read.contains('\u{fffd}'));
    let read = sandbox.read("lines").unwrap();
    assert!(read.ends_with("within line 29113]"));
    let rest = sandbox.read_lines("lines", Some(29_113), None).unwrap();
    assert!(rest.ends_with("12345678\n"));
}

#[test]
fn what_is_no_text_is_not_read() {
    let sandbox = Sandbox::new(&[("binary", "a\0b"), ("latin1", "")]);
    fs::write(sandbox.outside().join("ws/latin1"), b"caf\xe9\n").unwrap();
    let error = sandbox.read("binary").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`binary` is not text: 3 bytes of something else"
    );
    assert_eq!(sandbox.read("latin1").unwrap(), "caf\u{fffd}\n");
    assert_eq!(
        sandbox.search("a", "binary").unwrap_err().to_string(),
        "`binary` is not text"
    );
}

#[test]
fn a_search_finds_lines_in_order() {
    let sandbox = Sandbox::new(&[
        ("b.txt", "none\nfn main() {}\r\n"),
        ("a/x.txt", "fn main(\n"),
        ("a/bin", "fn main(\0"),
        (".git/x", "fn main("),
        ("node_modules/x", "fn main("),
    ]);
    let found = "a/x.txt:1: fn main(\nb.txt:2: fn main() {}\n";
    assert_eq!(sandbox.search("fn main(", ".").unwrap(), found);
    assert_eq!(
        sandbox.search("fn main(", "b.txt").unwrap(),
        "b.txt:2: fn main() {}\n"
    );
    assert_eq!(
        sandbox.search("FN", "b.txt").unwrap(),
        "[no match in 1 files]\n"
    );
    let arguments = SearchArguments {
        pattern: r"^FN\s+\w+\(\)".to_owned(),
        regex: true,
        ignore_case: true,
        path: None,
    };
    assert_eq!(
        sandbox.search_with(&arguments).unwrap(),
        "b.txt:2: fn main() {}\n"
    );
}

#[test]
fn a_search_is_limited() {
    let long = format!("{}needle{}\n", "x".repeat(5000), "y".repeat(5000));
    let sandbox = Sandbox::new(&[("many", &"needle\n".repeat(300)), ("wide/long", &long)]);
    let found = sandbox.search("needle", "many").unwrap();
    assert_eq!(found.lines().count(), search::MATCHES + 1);
    assert!(found.ends_with("[stopped early: 200 matches; search a narrower path or pattern]\n"));
    let found = sandbox.search("needle", "wide").unwrap();
    assert!(found.contains("xneedley"), "{found}");
    assert!(found.chars().count() < search::LINE_CHARS + 30, "{found}");
    let size = usize::try_from(search::FILE_BYTES).unwrap();
    let large = Sandbox::new(&[("large", &format!("{}\nneedle", "x".repeat(size)))]);
    assert_eq!(
        large.search("needle", ".").unwrap(),
        "[no match in 1 files]\n[of 1 large files only the first MiB was searched]\n"
    );
}

#[test]
fn patterns_that_cannot_be_used_are_refused() {
    let sandbox = Sandbox::new(&[("f", "x")]);
    for pattern in ["(", "[", "*", "a{1000}{1000}{1000}", r"(?=x)", r"\1"] {
        let arguments = SearchArguments {
            pattern: pattern.to_owned(),
            regex: true,
            ..SearchArguments::default()
        };
        let error = sandbox.search_with(&arguments).unwrap_err().to_string();
        assert!(
            error.starts_with("`pattern` is no regular expression"),
            "{error}"
        );
    }
    for pattern in ["", "a\nb", &"x".repeat(1001)] {
        assert!(sandbox.search(pattern, ".").is_err());
    }
}

#[test]
fn work_that_is_not_wanted_any_more_stops() {
    let sandbox = Sandbox::new(&[("a", "x"), ("b", "x")]);
    let arguments = SearchArguments {
        pattern: "x".to_owned(),
        ..SearchArguments::default()
    };
    let found = search::search(sandbox.workspace.jail(), &arguments, &|| false).unwrap();
    assert!(!found.contains("a:1"), "{found}");
}
