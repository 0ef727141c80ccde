//! Test vectors for anybody's verifier, in `tests/verifier/vectors`: bundles that hold and bundles that do not, with what is
//! to be found in each. Made here, byte for byte the same each time, and given to both verifiers.

mod epochs;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use farhand_audit::audit;
use farhand_bundle::{Reader, Redaction, redact};
use farhand_ledger::{
    Binding, Cbor, Checkpoint, Closing, Entry, Event, FrameEntry, Hash, Manifest, Member, Numbered, Outcome,
    RosterAddition, Salt, TransactionProof, TrustRoot, What, five_keys::FiveKeys, verify::Leaf,
};
use farhand_wire::{EdgeTick, FrameId, KitTick, LeaseToken, Role, Said, SessionId, Statement};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    audit::minus_one,
    mutations::every_kind,
    python,
    sessions::{
        bundle, bundle_with, frame_of, record_frame,
        theatre::{
            BEDSIDE, EDGE, KIT, SESSION, SURGEON, Session, TOKEN, Theatre, at, command_with, frame, key,
            public,
        },
        unit,
    },
};

const TRUST: &str = "ledger.trust";
const OTHER_TRUST: &str = "other-ledger.trust";
const NO_TRUST: &str = "cut-off.trust";

/// One line of the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Vector {
    /// What it is.
    what: String,
    file: String,
    /// The trust root to verify it under; none where none is given.
    trust: Option<String>,
    exit: u8,
    /// Names of findings (section 12.1). Where it holds, these and no others; where it does not, at least these.
    findings: Vec<String>,
}

/// The vectors, and the files that they need.
#[derive(Default)]
struct Set {
    vectors: Vec<Vector>,
    files: Vec<(String, Vec<u8>)>,
}

impl Set {
    fn file(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.push((name.to_owned(), bytes));
    }

    fn vector(&mut self, file: &str, trust: Option<&str>, exit: u8, findings: &[&str], what: &str) {
        let file =
            if Path::new(file).extension().is_some() { file.to_owned() } else { format!("{file}.mcap") };
        self.vectors.push(Vector {
            what: what.to_owned(),
            file,
            trust: trust.map(str::to_owned),
            exit,
            findings: findings.iter().map(|&name| name.to_owned()).collect(),
        });
    }

    /// A bundle of its own, under the ledger's trust root.
    fn bundle(&mut self, file: &str, bytes: Vec<u8>, exit: u8, findings: &[&str], what: &str) {
        self.file(&format!("{file}.mcap"), bytes);
        self.vector(file, Some(TRUST), exit, findings, what);
    }

    /// A session that is well until something happens, and that is sealed with it.
    fn happens(&mut self, file: &str, findings: &[&str], what: &str, happens: impl FnOnce(&mut Theatre)) {
        let mut theatre = begun();
        happens(&mut theatre);
        self.bundle(file, bundle(&theatre.close()), 1, findings, what);
    }

    /// A good session of which something is changed afterwards.
    fn changed(&mut self, file: &str, findings: &[&str], what: &str, change: impl FnOnce(&mut Session)) {
        let mut theatre = begun();
        theatre.checkpoint();
        let mut session = theatre.close();
        change(&mut session);
        self.bundle(file, bundle(&session), 1, findings, what);
    }
}

/// Two frames, two commands that name the newer one, and everybody's word on them.
fn begin(theatre: &mut Theatre) {
    record_frame(theatre, 1);
    record_frame(theatre, 2);
    theatre.command(1, 2);
    theatre.command(2, 2);
    theatre.surgeon_lists(&[(1, 2), (2, 2)]);
    theatre.kit_judges(&[1, 2]);
    theatre.display_reports(&[1, 2].map(|number| (number, frame_of(number).picture_hash)));
}

fn begun() -> Theatre {
    let mut theatre = Theatre::open();
    begin(&mut theatre);
    theatre
}

fn good() -> Session {
    begun().close()
}

fn set() -> Set {
    let mut set = Set::default();
    let trust = good().keys.trust().to_bytes();
    set.file(TRUST, trust.clone());
    set.file(OTHER_TRUST, FiveKeys::new([1; 32]).trust().to_bytes());
    set.file(NO_TRUST, trust[..trust.len() - 1].to_vec());
    hold(&mut set);
    whole(&mut set);
    ledger(&mut set);
    voices(&mut set);
    commands(&mut set);
    frames(&mut set);
    container(&mut set);
    epochs::epochs(&mut set);
    set
}

/// What holds, with and without notes.
fn hold(set: &mut Set) {
    set.bundle("good", bundle(&good()), 0, &[], "the smallest session with one of each");
    set.vector("good", None, 3, &[], "the same without a trust root: self-consistent, and no more");
    set.vector("good", Some(NO_TRUST), 2, &[], "the same under a trust root that can't be read");
    set.bundle(
        "every-kind",
        bundle(&every_kind()),
        0,
        &["lost-to-edge"],
        "leaves of all kinds that may come often",
    );
    let reader = Reader::open(bundle(&good())).unwrap();
    let command = good().find(|what| matches!(what, What::Command { .. })) as u64;
    let take_out = |leaves: &[u64], pictures| {
        let redaction = Redaction { pictures, ..leaves.iter().copied().collect() };
        redact(&reader, &redaction, Vec::new()).unwrap().0
    };
    let redacted = take_out(&[command], false);
    set.bundle("redacted", redacted, 0, &["redacted", "unlogged-command"], "a command's leaf is redacted");
    set.bundle("no-pictures", take_out(&[], true), 0, &[], "pictures are left out, their hashes are there");
    let mut lost = begun();
    lost.surgeon_lists(&[(3, 2), (4, 2)]);
    lost.odd_command(5, 2, |command| command.frame_age_us = Some(5_000_000));
    lost.command(6, 2);
    lost.surgeon_lists(&[(6, 2)]);
    lost.display_says(&[(2, frame_of(2).picture_hash)], 5_000_000);
    let notes = ["lost-to-edge", "lost-to-kit", "frame-age", "glass-to-glass"];
    set.bundle("notes", bundle(&lost.close()), 0, &notes, "commands lost on their way, ages that can't be");
    set.bundle(
        "declared",
        bundle(&declared()),
        0,
        &["restarted", "gap", "list-hole", "kit-time"],
        "all that is missing lies in declared gaps",
    );
}

fn declared() -> Session {
    const NONE: LeaseToken = LeaseToken(0);
    let mut theatre = begun();
    theatre.record(What::Restarted { reason: "power".to_owned() });
    theatre.declare(Numbered::Frames, NONE, 3, 4);
    record_frame(&mut theatre, 5);
    theatre.declare(Numbered::SurgeonSegments, NONE, 2, 2);
    theatre.declare(Numbered::KitSegments, NONE, 2, 2);
    theatre.declare(Numbered::DisplayReports, NONE, 2, 2);
    theatre.declare(Numbered::Commands, TOKEN, 6, 7);
    (3..=5).for_each(|sequence| theatre.command(sequence, 5));
    Theatre::lose(&mut theatre.surgeon, 2);
    Theatre::lose(&mut theatre.kit, 2);
    Theatre::lose(&mut theatre.display, 2);
    theatre.surgeon_lists(&[(5, 5)]);
    // The sixth was recorded and never listed, the seventh judged and never recorded.
    theatre.command(6, 5);
    theatre.kit_judges(&[3, 4, 5, 6, 7]);
    theatre.display_reports(&[(5, frame_of(5).picture_hash)]);
    theatre.close()
}

/// About the bundle as a whole.
fn whole(set: &mut Set) {
    set.vector(
        "good",
        Some(OTHER_TRUST),
        1,
        &["other-ledger", "opening"],
        "the good one under another ledger's trust root",
    );
    let mut forged = Theatre::open_with([66; 32], |_, _| {});
    begin(&mut forged);
    let forged = bundle(&forged.close());
    set.bundle(
        "forged",
        forged,
        1,
        &["other-ledger", "opening"],
        "forged whole, with five fresh validator keys",
    );
    set.vector("forged", None, 3, &[], "the forged one by its own trust root: nothing can be found");
    let mut disguised = Theatre::open_with([66; 32], |_, _| {});
    let trust = good().keys.trust().to_bytes();
    disguised.manifest = Some(Manifest::new(SESSION, trust, Binding::Link, vec![]).to_bytes());
    begin(&mut disguised);
    set.bundle(
        "disguised",
        bundle(&disguised.close()),
        1,
        &["opening"],
        "the same with the true trust root in its manifest",
    );
    set.happens("bundle-trust-root", &["bundle-trust-root"], "the trust root in the manifest is none", |t| {
        t.manifest = Some(Manifest::new(SESSION, vec![0x80], Binding::Link, vec![]).to_bytes());
    });
    set.happens("manifest-session", &["manifest-session"], "the manifest is of another session", |t| {
        let own = t.keys.trust().to_bytes();
        t.manifest = Some(Manifest::new(SessionId([1; 16]), own, Binding::Link, vec![]).to_bytes());
    });
    let consent = Theatre::open_with([8; 32], |evidence, _| evidence.consent = evidence.custody[0].clone());
    set.bundle(
        "consent",
        bundle(&consent.close()),
        1,
        &["opening"],
        "a custody step stands in place of the consent",
    );
    let custody = Theatre::open_with([8; 32], |evidence, _| drop(evidence.custody.remove(3)));
    set.bundle("custody", bundle(&custody.close()), 1, &["opening"], "a custody step is missing");
    set.changed("not-opened", &["not-opened", "leaf-number"], "the first leaf is missing", |s| {
        drop(s.leaves.remove(0))
    });
    set.happens("misplaced", &["misplaced"], "an opening in the middle", |t| {
        t.record(What::Opened { evidence: vec![] })
    });
    set.changed("leaf-number", &["leaf-number", "checkpoint-root", "seal"], "two leaves are swapped", |s| {
        s.leaves.swap(3, 4)
    });
    set.happens("recorded", &["recorded"], "the clock falls and nothing was restarted", |t| {
        t.now_ms -= 2;
        t.record(What::unheld_clock(at(1)));
    });
    set.happens("closing-counts", &["closing-counts"], "the closing leaf counts a command too many", |t| {
        t.counts.commands += 1
    });
    set.bundle("not-closed", bundle(&begun().seal()), 1, &["not-closed"], "sealed and never closed");
    set.bundle("unknown-kind", unknown_kind(), 2, &["unreadable"], "a leaf of kind 19, and nothing wrong");
}

/// As an edge box of the future would seal and write it: our writer takes no such leaf, so it is put in afterwards.
fn unknown_kind() -> Vec<u8> {
    let mut theatre = begun();
    // At the time of the leaf before: what can't be read has that time in the container.
    theatre.now_ms -= 1;
    theatre.record(What::Personal { commitment: Hash::ZERO });
    let at = theatre.leaves.len() - 1;
    let personal = theatre.leaves[at].clone();
    // [salt, number, recorded, [15, commitment]]: the kind is the byte before the commitment's two-byte head.
    let kind = personal.len() - 35;
    theatre.leaves[at][kind] = 19;
    let unknown = theatre.leaves[at].clone();
    let what = What::Closed(Closing { reason: "done".to_owned(), ..theatre.counts.clone() });
    let (number, recorded) = (theatre.leaves.len() as u64, EdgeTick(theatre.now_ms * 1000));
    theatre.leaves.push(Entry { salt: Salt([1; 16]), number, recorded, what }.to_bytes());
    let mut session = theatre.seal();
    session.leaves[at] = Leaf::Whole(personal.clone());
    let mut bytes = bundle(&session);
    let place = bytes.windows(personal.len()).position(|window| window == personal).unwrap();
    bytes[place..place + unknown.len()].copy_from_slice(&unknown);
    put_checksums(&mut bytes);
    bytes
}

/// Those of the chunks and of all data, as the content makes them.
fn put_checksums(bytes: &mut [u8]) {
    let mut at = 8;
    loop {
        let length: [u8; 8] = bytes[at + 1..at + 9].try_into().unwrap();
        let (body, end) = (at + 9, at + 9 + u64::from_le_bytes(length) as usize);
        match bytes[at] {
            6 => {
                let checksum = crc32(&bytes[body + 40..end]).to_le_bytes();
                bytes[body + 24..body + 28].copy_from_slice(&checksum);
            }
            15 => {
                let checksum = crc32(&bytes[..at]).to_le_bytes();
                return bytes[body..end].copy_from_slice(&checksum);
            }
            _ => {}
        }
        at = end;
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| crc >> 1 ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1));
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), bit))
}

/// About checkpoints, the seal and proofs.
fn ledger(set: &mut Set) {
    set.changed("quorum", &["checkpoint-proof"], "a checkpoint lacks one signature of a quorum", |s| {
        s.checkpoints[0] = minus_one(&s.checkpoints[0]);
    });
    set.changed("seal-quorum", &["seal-proof"], "so does the seal", |s| s.seal = minus_one(&s.seal));
    let odd = |author, late_ms, change: fn(&mut Checkpoint)| {
        move |t: &mut Theatre| {
            let mut checkpoint = t.log.checkpoint().unwrap();
            change(&mut checkpoint);
            let proof = t.commit_by(author, t.now_ms + late_ms, Event::Checkpoint(checkpoint));
            t.checkpoints.push(proof);
            t.newest = Some(checkpoint);
        }
    };
    set.happens("checkpoint-author", &["checkpoint-author"], "a checkpoint by the kit", odd(KIT, 0, |_| {}));
    set.happens(
        "checkpoint-time",
        &["checkpoint-time"],
        "a checkpoint from the future",
        odd(EDGE, 60_000, |_| {}),
    );
    set.happens(
        "checkpoint-chain",
        &["checkpoint-chain"],
        "a checkpoint that names another before it",
        odd(EDGE, 0, |c| c.previous_root = Hash::ZERO),
    );
    set.happens(
        "checkpoint-session",
        &["checkpoint-chain"],
        "a checkpoint of another session",
        odd(EDGE, 0, |c| c.session = SessionId([77; 16])),
    );
    set.happens(
        "checkpoint-root",
        &["checkpoint-root"],
        "a checkpoint of another root",
        odd(EDGE, 0, |c| c.root = Hash::ZERO),
    );
    set.changed("checkpoints-end", &["checkpoints-end"], "the last checkpoint is missing", |s| {
        drop(s.checkpoints.pop())
    });
    set.changed("cut", &["checkpoint-beyond", "not-closed", "seal"], "the last leaf is cut off", |s| {
        drop(s.leaves.pop())
    });
    set.changed("leaf", &["checkpoint-root", "seal"], "a salt is changed", |s| {
        if let Leaf::Whole(bytes) = &mut s.leaves[1] {
            bytes[5] ^= 1;
        }
    });
    set.changed("redacted-other", &["checkpoint-root", "seal"], "a redacted leaf has another hash", |s| {
        s.leaves[6] = Leaf::Redacted(Hash::of(b"another"));
    });
    set.changed("seal-manifest", &["seal"], "another manifest than was sealed", |s| {
        s.manifest = Manifest::new(SESSION, s.keys.trust().to_bytes(), Binding::Passkey, vec![]).to_bytes();
    });
    set.happens("transaction", &["transaction"], "somebody joins without a quorum", |t| {
        let member = Member { key: public(99), role: Role::Field, pseudonym: "person 99".to_owned() };
        let hospital = t.keys.hospital().clone();
        let added = Event::RosterAdded(RosterAddition { session: SESSION, member });
        let signed = t.keys.sign(&hospital, at(5), added).unwrap();
        let proof: TransactionProof = t.keys.commit(at(5), vec![signed]).unwrap().remove(0);
        t.record(What::Proof { proof: minus_one(&proof.to_bytes()) });
    });
    set.happens("roster-stranger", &["transaction"], "a stranger adds somebody to the roster", |t| {
        let member = Member { key: public(99), role: Role::Field, pseudonym: "person 99".to_owned() };
        let proof = t.commit_by(77, 5, Event::RosterAdded(RosterAddition { session: SESSION, member }));
        t.record(What::Proof { proof });
    });
}

/// About who says what.
fn voices(set: &mut Set) {
    set.happens("envelope", &["envelope"], "a statement with another signature", |t| {
        let mut signed = Statement { session: SESSION, said: Said::Disarm {} }.sign(&key(BEDSIDE));
        signed[40] ^= 1;
        t.counts.statements += 1;
        t.record(What::Statement { signed });
    });
    set.happens("author", &["author"], "a stranger's statement", |t| t.say(77, Said::Disarm {}));
    set.happens("session", &["session"], "a statement of another session", |t| {
        let signed = Statement { session: SessionId([1; 16]), said: Said::Disarm {} }.sign(&key(BEDSIDE));
        t.counts.statements += 1;
        t.record(What::Statement { signed });
    });
    set.happens("segment-chain", &["segment-chain"], "a list of the surgeon's is missing", |t| {
        Theatre::lose(&mut t.surgeon, 2);
        t.surgeon_lists(&[]);
    });
    set.happens("two-holders", &["two-holders"], "one token for two", |t| t.grant(BEDSIDE));
    set.happens("no-lease", &["no-lease"], "a command under a token that nobody was granted", |t| {
        t.counts.commands += 1;
        t.record(What::Command { frame: command_with(1, 2, |command| command.token = LeaseToken(9)) });
    });
    set.happens("not-holder", &["not-holder"], "a list by a surgeon who does not hold the token", |t| {
        t.say(SURGEON, Said::Endorse { session_key: public(50) });
        t.lists_nothing(50);
    });
}

/// About commands, from three sides.
fn commands(set: &mut Set) {
    set.happens("wire", &["wire"], "152 bytes that are no command", |t| {
        t.counts.commands += 1;
        t.record(What::Command { frame: vec![0; 152] });
    });
    set.happens("command-code", &["command-code"], "a command without a code", |t| {
        let mut frame = command_with(3, 2, |_| {});
        frame[136..].fill(0);
        t.counts.commands += 1;
        t.record(What::Command { frame: frame.clone() });
        t.surgeon_lists_these(&[(3, frame)]);
    });
    set.happens(
        "unseen-frame",
        &["unseen-frame"],
        "a command names a frame that is recorded after it",
        |t| {
            t.odd_command(3, 3, |_| {});
            record_frame(t, 3);
        },
    );
    set.happens("command-twice", &["command-twice"], "a command is logged twice", |t| t.command(2, 2));
    set.happens("list-hole", &["list-hole", "unlisted-command"], "the surgeon's list has a hole", |t| {
        t.command(3, 2);
        t.command(4, 2);
        t.surgeon_lists(&[(4, 2)]);
        t.kit_judges(&[3, 4]);
    });
    set.happens(
        "other-command",
        &["other-command"],
        "a command is logged as another than the surgeon sent",
        |t| {
            t.command(3, 1);
            t.surgeon_lists(&[(3, 2)]);
            t.kit_judges(&[3]);
        },
    );
    set.happens("unlisted-command", &["unlisted-command"], "a command that the surgeon never sent", |t| {
        t.command(3, 2);
        t.kit_judges(&[3]);
    });
    set.happens(
        "unlogged-command",
        &["unlogged-command"],
        "the kit applied what the edge box never logged",
        |t| t.kit_judges(&[3]),
    );
    set.happens("judged-twice", &["judged-twice"], "a command is taken in twice", |t| t.kit_judges(&[2]));
    set.happens("taken-in-late", &["taken-in-late"], "a command is taken in after a later one", |t| {
        t.command(3, 2);
        t.command(4, 2);
        t.surgeon_lists(&[(3, 2), (4, 2)]);
        t.kit_judges(&[4, 3]);
    });
    set.happens(
        "judged-early",
        &["judged-early"],
        "a command is taken in before it can have been sent",
        |t| {
            t.odd_command(3, 2, |command| command.kit_tick_echo = KitTick(900_000));
        },
    );
    set.happens("kit-time", &["kit-time"], "the kit's time has a hole", |t| {
        t.kit_says(KIT, &[], |s| s.from.0 += 1)
    });
    set.happens("verdict-time", &["verdict-time"], "a verdict lies outside its segment", |t| {
        t.command(3, 2);
        t.surgeon_lists(&[(3, 2)]);
        t.kit_says(KIT, &[3], |segment| {
            segment.verdicts[0].tick = segment.to;
            segment.verdicts[0].outcome =
                Outcome::Refused { code: 3, seen_milli: 420_000, limit_milli: 400_000 };
        });
    });
}

/// About frames, from both sides.
fn frames(set: &mut Set) {
    set.happens("frame-number", &["frame-number"], "a frame is missing", |t| record_frame(t, 4));
    set.happens("frame-time", &["frame-time"], "a frame was captured before the one before", |t| {
        t.counts.frames += 1;
        t.record(What::Frame(FrameEntry { frame: FrameId(3), captured: EdgeTick(1), ..frame(3) }));
    });
    set.happens("other-picture", &["other-picture"], "another picture was shown than was sent", |t| {
        t.display_reports(&[(2, frame_of(1).picture_hash)]);
    });
    set.happens("never-sent", &["never-sent"], "a frame was shown and never sent", |t| {
        t.display_reports(&[(9, frame_of(9).picture_hash)]);
    });
    let other = bundle_with(&good(), |number| Some(unit(if number == 2 { 3 } else { number })));
    set.bundle("picture", other, 1, &["picture"], "a picture is another than its leaf says");
}

/// About bytes that no leaf or proof speaks for.
fn container(set: &mut Set) {
    let good_bytes = bundle(&good());
    let find = |part: &[u8]| good_bytes.windows(part.len()).position(|window| window == part).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = good_bytes.clone();
        bytes[at] = byte;
        bytes
    };
    let checksum = good_bytes.len() - 10;
    let flipped = with(checksum, good_bytes[checksum] ^ 1);
    set.bundle("container", flipped, 1, &["container"], "the checksum at the end is another");
    // Behind its start code the second slice of frame 1 begins with a byte, and has 40 more.
    let unit = unit(1);
    let slice = find(&unit[unit.len() - 40..]) - 1;
    let form = with(slice - 4, 0xff);
    set.bundle(
        "picture-form",
        form,
        1,
        &["picture-form", "picture", "container"],
        "a picture holds a byte that was not sent",
    );
    let session = good();
    let leaf = session.bytes(session.find(|what| matches!(what, What::Frame(_))));
    let kind = leaf.windows(3).position(|bytes| bytes == [0x82, 4, 0x88]).unwrap() + 1;
    let stray = with(find(leaf) + kind, 19);
    set.bundle(
        "stray-picture",
        stray,
        1,
        &["stray-picture", "checkpoint-root"],
        "a picture stands behind what is no frame",
    );
    set.file("cut-off.mcap", good_bytes[..2000].to_vec());
    set.vector("cut-off", Some(TRUST), 2, &[], "a file that is cut off");
    set.file("no-bundle.mcap", b"nothing of the kind".to_vec());
    set.vector("no-bundle", Some(TRUST), 2, &[], "a file that is no bundle");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/verifier/vectors")
}

fn index(vectors: &[Vector]) -> String {
    let lines: Vec<String> =
        vectors.iter().map(|one| format!("  {}", serde_json::to_string(one).unwrap())).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

const INDEX: &str = "index.json";

/// Writes the vectors: `cargo test -p farhand-audit --test it write_the_vectors -- --ignored`.
#[test]
#[ignore = "it writes into the source tree"]
fn write_the_vectors() {
    let set = set();
    fs::create_dir_all(folder()).unwrap();
    fs::write(folder().join(INDEX), index(&set.vectors)).unwrap();
    set.files.iter().for_each(|(name, bytes)| fs::write(folder().join(name), bytes).unwrap());
}

/// Goal: the vectors in the tree are those that are made here, all of them and nothing else, and are small.
#[test]
fn the_vectors_are_those_in_the_tree() {
    let set = set();
    assert_eq!(fs::read_to_string(folder().join(INDEX)).unwrap(), index(&set.vectors));
    for (name, bytes) in &set.files {
        assert!(fs::read(folder().join(name)).unwrap() == *bytes, "{name} is another");
    }
    let names = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let made = set.files.iter().map(|(name, _)| name.as_str()).chain([INDEX]);
    assert_eq!(names.collect::<BTreeSet<_>>(), made.map(str::to_owned).collect());
    let bytes: usize = set.files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 2_500_000, "{bytes} bytes");
}

/// Goal: whatever the index says of a vector, both verifiers say: the exit code, and each finding by its name.
#[test]
fn both_verifiers_agree_with_the_index() {
    let vectors: Vec<Vector> = serde_json::from_slice(&fs::read(folder().join(INDEX)).unwrap()).unwrap();
    assert!(vectors.len() > 50);
    for vector in &vectors {
        expect(vector, "farhand-audit", &ours(vector));
        if let Some(report) = theirs(vector) {
            expect(vector, "verify.py", &report);
        }
    }
}

fn ours(vector: &Vector) -> Value {
    let trust = vector.trust.as_ref().map(|name| TrustRoot::read(&fs::read(folder().join(name)).unwrap()));
    match trust.transpose() {
        Ok(trust) => serde_json::to_value(audit(&folder().join(&vector.file), trust.as_ref())).unwrap(),
        Err(_) => serde_json::json!({ "exit": 2, "findings": [] }),
    }
}

fn theirs(vector: &Vector) -> Option<Value> {
    let mut command = python("verify.py")?;
    command.current_dir(folder()).args(["--json", &vector.file]);
    command.args(vector.trust.iter().flat_map(|trust| ["--trust", trust]));
    let output = command.output().unwrap();
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{vector:?}: {output:?}"));
    assert_eq!(output.status.code().map(Value::from), Some(report["exit"].clone()));
    Some(report)
}

fn expect(vector: &Vector, who: &str, report: &Value) {
    let findings = report["findings"].as_array().unwrap();
    let mut names: BTreeSet<&str> =
        findings.iter().map(|finding| finding["name"].as_str().unwrap()).collect();
    // That leaves are redacted stands in a list of its own.
    names.extend(report["leaves"]["redacted"].as_u64().filter(|count| *count > 0).map(|_| "redacted"));
    let wanted: BTreeSet<&str> = vector.findings.iter().map(String::as_str).collect();
    let agrees = if matches!(vector.exit, 0 | 3) { names == wanted } else { wanted.is_subset(&names) };
    assert!(report["exit"] == vector.exit && agrees, "{who}: {vector:?} {names:?} {report}");
}
