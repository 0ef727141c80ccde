//! P12: what is forged, damaged, cut, padded, played again or older than the newest authentic command is never applied, and what is
//! good and newer always is, right between.
#![allow(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]

mod stage;

use std::collections::BTreeMap;

use farhand_guard::{Input, Lag, Response};
use farhand_wire::*;
use fastrand::Rng;
use stage::{CONSOLE, SESSION, Stage};

const FRAMES: u64 = 1_000_000;
const SEED: u64 = 20_261_121;
/// Sealed commands that whoever sits on the line has kept.
const KEPT: usize = 256;

const KINDS: [&str; 8] = [
    "good and newer",
    "forged",
    "bit turned",
    "cut",
    "padded",
    "played again",
    "older",
    "under another token",
];

/// Goal: of a million frames, one in eight good, exactly the good ones are applied.
#[test]
fn of_a_million_frames_exactly_the_good_ones_count() {
    let (mut stage, mut rng) = (Stage::engaged(), Rng::with_seed(SEED));
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let before = stage.report().applied;
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for _ in 0..FRAMES {
        let kind = KINDS[rng.usize(0..KINDS.len())];
        *seen.entry(kind).or_default() += 1;
        let bytes = frame(&mut stage, &mut rng, kind, &kept);
        let applied = take(&mut stage, &bytes);
        assert_eq!(applied, kind == "good and newer", "{kind}, command {}", stage.sequence);
        if applied {
            match kept.len() {
                KEPT => kept[rng.usize(0..KEPT)] = bytes,
                _ => kept.push(bytes),
            }
        }
        if rng.u8(0..4) == 0 {
            stage.tick();
        }
    }
    let applied = stage.report().applied - before;
    assert_eq!(applied, seen["good and newer"]);
    assert!(seen.len() == KINDS.len() && seen.values().all(|times| *times > FRAMES / 10), "{seen:?}");
}

fn frame(stage: &mut Stage, rng: &mut Rng, kind: &str, kept: &[Vec<u8>]) -> Vec<u8> {
    let key = MacKey::new(&CONSOLE);
    let mut command = newest(stage);
    match kind {
        "good and newer" => {
            stage.sequence += rng.u64(1..3);
            command.sequence = Sequence(stage.sequence);
            return command.seal(&key).to_vec();
        }
        "played again" if !kept.is_empty() => return kept[rng.usize(0..kept.len())].clone(),
        "forged" => {
            return command
                .seal(&MacKey::new(&rng.u64(..).to_le_bytes().repeat(4).try_into().unwrap()))
                .to_vec();
        }
        "under another token" => {
            command.token = LeaseToken(command.token.0 + rng.u64(1..9));
            return command.seal(&key).to_vec();
        }
        "older" | "played again" => {
            command.sequence = Sequence(rng.u64(0..=stage.sequence));
            return command.seal(&key).to_vec();
        }
        _ => {}
    }
    let mut bytes = command.seal(&key).to_vec();
    match kind {
        "cut" => bytes.truncate(rng.usize(0..bytes.len())),
        "padded" => bytes.extend((0..rng.usize(1..2_000)).map(|_| rng.u8(..))),
        _ => {
            let bit = rng.usize(0..bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
    bytes
}

/// What the console would send next.
fn newest(stage: &Stage) -> Command {
    let report = stage.report();
    Command {
        session: SESSION,
        token: report.token,
        sequence: Sequence(stage.sequence + 1),
        kit_tick_echo: stage.tick_now(),
        arm: 0,
        dead_man: true,
        clutch: false,
        engagement: EngagementId(stage.engagement),
        hold: report.hold,
        target: Pose::default(),
        jaw_rad: 0.0,
        frame_seen: stage.frame(),
        frame_age_us: None,
    }
}

fn take(stage: &mut Stage, bytes: &[u8]) -> bool {
    stage.film();
    stage.mark(stage.sequence);
    let Ok(command) = stage.verifier.command(bytes) else { return false };
    let answer = stage.guard.take(stage.tick_now(), Input::Command(command, Lag::default()));
    matches!(answer, Response::Verdict(Verdict { rejection: None, .. }))
}
