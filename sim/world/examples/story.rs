//! Runs sessions of a soak until one breaks a promise, and tells it: `story SEED SESSIONS`. Exits with 1 if one did.
//!
//! `tests/mutants/run` holds every rule of the guard against it.

use std::process::ExitCode;

use farhand_world::{CannotBegin, Options, Session};

const SECONDS: u64 = 60;

#[expect(clippy::print_stdout, reason = "the answer")]
fn main() -> Result<ExitCode, CannotBegin> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().unwrap_or(1));
    let (seed, sessions) = (arguments.next().unwrap_or(1), arguments.next().unwrap_or(100));
    for number in 0..sessions {
        let outcome = Session::new(Options::of_soak(seed, number, SECONDS))?.run()?;
        if let Some(first) = outcome.violations.first() {
            println!(
                "{} at {} ms of seed {}: {}",
                first.promise,
                first.tick_us / 1000,
                outcome.seed,
                first.words
            );
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("{sessions} sessions broke nothing");
    Ok(ExitCode::SUCCESS)
}
