//! A whole session, made as edge box, kit, surgeon and validators would make it, and what the verifier says of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

use std::convert::Infallible;

use ed25519_dalek::SigningKey;
use farhand_ledger::{
    BadLog, Binding, Cbor, Chain, Checkpoint, Closing, DisplayReport, Entry, Event, FrameEntry, Gap, Hash,
    KitSegment, KitVerdict, LOG_HEAD_BYTES, Malformed, Manifest, Member, Numbered, Outcome, Records, Salt,
    Sealing, Segment, Sent, SessionLog, Shown, SurgeonSegment, Utc, What,
    five_keys::{FiveKeys, Plan},
    merkle,
    verify::{Frame, Leaf, Problem, Report, Verdict, redact, verify},
};
use farhand_wire::{
    Challenge, Command, EdgeTick, EngagementId, FrameId, HoldNumber, KitBootId, KitTick, LeaseToken,
    LeaseTranscript, MacKey, Pose, PublicKey, Role, Said, Sequence, SessionId, Statement,
};
use proptest::prelude::*;

const SESSION: SessionId = SessionId([9; 16]);
const TOKEN: LeaseToken = LeaseToken(3);
const BOOT: KitBootId = KitBootId([5; 16]);

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(number: u8) -> PublicKey {
    PublicKey(key(number).verifying_key().to_bytes())
}

const SURGEON: u8 = 1;
const BEDSIDE: u8 = 2;
const FIELD: u8 = 3;
const EDGE: u8 = 4;
const KIT: u8 = 5;
const SESSION_KEY: u8 = 6;

fn at(ms: u64) -> Utc {
    Utc { us: 1_760_000_000_000_000 + ms * 1000, uncertainty_us: 2000 }
}

fn command(sequence: u64, frame: u64) -> Vec<u8> {
    let command = Command {
        session: SESSION,
        token: TOKEN,
        sequence: Sequence(sequence),
        kit_tick_echo: KitTick(sequence * 4000),
        arm: 0,
        dead_man: true,
        clutch: false,
        engagement: EngagementId(1),
        hold: HoldNumber(1),
        target: Pose::default(),
        jaw_rad: 0.1,
        frame_seen: FrameId(frame),
        frame_age_us: Some(20_000),
    };
    command.seal(&MacKey::new(&[1; 32])).to_vec()
}

fn frame(number: u64) -> FrameEntry {
    FrameEntry {
        frame: FrameId(number),
        rtp_timestamp: number as u32 * 3000,
        captured: EdgeTick(number * 33_000),
        kit_tick_at_capture: KitTick(number * 33_000),
        key_frame: number == 1,
        au_hash: Hash::of(&number.to_le_bytes()),
        picture_hash: picture(number),
        au_bytes: 25_000,
    }
}

fn picture(number: u64) -> Hash {
    Hash::of(&[b"picture", &number.to_le_bytes()[..]].concat())
}

/// What goes onto the ledger and into the log while a session runs.
struct Theatre {
    keys: FiveKeys,
    log: SessionLog,
    file: Vec<u8>,
    leaves: Vec<Vec<u8>>,
    checkpoints: Vec<Vec<u8>>,
    counts: Closing,
    surgeon: Chain,
    display: Chain,
    kit: Chain,
    now_ms: u64,
}

impl Theatre {
    fn open() -> Self {
        let mut keys = FiveKeys::new([8; 32]);
        let person =
            |number, role| Member { key: public(number), role, pseudonym: format!("person {number}") };
        let plan = Plan {
            session: SESSION,
            roster: vec![person(SURGEON, Role::Surgeon), person(BEDSIDE, Role::Bedside)],
            edge: public(EDGE),
            kit: &key(KIT),
            field: &key(FIELD),
            limits_digest: Hash::of(b"limits"),
            arm_digest: Hash::of(b"arm"),
            at: at(0),
        };
        let evidence = keys.open(plan).unwrap().to_bytes();
        let log = SessionLog::new(SESSION);
        let mut theatre = Self {
            keys,
            file: log.head().to_vec(),
            log,
            leaves: vec![],
            checkpoints: vec![],
            counts: Closing::default(),
            surgeon: Chain::new(SESSION),
            display: Chain::new(SESSION),
            kit: Chain::new(SESSION),
            now_ms: 0,
        };
        theatre.record(What::Opened { evidence });
        theatre.record(What::Clock { utc: at(1) });
        theatre.say(SURGEON, Said::Endorse { session_key: public(SESSION_KEY) });
        for person in [BEDSIDE, SESSION_KEY] {
            theatre.say(person, Said::Arm { challenge: Challenge([1; 32]) });
        }
        let x25519 = PublicKey([7; 32]);
        let transcript = LeaseTranscript {
            session: SESSION,
            token: TOKEN,
            boot: BOOT,
            holder: public(SESSION_KEY),
            kit: public(KIT),
            holder_x25519: x25519,
            kit_x25519: x25519,
        };
        theatre.say(KIT, Said::LeaseGrant { transcript });
        theatre
    }

    fn record(&mut self, what: What) {
        self.now_ms += 1;
        let salt = Salt(*Hash::of(&self.now_ms.to_le_bytes()).0.first_chunk().unwrap());
        let record = self.log.append(salt, EdgeTick(self.now_ms * 1000), what).unwrap();
        self.leaves.push(record.bytes[12..].to_vec());
        self.file.extend(record.bytes);
    }

    fn say(&mut self, author: u8, said: Said) {
        self.counts.statements += 1;
        self.record(What::Statement { signed: Statement { session: SESSION, said }.sign(&key(author)) });
    }

    fn frame(&mut self, number: u64) {
        self.counts.frames += 1;
        self.record(What::Frame(frame(number)));
    }

    fn command(&mut self, sequence: u64, frame: u64) {
        self.counts.commands += 1;
        self.record(What::Command { frame: command(sequence, frame) });
    }

    fn surgeon_lists(&mut self, sent: &[(u64, u64)]) {
        self.counts.surgeon_segments += 1;
        let sent = sent.iter().map(|&(sequence, frame)| Sent {
            sequence: Sequence(sequence),
            hash: Hash::of(&command(sequence, frame)),
        });
        let segment = SurgeonSegment { link: self.surgeon.next(), token: TOKEN, sent: sent.collect() };
        let signed = segment.sign(&key(SESSION_KEY)).unwrap();
        self.surgeon.extend(segment.link, &signed).unwrap();
        self.record(What::SurgeonSegment { signed });
    }

    fn kit_judges(&mut self, taken_in: &[u64]) {
        self.counts.kit_segments += 1;
        let link = self.kit.next();
        let verdict = |&sequence: &u64| KitVerdict {
            sequence: Sequence(sequence),
            tick: KitTick(link.number * 100_000 + 5),
            outcome: Outcome::TakenIn,
        };
        let segment = KitSegment {
            link,
            boot: BOOT,
            from: KitTick(link.number * 100_000),
            to: KitTick((link.number + 1) * 100_000),
            token: TOKEN,
            unauthentic: 0,
            verdicts: taken_in.iter().map(verdict).collect(),
        };
        let signed = segment.sign(&key(KIT)).unwrap();
        self.kit.extend(link, &signed).unwrap();
        self.record(What::KitSegment { signed });
    }

    fn display_reports(&mut self, shown: &[(u64, Hash)]) {
        self.counts.display_reports += 1;
        let shown = shown.iter().map(|&(number, picture_hash)| Shown {
            frame: FrameId(number),
            picture_hash,
            shown_us: number * 33_000,
            glass_to_glass_us: 30_000,
        });
        let report = DisplayReport { link: self.display.next(), shown: shown.collect() };
        let signed = report.sign(&key(SESSION_KEY)).unwrap();
        self.display.extend(report.link, &signed).unwrap();
        self.record(What::DisplayReport { signed });
    }

    fn commit(&mut self, event: Event) -> Vec<u8> {
        let at = at(self.now_ms);
        let signed = self.keys.sign(&key(EDGE), at, event).unwrap();
        self.keys.commit(at, vec![signed]).unwrap()[0].to_bytes()
    }

    fn checkpoint(&mut self) {
        let checkpoint = self.log.checkpoint().unwrap();
        let proof = self.commit(Event::Checkpoint(checkpoint));
        self.checkpoints.push(proof);
    }

    /// A tenth of a second of work: three frames, then commands that name the newest of them, then what was signed.
    fn work(&mut self, tenth: u64) {
        let frames = tenth * 3 + 1..tenth * 3 + 4;
        frames.clone().for_each(|number| self.frame(number));
        let commands: Vec<(u64, u64)> = (tenth * 5 + 1..tenth * 5 + 6).map(|s| (s, frames.end - 1)).collect();
        // Every fifth command is lost on its way to the edge box, as commands may be.
        let arrived: Vec<(u64, u64)> = commands.iter().copied().filter(|(s, _)| s % 5 != 0).collect();
        arrived.iter().for_each(|&(sequence, frame)| self.command(sequence, frame));
        self.surgeon_lists(&commands);
        self.kit_judges(&arrived.iter().map(|(s, _)| *s).collect::<Vec<_>>());
        self.display_reports(&frames.map(|number| (number, picture(number))).collect::<Vec<_>>());
        self.checkpoint();
    }

    fn close(mut self) -> Session {
        let closing = Closing { reason: "done".to_owned(), ..self.counts.clone() };
        self.record(What::Closed(closing));
        self.seal()
    }

    fn seal(mut self) -> Session {
        let manifest = Manifest::new(SESSION, self.keys.trust().to_bytes(), Binding::Link, vec![]).to_bytes();
        let leaves: Vec<Hash> = self.leaves.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
        let sealing = Sealing {
            session: SESSION,
            tree_size: leaves.len() as u64,
            root: merkle::root(&leaves),
            manifest: Hash::of(&manifest),
            commands: self.counts.commands,
            frames: self.counts.frames,
        };
        let seal = self.commit(Event::Sealed(sealing));
        let leaves = self.leaves.into_iter().map(Leaf::Whole).collect();
        Session { keys: self.keys, manifest, seal, checkpoints: self.checkpoints, leaves, file: self.file }
    }
}

/// A sealed session, as a bundle would hold it.
struct Session {
    keys: FiveKeys,
    manifest: Vec<u8>,
    seal: Vec<u8>,
    checkpoints: Vec<Vec<u8>>,
    leaves: Vec<Leaf>,
    file: Vec<u8>,
}

impl Session {
    fn good() -> Self {
        let mut theatre = Theatre::open();
        (0..4).for_each(|tenth| theatre.work(tenth));
        theatre.close()
    }

    fn verify(&self, trust: Option<&farhand_ledger::TrustRoot>) -> Report {
        let bundle = Frame {
            manifest: self.manifest.clone(),
            seal: self.seal.clone(),
            checkpoints: self.checkpoints.clone().into_iter(),
        };
        verify(bundle, self.leaves.iter().cloned().map(Ok::<_, Infallible>), trust).unwrap()
    }

    fn verdict(&self) -> Verdict {
        self.verify(Some(self.keys.trust())).verdict
    }

    fn problems(&self) -> Vec<Problem> {
        self.verify(Some(self.keys.trust())).findings.into_iter().map(|finding| finding.problem).collect()
    }

    fn bytes(&self, number: usize) -> &[u8] {
        match &self.leaves[number] {
            Leaf::Whole(bytes) => bytes,
            Leaf::Redacted(_) => panic!("redacted"),
        }
    }

    fn find(&self, wanted: impl Fn(&What) -> bool) -> usize {
        (0..self.leaves.len()).find(|&n| wanted(&Entry::read(self.bytes(n)).unwrap().what)).unwrap()
    }
}

/// Goal: a good session holds, without a single finding, and the report counts what there was.
#[test]
fn a_good_session_holds() {
    let session = Session::good();
    let report = session.verify(Some(session.keys.trust()));
    assert_eq!(report.findings, []);
    assert_eq!(report.verdict, Verdict::Holds);
    assert_eq!((report.counts.commands, report.counts.frames, report.checkpoints), (16, 12, 4));
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
        let next = found.log.append(Salt([1; 16]), EdgeTick(1), What::Clock { utc: at(1) }).unwrap();
        assert_eq!(next.number, whole as u64);
    }
    assert!(matches!(SessionLog::recover(&file[..LOG_HEAD_BYTES - 1], None), Err(BadLog::Head { .. })));
}

/// Goal: a log that lost leaves of which a checkpoint was signed, or holds others in their place, is not gone on with.
#[test]
fn a_log_that_lost_what_was_signed_is_refused() {
    let mut theatre = Theatre::open();
    theatre.record(What::Clock { utc: at(2) });
    let before = theatre.file.len();
    theatre.record(What::Clock { utc: at(3) });
    let signed = theatre.log.checkpoint().unwrap();
    theatre.record(What::Clock { utc: at(4) });
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
