//! A thousand changes, from a seed, at every kind of place in a bundle: each is found, by our verifier and by the one in Python.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use farhand_audit::audit;
use farhand_bundle::Writer;
use farhand_ledger::{
    Entry, Hash, What,
    five_keys::FiveKeys,
    verify::{Leaf, Verdict},
};
use farhand_wire::{EngagementId, FrameId, HoldNumber, KitState, KitTick, MacKey, Sequence};
use fastrand::Rng;
use serde_json::Value;

use crate::{
    python,
    sessions::{
        bundle, finish,
        theatre::{SESSION, Session, TOKEN, Theatre},
        unit, verdict, work,
    },
};

const SEED: u64 = 20_260_713;
/// On the file's bytes, one in each thousandth of it and more; the rest on what it holds, written as our writer would.
const OF_BYTES: usize = 600;
const OF_CONTENT: usize = 400;

/// A good session with a leaf of every kind that may come more than once.
pub(crate) fn every_kind() -> Session {
    let mut theatre = Theatre::open();
    work(&mut theatre, 0);
    let state = KitState { session: SESSION, tick: KitTick(9), ..KitState::default() };
    let others = [
        What::KitState { sealed: state.seal(&MacKey::new(&[2; 32])).to_vec() },
        What::Overlay { frame: FrameId(1), model: Hash::of(b"model"), overlay: Hash::of(b"overlay") },
        What::Engagement {
            token: TOKEN,
            engagement: EngagementId(1),
            hold: HoldNumber(1),
            first: Sequence(1),
        },
        What::Region { version: 1, snapshot: b"a region".to_vec() },
        What::Switch { what: "video".to_owned(), on: true, reason: "on".to_owned() },
        What::Personal { commitment: Hash::of(b"sealed away") },
    ];
    others.into_iter().for_each(|what| theatre.record(what));
    work(&mut theatre, 1);
    theatre.close()
}

/// One change, in words, and the file after it.
struct Mutant {
    what: String,
    bytes: Vec<u8>,
}

/// Goal: whatever is changed, removed, repeated, reordered or cut off, at whatever place, the answer is no, and it is an answer.
#[test]
fn every_mutation_is_found() {
    let session = every_kind();
    let (good, trust) = (bundle(&session), session.keys.trust());
    assert_eq!(verdict(&good, Some(trust)), Verdict::Holds, "{:?}", session.problems());
    let mutants = mutants(&session, &good);
    assert_eq!(mutants.len(), OF_BYTES + OF_CONTENT);
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> =
        (0..mutants.len()).map(|number| folder.path().join(number.to_string())).collect();
    for (mutant, file) in mutants.iter().zip(&files) {
        fs::write(file, &mutant.bytes).unwrap();
        let report = audit(file, Some(trust));
        assert!(matches!(report.exit, 1 | 2), "{}: {}, {:?}", mutant.what, report.exit, report.findings);
    }
    let trust_file = folder.path().join("trust");
    fs::write(&trust_file, trust.to_bytes()).unwrap();
    let Some(exits) = exits_in_python(&trust_file, &files) else { return };
    for (mutant, exit) in mutants.iter().zip(exits) {
        assert!(matches!(exit, 1 | 2), "the verifier in Python: {}: {exit}", mutant.what);
    }
}

/// Goal: every leaf, proof, envelope's body and attachment is what `docs/evidence.cddl` says, by a CDDL tool from elsewhere.
#[test]
fn what_is_written_conforms_to_the_cddl() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("every-kind.mcap");
    fs::write(&file, bundle(&every_kind())).unwrap();
    let Some(mut command) = python("cddl.py") else { return };
    let output = command.arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn exits_in_python(trust: &Path, files: &[PathBuf]) -> Option<Vec<i64>> {
    let output = python("verify.py")?.args(["--json", "--trust"]).arg(trust).args(files).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let exits: Vec<i64> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["exit"].as_i64().unwrap())
        .collect();
    assert_eq!(exits.len(), files.len(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(exits)
}

fn mutants(session: &Session, good: &[u8]) -> Vec<Mutant> {
    let mut rng = Rng::with_seed(SEED);
    let of_bytes = (0..OF_BYTES).map(|number| {
        // Every stretch of the file has its turn.
        let stretch = number * good.len() / OF_BYTES..(number + 1) * good.len() / OF_BYTES;
        mutate_bytes(&mut rng, good, stretch)
    });
    let of_bytes: Vec<Mutant> = of_bytes.collect();
    let of_content = std::iter::repeat_with(|| mutate_content(&mut rng, session));
    // Some changes are none: two equal proofs swapped, a picture put in its own place.
    let of_content = of_content.flatten().filter(|mutant| mutant.bytes != good).take(OF_CONTENT);
    of_bytes.into_iter().chain(of_content).collect()
}

fn mutate_bytes(rng: &mut Rng, good: &[u8], stretch: Range<usize>) -> Mutant {
    let at = rng.usize(stretch);
    let end = (at + rng.usize(1..200)).min(good.len());
    let mut bytes = good.to_vec();
    let what = match rng.u8(0..7) {
        0 => {
            bytes[at] ^= 1 << rng.u8(0..8);
            "a bit flipped"
        }
        1 => {
            bytes[at..end].fill_with(|| rng.u8(..));
            "noise"
        }
        2 => {
            bytes.drain(at..end);
            "bytes removed"
        }
        3 => {
            let copy = good[at..end].to_vec();
            bytes.splice(end..end, copy);
            "bytes repeated"
        }
        4 => {
            let (left, right) = bytes[at..end].split_at_mut((end - at) / 2);
            left.iter_mut().zip(right).for_each(|(left, right)| std::mem::swap(left, right));
            "halves swapped"
        }
        5 => {
            bytes.truncate(at);
            "cut off"
        }
        _ => {
            bytes[at..end].iter_mut().for_each(|byte| *byte = !*byte);
            "inverted"
        }
    };
    if bytes == good {
        // Swapped halves may be equal.
        bytes[at] ^= 1;
    }
    Mutant { what: format!("{what} at {at} to {end}"), bytes }
}

/// Nothing where the writer refuses.
fn mutate_content(rng: &mut Rng, session: &Session) -> Option<Mutant> {
    let mut leaves = session.leaves.clone();
    let mut checkpoints = session.checkpoints.clone();
    let (mut manifest, mut seal) = (session.manifest.clone(), session.seal.clone());
    let mut other_picture = None;
    let leaf = rng.usize(..leaves.len());
    let proof = rng.usize(..checkpoints.len());
    let what = match rng.u8(0..12) {
        0 => {
            let Leaf::Whole(bytes) = &mut leaves[leaf] else { return None };
            flip(rng, bytes);
            "leaf changed"
        }
        1 => {
            leaves.remove(leaf);
            "leaf removed"
        }
        2 => {
            let copy = leaves[leaf].clone();
            leaves.insert(leaf, copy);
            "leaf repeated"
        }
        3 => {
            let other = rng.usize(..leaves.len());
            leaves.swap(leaf, other);
            "leaves reordered"
        }
        4 => {
            leaves.truncate(leaf.max(1));
            "end cut off"
        }
        5 => {
            leaves.drain(..leaf);
            "beginning cut off"
        }
        6 => {
            flip(rng, &mut checkpoints[proof]);
            "checkpoint's proof changed"
        }
        7 => {
            checkpoints.remove(proof);
            "checkpoint removed"
        }
        8 => {
            let other = rng.usize(..checkpoints.len());
            if rng.bool() {
                checkpoints.swap(proof, other);
            } else {
                checkpoints.insert(other, checkpoints[proof].clone());
            }
            "checkpoints reordered or repeated"
        }
        9 => {
            flip(rng, &mut seal);
            "seal changed"
        }
        10 => {
            flip(rng, &mut manifest);
            "manifest changed"
        }
        _ => {
            other_picture = Some((rng.u64(1..=6), rng.u64(1..=6)));
            "another picture"
        }
    };
    let picture = |number: u64| match other_picture {
        Some((of, other)) if of == number => unit(other),
        _ => unit(number),
    };
    let content = Session { manifest, seal, checkpoints, leaves, keys: FiveKeys::new([8; 32]), file: vec![] };
    let bytes = write(&content, picture)?;
    Some(Mutant { what: format!("{what} (leaf {leaf}, proof {proof}, picture {other_picture:?})"), bytes })
}

fn flip(rng: &mut Rng, bytes: &mut [u8]) {
    let at = rng.usize(..bytes.len());
    bytes[at] ^= 1 << rng.u8(0..8);
}

/// As [`sessions::bundle`], where the writer may refuse.
fn write(content: &Session, picture: impl Fn(u64) -> Vec<u8>) -> Option<Vec<u8>> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    for leaf in &content.leaves {
        let Leaf::Whole(bytes) = leaf else { return None };
        let unit = match Entry::read(bytes).map(|entry| entry.what) {
            Ok(What::Frame(frame)) => Some(picture(frame.frame.0)),
            _ => None,
        };
        writer.leaf(bytes, unit.as_deref()).ok()?;
    }
    Some(finish(writer, content))
}
