//! What the verifier says of a whole session, and what a log on disk promises.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

mod theatre;

use farhand_ledger::{
    BadLog, Cbor, Checkpoint, Closing, DisplayReport, Entry, Event, FrameEntry, Gap, Hash, KitSegment,
    LOG_HEAD_BYTES, Link, Malformed, Manifest, Numbered, Records, Salt, Segment, SessionLog, SurgeonSegment,
    What,
    five_keys::FiveKeys,
    verify::{Leaf, Problem, Verdict, redact},
};
use farhand_wire::{EdgeTick, LeaseToken, Said};
use proptest::prelude::*;
use theatre::{
    BEDSIDE, EDGE, KIT, SESSION, SURGEON, Session, TOKEN, Theatre, at, command, frame, picture, public,
};

/// Goal: a good session holds, without a single finding, and the report counts what there was.
#[test]
fn a_good_session_holds() {
    let session = Session::good();
    let report = session.verify(Some(session.keys.trust()));
    assert_eq!(report.findings, []);
    assert_eq!(report.verdict, Verdict::Holds);
    assert_eq!((report.counts.commands, report.counts.frames, report.checkpoints), (16, 12, 5));
    assert_eq!((report.commands.sent, report.commands.lost_to_edge, report.commands.taken_in), (20, 4, 16));
    assert_eq!(report.frames_confirmed, 12);
    assert_eq!(report.opening.unwrap().kit(), public(KIT));
}

/// Goal: without a trust root the same session is self-consistent and no more; under another ledger's it does not hold.
#[test]
fn without_trust_nothing_is_proven() {
    let session = Session::good();
    assert_eq!(session.verify(None).verdict, Verdict::Untrusted);
    assert_eq!(session.verify(Some(FiveKeys::new([1; 32]).trust())).verdict, Verdict::DoesNotHold);
}

/// Goal: a byte changed in any leaf, wherever it lies in it, is noticed.
#[test]
fn a_byte_changed_in_any_leaf_is_noticed() {
    let mut session = Session::good();
    for number in 0..session.leaves.len() {
        let good = session.leaves[number].clone();
        let length = session.bytes(number).len();
        for place in [0, length / 3, length / 2, length - 1] {
            if let Leaf::Whole(bytes) = &mut session.leaves[number] {
                bytes[place] ^= 1;
            }
            assert_eq!(session.verdict(), Verdict::DoesNotHold, "leaf {number} byte {place}");
            session.leaves[number] = good.clone();
        }
    }
    assert_eq!(session.verdict(), Verdict::Holds);
}

/// Goal: a leaf left out, doubled, swapped with the next or appended is noticed.
#[test]
fn leaves_out_of_place_are_noticed() {
    let good = Session::good().leaves;
    let mut session = Session::good();
    for number in 0..good.len() {
        session.leaves = good.clone();
        session.leaves.remove(number);
        assert_eq!(session.verdict(), Verdict::DoesNotHold, "without leaf {number}");
        session.leaves = good.clone();
        session.leaves.insert(number, good[number].clone());
        assert_eq!(session.verdict(), Verdict::DoesNotHold, "leaf {number} twice");
        session.leaves = good.clone();
        session.leaves.swap(number, (number + 1) % good.len());
        assert_eq!(session.verdict(), Verdict::DoesNotHold, "leaf {number} swapped");
    }
    session.leaves = vec![];
    assert_eq!(session.verdict(), Verdict::DoesNotHold);
}

/// Goal: a checkpoint left out breaks the chain of the rest; the last ones, the seal's proof or the manifest can't be
/// changed either.
#[test]
fn proofs_and_manifest_are_bound() {
    let mut session = Session::good();
    for number in 0..session.checkpoints.len() - 1 {
        let proof = session.checkpoints.remove(number);
        assert_eq!(session.verdict(), Verdict::DoesNotHold, "without checkpoint {number}");
        session.checkpoints.insert(number, proof);
        session.checkpoints.swap(number, number + 1);
        assert_eq!(session.verdict(), Verdict::DoesNotHold, "checkpoint {number} swapped");
        session.checkpoints.swap(number, number + 1);
    }
    for place in [3, 40, 100] {
        session.manifest[place] ^= 1;
        assert_eq!(session.verdict(), Verdict::DoesNotHold, "manifest byte {place}");
        session.manifest[place] ^= 1;
    }
    let checkpoint = session.checkpoints[1].clone();
    std::mem::swap(&mut session.seal, &mut session.checkpoints[1]);
    assert_eq!(session.verdict(), Verdict::DoesNotHold);
    session.checkpoints[1] = checkpoint;
    assert_eq!(session.verdict(), Verdict::DoesNotHold, "a checkpoint is not a seal");
}

/// Goal: a redacted leaf leaves everything else provable, is listed, and can't be changed afterwards.
#[test]
fn a_redacted_session_still_holds_and_says_so() {
    let mut session = Session::good();
    let number = session.find(|what| matches!(what, What::Command { .. }));
    session.leaves[number] = redact(session.bytes(number));
    let report = session.verify(Some(session.keys.trust()));
    assert_eq!((report.verdict, report.redacted), (Verdict::Holds, 1));
    assert!(report.findings.iter().any(|f| f.leaf == Some(number as u64) && f.problem == Problem::Redacted));
    session.leaves[number] = Leaf::Redacted(Hash::of(b"another"));
    assert_eq!(session.verdict(), Verdict::DoesNotHold);
}

/// Goal: a leaf of a kind from the future can't be skipped: the session holds as far as it can be read, and that is not
/// enough.
#[test]
fn an_unknown_kind_is_unreadable() {
    let mut theatre = Theatre::open();
    theatre.work(0);
    theatre.record(What::Personal { commitment: Hash::ZERO });
    let mut leaf = theatre.leaves.pop().unwrap();
    // [salt, number, recorded, [15, commitment]]: the kind is the byte before the commitment's two-byte head.
    let kind = leaf.len() - 35;
    assert_eq!(leaf[kind], 15);
    leaf.splice(kind..=kind, [0x18, 99]);
    assert_eq!(Entry::read(&leaf), Err(Malformed::UnknownKind { what: "leaf", kind: 99 }));
    // An edge box of the future would have gone on and closed, counted and sealed.
    theatre.leaves.push(leaf);
    let closing = What::Closed(Closing { reason: "done".to_owned(), ..theatre.counts.clone() });
    let number = theatre.leaves.len() as u64;
    let recorded = EdgeTick(theatre.now_ms * 1000);
    theatre.leaves.push(Entry { salt: Salt([1; 16]), number, recorded, what: closing }.to_bytes());
    let session = theatre.seal();
    assert_eq!(session.problems(), [Problem::Malformed(Malformed::UnknownKind { what: "leaf", kind: 99 })]);
    assert_eq!(session.verdict(), Verdict::Unreadable);
}

type Mischief = (&'static str, fn(&mut Theatre), fn(&Problem) -> bool);

/// Goal: a session that the edge box itself made wrong, with a seal and checkpoints that are good, does not hold, and the
/// finding names the fault.
#[test]
fn mischief_before_sealing_is_found() {
    let cases: &[Mischief] = &[
        (
            "a command that the surgeon never listed",
            |t| t.command(100, 3),
            |p| matches!(p, Problem::Unlisted { .. }),
        ),
        (
            "a command other than the surgeon sent",
            |t| {
                t.command(6, 2);
                t.surgeon_lists(&[(6, 3)]);
            },
            |p| matches!(p, Problem::OtherCommand { .. }),
        ),
        ("a command logged twice", |t| t.command(4, 3), |p| matches!(p, Problem::Twice { .. })),
        (
            "a frame that was not yet sent",
            |t| {
                t.command(6, 4);
                t.surgeon_lists(&[(6, 4)]);
            },
            |p| matches!(p, Problem::UnseenFrame { .. }),
        ),
        (
            "a verdict on a command that is not logged",
            |t| t.kit_judges(&[50]),
            |p| matches!(p, Problem::Unlogged { .. }),
        ),
        ("a command taken in late", |t| t.kit_judges(&[3]), |p| matches!(p, Problem::TakenInLate { .. })),
        (
            "a hole in the surgeon's list",
            |t| t.surgeon_lists(&[(7, 3)]),
            |p| matches!(p, Problem::ListHole { .. }),
        ),
        ("a frame missing", |t| t.frame(5), |p| matches!(p, Problem::FrameNumber { .. })),
        (
            "another picture than was sent",
            |t| t.display_reports(&[(3, picture(2))]),
            |p| matches!(p, Problem::OtherPicture { .. }),
        ),
        (
            "a picture never sent",
            |t| t.display_reports(&[(9, picture(9))]),
            |p| matches!(p, Problem::NeverSent { .. }),
        ),
        ("a stranger's statement", |t| t.say(77, Said::Disarm {}), |p| matches!(p, Problem::Author { .. })),
        (
            "a segment missing",
            |t| {
                t.kit.skip_to(farhand_ledger::Link { number: 2, ..t.kit.next() }, b"lost");
                t.kit_judges(&[]);
            },
            |p| matches!(p, Problem::Chain { .. }),
        ),
        (
            "a checkpoint of another root",
            |t| {
                let good = t.log.checkpoint().unwrap_or(Checkpoint {
                    session: SESSION,
                    tree_size: t.log.size(),
                    root: Hash::ZERO,
                    previous_root: Hash::ZERO,
                    first_sequence: 0,
                    last_sequence: 0,
                });
                let proof = t.commit(Event::Checkpoint(Checkpoint { root: Hash::of(b"forged"), ..good }));
                t.checkpoints.push(proof);
            },
            |p| matches!(p, Problem::Root { .. } | Problem::Checkpoint(_)),
        ),
        (
            "an opening in the middle",
            |t| t.record(What::Opened { evidence: vec![] }),
            |p| *p == Problem::Misplaced,
        ),
        ("counts that are too high", |t| t.counts.commands += 1, |p| matches!(p, Problem::Counts { .. })),
        (
            "a command with no code",
            |t| {
                let mut frame = command(6, 3);
                frame[136..].fill(0);
                t.counts.commands += 1;
                t.record(What::Command { frame });
            },
            |p| matches!(p, Problem::NoCode { .. }),
        ),
    ];
    for (what, mischief, names_it) in cases {
        let mut theatre = Theatre::open();
        theatre.work(0);
        mischief(&mut theatre);
        let session = theatre.close();
        let problems = session.problems();
        assert!(problems.iter().any(names_it), "{what}: {problems:?}");
        assert_eq!(session.verdict(), Verdict::DoesNotHold, "{what}");
    }
}

/// Goal: whoever says what is not theirs to say, or at a time that can't be, is found, though every signature is good and
/// every number in order.
#[test]
fn the_wrong_author_or_time_is_found() {
    let cases: &[Mischief] = &[
        (
            "a kit segment that names another before it",
            |t| {
                t.kit.skip_to(Link { number: 1, ..t.kit.next() }, b"another");
                t.kit_judges(&[]);
            },
            |p| matches!(p, Problem::Chain { .. }),
        ),
        ("another kit's segment", |t| t.kit_says(EDGE, &[], |_| {}), |p| matches!(p, Problem::Author { .. })),
        (
            "a hole in the kit's time",
            |t| t.kit_says(KIT, &[], |s| s.from.0 += 1),
            |p| matches!(p, Problem::KitTime { .. }),
        ),
        (
            "a verdict outside its segment",
            |t| {
                t.command(6, 3);
                t.surgeon_lists(&[(6, 3)]);
                t.kit_says(KIT, &[6], |s| s.verdicts[0].tick = s.to);
            },
            |p| matches!(p, Problem::VerdictTime { .. }),
        ),
        ("a list by the bedside", |t| t.lists_nothing(BEDSIDE), |p| matches!(p, Problem::Author { .. })),
        (
            "a list by a surgeon who does not hold the token",
            |t| {
                t.say(SURGEON, Said::Endorse { session_key: public(50) });
                t.lists_nothing(50);
            },
            |p| matches!(p, Problem::NotHolder { .. }),
        ),
        ("one token for two", |t| t.grant(BEDSIDE), |p| matches!(p, Problem::TwoHolders { .. })),
        (
            "a clock that falls",
            |t| {
                t.now_ms -= 2;
                t.record(What::unheld_clock(at(1)));
            },
            |p| matches!(p, Problem::Recorded { .. }),
        ),
        (
            "a frame captured before the one before",
            |t| {
                t.counts.frames += 1;
                t.record(What::Frame(FrameEntry { captured: EdgeTick(1), ..frame(4) }));
            },
            |p| matches!(p, Problem::FrameTime { .. }),
        ),
        (
            "a checkpoint by the kit",
            |t| {
                t.record(What::unheld_clock(at(2)));
                let checkpoint = t.log.checkpoint().unwrap();
                let proof = t.commit_by(KIT, t.now_ms, Event::Checkpoint(checkpoint));
                t.checkpoints.push(proof);
            },
            |p| matches!(p, Problem::CheckpointAuthor { .. }),
        ),
        (
            "checkpoints committed in the wrong order",
            |t| {
                let checkpoints = [3, 4].map(|ms| {
                    t.record(What::unheld_clock(at(ms)));
                    t.log.checkpoint().unwrap()
                });
                let second = t.commit(Event::Checkpoint(checkpoints[1]));
                let first = t.commit(Event::Checkpoint(checkpoints[0]));
                t.checkpoints.extend([first, second]);
            },
            |p| matches!(p, Problem::CheckpointOrder { .. }),
        ),
        (
            "a checkpoint from the future",
            |t| {
                t.record(What::unheld_clock(at(2)));
                let checkpoint = t.log.checkpoint().unwrap();
                let proof = t.commit_by(EDGE, t.now_ms + 60_000, Event::Checkpoint(checkpoint));
                t.checkpoints.push(proof);
            },
            |p| matches!(p, Problem::CheckpointTime { .. }),
        ),
        ("a seal by the kit", |t| t.sealer = KIT, |p| matches!(p, Problem::SealAuthor { .. })),
    ];
    for (what, mischief, names_it) in cases {
        let mut theatre = Theatre::open();
        theatre.work(0);
        mischief(&mut theatre);
        let session = theatre.close();
        let problems = session.problems();
        assert!(problems.iter().any(names_it), "{what}: {problems:?}");
        assert_eq!(session.verdict(), Verdict::DoesNotHold, "{what}");
    }
}

/// Goal: a session that was never closed does not hold, however well it is sealed.
#[test]
fn a_session_that_was_not_closed_does_not_hold() {
    let mut theatre = Theatre::open();
    theatre.work(0);
    let session = theatre.seal();
    assert_eq!(session.problems(), [Problem::NotClosed]);
    assert_eq!(session.verdict(), Verdict::DoesNotHold);
}

/// Goal: what the edge box declares missing at the time is a note in the report and no violation.
#[test]
fn a_declared_gap_is_a_note() {
    let mut theatre = Theatre::open();
    theatre.work(0);
    let gap =
        |of, token, first, last| Gap { of, token, first, last, reason: "the box lost power".to_owned() };
    theatre.record(What::Restarted { reason: "power".to_owned() });
    theatre.record(What::Gap(gap(Numbered::Frames, LeaseToken(0), 4, 5)));
    theatre.record(What::Gap(gap(Numbered::Commands, TOKEN, 6, 7)));
    theatre.frame(6);
    theatre.surgeon_lists(&[(6, 3), (7, 3), (8, 6)]);
    theatre.command(8, 6);
    theatre.kit_judges(&[6, 7, 8]);
    let session = theatre.close();
    let notes = session.problems();
    assert!(notes.iter().all(|p| matches!(p, Problem::Gap { .. } | Problem::Restarted { .. })), "{notes:?}");
    assert_eq!((notes.len(), session.verdict()), (3, Verdict::Holds));
}

/// Goal: the log's file gives back the leaves that were written, in the same tree.
#[test]
fn a_log_reads_back_as_it_was_written() {
    let session = Session::good();
    let found = SessionLog::recover(&session.file, None).unwrap();
    assert_eq!((found.valid_bytes, found.torn), (session.file.len(), None));
    assert_eq!(found.log.size(), session.leaves.len() as u64);
    let entries: Vec<Entry> = Records::new(&session.file).unwrap().map(|(entry, _)| entry).collect();
    let leaves: Vec<Leaf> = entries.iter().map(|entry| Leaf::Whole(entry.to_bytes())).collect();
    assert_eq!(leaves, session.leaves);
}

/// Goal: wherever a crash cuts the file, recovery keeps exactly the whole records before the cut, and the log goes on.
#[test]
fn a_torn_tail_is_cut_at_the_last_whole_record() {
    let file = Session::good().file;
    let mut ends = vec![LOG_HEAD_BYTES];
    let mut records = Records::new(&file).unwrap();
    while records.next().is_some() {
        ends.push(records.valid_bytes());
    }
    for cut in (LOG_HEAD_BYTES..file.len()).step_by(7) {
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        let mut found = SessionLog::recover(&file[..cut], None).unwrap();
        assert_eq!((found.log.size(), found.valid_bytes), (whole as u64, ends[whole]), "cut at {cut}");
        assert_eq!(found.torn.is_some(), ends[whole] != cut);
        let next = found.log.append(Salt([1; 16]), EdgeTick(1), What::unheld_clock(at(1))).unwrap();
        assert_eq!(next.number, whole as u64);
    }
    assert!(matches!(SessionLog::recover(&file[..LOG_HEAD_BYTES - 1], None), Err(BadLog::Head { .. })));
}

/// Goal: a log that lost leaves of which a checkpoint was signed, or holds others in their place, is not gone on with.
#[test]
fn a_log_that_lost_what_was_signed_is_refused() {
    let mut theatre = Theatre::open();
    theatre.record(What::unheld_clock(at(2)));
    let before = theatre.file.len();
    theatre.record(What::unheld_clock(at(3)));
    let signed = theatre.log.checkpoint().unwrap();
    theatre.record(What::unheld_clock(at(4)));
    let found = SessionLog::recover(&theatre.file, Some(&signed)).unwrap();
    assert_eq!(found.log.clone().checkpoint().unwrap().follows(Some(&signed)), Ok(()));
    let lost = SessionLog::recover(&theatre.file[..before], Some(&signed));
    assert!(matches!(lost, Err(BadLog::Lost { seen: 7, expected: 8 })), "{lost:?}");
    let other = Checkpoint { root: Hash::ZERO, ..signed };
    assert!(matches!(SessionLog::recover(&theatre.file, Some(&other)), Err(BadLog::Root { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Goal: a bit that turned on disk ends the log before the record it is in, and never makes recovery panic.
    #[test]
    fn a_bit_turned_on_disk_ends_the_log_there(place in LOG_HEAD_BYTES..30_000usize, bit in 0u32..8) {
        thread_local!(static FILE: Vec<u8> = Session::good().file);
        FILE.with(|file| {
            let place = LOG_HEAD_BYTES + (place - LOG_HEAD_BYTES) % (file.len() - LOG_HEAD_BYTES);
            let mut bad = file.clone();
            bad[place] ^= 1 << bit;
            let found = SessionLog::recover(&bad, None).unwrap();
            prop_assert!(found.valid_bytes <= place);
            prop_assert!(found.torn.is_some());
            Ok(())
        })?;
    }

    /// Goal: no bytes from outside make the readers of leaves, segments or logs panic.
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = (Entry::read(&bytes), Manifest::read(&bytes), SessionLog::recover(&bytes, None).is_ok());
        let _ = (SurgeonSegment::open(&bytes), KitSegment::open(&bytes), DisplayReport::open(&bytes));
        let mut file = SessionLog::new(SESSION).head().to_vec();
        file.extend(&bytes);
        prop_assert!(SessionLog::recover(&file, None).is_ok_and(|found| found.log.size() == 0));
    }
}
