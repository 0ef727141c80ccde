//! Whole sessions as bundles, with pictures, on the theatre of the ledger's own tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "helpers of several test binaries"
)]

#[path = "../../../ledger/tests/theatre/mod.rs"]
pub mod theatre;

use ed25519_dalek::SigningKey;
use farhand_bundle::{Reader, Verified, Writer, proof_record, verify};
use farhand_ledger::{
    Cbor, Entry, FrameEntry, Hash, TrustRoot, What,
    five_keys::FiveKeys,
    picture,
    verify::{Leaf, Verdict},
};
use theatre::{Session, Theatre, at, frame};

const START: &[u8] = &[0, 0, 0, 1];
/// Parameter sets of constrained baseline, 960 x 540, as x264 makes them.
const SPS: &[u8] = b"\x67\x42\xc0\x1f\xda\x03\xc0\x45\xfb\xc0\x5a\x80\x80\x80\xa0\x00\x00\x03\x00\x20\x00\x00\x07\x91\xe3\x06\x54";
const PPS: &[u8] = b"\x68\xce\x3c\x80";

/// An access unit as an encoder makes it, of a few hundred bytes: delimiter, parameter sets in the first, two slices.
pub fn unit(number: u64) -> Vec<u8> {
    unit_with(number, &[START, SPS, START, PPS])
}

/// The same with other parameter sets.
pub fn unit_with(number: u64, parameters: &[&[u8]]) -> Vec<u8> {
    // Neither start codes nor emulation of them, and in no unit what is in another.
    let body = |salt: u8, bytes: usize| -> Vec<u8> {
        let piece = |at: u64| Hash::of(&[&number.to_le_bytes()[..], &at.to_le_bytes(), &[salt]].concat()).0;
        (0..).flat_map(piece).map(|byte| byte | 1).take(bytes).collect()
    };
    let slice = if number == 1 { 0x65 } else { 0x41 };
    let mut unit = vec![0, 0, 0, 1, 9, 0xf0];
    unit.extend(if number == 1 { parameters.concat() } else { Vec::new() });
    unit.extend([0, 0, 0, 1, slice]);
    unit.extend(body(1, 90));
    unit.extend([0, 0, 1, slice]);
    unit.extend(body(2, 40));
    unit
}

/// The leaf's content of that frame.
pub fn frame_of(number: u64) -> FrameEntry {
    let (unit, hashes) = (unit(number), picture::hashes(&unit(number)));
    FrameEntry {
        au_hash: hashes.au_hash,
        picture_hash: hashes.picture_hash,
        au_bytes: unit.len() as u64,
        ..frame(number)
    }
}

pub fn record_frame(theatre: &mut Theatre, number: u64) {
    theatre.counts.frames += 1;
    theatre.record(What::Frame(frame_of(number)));
}

/// A tenth of a second of work, as [`Theatre::work`], with pictures that there are.
pub fn work(theatre: &mut Theatre, tenth: u64) {
    let frames = tenth * 3 + 1..tenth * 3 + 4;
    frames.clone().for_each(|number| record_frame(theatre, number));
    let commands: Vec<(u64, u64)> = (tenth * 5 + 1..tenth * 5 + 6).map(|s| (s, frames.end - 1)).collect();
    let arrived: Vec<(u64, u64)> = commands.iter().copied().filter(|(s, _)| s % 5 != 0).collect();
    arrived.iter().for_each(|&(sequence, frame)| theatre.command(sequence, frame));
    theatre.surgeon_lists(&commands);
    theatre.kit_judges(&arrived.iter().map(|(s, _)| *s).collect::<Vec<_>>());
    let shown: Vec<(u64, Hash)> = frames.map(|number| (number, frame_of(number).picture_hash)).collect();
    theatre.display_reports(&shown);
    theatre.checkpoint();
}

/// A good session of four tenths of a second.
pub fn good() -> Session {
    good_under([8; 32])
}

/// The same on another ledger, whose keys come from that seed.
pub fn good_under(seed: [u8; 32]) -> Session {
    let mut theatre = Theatre::open_with(seed, |_, _| {});
    (0..4).for_each(|tenth| work(&mut theatre, tenth));
    theatre.close()
}

/// The smallest session with one of each: a frame, a command, the segments, a checkpoint.
pub fn small() -> Session {
    small_on(Theatre::open())
}

/// The same on a ledger whose first epoch ended before, and whose second one ends meanwhile.
pub fn of_three_epochs() -> Session {
    let mut keys = FiveKeys::new([8; 32]);
    keys.next_epoch(at(0), 1, |old, _| old[..4].to_vec()).unwrap();
    let mut theatre = Theatre::open_on(keys);
    theatre.keys.next_epoch(at(0), 2, |old, _| old.to_vec()).unwrap();
    small_on(theatre)
}

/// The same in a first epoch, with the end of it that `endorse` says.
pub fn ended_by(leave: u8, endorse: fn(&[SigningKey], &[SigningKey]) -> Vec<SigningKey>) -> Session {
    let mut theatre = Theatre::open();
    let end = theatre.keys.next_epoch(at(0), leave, endorse).unwrap();
    theatre.ends = proof_record(&end.to_bytes());
    small_on(theatre)
}

fn small_on(mut theatre: Theatre) -> Session {
    record_frame(&mut theatre, 1);
    theatre.command(1, 1);
    theatre.surgeon_lists(&[(1, 1)]);
    theatre.kit_judges(&[1]);
    theatre.display_reports(&[(1, frame_of(1).picture_hash)]);
    theatre.checkpoint();
    theatre.close()
}

/// The session as a bundle.
pub fn bundle(session: &Session) -> Vec<u8> {
    bundle_with(session, |number| Some(unit(number)))
}

/// The same, with other access units.
pub fn bundle_with(session: &Session, unit: impl Fn(u64) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    for leaf in &session.leaves {
        match leaf {
            Leaf::Redacted(hash) => writer.redacted(*hash).unwrap(),
            Leaf::Whole(bytes) => {
                let unit = match Entry::read(bytes).unwrap().what {
                    What::Frame(frame) => unit(frame.frame.0),
                    _ => None,
                };
                writer.leaf(bytes, unit.as_deref()).unwrap();
            }
        }
    }
    finish(writer, session)
}

pub fn finish(writer: Writer<Vec<u8>>, session: &Session) -> Vec<u8> {
    let proofs = session.checkpoints.iter().map(|proof| proof_record(proof)).collect::<Vec<_>>().concat();
    writer.finish(&session.manifest, &session.seal, &mut &proofs[..], proofs.len() as u64).unwrap()
}

pub fn check(bundle: &[u8], trust: Option<&TrustRoot>) -> Verified {
    verify(&Reader::open(bundle.to_vec()).unwrap(), trust).unwrap()
}

/// What it comes to; a file that can't be read is unreadable.
pub fn verdict(bundle: &[u8], trust: Option<&TrustRoot>) -> Verdict {
    Reader::open(bundle.to_vec())
        .and_then(|reader| verify(&reader, trust))
        .map_or(Verdict::Unreadable, |verified| verified.verdict())
}
