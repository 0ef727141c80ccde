//! The kit's own word on its custody: what it signs, and what it never signs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set is a failed test")]

use ed25519_dalek::SigningKey;
use farhand_guard::{Actuator, Limits, Permit};
use farhand_kit::{Identity, Kit, KitInput, KitOutput, Past};
use farhand_ledger::{
    Cbor, Consent, Custody, CustodyAnswer, CustodyRequest, CustodyStep, Event, Hash, KitStep, LedgerId,
    Member, Opening, OpeningEvidence, Transaction, TransactionProof, Utc, five_keys::FiveKeys,
};
use farhand_motion::{ArmModel, Mounted};
use farhand_wire::{
    ArmKind, ArmNotice, ArmState, Kind, KitBootId, KitTick, LeaseToken, PublicKey, Role, SessionId, arm_flags,
};

const SESSION: SessionId = SessionId([3; 16]);
const EDGE: u8 = 2;
const FIELD: u8 = 3;
const KIT: u8 = 4;
const FIRST: [CustodyStep; 5] = [
    CustodyStep::Sealed,
    CustodyStep::Loaded,
    CustodyStep::Airborne,
    CustodyStep::Landed,
    CustodyStep::Unsealed,
];

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn public(number: u8) -> PublicKey {
    PublicKey(key(number).verifying_key().to_bytes())
}

fn at(s: u64) -> Utc {
    Utc { us: 1_760_000_000_000_000 + s * 1_000_000, uncertainty_us: 2_000 }
}

/// An arm that follows every setpoint at once.
struct Cable(u64);

impl Actuator for Cable {
    fn actuate(&mut self, permit: Permit) {
        self.0 = permit.setpoint().number;
    }
}

/// A ledger, a kit in virtual time, its arm, and the custody so far.
struct Stage {
    keys: FiveKeys,
    kit: Kit,
    /// Two alike, which stand side by side.
    arms: [ArmState; 2],
    heard: bool,
    cable: Cable,
    now_ms: u64,
    proofs: Vec<TransactionProof>,
}

fn arms() -> [Mounted; 2] {
    let [first, mut second] = [(); 2].map(|()| Mounted::from(ArmModel::psm_large_needle_driver()));
    second.kit_from_base.translation.x = 0.2;
    [first, second]
}

fn notice(name: &str) -> ArmNotice {
    ArmNotice {
        name: name.into(),
        kind: ArmKind::Instrument,
        position_um: [0; 3],
        orientation_wxyz_millionths: [1_000_000, 0, 0, 0],
    }
}

impl Stage {
    /// A kit that has arrived and was unsealed.
    fn arrived() -> Self {
        let keys = FiveKeys::new([9; 32]);
        let limits = Limits::default();
        let identity = Identity {
            key: key(KIT),
            boot: KitBootId([1; 16]),
            edge: public(EDGE),
            trust: keys.trust().clone(),
            limits_digest: limits.digest(),
            arm_digest: Mounted::digest_of(&arms()),
            arms: ["PSM1", "PSM2"].map(notice).into(),
            seed: [7; 32],
            past: Past::default(),
        };
        let home = ArmModel::psm_large_needle_driver().home().joints.0;
        let states = [ArmState { setpoint: 0, flags: 0, joints: home, jaw_rad: 0.1 }; 2];
        let kit = Kit::new(identity, limits, &arms(), &states.map(Some), LeaseToken(0)).unwrap();
        let mut stage =
            Self { keys, kit, arms: states, heard: true, cable: Cable(0), now_ms: 0, proofs: vec![] };
        FIRST.into_iter().for_each(|step| stage.commit_step(FIELD, step));
        stage
    }

    fn custody(&self, step: CustodyStep) -> Custody {
        let previous = self.proofs.last().map_or(Hash::ZERO, |proof| Hash::of(&proof.transaction));
        Custody { kit: public(KIT), sequence: self.proofs.len() as u64 + 1, step, previous }
    }

    fn commit_step(&mut self, author: u8, step: CustodyStep) {
        self.commit_custody(author, at(self.proofs.len() as u64), self.custody(step));
    }

    fn commit_custody(&mut self, author: u8, when: Utc, custody: Custody) {
        let proof = self.commit(author, when, Event::Custody(custody));
        self.proofs.push(proof);
    }

    fn commit(&mut self, author: u8, when: Utc, event: Event) -> TransactionProof {
        let signed = self.keys.sign(&key(author), when, event).unwrap();
        self.commit_signed(when, signed)
    }

    fn commit_signed(&mut self, when: Utc, signed: Vec<u8>) -> TransactionProof {
        self.keys.commit(when, vec![signed]).unwrap().remove(0)
    }

    fn request(&self, step: KitStep) -> CustodyRequest {
        let (ledger, proofs) = (self.keys.trust().ledger(), self.proofs.clone());
        CustodyRequest { ledger, at: at(60), step, edge: public(EDGE), proofs }
    }

    /// One millisecond; what the kit answers to a message, if it was given one.
    fn step(&mut self, message: Option<Vec<u8>>) -> Vec<CustodyAnswer> {
        self.now_ms += 1;
        self.arms.iter_mut().for_each(|arm| arm.setpoint = self.cable.0);
        let mut inbox = Vec::from_iter(message.map(KitInput::Message));
        if self.heard {
            inbox.extend([0, 1].map(|arm| KitInput::Arm(arm, self.arms[arm])));
        }
        let mut answers = Vec::new();
        self.kit.step(KitTick(0).plus_ms(self.now_ms), inbox, &mut self.cable, |out| {
            if let KitOutput::Reliable(bytes) = out
                && let Ok(content) = Kind::CustodyAnswer.content(&bytes)
            {
                answers.push(CustodyAnswer::read(content).unwrap());
            }
        });
        answers
    }

    fn wait(&mut self, ms: u64) {
        (0..ms).for_each(|_| assert!(self.step(None).is_empty()));
    }

    fn ask(&mut self, request: &CustodyRequest) -> CustodyAnswer {
        self.wait(5);
        let mut answers = self.step(Some(Kind::CustodyAsk.wrap(&request.to_bytes())));
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    fn signed(&mut self, request: &CustodyRequest) -> Vec<u8> {
        match self.ask(request) {
            CustodyAnswer::Signed(signed) => signed,
            refused => panic!("{refused:?}"),
        }
    }

    fn refused(&mut self, request: &CustodyRequest) -> String {
        match self.ask(request) {
            CustodyAnswer::Refused { step, why } if step == request.step => why,
            other => panic!("{other:?}"),
        }
    }
}

/// Goal: asked with a whole chain, the kit signs its self-test and then its pairing; put on the ledger, they complete the
/// evidence under which the same kit opens a session.
#[test]
fn a_kit_that_arrived_whole_signs_its_test_and_its_pairing() {
    let mut stage = Stage::arrived();
    for (step, word) in [
        (KitStep::SelfTested, CustodyStep::SelfTested),
        (KitStep::Paired, CustodyStep::Paired { edge: public(EDGE) }),
    ] {
        let signed = stage.signed(&stage.request(step));
        let opened = Transaction::open(&signed).unwrap();
        assert_eq!(opened.author, public(KIT));
        assert_eq!(opened.transaction.at, at(60));
        assert_eq!(opened.transaction.event, Event::Custody(stage.custody(word)));
        let proof = stage.commit_signed(at(61), signed);
        stage.proofs.push(proof);
    }
    let evidence = opening(&mut stage);
    stage.step(Some(Kind::Opening.wrap(&evidence)));
    assert_eq!(stage.kit.unauthentic(), 0, "the opening holds");
    let why = stage.refused(&stage.request(KitStep::SelfTested));
    assert_eq!(why, "a session is open: custody was settled before it");
}

fn opening(stage: &mut Stage) -> Vec<u8> {
    let hospital = stage.keys.hospital().clone();
    let mut commit = |event| {
        let signed = stage.keys.sign(&hospital, at(70), event).unwrap();
        stage.keys.commit(at(70), vec![signed]).unwrap().remove(0)
    };
    let consent = commit(Event::Consent(Consent { session: SESSION, commitment: Hash::ZERO, given: true }));
    let member = |number, role| Member { key: public(number), role, pseudonym: format!("p{number}") };
    let opening = commit(Event::SessionOpened(Opening {
        session: SESSION,
        roster: vec![member(11, Role::Surgeon), member(12, Role::Bedside)],
        edge: public(EDGE),
        kit: public(KIT),
        limits_digest: Hash(Limits::default().digest()),
        arm_digest: Hash(Mounted::digest_of(&arms())),
        consent: Hash::of(&consent.transaction),
        custody: Hash::of(&stage.proofs[6].transaction),
    }));
    OpeningEvidence { opening, consent, custody: stage.proofs.clone() }.to_bytes()
}

/// Goal: asked twice, at whatever time, the kit answers with the same bytes: it can't fork its own chain. Asked again
/// within the tick in which the test runs, it answers once.
#[test]
fn a_second_ask_is_answered_with_the_same_bytes() {
    let mut stage = Stage::arrived();
    let request = stage.request(KitStep::SelfTested);
    let first = stage.signed(&request);
    let later = CustodyRequest { at: at(900), ..request.clone() };
    assert_eq!(stage.signed(&later), first);
    let proof = stage.commit_signed(at(61), first.clone());
    stage.proofs.push(proof);
    let paired = stage.signed(&stage.request(KitStep::Paired));
    assert_eq!(stage.signed(&stage.request(KitStep::Paired)), paired);
    assert_eq!(stage.signed(&request), first, "an old ask, played back, brings nothing new");

    let mut stage = Stage::arrived();
    let message = Kind::CustodyAsk.wrap(&stage.request(KitStep::SelfTested).to_bytes());
    stage.now_ms += 1;
    let mut answers = 0;
    let mut inbox = vec![KitInput::Message(message.clone()), KitInput::Message(message)];
    inbox.extend([0, 1].map(|arm| KitInput::Arm(arm, stage.arms[arm])));
    let now = KitTick(0).plus_ms(stage.now_ms);
    stage.kit.step(now, inbox, &mut stage.cable, |out| {
        answers += usize::from(
            matches!(out, KitOutput::Reliable(bytes) if Kind::of(&bytes) == Ok(Kind::CustodyAnswer)),
        );
    });
    assert_eq!(answers, 1);
}

/// Goal: a kit that was paired may be tested again, and is paired again after it.
#[test]
fn a_paired_kit_may_be_tested_again() {
    let mut stage = Stage::arrived();
    for step in [KitStep::SelfTested, KitStep::Paired, KitStep::SelfTested, KitStep::Paired] {
        let signed = stage.signed(&stage.request(step));
        let proof = stage.commit_signed(at(61), signed);
        stage.proofs.push(proof);
    }
    let why = stage.refused(&stage.request(KitStep::Paired));
    assert!(why.contains("the kit is paired"), "{why}");
}

/// Goal: a chain that is broken in any way, or is somebody else's, is refused in words that name the break.
#[test]
fn a_broken_chain_is_refused() {
    type Break = fn(&mut Stage, &mut CustodyRequest);
    let table: [(&str, KitStep, Break); 13] = [
        ("the chain begins with the sealing", KitStep::SelfTested, |_, ask| ask.proofs.clear()),
        ("Sealed must be next", KitStep::SelfTested, |_, ask| drop(ask.proofs.remove(0))),
        ("names", KitStep::SelfTested, |_, ask| drop(ask.proofs.remove(2))),
        ("SelfTested must be next", KitStep::Paired, |_, _| ()),
        ("Unsealed must be next", KitStep::SelfTested, |_, ask| drop(ask.proofs.pop())),
        ("names", KitStep::SelfTested, |_, ask| ask.proofs.swap(1, 2)),
        ("this kit is paired with edge box", KitStep::SelfTested, |_, ask| ask.edge = public(99)),
        ("this kit trusts", KitStep::SelfTested, |_, ask| ask.ledger = LedgerId([0; 16])),
        ("custody step 3:", KitStep::SelfTested, |_, ask| ask.proofs[3].transaction[40] ^= 1),
        ("time", KitStep::SelfTested, |_, ask| ask.at = at(1)),
        ("expected a custody step", KitStep::SelfTested, |stage, ask| {
            let consent = Consent { session: SESSION, commitment: Hash::ZERO, given: true };
            ask.proofs[4] = stage.commit(FIELD, at(5), Event::Consent(consent));
        }),
        ("the chain about kit", KitStep::SelfTested, |stage, ask| {
            let custody = Custody { kit: public(99), ..stage.custody(CustodyStep::Unsealed) };
            let previous = Hash::of(&ask.proofs[3].transaction);
            let custody = Custody { sequence: 5, previous, ..custody };
            ask.proofs[4] = stage.commit(FIELD, at(5), Event::Custody(custody));
        }),
        ("this kit's own word, but signed by", KitStep::Paired, |stage, ask| {
            stage.commit_step(FIELD, CustodyStep::SelfTested);
            ask.proofs = stage.proofs.clone();
        }),
    ];
    for (words, step, breaks) in table {
        let mut stage = Stage::arrived();
        let mut request = stage.request(step);
        breaks(&mut stage, &mut request);
        let why = stage.refused(&request);
        assert!(why.contains(words), "{words}: {why}");
    }
}

/// Goal: a ledger that the kit does not trust proves nothing to it, however well it is formed.
#[test]
fn another_ledgers_proofs_are_refused() {
    let mut other = Stage::arrived();
    other.keys = FiveKeys::new([10; 32]);
    other.proofs.clear();
    FIRST.into_iter().for_each(|step| other.commit_step(FIELD, step));
    let mut stage = Stage::arrived();
    let request =
        CustodyRequest { ledger: stage.keys.trust().ledger(), ..other.request(KitStep::SelfTested) };
    assert!(stage.refused(&request).starts_with("custody step 0:"));
}

/// Goal: each thing that is wrong with the arm fails the self-test by name, with the value seen; nothing is signed, and once it
/// is put right the same ask succeeds.
#[test]
fn a_failed_self_test_signs_nothing_and_says_what_failed() {
    type Break = fn(&mut Stage);
    let table: [(&str, Break); 7] = [
        ("PSM1: time since the arm was heard, in ms, is 60.000, allowed are 0.000 to 50.000", |stage| {
            stage.wait(60)
        }),
        ("PSM1: encoder of joint 2 is 0.900", |stage| stage.arms[0].joints[2] = 0.9),
        ("PSM2: encoder of the jaw is -2.000", |stage| stage.arms[1].jaw_rad = -2.0),
        ("PSM1: fault in the arm is 1.000, allowed are 0.000 to 0.000", |stage| {
            stage.arms[0].flags = arm_flags::FAULT
        }),
        ("PSM2: fault in the arm is 1.000", |stage| stage.arms[1].flags = arm_flags::FAULT),
        ("PSM2: arm's stop button is 1.000", |stage| stage.arms[1].flags = arm_flags::BUTTON),
        ("PSM1: arm braking by itself is 1.000", |stage| stage.arms[0].flags = arm_flags::WATCHDOG),
    ];
    for (words, breaks) in table {
        let mut stage = Stage::arrived();
        let (request, whole) = (stage.request(KitStep::SelfTested), stage.arms);
        stage.wait(20);
        stage.heard = !words.contains("time");
        breaks(&mut stage);
        let message = Kind::CustodyAsk.wrap(&request.to_bytes());
        if !stage.heard {
            stage.now_ms -= 1;
        }
        let answer = stage.step(Some(message)).remove(0);
        let CustodyAnswer::Refused { why, .. } = answer else { panic!("{words}: {answer:?}") };
        assert!(why.starts_with("the self-test failed: ") && why.contains(words), "{words}: {why}");
        (stage.arms, stage.heard) = (whole, true);
        stage.signed(&request);
    }
}

/// Goal: bytes that are no request are counted, and answered by nobody.
#[test]
fn what_is_no_request_is_not_answered() {
    let mut stage = Stage::arrived();
    let mut message = Kind::CustodyAsk.wrap(&stage.request(KitStep::SelfTested).to_bytes());
    message.pop();
    assert!(stage.step(Some(message)).is_empty());
    assert_eq!(stage.kit.unauthentic(), 1);
}
