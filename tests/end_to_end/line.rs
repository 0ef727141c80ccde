//! A stall on the line, live: kit, arm and line as processes.

use std::io::Write as _;
use std::process::ChildStdin;

use farhand_tests::Part;
use farhand_wire::{KitState, Mode, Rejection, state_flags};

use super::live::Stage;

/// Longer than the kit waits before it pauses, four times over.
const STALL_S: u64 = 2;
const ATTEMPTS: u32 = 3;

/// The lines that the stage's paths go through.
#[derive(Default)]
struct Lines(Vec<(Part, ChildStdin)>);

impl Lines {
    fn tell(&mut self, what: &str) {
        self.0.iter_mut().for_each(|(_, stdin)| writeln!(stdin, "{what}").unwrap());
    }
}

/// Goal: a stall stops the tool; with the pedal still down it stays where it is, however many fresh commands come; release, press
/// and a new engagement move it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_stall_the_tool_moves_only_by_release_and_press() {
    let mut attempts = 1;
    while let Err(Starved) = stall_and_resume().await {
        attempts += 1;
        assert!(
            attempts <= ATTEMPTS,
            "the arm's process has no time for as long as a broken cable is silent"
        );
    }
}

/// A machine short of time keeps the arm's process from its turn: a fault, which stops the tool before any pause does.
struct Starved;

async fn stall_and_resume() -> Result<(), Starved> {
    let mut lines = Lines::default();
    let mut stage = Stage::set_over(|to| {
        let to = to.to_string();
        let started = Part::start_attended("farhand", &["line", "--link", "lan", "--to", &to]).unwrap();
        let said: serde_json::Value = serde_json::from_str(&started.said).unwrap();
        lines.0.push((started.part, started.stdin));
        said["listen"][0].as_str().unwrap().parse().unwrap()
    })
    .await;
    let (_, moving) = stage.steer(50, |_| {}).await;
    assert!(moving.mode <= Mode::Limited && moving.flags & state_flags::ENGAGED != 0, "{moving:?}");

    stage.console.stuck = true;
    lines.tell("stall");
    // Commands go on into the stall; at least for so long, and a longer one is the same to the kit.
    assert_eq!(stage.play(STALL_S, |_, state| state.mode == Mode::Paused).await, None, "nothing is heard");
    lines.tell("flow");
    let is_paused = |state: &KitState| matches!(state.reason, Some(Rejection::Paused { .. }));
    let is_starved = |state: &KitState| matches!(state.reason, Some(Rejection::ArmSilent { .. }));
    let paused = stage.play(30, |_, state| is_paused(state) || is_starved(state)).await;
    let paused = paused.expect("the kit pauses, or says why it can't");
    if is_starved(&paused) {
        return Err(Starved);
    }
    assert_eq!(paused.mode, Mode::Paused);
    let still = stage.play(30, |_, state| state.rejected >= paused.rejected + 50).await.expect("all refused");
    assert_eq!((still.mode, still.applied), (Mode::Paused, paused.applied), "{still:?}");
    assert_eq!(still.setpoint, paused.setpoint, "nothing moves while the pedal stays down");

    stage.console.stuck = false;
    let moves = |state: &KitState| state.mode <= Mode::Limited && state.applied > still.applied + 20;
    let again = stage.play(30, |_, state| moves(state)).await.expect("release and press move it again");
    assert!(again.engagement > paused.engagement, "{again:?}");
    Ok(())
}
