//! People and machines of a session that never was, for figures of the record and of its verification.

use ed25519_dalek::SigningKey;
use farhand_ledger::{
    Cbor, Chain, DisplayReport, FrameEntry, Hash, KitSegment, KitVerdict, Malformed, Member, Outcome,
    Segment, Sent, Shown, SurgeonSegment, Utc,
    five_keys::{FiveKeys, Plan},
    picture,
};
use farhand_wire::{
    Challenge, Command, EdgeTick, EngagementId, FrameId, HoldNumber, KitBootId, KitState, KitTick,
    LeaseToken, LeaseTranscript, MacKey, Pose, PublicKey, Role, Said, Sequence, SessionId, Statement,
};

pub(super) const TOKEN: LeaseToken = LeaseToken(1);
const BOOT: KitBootId = KitBootId([1; 16]);

/// Everybody's keys, and the chains of what they sign.
pub(super) struct Cast {
    pub(super) session: SessionId,
    pub(super) surgeon: SigningKey,
    pub(super) bedside: SigningKey,
    pub(super) field: SigningKey,
    pub(super) edge: SigningKey,
    pub(super) kit: SigningKey,
    session_key: SigningKey,
    mac: MacKey,
    lists: Chain,
    verdicts: Chain,
    reports: Chain,
}

impl Cast {
    /// Another cast for each number.
    pub(super) fn new(number: u8) -> Self {
        let key = |who: u8| SigningKey::from_bytes(&Hash::of(&[number, who]).0);
        let session = SessionId([number; 16]);
        Self {
            session,
            surgeon: key(1),
            bedside: key(2),
            field: key(3),
            edge: key(4),
            kit: key(5),
            session_key: key(6),
            mac: MacKey::new(&[number; 32]),
            lists: Chain::new(session),
            verdicts: Chain::new(session),
            reports: Chain::new(session),
        }
    }

    pub(super) fn plan(&self, at: Utc) -> Plan<'_> {
        let member =
            |key, role| Member { key: public(key), role, pseudonym: format!("{role:?}").to_lowercase() };
        Plan {
            session: self.session,
            roster: vec![member(&self.surgeon, Role::Surgeon), member(&self.bedside, Role::Bedside)],
            edge: public(&self.edge),
            kit: &self.kit,
            field: &self.field,
            limits_digest: Hash::of(b"limits"),
            arm_digest: Hash::of(b"arm"),
            at,
        }
    }

    /// The opening, on a ledger of five keys in one hand.
    pub(super) fn open(&self, keys: &mut FiveKeys, at: Utc) -> Result<Vec<u8>, Malformed> {
        Ok(keys.open(self.plan(at))?.to_bytes())
    }

    /// The surgeon's session key is endorsed, two people arm, the kit grants control.
    pub(super) fn first_statements(&self) -> Vec<Vec<u8>> {
        let say = |author: &SigningKey, said| Statement { session: self.session, said }.sign(author);
        let challenge = Challenge([1; 32]);
        let transcript = LeaseTranscript {
            session: self.session,
            token: TOKEN,
            boot: BOOT,
            holder: public(&self.session_key),
            kit: public(&self.kit),
            holder_x25519: PublicKey([7; 32]),
            kit_x25519: PublicKey([7; 32]),
        };
        vec![
            say(&self.surgeon, Said::Endorse { session_key: public(&self.session_key) }),
            say(&self.bedside, Said::Arm { challenge }),
            say(&self.session_key, Said::Arm { challenge }),
            say(&self.kit, Said::LeaseGrant { transcript }),
        ]
    }

    /// A kit's state, sealed.
    pub(super) fn kit_state(&self) -> Vec<u8> {
        KitState { session: self.session, ..KitState::default() }.seal(&self.mac).to_vec()
    }

    pub(super) fn command(&self, sequence: u64, frame: u64) -> Vec<u8> {
        let command = Command {
            session: self.session,
            token: TOKEN,
            sequence: Sequence(sequence),
            kit_tick_echo: KitTick(sequence * 1000),
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
        command.seal(&self.mac).to_vec()
    }

    pub(super) fn lists(&mut self, commands: &[(u64, Vec<u8>)]) -> anyhow::Result<Vec<u8>> {
        let sent = commands
            .iter()
            .map(|(sequence, frame)| Sent { sequence: Sequence(*sequence), hash: Hash::of(frame) });
        let segment = SurgeonSegment { link: self.lists.next(), token: TOKEN, sent: sent.collect() };
        let signed = segment.sign(&self.session_key)?;
        self.lists.extend(segment.link, &signed)?;
        Ok(signed)
    }

    /// The kit took all of them in, within the tenth of a second that its segment covers.
    pub(super) fn judges(&mut self, commands: &[(u64, Vec<u8>)]) -> anyhow::Result<Vec<u8>> {
        const COVERS_US: u64 = 100_000;
        let link = self.verdicts.next();
        let from = link.number * COVERS_US;
        let verdicts = (0..).zip(commands).map(|(at, (sequence, _))| KitVerdict {
            sequence: Sequence(*sequence),
            tick: KitTick(from + at),
            outcome: Outcome::TakenIn,
        });
        let segment = KitSegment {
            link,
            boot: BOOT,
            from: KitTick(from),
            to: KitTick(from + COVERS_US),
            token: TOKEN,
            unauthentic: 0,
            verdicts: verdicts.collect(),
        };
        let signed = segment.sign(&self.kit)?;
        self.verdicts.extend(link, &signed)?;
        Ok(signed)
    }

    pub(super) fn reports(&mut self, frames: &[FrameEntry]) -> anyhow::Result<Vec<u8>> {
        let shown = frames.iter().map(|entry| Shown {
            frame: entry.frame,
            picture_hash: entry.picture_hash,
            shown_us: entry.captured.0 + 30_000,
            glass_to_glass_us: 30_000,
        });
        let report = DisplayReport { link: self.reports.next(), shown: shown.collect() };
        let signed = report.sign(&self.session_key)?;
        self.reports.extend(report.link, &signed)?;
        Ok(signed)
    }
}

/// A frame of so many bytes, a slice of noise.
pub(super) fn frame(number: u64, captured: EdgeTick, bytes: usize) -> (FrameEntry, Vec<u8>) {
    let mut unit = vec![0, 0, 0, 1, if number == 1 { 0x65 } else { 0x41 }];
    let mut noise = fastrand::Rng::with_seed(number);
    // Odd bytes hold neither start codes nor what hides them.
    unit.extend(std::iter::repeat_with(|| noise.u8(..) | 1).take(bytes));
    let hashes = picture::hashes(&unit);
    let entry = FrameEntry {
        frame: FrameId(number),
        rtp_timestamp: u32::try_from(number * 3000 % (1 << 32)).unwrap_or_default(),
        captured,
        kit_tick_at_capture: KitTick(captured.0),
        key_frame: number == 1,
        au_hash: hashes.au_hash,
        picture_hash: hashes.picture_hash,
        au_bytes: unit.len() as u64,
    };
    (entry, unit)
}

pub(super) fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}
