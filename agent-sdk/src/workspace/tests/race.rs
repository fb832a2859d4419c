//! What is swapped while a tool works.
#![cfg(unix)]

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use super::{SECRET, Sandbox};

/// Ends the other threads also where this one panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Lets the names `folder` and `file` alternate between something real and a link that leads out, until it is told to end.
fn swap(root: &Path, done: &AtomicBool, swaps: &AtomicU32) {
    let mut junk = 0_u32;
    while !done.load(Ordering::Relaxed) {
        for (a, b, swapped) in [
            ("real", "evil", "folder"),
            ("real-file", "evil-file", "file"),
        ] {
            for from in [a, b] {
                let placed = fs::rename(root.join(from), root.join(swapped));
                if placed.is_ok() && fs::rename(root.join(swapped), root.join(from)).is_ok() {
                    swaps.fetch_add(1, Ordering::Relaxed);
                } else {
                    // The writer made one of its own, which is in the way.
                    let _ = fs::rename(root.join(swapped), root.join(format!("junk-{junk}")));
                    junk += 1;
                }
            }
        }
    }
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(&[("real/secret.txt", "harmless"), ("real-file", "harmless")]);
    symlink("..", sandbox.inside("evil")).unwrap();
    symlink("../secret.txt", sandbox.inside("evil-file")).unwrap();
    sandbox
}

#[test]
fn t6_what_is_swapped_for_a_link_meanwhile_is_not_read() {
    let sandbox = sandbox();
    let (done, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
    let (mut read, mut refused) = (0_u32, 0_u32);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&sandbox.inside(""), &done, &swaps));
        let _ends = Ends(&done);
        for _ in 0..50_000 {
            for path in ["folder/secret.txt", "file"] {
                match sandbox.read(path) {
                    Ok(text) => {
                        assert_eq!(text, "harmless");
                        read += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    });
    let swaps = swaps.into_inner();
    assert!(
        refused > 0 && swaps > 0,
        "{read} read, {refused} refused, {swaps} swaps"
    );
}

#[test]
fn t6_what_is_swapped_for_a_link_meanwhile_is_not_written_through() {
    let sandbox = sandbox();
    let outside = || {
        let names = fs::read_dir(sandbox.outside()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = outside();
    let (done, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
    let (mut written, mut refused) = (0_u32, 0_u32);
    let workspace = sandbox.workspace.clone().with_max_entries(usize::MAX);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&sandbox.inside(""), &done, &swaps));
        let _ends = Ends(&done);
        for round in 0..10_000 {
            for path in ["folder/secret.txt", "folder/new/deep.txt", "file"] {
                match workspace.write(path, "evil") {
                    Ok(_) => written += 1,
                    Err(_) => refused += 1,
                }
            }
            if round % 1_000 == 0 {
                let secret = fs::read_to_string(sandbox.outside().join("secret.txt")).unwrap();
                assert_eq!(secret, SECRET);
            }
        }
    });
    assert_eq!(outside(), before, "a file was made outside");
    let secret = fs::read_to_string(sandbox.outside().join("secret.txt")).unwrap();
    assert_eq!(secret, SECRET);
    let swaps = swaps.into_inner();
    assert!(
        written > 0 && refused > 0 && swaps > 0,
        "{written} written, {refused} refused, {swaps} swaps"
    );
}
