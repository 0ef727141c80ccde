//! Every input that is kept goes through its target again: seeds, what the fuzzer found worth keeping, and whatever once
//! broke something.
#![allow(clippy::unwrap_used, reason = "a folder that can't be read is a failed test")]

#[allow(unsafe_code, reason = "an allocator can't be made without")]
#[path = "../targets/src/bounded.rs"]
mod bounded;

use std::{fs, path::Path};

use farhand_fuzz::TARGETS;

fn inputs(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(listed) = fs::read_dir(folder) else { return vec![] };
    let paths = listed.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

/// Goal: what was ever found stays fixed, and what is accepted today keeps its promises.
#[test]
fn every_kept_input_is_taken_well() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, target) in TARGETS {
        let kept = inputs(&root.join("corpus").join(name));
        assert!(!kept.is_empty(), "{name} has no seeds");
        for (path, bytes) in kept.into_iter().chain(inputs(&root.join("found").join(name))) {
            let taken = std::panic::catch_unwind(|| target(&bytes));
            assert!(taken.is_ok(), "{name}: {path}");
        }
    }
}
