//! What a bundle promises: it says what was recorded, and not one byte of it can change unnoticed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail")]

mod sessions;

use std::collections::BTreeSet;

use farhand_bundle::{
    BadRedaction, Content, Fault, Reader, Redaction, Unreadable, WriteError, Writer, redact,
};
use farhand_ledger::{
    Entry, Hash, What,
    five_keys::FiveKeys,
    verify::{Leaf, Problem, Verdict},
};
use sessions::{
    bundle, bundle_with, check, finish, good, small,
    theatre::{Session, Theatre},
    unit, verdict,
};

/// Goal: a good session's bundle holds, with every picture checked, and gives back every leaf as it went in.
#[test]
fn a_good_bundle_holds() {
    let session = good();
    let bytes = bundle(&session);
    let verified = check(&bytes, Some(session.keys.trust()));
    assert_eq!((verified.verdict(), &verified.faults[..]), (Verdict::Holds, &[][..]));
    // Every fifth command was lost on its way.
    let names: Vec<_> = verified.report.findings.iter().map(|finding| finding.problem.name()).collect();
    assert_eq!(names, ["lost-to-edge"; 4]);
    assert_eq!((verified.pictures, verified.pictures_left_out, verified.bytes), (12, 0, bytes.len() as u64));
    assert_eq!((verified.report.checkpoints, verified.report.frames_confirmed), (5, 12));
    let reader = Reader::open(bytes).unwrap();
    let contents: Vec<Content> = reader.contents().map(Result::unwrap).collect();
    let leaves: Vec<Leaf> = contents.iter().map(|content| content.leaf.clone()).collect();
    assert_eq!(leaves, session.leaves);
    assert_eq!(contents.iter().filter(|content| content.unit.is_some()).count(), 12);
    assert_eq!((reader.manifest(), reader.seal().unwrap()), (&session.manifest[..], session.seal.clone()));
    assert_eq!(reader.checkpoints().collect::<Vec<_>>(), session.checkpoints);
}

/// Goal: without a trust root the answer is "untrusted", under another ledger's it is "no".
#[test]
fn without_trust_nothing_is_proven() {
    let session = small();
    let bytes = bundle(&session);
    assert_eq!(verdict(&bytes, None), Verdict::Untrusted);
    assert_eq!(verdict(&bytes, Some(FiveKeys::new([1; 32]).trust())), Verdict::DoesNotHold);
}

/// Goal: no byte of the file can change: every third of the container, and some of leaves and proofs, where a byte is one
/// of many under the same hash or signature. `every_byte` tries them all.
#[test]
fn a_flipped_byte_is_found() {
    let session = small();
    let bytes = bundle(&session);
    let inside = covered(&session, &bytes);
    let places: Vec<usize> =
        (0..bytes.len()).filter(|place| place % if inside.contains(place) { 211 } else { 3 } == 0).collect();
    assert!(places.len() > 1000, "{}", places.len());
    flip(&session, &bytes, &places);
}

/// Goal: the same, for every byte there is. Takes minutes.
#[test]
#[ignore = "takes minutes"]
fn every_byte() {
    let session = small();
    let bytes = bundle(&session);
    flip(&session, &bytes, &(0..bytes.len()).collect::<Vec<_>>());
}

/// Changes each of the bytes in turn, in two ways, and expects a no.
fn flip(session: &Session, bytes: &[u8], places: &[usize]) {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for part in 0..threads {
            scope.spawn(move || {
                let mut bad = bytes.to_vec();
                for place in places.iter().skip(part).step_by(threads) {
                    let change = if place % 2 == 0 { 0x01 } else { 0x80 };
                    bad[*place] ^= change;
                    let seen = verdict(&bad, Some(session.keys.trust()));
                    assert!(
                        matches!(seen, Verdict::DoesNotHold | Verdict::Unreadable),
                        "byte {place} of {}: {seen:?}",
                        bytes.len()
                    );
                    bad[*place] ^= change;
                }
            });
        }
    });
}

/// Bytes of leaves, proofs and pictures.
fn covered(session: &Session, bytes: &[u8]) -> BTreeSet<usize> {
    let whole = session.leaves.iter().filter_map(|leaf| match leaf {
        Leaf::Whole(bytes) => Some(bytes.as_slice()),
        Leaf::Redacted(_) => None,
    });
    let proofs = session.checkpoints.iter().chain([&session.seal]).map(Vec::as_slice);
    let mut covered = BTreeSet::new();
    for part in whole.chain(proofs) {
        let at = bytes.windows(part.len()).position(|window| window == part).unwrap();
        covered.extend(at..at + part.len());
    }
    covered
}

/// Goal: a file cut anywhere is no bundle, nor is anything else that is no bundle.
#[test]
fn a_cut_file_is_unreadable() {
    let session = small();
    let bytes = bundle(&session);
    for length in (0..bytes.len()).step_by(101).chain([0, 1, 7, 8, bytes.len() - 8, bytes.len() - 1]) {
        let opened = Reader::open(bytes[..length].to_vec());
        assert!(matches!(opened, Err(Unreadable::NotMcap)), "{length} bytes: {opened:?}");
    }
    let mut longer = bytes.clone();
    longer.extend(b"more");
    assert!(matches!(Reader::open(longer), Err(Unreadable::NotMcap)));
    assert!(matches!(Reader::open(vec![0; 10_000]), Err(Unreadable::NotMcap)));
    // What a crash leaves: whatever the container's writer closes by itself.
    let mut cut = Vec::new();
    let mut writer = Writer::new(&mut cut).unwrap();
    writer.leaf(session.bytes(0), None).unwrap();
    drop(writer);
    assert!(matches!(Reader::open(cut), Err(Unreadable::NotABundle { .. })));
}

/// Goal: no bytes from outside make the reader panic, or take memory that the file does not have: lengths and offsets are
/// the places where it could.
#[test]
fn wild_lengths_never_panic() {
    let bytes = bundle(&small());
    let wild = [0, 1, 8, 0x7fff_ffff, 0xffff_ffff, u64::MAX, u64::MAX - 7, bytes.len() as u64];
    for (place, wild) in (0..bytes.len() - 8).step_by(3).zip(wild.iter().cycle()) {
        for width in [4, 8] {
            let mut bad = bytes.clone();
            bad[place..place + width].copy_from_slice(&wild.to_le_bytes()[..width]);
            if let Ok(reader) = Reader::open(bad) {
                let contents = reader.contents().take_while(Result::is_ok).count();
                let proofs = reader.checkpoints().count();
                assert!(contents <= 100 && proofs <= 100 && reader.manifest().len() <= bytes.len());
            }
        }
    }
}

/// Goal: bytes put in or taken out anywhere are found.
#[test]
fn bytes_put_in_or_taken_out_are_found() {
    let session = small();
    let bytes = bundle(&session);
    for place in (0..bytes.len()).step_by(509) {
        let mut bad = bytes.clone();
        bad.insert(place, bad[place]);
        assert_ne!(verdict(&bad, Some(session.keys.trust())), Verdict::Holds, "put in at {place}");
        bad.drain(place..place + 2);
        assert_ne!(verdict(&bad, Some(session.keys.trust())), Verdict::Holds, "taken out at {place}");
    }
}

/// Goal: a picture other than the leaf says is a fault that names leaf and frame, even if the file is written anew around
/// it; and so is one that says more than was sent.
#[test]
fn another_picture_is_found() {
    let session = good();
    let other = bundle_with(&session, |number| Some(unit(if number == 3 { 4 } else { number })));
    let verified = check(&other, Some(session.keys.trust()));
    assert_eq!(verified.verdict(), Verdict::DoesNotHold);
    assert_eq!(verified.report.verdict, Verdict::Holds);
    let named = |fault: &Fault| matches!(fault, Fault::Picture { frame: 3, .. });
    assert!(verified.faults.len() == 2 && verified.faults.iter().all(named), "{:?}", verified.faults);
    // A parameter set that was never sent is in the hash of the access unit, not in that of the picture.
    let more =
        bundle_with(&session, |number| Some([&[0, 0, 0, 1, 6, 1, 1, 0x80][..], &unit(number)].concat()));
    let verified = check(&more, Some(session.keys.trust()));
    assert_eq!((verified.verdict(), verified.faults.len()), (Verdict::DoesNotHold, 12));
}

/// Goal: an access unit is kept in its one form, so that start codes, delimiters and zeros hide nothing.
#[test]
fn a_unit_in_another_form_is_found() {
    let session = small();
    let bytes = bundle(&session);
    let same = bundle_with(&session, |number| {
        Some([&unit(number)[..], &[0, 0, 0, 1, 12, 0xff, 0x80, 0, 0]].concat())
    });
    assert_eq!(bytes, same);
}

/// Goal: pictures may be left out, and that is counted; what their leaves say stays.
#[test]
fn pictures_may_be_left_out() {
    let session = good();
    let verified = check(
        &bundle_with(&session, |number| (number > 5).then(|| unit(number))),
        Some(session.keys.trust()),
    );
    assert_eq!((verified.verdict(), verified.pictures, verified.pictures_left_out), (Verdict::Holds, 7, 5));
    let reader = Reader::open(bundle(&session)).unwrap();
    let (bytes, redacted) = redact(&reader, &"pictures".parse().unwrap(), Vec::new()).unwrap();
    let verified = check(&bytes, Some(session.keys.trust()));
    assert_eq!((verified.verdict(), redacted.pictures, verified.pictures_left_out), (Verdict::Holds, 12, 12));
}

/// Goal: redacted leaves leave their hash and no copy, a frame takes its picture along, everything else still holds, and
/// the redaction is listed. Redacting twice is redacting both.
#[test]
fn a_redacted_bundle_still_holds() {
    let session = good();
    let bytes = bundle(&session);
    let frame = session.find(|what| matches!(what, What::Frame(frame) if frame.frame.0 == 2)) as u64;
    let command = session.find(|what| matches!(what, What::Command { .. })) as u64;
    let take = |bytes: Vec<u8>, leaf: u64| {
        redact(&Reader::open(bytes).unwrap(), &[leaf].into_iter().collect(), Vec::new()).unwrap()
    };
    let (once, first) = take(bytes, frame);
    let (twice, second) = take(once, command);
    assert_eq!((first.leaves, first.pictures, second.leaves, second.pictures), (1, 1, 1, 0));
    let verified = check(&twice, Some(session.keys.trust()));
    assert_eq!((verified.verdict(), verified.report.redacted, verified.pictures), (Verdict::Holds, 2, 11));
    let listed: Vec<Option<u64>> = verified
        .report
        .findings
        .iter()
        .filter(|finding| finding.problem == Problem::Redacted)
        .map(|finding| finding.leaf)
        .collect();
    assert_eq!(listed, [Some(frame), Some(command)]);
    for gone in [session.bytes(command as usize), &unit(2)[11..60]] {
        assert!(!twice.windows(gone.len()).any(|window| window == gone));
    }
    assert!(unit_is_in(&twice, 3) && !unit_is_in(&twice, 2));
}

/// Goal: all of a kind go and nothing else, whoever redacted before; and what is left holds.
#[test]
fn all_of_a_kind_may_be_taken_out() {
    let session = good();
    let count = |kind: fn(&What) -> bool| {
        (0..session.leaves.len()).filter(|&n| kind(&Entry::read(session.bytes(n)).unwrap().what)).count()
            as u64
    };
    let gone = count(|what| matches!(what, What::Frame(_) | What::DisplayReport { .. }));
    let redaction: Redaction = "frame,display-report,3".parse().unwrap();
    let (bytes, redacted) = redact(&Reader::open(bundle(&session)).unwrap(), &redaction, Vec::new()).unwrap();
    assert_eq!((redacted.leaves, redacted.pictures), (gone + 1, 12));
    let verified = check(&bytes, Some(session.keys.trust()));
    assert_eq!((verified.verdict(), verified.pictures, verified.pictures_left_out), (Verdict::Holds, 0, 0));
}

fn unit_is_in(bytes: &[u8], number: u64) -> bool {
    let slice = &unit(number)[11..60];
    bytes.windows(slice.len()).any(|window| window == slice)
}

/// Goal: what a verifier can't do without, or what is not there, is not taken out.
#[test]
fn the_opening_and_the_closing_stay() {
    let session = small();
    let reader = Reader::open(bundle(&session)).unwrap();
    let last = session.leaves.len() as u64 - 1;
    let take = |leaf: u64| redact(&reader, &[leaf].into_iter().collect(), Vec::new()).unwrap_err();
    assert!(matches!(take(0), BadRedaction::Needed { leaf: 0, .. }));
    assert!(matches!(take(last), BadRedaction::Needed { .. }));
    assert!(matches!(take(last + 1), BadRedaction::NoLeaf { .. }));
}

/// Goal: the writer refuses what no reader would take: a leaf that is none, a picture without a frame, proofs that end
/// early.
#[test]
fn the_writer_refuses_nonsense() {
    let session = small();
    let mut writer = Writer::new(Vec::new()).unwrap();
    assert!(matches!(writer.leaf(b"no leaf", None), Err(WriteError::Leaf { leaf: 0, .. })));
    writer.leaf(session.bytes(0), None).unwrap();
    assert!(matches!(writer.leaf(session.bytes(1), Some(&unit(1))), Err(WriteError::NotAFrame { leaf: 1 })));
    let writer = Writer::new(Vec::new()).unwrap();
    let short = writer.finish(&session.manifest, &session.seal, &mut &b"123"[..], 4);
    assert!(matches!(short, Err(WriteError::Proofs { seen: 3, expected: 4 })));
}

/// Goal: leaves in another order than they were recorded are found.
#[test]
fn leaves_in_another_order_are_found() {
    let session = small();
    let frame = session.find(|what| matches!(what, What::Frame(_)));
    let mut leaves = session.leaves.clone();
    leaves.swap(frame, frame + 1);
    let swapped = Session { leaves, ..small() };
    assert_eq!(verdict(&bundle(&swapped), Some(session.keys.trust())), Verdict::DoesNotHold);
}

/// Goal: what our writer would never write, and a forger's would, is found: a picture behind a leaf that is no frame, bytes
/// between NAL units that no hash covers.
#[test]
fn what_a_forgers_writer_adds_is_found() {
    let session = small();
    let frame = session.find(|what| matches!(what, What::Frame(_)));
    let plain = Reader::open(bundle(&session)).unwrap().contents().find_map(|one| one.unwrap().unit).unwrap();
    let stray = check(&forge(&session, frame + 1, &plain), Some(session.keys.trust()));
    assert!(stray.faults.contains(&Fault::Stray { leaf: frame as u64 + 1 }), "{:?}", stray.faults);
    let padded =
        check(&forge(&session, frame, &[&plain[..], &[0, 0, 0]].concat()), Some(session.keys.trust()));
    let form = Fault::Form { leaf: frame as u64, frame: 1 };
    assert!(padded.faults.contains(&form), "{:?}", padded.faults);
    assert_eq!((stray.verdict(), padded.verdict()), (Verdict::DoesNotHold, Verdict::DoesNotHold));
}

/// The session in a container of our kind, with a picture right behind the leaf of that number.
fn forge(session: &Session, with_picture: usize, unit: &[u8]) -> Vec<u8> {
    use farhand_bundle::{LEAVES_TOPIC, MANIFEST_NAME, PROOFS_NAME, VIDEO_TOPIC, proof_record};
    let mut mcap = mcap::WriteOptions::new().create(std::io::Cursor::new(Vec::new())).unwrap();
    let channels = [LEAVES_TOPIC, VIDEO_TOPIC];
    let [leaves, video] = channels.map(|topic| mcap.add_channel(0, topic, "", &Default::default()).unwrap());
    let head =
        |channel_id| mcap::records::MessageHeader { channel_id, sequence: 0, log_time: 0, publish_time: 0 };
    for number in 0..session.leaves.len() {
        mcap.write_to_known_channel(&head(leaves), session.bytes(number)).unwrap();
        if number == with_picture {
            // Field 3 of foxglove.CompressedVideo; its length in two bytes.
            let length = [0x80 | (unit.len() as u8 & 0x7f), (unit.len() >> 7) as u8];
            mcap.write_to_known_channel(&head(video), &[&[0x1a], &length[..], unit].concat()).unwrap();
        }
    }
    for (name, data) in
        [(MANIFEST_NAME, session.manifest.clone()), (PROOFS_NAME, proof_record(&session.seal))]
    {
        let (name, media_type) = (name.to_owned(), String::new());
        let data = data.into();
        mcap.attach(&mcap::Attachment { log_time: 0, create_time: 0, name, media_type, data }).unwrap();
    }
    mcap.finish().unwrap();
    mcap.into_inner().into_inner()
}

/// Goal: a long session makes several chunks, and every one of them is read, compared and held.
#[test]
fn a_bundle_of_several_chunks_holds() {
    let mut theatre = Theatre::open();
    for number in 0..40 {
        theatre.record(What::Region { version: number, snapshot: vec![number as u8; 64 * 1024] });
    }
    sessions::work(&mut theatre, 0);
    let session = theatre.close();
    let bytes = bundle(&session);
    assert!(bytes.len() > 2 * farhand_bundle::CHUNK_BYTES as usize);
    let verified = check(&bytes, Some(session.keys.trust()));
    assert_eq!((verified.verdict(), verified.faults), (Verdict::Holds, vec![]));
    let half = bytes.len() / 2;
    for place in [half, bytes.len() - 100, bytes.len() - 2000] {
        let mut bad = bytes.clone();
        bad[place] ^= 4;
        assert_ne!(verdict(&bad, Some(session.keys.trust())), Verdict::Holds, "byte {place}");
    }
}

/// Goal: the container's bytes are the same in every version: files that were sealed must stay readable byte for byte.
/// Whoever breaks this makes a second version of the format instead.
#[test]
fn the_container_never_changes() {
    const GOLDEN: &str = "edd60c298c258b2026b2a0ac8fa48528c03e61791b9be5dfa9efa12331751537";
    use farhand_ledger::{Cbor, FrameEntry, Salt, Utc};
    use farhand_wire::EdgeTick;
    let leaf = |number: u64, what| {
        Entry { salt: Salt([7; 16]), number, recorded: EdgeTick(number * 1000), what }.to_bytes()
    };
    let utc = Utc { us: 1_760_000_000_000_000, uncertainty_us: 10 };
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.leaf(&leaf(0, What::unheld_clock(utc)), None).unwrap();
    let unit = sessions::unit_with(1, &[&[0, 0, 0, 1, 0x67, 66, 192, 30], &[0, 0, 0, 1, 0x68, 206, 60]]);
    let frame = FrameEntry { captured: EdgeTick(33_000), ..sessions::theatre::frame(1) };
    writer.leaf(&leaf(1, What::Frame(frame)), Some(&unit)).unwrap();
    writer.redacted(Hash::of(b"gone")).unwrap();
    let records = farhand_bundle::proof_record(&[5; 300]);
    let bytes = writer.finish(b"manifest", &[6; 30], &mut &records[..], records.len() as u64).unwrap();
    assert_eq!(Hash::of(&bytes).to_string(), GOLDEN, "{} bytes", bytes.len());
}

/// Goal: two bundles of one session are the same, byte for byte.
#[test]
fn the_same_content_makes_the_same_bytes() {
    let session = small();
    assert_eq!(bundle(&session), bundle(&small()));
    let writer = Writer::new(Vec::new()).unwrap();
    assert_ne!(finish(writer, &session), bundle(&session));
}
