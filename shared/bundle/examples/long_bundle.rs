//! Writes the bundle of a long session, at the rates of a real one, and its trust root: `long_bundle FILE TRUST SECONDS`.
//! A second has 1000 commands, 100 kit states, 30 frames of 25 kB and 10 checkpoints. For measuring.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example may fail")]

#[path = "../tests/sessions/mod.rs"]
mod sessions;

use std::{fs::File, io::BufWriter};

use farhand_bundle::{Writer, proof_record};
use farhand_ledger::{Closing, Event, FrameEntry, Hash, Sealing, What, picture};
use farhand_wire::{KitState, KitTick, MacKey, Mode, OperatingState, Pose, Sequence};
use sessions::theatre::{SESSION, TOKEN, Theatre, frame};

const UNIT_BYTES: usize = 25_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (file, trust) = (arguments.next().unwrap(), arguments.next().unwrap());
    let seconds: u64 = arguments.next().unwrap().parse().unwrap();
    let mut theatre = Theatre::open();
    std::fs::write(trust, theatre.keys.trust().to_bytes()).unwrap();
    let mut writer = Writer::new(BufWriter::new(File::create(&file).unwrap())).unwrap();
    let (mut proofs, noise) = (Vec::new(), noise());
    for tenth in 0..seconds * 10 {
        work(&mut theatre, &mut writer, &noise, tenth);
        proofs.extend(proof_record(&theatre.checkpoints.pop().unwrap()));
    }
    let closing = Closing { reason: "done".to_owned(), ..theatre.counts.clone() };
    theatre.record(What::Closed(closing));
    pass_on(&mut theatre, &mut writer, None);
    let manifest = sessions::good().manifest;
    let sealing = Sealing {
        session: SESSION,
        tree_size: theatre.log.size(),
        root: theatre.log.root(),
        manifest: Hash::of(&manifest),
        commands: theatre.counts.commands,
        frames: theatre.counts.frames,
    };
    let seal = theatre.commit(Event::Sealed(sealing));
    writer.finish(&manifest, &seal, &mut &proofs[..], proofs.len() as u64).unwrap();
    println!("{file}: {} leaves, {:?}", theatre.log.size(), theatre.counts);
}

fn work(theatre: &mut Theatre, writer: &mut Writer<BufWriter<File>>, noise: &[u8], tenth: u64) {
    let frames = tenth * 3 + 1..tenth * 3 + 4;
    let mut shown = Vec::new();
    for number in frames.clone() {
        let unit = unit(noise, number);
        let hashes = picture::hashes(&unit);
        shown.push((number, hashes.picture_hash));
        theatre.counts.frames += 1;
        theatre.record(What::Frame(FrameEntry {
            au_hash: hashes.au_hash,
            picture_hash: hashes.picture_hash,
            au_bytes: unit.len() as u64,
            ..frame(number)
        }));
        pass_on(theatre, writer, Some(&unit));
    }
    let commands: Vec<(u64, u64)> =
        (tenth * 100 + 1..tenth * 100 + 101).map(|s| (s, frames.end - 1)).collect();
    for &(sequence, frame) in &commands {
        theatre.command(sequence, frame);
        if sequence % 10 == 0 {
            theatre.record(What::KitState { sealed: kit_state(sequence) });
        }
    }
    theatre.surgeon_lists(&commands);
    theatre.kit_judges(&commands.iter().map(|(s, _)| *s).collect::<Vec<_>>());
    theatre.display_reports(&shown);
    theatre.checkpoint();
    pass_on(theatre, writer, None);
}

/// Hands leaves on, the last of them with its unit, so that nothing grows.
fn pass_on(theatre: &mut Theatre, writer: &mut Writer<BufWriter<File>>, unit: Option<&[u8]>) {
    theatre.file.clear();
    let last = theatre.leaves.len() - 1;
    for (number, leaf) in theatre.leaves.drain(..).enumerate() {
        writer.leaf(&leaf, unit.filter(|_| number == last)).unwrap();
    }
}

fn kit_state(sequence: u64) -> Vec<u8> {
    let state = KitState {
        session: SESSION,
        token: TOKEN,
        tick: KitTick(sequence * 1000),
        mode: Mode::Free,
        operating_state: OperatingState::Enabled,
        flags: 0,
        engagement: Default::default(),
        hold: Default::default(),
        newest: Sequence(sequence),
        applied: sequence,
        rejected: 0,
        unauthentic: 0,
        newest_frame: Default::default(),
        setpoint: Pose::default(),
        measured: Pose::default(),
        jaw_rad: 0.0,
        speed_limit_mm_s: 100.0,
        command_age_ms: 20.0,
        picture_age_ms: 40.0,
        lag_mm: 0.1,
        reason: None,
        verdicts: Default::default(),
    };
    state.seal(&MacKey::new(&[1; 32])).to_vec()
}

/// Bytes without a zero, as an encoder's are without start codes.
fn noise() -> Vec<u8> {
    (0u64..).flat_map(|at| Hash::of(&at.to_le_bytes()).0).map(|byte| byte | 1).take(1 << 20).collect()
}

fn unit(noise: &[u8], number: u64) -> Vec<u8> {
    let at = number as usize * 4099 % (noise.len() - UNIT_BYTES);
    let head: &[u8] = if number % 30 == 1 {
        &[0, 0, 0, 1, 0x67, 66, 192, 30, 0, 0, 0, 1, 0x68, 206, 60, 0, 0, 0, 1, 0x65]
    } else {
        &[0, 0, 0, 1, 0x41]
    };
    [head, &noise[at..at + UNIT_BYTES]].concat()
}
