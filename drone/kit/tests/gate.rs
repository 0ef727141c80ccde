//! The gate and the kit's own log: what leaves for the edge box, and what comes again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set is a failed test")]

use ed25519_dalek::SigningKey;
use farhand_guard::{Actuator, Limits, Permit};
use farhand_kit::{Core, FromCore, FromGate, Gate, GateError, Identity, Judged, Past, Snapshot, ToCore};
use farhand_ledger::{
    Cbor, Hash, KitSegment, Member, Segment, Utc,
    five_keys::{FiveKeys, Plan},
};
use farhand_motion::{ArmModel, Mounted};
use farhand_wire::{
    ArmState, Kind, KitBootId, KitState, KitTick, LeaseToken, PublicKey, Role, Said, Sequence, SessionId,
    Statement, VERDICTS_MAX, Verdict,
};

const SESSION: SessionId = SessionId([1; 16]);
const TOKEN: LeaseToken = LeaseToken(3);

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(number: u8) -> PublicKey {
    PublicKey(key(number).verifying_key().to_bytes())
}

struct Nowhere;

impl Actuator for Nowhere {
    fn actuate(&mut self, permit: Permit) {
        drop(permit);
    }
}

/// A gate with an open session, and what the loop once said of itself.
struct Stage {
    gate: Gate,
    opening: Vec<u8>,
    snapshot: Snapshot,
    sent: Vec<Vec<u8>>,
}

impl Stage {
    fn open() -> Self {
        let mut stage = Self::with_past(Past::default());
        stage.connect();
        stage
    }

    /// Before any edge box has come.
    fn with_past(past: Past) -> Self {
        let (arms, limits) = ([Mounted::from(ArmModel::psm_large_needle_driver())], Limits::default());
        let mut keys = FiveKeys::new([5; 32]);
        let member = |number, role| Member { key: public(number), role, pseudonym: format!("p{number}") };
        let plan = Plan {
            session: SESSION,
            roster: vec![member(11, Role::Surgeon), member(12, Role::Bedside)],
            edge: public(2),
            kit: &key(4),
            field: &key(3),
            limits_digest: Hash(limits.digest()),
            arm_digest: Hash(Mounted::digest_of(&arms)),
            at: Utc { us: 1_760_000_000_000_000, uncertainty_us: 1_000 },
        };
        let opening = Kind::Opening.wrap(&keys.open(plan).unwrap().to_bytes());
        let identity = Identity {
            key: key(4),
            boot: KitBootId([6; 16]),
            edge: public(2),
            trust: keys.trust().clone(),
            limits_digest: limits.digest(),
            arm_digest: Mounted::digest_of(&arms),
            arms: Vec::new(),
            seed: [7; 32],
            past,
        };
        let snapshot = snapshot(limits, &arms);
        Self { gate: Gate::new(identity), opening, snapshot, sent: vec![] }
    }

    /// An edge box comes and shows the opening; what it gets at once.
    fn connect(&mut self) -> Vec<KitSegment> {
        self.gate.edge_connected();
        self.show_opening()
    }

    fn show_opening(&mut self) -> Vec<KitSegment> {
        self.sent.clear();
        let opening = self.opening.clone();
        self.gate.take(&opening, |out| keep(out, &mut self.sent)).unwrap();
        self.segments()
    }

    fn hear(&mut self, said: FromCore) {
        self.gate.from_core(said, |out| keep(out, &mut self.sent));
    }

    fn judge(&mut self, ms: u64, sequence: u64) {
        let verdict = Verdict { sequence: Sequence(sequence), rejection: None };
        self.hear(FromCore::Judged(Judged { tick: KitTick(0).plus_ms(ms), token: TOKEN, verdict }));
    }

    fn tick(&mut self, ms: u64, closed: bool) {
        let mut snapshot = self.snapshot.clone();
        snapshot.tick = KitTick(0).plus_ms(ms);
        (snapshot.report.closed, snapshot.report.ended) = (closed, closed);
        self.hear(FromCore::Snapshot(snapshot));
    }

    fn segments(&self) -> Vec<KitSegment> {
        let signed = self.sent.iter().filter_map(|bytes| Kind::KitSegment.content(bytes).ok());
        signed.map(|signed| KitSegment::open(signed).unwrap().1).collect()
    }
}

fn keep(out: FromGate, sent: &mut Vec<Vec<u8>>) {
    match out {
        FromGate::Datagram(bytes) | FromGate::Reliable(bytes) => sent.push(bytes),
        FromGate::Segment(_) => {}
        FromGate::StoreClosed(session) => assert_eq!(session, SESSION),
        FromGate::Core(_) | FromGate::Store(_) => panic!("{out:?}"),
    }
}

fn snapshot(limits: Limits, arms: &[Mounted]) -> Snapshot {
    let arm = ArmState { setpoint: 0, flags: 0, joints: arms[0].model.home().joints.0, jaw_rad: 0.1 };
    let mut core = Core::new(limits, arms, &[Some(arm)], LeaseToken(0), [7; 32]).unwrap();
    let mut newest = None;
    core.step(KitTick(0), [(0, arm)], std::iter::empty(), &mut Nowhere, |said| newest = Some(said));
    let Some(FromCore::Snapshot(snapshot)) = newest else { panic!("the first step tells a state") };
    snapshot
}

/// Goal: more verdicts than fit in one state wait for the next, in order, and all of them are in the segment.
#[test]
fn more_verdicts_than_a_state_holds_are_not_lost() {
    let mut stage = Stage::open();
    (1..=20).for_each(|sequence| stage.judge(5, sequence));
    (1..=10).for_each(|n| stage.tick(n * 10, false));
    let states: Vec<KitState> = stage.sent.iter().filter_map(|bytes| KitState::read(bytes).ok()).collect();
    let told: Vec<usize> = states.iter().map(|state| state.verdicts.len()).collect();
    assert_eq!(told[..4], [VERDICTS_MAX, VERDICTS_MAX, 4, 0]);
    let segments = stage.segments();
    assert_eq!(segments.len(), 1);
    let sequences: Vec<u64> = segments[0].verdicts.iter().map(|verdict| verdict.sequence.0).collect();
    assert_eq!(sequences, (1..=20).collect::<Vec<_>>());
    assert_eq!(segments[0].token, TOKEN);
}

/// Goal: whoever hears that the operation is over has heard every verdict before.
#[test]
fn the_last_verdicts_go_before_the_word_that_it_is_over() {
    let mut stage = Stage::open();
    stage.tick(10, false);
    stage.judge(15, 1);
    stage.sent.clear();
    stage.tick(20, true);
    let segment = stage.sent.iter().position(|bytes| Kind::of(bytes) == Ok(Kind::KitSegment)).unwrap();
    let closed = |bytes: &Vec<u8>| matches!(Statement::open(bytes), Ok((_, Statement { said: Said::Notice { notice }, .. })) if notice.closed);
    assert!(segment < stage.sent.iter().position(closed).unwrap());
    assert_eq!(stage.segments()[0].verdicts.len(), 1);
}

/// Goal: an edge box that comes back and shows the opening gets every segment once a connection; another opening is refused.
#[test]
fn what_is_kept_comes_again_once_a_connection() {
    let mut stage = Stage::open();
    (1..=50).for_each(|n| stage.tick(n * 10, false));
    assert_eq!(stage.segments().len(), 5);
    stage.gate.edge_connected();
    stage.sent.clear();
    (51..=60).for_each(|n| stage.tick(n * 10, false));
    assert_eq!(stage.segments().len(), 0, "nothing goes before those that it may lack");
    assert_eq!(stage.show_opening().len(), 6);
    assert_eq!(stage.show_opening().len(), 0, "it has them");
    assert_eq!(stage.connect().len(), 6);
    let mut other = stage.opening.clone();
    *other.last_mut().unwrap() ^= 1;
    assert!(matches!(stage.gate.take(&other, |_| ()), Err(GateError::AlreadyOpen { .. })));
}

/// Goal: a kit that restarts in a session that was closed, or that consent was withdrawn for, is told so before anything else: nothing
/// arms it again.
#[test]
fn a_session_that_is_over_stays_over_after_a_restart() {
    let mut stage = Stage::with_past(Past { closed: vec![SESSION], segments: vec![] });
    let (opening, mut closed) = (stage.opening.clone(), false);
    stage.gate.take(&opening, |out| closed |= matches!(out, FromGate::Core(ToCore::Closed))).unwrap();
    assert!(closed);
    for closed in [true, false] {
        let mut stage = Stage::open();
        stage.tick(10, false);
        let mut stored = 0;
        for ms in [20, 30] {
            let mut snapshot = stage.snapshot.clone();
            (snapshot.tick, snapshot.report.closed) = (KitTick(0).plus_ms(ms), closed);
            snapshot.report.ended = true;
            let count = |out| stored += usize::from(matches!(out, FromGate::StoreClosed(SESSION)));
            stage.gate.from_core(FromCore::Snapshot(snapshot), count);
            stage.gate.edge_connected();
        }
        assert_eq!(stored, 1, "closed: {closed}");
    }
}

/// Goal: what an earlier run signed for this session goes to the edge box before what this run signs.
#[test]
fn an_earlier_runs_segments_come_first() {
    let mut past = Stage::open();
    (1..=20).for_each(|n| past.tick(n * 10, false));
    let segments = past.sent.into_iter().filter(|bytes| Kind::of(bytes) == Ok(Kind::KitSegment)).collect();
    let mut stage = Stage::with_past(Past { closed: vec![], segments });
    assert_eq!(stage.connect().len(), 2);
}

/// Goal: what is not authentic is counted in the stretch in which it came, once.
#[test]
fn what_is_not_authentic_is_counted_in_its_stretch() {
    let mut stage = Stage::open();
    for _ in 0..3 {
        assert!(stage.gate.take(b"garbage", |_| ()).is_err());
    }
    (1..=20).for_each(|n| stage.tick(n * 10, false));
    let counts: Vec<u64> = stage.segments().iter().map(|segment| segment.unauthentic).collect();
    assert_eq!(counts, [3, 0]);
}
