//! A whole session, made as edge box, kit, surgeon and validators would make it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    unreachable_pub,
    dead_code,
    reason = "helpers of several test binaries"
)]

use std::convert::Infallible;

use ed25519_dalek::SigningKey;
use farhand_ledger::{
    Binding, Cbor, Chain, Checkpoint, Closing, DisplayReport, Entry, Event, FrameEntry, Hash, KitSegment,
    KitVerdict, Manifest, Member, Outcome, Salt, Sealing, Segment, Sent, SessionLog, Shown, SurgeonSegment,
    TrustRoot, Utc, What,
    five_keys::{FiveKeys, Plan},
    merkle,
    verify::{Frame, Leaf, Problem, Report, Verdict, verify},
};
use farhand_wire::{
    Challenge, Command, EdgeTick, EngagementId, FrameId, HoldNumber, KitBootId, KitTick, LeaseToken,
    LeaseTranscript, MacKey, Pose, PublicKey, Role, Said, Sequence, SessionId, Statement,
};

pub const SESSION: SessionId = SessionId([9; 16]);
pub const TOKEN: LeaseToken = LeaseToken(3);
pub const BOOT: KitBootId = KitBootId([5; 16]);

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

pub fn public(number: u8) -> PublicKey {
    PublicKey(key(number).verifying_key().to_bytes())
}

pub const SURGEON: u8 = 1;
pub const BEDSIDE: u8 = 2;
pub const FIELD: u8 = 3;
pub const EDGE: u8 = 4;
pub const KIT: u8 = 5;
pub const SESSION_KEY: u8 = 6;

pub fn at(ms: u64) -> Utc {
    Utc { us: 1_760_000_000_000_000 + ms * 1000, uncertainty_us: 2000 }
}

pub fn command(sequence: u64, frame: u64) -> Vec<u8> {
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

pub fn frame(number: u64) -> FrameEntry {
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

pub fn picture(number: u64) -> Hash {
    Hash::of(&[b"picture", &number.to_le_bytes()[..]].concat())
}

/// What goes onto the ledger and into the log while a session runs.
pub struct Theatre {
    pub keys: FiveKeys,
    pub log: SessionLog,
    pub file: Vec<u8>,
    pub leaves: Vec<Vec<u8>>,
    pub checkpoints: Vec<Vec<u8>>,
    pub counts: Closing,
    pub surgeon: Chain,
    pub display: Chain,
    pub kit: Chain,
    pub now_ms: u64,
    pub sealer: u8,
    pub newest: Option<Checkpoint>,
}

impl Theatre {
    pub fn open() -> Self {
        Self::open_under([8; 32])
    }

    /// On the ledger whose keys come from that seed.
    pub fn open_under(seed: [u8; 32]) -> Self {
        let mut keys = FiveKeys::new(seed);
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
            sealer: EDGE,
            newest: None,
        };
        theatre.record(What::Opened { evidence });
        theatre.record(What::unheld_clock(at(1)));
        theatre.say(SURGEON, Said::Endorse { session_key: public(SESSION_KEY) });
        for person in [BEDSIDE, SESSION_KEY] {
            theatre.say(person, Said::Arm { challenge: Challenge([1; 32]) });
        }
        theatre.grant(SESSION_KEY);
        theatre
    }

    pub fn record(&mut self, what: What) {
        self.now_ms += 1;
        let salt = Salt(*Hash::of(&self.now_ms.to_le_bytes()).0.first_chunk().unwrap());
        let record = self.log.append(salt, EdgeTick(self.now_ms * 1000), what).unwrap();
        self.leaves.push(record.bytes[12..].to_vec());
        self.file.extend(record.bytes);
    }

    pub fn say(&mut self, author: u8, said: Said) {
        self.counts.statements += 1;
        self.record(What::Statement { signed: Statement { session: SESSION, said }.sign(&key(author)) });
    }

    pub fn frame(&mut self, number: u64) {
        self.counts.frames += 1;
        self.record(What::Frame(frame(number)));
    }

    pub fn command(&mut self, sequence: u64, frame: u64) {
        self.counts.commands += 1;
        self.record(What::Command { frame: command(sequence, frame) });
    }

    pub fn surgeon_lists(&mut self, sent: &[(u64, u64)]) {
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

    pub fn kit_judges(&mut self, taken_in: &[u64]) {
        self.kit_says(KIT, taken_in, |_| {});
    }

    /// The same by anybody, and with a change before it is signed.
    pub fn kit_says(&mut self, author: u8, taken_in: &[u64], change: fn(&mut KitSegment)) {
        self.counts.kit_segments += 1;
        let link = self.kit.next();
        let verdict = |&sequence: &u64| KitVerdict {
            sequence: Sequence(sequence),
            tick: KitTick(link.number * 100_000 + 5),
            outcome: Outcome::TakenIn,
        };
        let mut segment = KitSegment {
            link,
            boot: BOOT,
            from: KitTick(link.number * 100_000),
            to: KitTick((link.number + 1) * 100_000),
            token: TOKEN,
            unauthentic: 0,
            verdicts: taken_in.iter().map(verdict).collect(),
        };
        change(&mut segment);
        let signed = segment.sign(&key(author)).unwrap();
        self.kit.extend(link, &signed).unwrap();
        self.record(What::KitSegment { signed });
    }

    pub fn display_reports(&mut self, shown: &[(u64, Hash)]) {
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

    pub fn commit(&mut self, event: Event) -> Vec<u8> {
        self.commit_by(EDGE, self.now_ms, event)
    }

    /// A transaction by anybody, who says that it is that late.
    pub fn commit_by(&mut self, author: u8, said_ms: u64, event: Event) -> Vec<u8> {
        let signed = self.keys.sign(&key(author), at(said_ms), event).unwrap();
        self.keys.commit(at(self.now_ms), vec![signed]).unwrap()[0].to_bytes()
    }

    /// A segment of the surgeon's chain by anybody, which lists nothing.
    pub fn lists_nothing(&mut self, author: u8) {
        self.counts.surgeon_segments += 1;
        let segment = SurgeonSegment { link: Chain::new(SESSION).next(), token: TOKEN, sent: vec![] };
        self.record(What::SurgeonSegment { signed: segment.sign(&key(author)).unwrap() });
    }

    pub fn grant(&mut self, holder: u8) {
        let x25519 = PublicKey([7; 32]);
        let transcript = LeaseTranscript {
            session: SESSION,
            token: TOKEN,
            boot: BOOT,
            holder: public(holder),
            kit: public(KIT),
            holder_x25519: x25519,
            kit_x25519: x25519,
        };
        self.say(KIT, Said::LeaseGrant { transcript });
    }

    pub fn checkpoint(&mut self) {
        let checkpoint = self.log.checkpoint().unwrap();
        self.newest = Some(checkpoint);
        let proof = self.commit(Event::Checkpoint(checkpoint));
        self.checkpoints.push(proof);
    }

    /// A tenth of a second of work: three frames, then commands that name the newest of them, then what was signed.
    pub fn work(&mut self, tenth: u64) {
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

    pub fn close(mut self) -> Session {
        let closing = Closing { reason: "done".to_owned(), ..self.counts.clone() };
        self.record(What::Closed(closing));
        self.seal()
    }

    /// Under the last checkpoint, for the ledger seals nothing else.
    pub fn seal(mut self) -> Session {
        let manifest = Manifest::new(SESSION, self.keys.trust().to_bytes(), Binding::Link, vec![]).to_bytes();
        let leaves: Vec<Hash> = self.leaves.iter().map(|leaf| merkle::leaf_hash(leaf)).collect();
        let (tree_size, root) = (leaves.len() as u64, merkle::root(&leaves));
        let (first_sequence, previous_root) =
            self.newest.map_or((0, merkle::empty_root()), |newest| (newest.tree_size, newest.root));
        if first_sequence < tree_size {
            let last_sequence = tree_size - 1;
            let last = Checkpoint {
                session: SESSION,
                tree_size,
                root,
                previous_root,
                first_sequence,
                last_sequence,
            };
            let proof = self.commit(Event::Checkpoint(last));
            self.checkpoints.push(proof);
        }
        let sealing = Sealing {
            session: SESSION,
            tree_size,
            root,
            manifest: Hash::of(&manifest),
            commands: self.counts.commands,
            frames: self.counts.frames,
        };
        let seal = self.commit_by(self.sealer, self.now_ms, Event::Sealed(sealing));
        let leaves = self.leaves.into_iter().map(Leaf::Whole).collect();
        Session { keys: self.keys, manifest, seal, checkpoints: self.checkpoints, leaves, file: self.file }
    }
}

/// A sealed session, as a bundle would hold it.
pub struct Session {
    pub keys: FiveKeys,
    pub manifest: Vec<u8>,
    pub seal: Vec<u8>,
    pub checkpoints: Vec<Vec<u8>>,
    pub leaves: Vec<Leaf>,
    pub file: Vec<u8>,
}

impl Session {
    pub fn good() -> Self {
        let mut theatre = Theatre::open();
        (0..4).for_each(|tenth| theatre.work(tenth));
        theatre.close()
    }

    pub fn verify(&self, trust: Option<&TrustRoot>) -> Report {
        let bundle = Frame {
            manifest: self.manifest.clone(),
            seal: self.seal.clone(),
            checkpoints: self.checkpoints.clone().into_iter(),
        };
        verify(bundle, self.leaves.iter().cloned().map(Ok::<_, Infallible>), trust).unwrap()
    }

    pub fn verdict(&self) -> Verdict {
        self.verify(Some(self.keys.trust())).verdict
    }

    pub fn problems(&self) -> Vec<Problem> {
        self.verify(Some(self.keys.trust())).findings.into_iter().map(|finding| finding.problem).collect()
    }

    pub fn bytes(&self, number: usize) -> &[u8] {
        match &self.leaves[number] {
            Leaf::Whole(bytes) => bytes,
            Leaf::Redacted(_) => panic!("redacted"),
        }
    }

    pub fn find(&self, wanted: impl Fn(&What) -> bool) -> usize {
        (0..self.leaves.len()).find(|&n| wanted(&Entry::read(self.bytes(n)).unwrap().what)).unwrap()
    }
}
