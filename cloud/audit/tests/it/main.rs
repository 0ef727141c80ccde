//! What `farhand-audit` says, writes and finds, beside verifiers and readers that share nothing with it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests may fail, and say why they were skipped"
)]

mod audit;
mod mutations;
mod people;
mod report;
mod screen;
#[path = "../../../../shared/bundle/tests/sessions/mod.rs"]
mod sessions;
mod vectors;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// One of the scripts in `tests/verifier`, if there is a Python with what they need; says so if there is none.
fn python(script: &str) -> Option<Command> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let ours = root.join("target/verifier-venv/bin/python");
    let named = env::var_os("FARHAND_PYTHON").map(PathBuf::from);
    let Some(python) = named.or(Some(ours)).filter(|python| python.exists()) else {
        eprintln!("skipped: no Python with tests/verifier/requirements.txt (FARHAND_PYTHON)");
        return None;
    };
    let mut command = Command::new(python);
    command.arg(root.join("tests/verifier").join(script).canonicalize().unwrap());
    Some(command)
}
