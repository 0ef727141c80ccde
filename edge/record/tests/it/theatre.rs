//! A whole session, as kit, surgeon and edge box would make it, handed to a record.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use farhand_ledger::{
    Cbor, Chain, DisplayReport, FrameEntry, Hash, KitSegment, KitVerdict, Member, Outcome, Segment, Sent,
    Shown, Software, SurgeonSegment, TrustRoot, Utc,
    five_keys::{FiveKeys, Plan},
    picture::hashes,
};
use farhand_record::{Record, RecordConfig, RecordError, RecordHealth, RecordOptions, Recorded, Recorder};
use farhand_wire::{
    Challenge, Command, EdgeTick, EngagementId, FrameId, HoldNumber, KitBootId, KitState, KitTick,
    LeaseToken, LeaseTranscript, MacKey, Pose, PublicKey, Role, Said, Sequence, SessionId, Statement,
    Watermark,
};
use tokio::time::timeout;

use crate::five_ledger::FiveLedger;

pub const SESSION: SessionId = SessionId([9; 16]);
pub const TOKEN: LeaseToken = LeaseToken(3);
pub const BOOT: KitBootId = KitBootId([5; 16]);

pub const SURGEON: u8 = 1;
pub const BEDSIDE: u8 = 2;
pub const FIELD: u8 = 3;
pub const EDGE: u8 = 4;
pub const KIT: u8 = 5;
pub const SESSION_KEY: u8 = 6;

/// How long a test waits for what must come; never how it decides.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

pub fn public(number: u8) -> PublicKey {
    PublicKey(key(number).verifying_key().to_bytes())
}

pub fn utc_now() -> Utc {
    let us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    Utc { us: u64::try_from(us).unwrap(), uncertainty_us: 2000 }
}

/// A ledger, and the opening of one session on it.
pub struct Opened {
    pub ledger: Arc<FiveLedger>,
    pub evidence: Vec<u8>,
}

pub fn opened() -> Opened {
    let mut keys = FiveKeys::new([8; 32]);
    let person = |number, role| Member { key: public(number), role, pseudonym: format!("person {number}") };
    let plan = Plan {
        session: SESSION,
        roster: vec![person(SURGEON, Role::Surgeon), person(BEDSIDE, Role::Bedside)],
        edge: public(EDGE),
        kit: &key(KIT),
        field: &key(FIELD),
        limits_digest: Hash::of(b"limits"),
        arm_digest: Hash::of(b"arm"),
        at: utc_now(),
    };
    let evidence = keys.open(plan).unwrap().to_bytes();
    Opened { ledger: Arc::new(FiveLedger::new(keys)), evidence }
}

pub fn config(folder: &Path, trust: TrustRoot) -> RecordConfig {
    let software = vec![Software { name: "farhand-edge".to_owned(), digest: Hash::of(b"farhand-edge") }];
    RecordConfig { folder: folder.to_owned(), session_key: key(EDGE), trust, ledger: None, software }
}

/// Everybody in the session, and the record that hears them.
pub struct Theatre {
    pub recorder: Recorder,
    pub record: Record,
    surgeon: Chain,
    display: Chain,
    kit: Chain,
    now_us: u64,
    evidence: Vec<u8>,
    first_frame: u64,
}

impl Theatre {
    /// Opens the record, with that ledger or with none.
    pub fn open(folder: &Path, opened: &Opened, options: RecordOptions) -> Result<Self, RecordError> {
        let config = config(folder, opened.ledger.trust());
        Ok(Self::over(Record::open_with(config, SESSION, options)?, opened))
    }

    pub fn over((recorder, record): (Recorder, Record), opened: &Opened) -> Self {
        let first_frame = record.next_frame().0;
        Self {
            recorder,
            record,
            surgeon: Chain::new(SESSION),
            display: Chain::new(SESSION),
            kit: Chain::new(SESSION),
            now_us: 1_000_000,
            evidence: opened.evidence.clone(),
            first_frame,
        }
    }

    pub fn with_ledger(folder: &Path, opened: &Opened) -> Self {
        let options = RecordOptions { ledger: Some(opened.ledger.clone()), ..RecordOptions::default() };
        Self::open(folder, opened, options).unwrap()
    }

    pub fn record(&mut self, passed: Recorded<'_>) {
        self.now_us += 1000;
        self.recorder.record(EdgeTick(self.now_us), passed);
    }

    /// The opening, who speaks for whom, the arming by two, and the lease.
    pub fn begin(&mut self) {
        let evidence = self.evidence.clone();
        self.record(Recorded::Opened { evidence: &evidence });
        self.record(Recorded::Switch { what: "kit", on: true, reason: "paired" });
        self.say(SURGEON, Said::Endorse { session_key: public(SESSION_KEY) });
        for person in [BEDSIDE, SESSION_KEY] {
            self.say(person, Said::Arm { challenge: Challenge([1; 32]) });
        }
        self.grant(TOKEN);
    }

    pub fn grant(&mut self, token: LeaseToken) {
        let x25519 = PublicKey([7; 32]);
        let (holder, kit) = (public(SESSION_KEY), public(KIT));
        let transcript = LeaseTranscript {
            session: SESSION,
            token,
            boot: BOOT,
            holder,
            kit,
            holder_x25519: x25519,
            kit_x25519: x25519,
        };
        self.say(KIT, Said::LeaseGrant { transcript });
    }

    pub fn say(&mut self, author: u8, said: Said) {
        let signed = Statement { session: SESSION, said }.sign(&key(author));
        self.record(Recorded::Statement { signed: &signed });
    }

    pub fn frame(&mut self, number: u64) {
        let unit = unit(number);
        let entry = FrameEntry { captured: EdgeTick(self.now_us), ..frame(number) };
        self.record(Recorded::Frame { entry, unit: &unit });
    }

    pub fn command(&mut self, sequence: u64, frame: u64) {
        self.record(Recorded::Command { frame: &command(TOKEN, sequence, frame) });
    }

    pub fn kit_state(&mut self) {
        let state = KitState { session: SESSION, tick: KitTick(self.now_us), ..KitState::default() };
        self.record(Recorded::KitState { sealed: &state.seal(&MacKey::new(&[2; 32])) });
    }

    pub fn surgeon_lists(&mut self, sent: &[(u64, u64)]) {
        let sent = sent.iter().map(|&(sequence, frame)| Sent {
            sequence: Sequence(sequence),
            hash: Hash::of(&command(TOKEN, sequence, frame)),
        });
        let segment = SurgeonSegment { link: self.surgeon.next(), token: TOKEN, sent: sent.collect() };
        let signed = segment.sign(&key(SESSION_KEY)).unwrap();
        self.surgeon.extend(segment.link, &signed).unwrap();
        self.record(Recorded::SurgeonSegment { signed: &signed });
    }

    /// The next segment of the kit, not yet recorded.
    pub fn kit_segment(&mut self, taken_in: &[u64]) -> Vec<u8> {
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
        signed
    }

    pub fn kit_judges(&mut self, taken_in: &[u64]) {
        let signed = self.kit_segment(taken_in);
        self.record(Recorded::KitSegment { signed: &signed });
    }

    pub fn display_reports(&mut self, frames: impl Iterator<Item = u64>) {
        let shown = frames.map(|number| Shown {
            frame: FrameId(number),
            picture_hash: hashes(&unit(number)).picture_hash,
            shown_us: number * 33_000,
            glass_to_glass_us: 30_000,
        });
        let report = DisplayReport { link: self.display.next(), shown: shown.collect() };
        let signed = report.sign(&key(SESSION_KEY)).unwrap();
        self.display.extend(report.link, &signed).unwrap();
        self.record(Recorded::DisplayReport { signed: &signed });
    }

    /// A tenth of a second of work: three frames, then commands that name the newest of them, then what was signed.
    pub fn work(&mut self, tenth: u64) {
        let first = self.first_frame + tenth * 3;
        let frames = first..first + 3;
        frames.clone().for_each(|number| self.frame(number));
        let commands: Vec<(u64, u64)> = (tenth * 5 + 1..tenth * 5 + 6).map(|s| (s, frames.end - 1)).collect();
        // Every fifth command is lost on its way to the edge box, as commands may be.
        let arrived: Vec<(u64, u64)> = commands.iter().copied().filter(|(s, _)| s % 5 != 0).collect();
        arrived.iter().for_each(|&(sequence, frame)| self.command(sequence, frame));
        self.kit_state();
        self.surgeon_lists(&commands);
        self.kit_judges(&arrived.iter().map(|(s, _)| *s).collect::<Vec<_>>());
        self.display_reports(frames);
    }

    /// The edge box's program ends and starts again; the others go on.
    pub fn restart(self, folder: &Path, opened: &Opened) -> Self {
        let Theatre { recorder, record, surgeon, display, kit, .. } = self;
        drop((recorder, record));
        Theatre { surgeon, display, kit, ..Self::with_ledger(folder, opened) }
    }

    /// Waits until that much is durable.
    pub async fn durable(&self, expected: Watermark) {
        let mut marks = self.recorder.watermark();
        let reached = marks.wait_for(|mark| *mark == expected);
        let reached = timeout(PATIENCE, reached).await.map(|reached| reached.map(|_| ()));
        let (mark, health) = (*self.recorder.watermark().borrow(), self.recorder.health().borrow().clone());
        reached.unwrap_or_else(|_| panic!("{mark:?} is not {expected:?}: {health:?}")).unwrap();
    }

    /// Waits until the record's health is as wanted.
    pub async fn healthy(&self, wanted: impl Fn(&RecordHealth) -> bool) -> RecordHealth {
        let mut health = self.recorder.health();
        let reached =
            timeout(PATIENCE, health.wait_for(wanted)).await.map(|reached| reached.unwrap().clone());
        reached.unwrap_or_else(|_| panic!("{:?}", self.recorder.health().borrow()))
    }
}

pub fn mark(newest: u64, segments: u64) -> Watermark {
    Watermark { token: TOKEN, newest: Sequence(newest), segments }
}

pub fn command(token: LeaseToken, sequence: u64, frame: u64) -> Vec<u8> {
    let command = Command {
        session: SESSION,
        token,
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

/// An access unit of two NAL units, the second one other for every frame.
pub fn unit(number: u64) -> Bytes {
    let slice: Vec<u8> = number.to_le_bytes().iter().map(|byte| byte | 0x80).cycle().take(2000).collect();
    Bytes::from([&[0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x65][..], &slice].concat())
}

pub fn frame(number: u64) -> FrameEntry {
    let unit = unit(number);
    let hashes = hashes(&unit);
    FrameEntry {
        frame: FrameId(number),
        rtp_timestamp: (number as u32).wrapping_mul(3000),
        captured: EdgeTick(number * 33_000),
        kit_tick_at_capture: KitTick(number * 33_000),
        key_frame: true,
        au_hash: hashes.au_hash,
        picture_hash: hashes.picture_hash,
        au_bytes: unit.len() as u64,
    }
}
