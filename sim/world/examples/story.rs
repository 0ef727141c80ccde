//! Runs sessions of a soak until one breaks a promise, and tells it: `story SEED SESSIONS`. Exits with 1 if one did.
//! `story SEED SESSIONS NUMBER` begins with that session, and tells the shortest story that breaks a promise.
//!
//! `tests/mutants/run` holds every rule of the guard against it.

use std::process::ExitCode;

use farhand_world::{CannotBegin, Session, Story};

const SECONDS: u64 = 60;

#[expect(clippy::print_stdout, reason = "the answer")]
fn main() -> Result<ExitCode, CannotBegin> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse().unwrap_or(1));
    let (seed, sessions) = (arguments.next().unwrap_or(1), arguments.next().unwrap_or(100));
    let from = arguments.next();
    for number in from.unwrap_or(0)..sessions {
        let story = Story::of_soak(seed, number, SECONDS);
        let outcome = Session::new(story.clone())?.play()?;
        if let Some(first) = outcome.violations.first() {
            println!(
                "{} at {} ms of session {number}, seed {}: {}",
                first.promise,
                first.tick_us / 1000,
                outcome.seed,
                first.words
            );
            if from.is_some() {
                tell(&story)?;
            }
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("{sessions} sessions broke nothing");
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the answer")]
fn tell(story: &Story) -> Result<(), CannotBegin> {
    let shortest =
        story.shortest(|story| Ok::<_, CannotBegin>(Session::new(story.clone())?.play()?.broken_us))?;
    let outcome = Session::new(shortest.clone())?.play()?;
    shortest.troubles.iter().for_each(|trouble| println!("  {trouble}"));
    outcome.violations.iter().for_each(|it| println!("  {} at {} µs: {}", it.promise, it.tick_us, it.words));
    Ok(())
}
