//! The companion in service: waits for an order, flies it, and puts on the ledger what happened to the kit.
//!
//! Invariants (local):
//! 1. Nothing is flown that is not on record as flown, and nothing that is on record is flown again.
//! 2. Custody is signed in its order, each step naming the one before, and handed to the ledger in that order, one after
//!    the other, until each is proven; also over a restart.
//! 3. *Landed* is signed for a delivery alone. A flight that ends elsewhere leaves the chain open: the kit is sealed anew.
//! 4. Neither the mesh nor the ledger can stop or change a flight that has begun.
//!
//! [`Service`] is the pure machine, `handle(now, input) -> outputs`; [`serve`](crate::serve) runs it.

mod config;
mod journal;
mod ledger;
mod news;
mod order;
pub(crate) mod run;

pub use config::{ServeConfig, ServeConfigError};
pub use journal::{Journal, JournalError, LastFlight};
pub use ledger::Ledger;
pub use news::{Flown, News};
pub use order::{Accepted, OrderRefusal, OrderRules, PROOFS_MAX, Routes};
pub use run::{Clock, Running, ServeError, SystemClock, serve, serve_with};

use farhand_ledger::{
    Cbor as _, Custody, CustodyStep, Event, Hash, Malformed, Transaction, TransactionProof, Utc,
};
use farhand_link::DeviceKey;
use farhand_mission::Mission;
use farhand_wire::PublicKey;

use crate::{Delivered, FlightError, FlightEvent, Phase};

/// Custody that the ledger has not taken yet; with more, no further order is followed.
const PENDING_MAX: usize = 32;
/// For how many beats after the last change the last flight is still told of.
const REPEATS_MAX: u32 = 60;
/// After a restart fewer: whoever listened before has most of it.
const REPEATS_AT_START: u32 = 10;

/// What happens to the service.
#[derive(Debug)]
pub enum Input<'a> {
    /// On this aircraft's order topic.
    Order(&'a [u8]),
    /// The journal of [`Output::Write`] is on disk, or is not, and why.
    Written(Result<(), String>),
    /// From the flight that [`Output::Fly`] began.
    Flight(FlightEvent),
    /// That flight is over. `left`: the aircraft may have been off the ground.
    Ended { end: Result<Delivered, FlightError>, left: bool },
    /// The ledger has taken what [`Output::Submit`] handed in.
    Committed(TransactionProof),
    /// It has not, and why.
    NotCommitted(String),
    /// About once a second.
    Beat,
}

/// What the service wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Answered by [`Input::Written`] before anything else is handled.
    Write(Journal),
    Fly(Box<Mission>),
    /// Answered by [`Input::Committed`] or [`Input::NotCommitted`]; one at a time.
    Submit(Vec<u8>),
    Publish(Box<News>),
}

/// The machine.
#[derive(Debug)]
pub struct Service {
    rules: OrderRules,
    key: DeviceKey,
    journal: Journal,
    stage: Stage,
    told: Told,
    /// A transaction is at the ledger.
    asked: bool,
    repeats: u32,
}

#[derive(Debug)]
enum Stage {
    Ready,
    /// The order is being put on record. `before` is what was there.
    Recording {
        order: Accepted,
        before: Journal,
    },
    Flying {
        order: Accepted,
        before: Journal,
        airborne: Option<Hash>,
    },
}

/// What there is to tell of the newest flight.
#[derive(Debug, Default)]
struct Told {
    order: Option<Hash>,
    kit: Option<PublicKey>,
    phase: &'static str,
    flight: Option<FlightEvent>,
    steps: Vec<Flown>,
    /// Which of the steps is told next: each event carries one, so that none is missed for good.
    turn: usize,
    failed: Option<String>,
    ledger_trouble: Option<String>,
}

impl Service {
    /// Takes up where `journal` ends. `key` signs custody; the hospital must have granted it the field's role.
    #[must_use]
    pub fn new(rules: OrderRules, key: DeviceKey, journal: Journal) -> Self {
        let told = Told::after_restart(&rules, &journal);
        let repeats = if told.order.is_some() { REPEATS_AT_START } else { 0 };
        Self { rules, key, journal, stage: Stage::Ready, told, asked: false, repeats }
    }

    /// What to do about an input. `now` is when it happened, as this aircraft's clock has it.
    pub fn handle(&mut self, now: Utc, input: Input<'_>) -> Vec<Output> {
        match input {
            Input::Order(bytes) => self.order(bytes),
            Input::Written(written) => self.written(written),
            Input::Flight(event) => self.flight(now, event),
            Input::Ended { end, left } => self.ended(now, end, left),
            Input::Committed(proof) => self.committed(&proof),
            Input::NotCommitted(why) => self.not_committed(why),
            Input::Beat => self.beat(),
        }
    }

    fn order(&mut self, bytes: &[u8]) -> Vec<Output> {
        let order = match self.rules.check(bytes) {
            Ok(order) => order,
            Err(refusal) => return vec![refused(None, &refusal)],
        };
        if self.flying() == Some(order.loaded) {
            return vec![self.news()]; // whoever gave the order has not heard of the flight
        }
        if let Err(refusal) = self.may_fly(&order) {
            if self.told.order == Some(order.loaded) {
                self.repeats = REPEATS_MAX;
            }
            return vec![refused(Some(&order), &refusal)];
        }
        let before = self.journal.clone();
        self.journal.flown.insert(order.kit, order.sequence);
        self.journal.last = Some(LastFlight { kit: order.kit, loaded: order.loaded, proofs: Vec::new() });
        self.told = Told::of(&order);
        self.stage = Stage::Recording { order, before };
        vec![Output::Write(self.journal.clone()), self.news()]
    }

    fn may_fly(&self, order: &Accepted) -> Result<(), OrderRefusal> {
        if let Some(flying) = self.flying() {
            return Err(OrderRefusal::Busy { flying });
        }
        let (seen, max) = (self.journal.pending.len(), PENDING_MAX);
        if seen >= max {
            return Err(OrderRefusal::Backlog { seen, max });
        }
        let (kit, sequence) = (order.kit, order.sequence);
        match self.journal.flown.get(&kit) {
            Some(&flown) if flown >= sequence => Err(OrderRefusal::Replay { kit, sequence, flown }),
            _ => Ok(()),
        }
    }

    fn flying(&self) -> Option<Hash> {
        match &self.stage {
            Stage::Ready => None,
            Stage::Recording { order, .. } | Stage::Flying { order, .. } => Some(order.loaded),
        }
    }

    fn written(&mut self, written: Result<(), String>) -> Vec<Output> {
        match (std::mem::replace(&mut self.stage, Stage::Ready), written) {
            (Stage::Recording { order, before }, Ok(())) => {
                let mission = Box::new(order.mission.clone());
                self.stage = Stage::Flying { order, before, airborne: None };
                vec![Output::Fly(mission)]
            }
            (Stage::Recording { order, before }, Err(why)) => {
                self.journal = before;
                self.told = Told::after_restart(&self.rules, &self.journal);
                vec![refused(Some(&order), &OrderRefusal::NotRecorded { why })]
            }
            (stage, Ok(())) => {
                self.stage = stage;
                Vec::new()
            }
            (stage, Err(why)) => {
                self.stage = stage;
                self.told.ledger_trouble = Some(format!("custody is not on disk: {why}"));
                vec![self.news()]
            }
        }
    }

    fn flight(&mut self, now: Utc, event: FlightEvent) -> Vec<Output> {
        self.told.phase = event.phase.name();
        let in_air = event.in_air;
        self.told.flight = Some(event);
        let mut out = if in_air { self.airborne(now) } else { Vec::new() };
        out.push(self.news());
        out
    }

    /// Signs that the kit is in the air, once a flight.
    fn airborne(&mut self, now: Utc) -> Vec<Output> {
        let Stage::Flying { order, airborne: airborne @ None, .. } = &mut self.stage else {
            return Vec::new();
        };
        let step = (CustodyStep::Airborne, order.sequence + 1, order.loaded);
        let signed = sign(&self.rules, &self.key, now, order.kit, step);
        if let Ok(transaction) = &signed {
            *airborne = Some(Hash::of(transaction));
        }
        self.hand_in(signed)
    }

    fn landed(&mut self, now: Utc) -> Vec<Output> {
        let Stage::Flying { order, airborne: Some(airborne), .. } = &self.stage else { return Vec::new() };
        let step = (CustodyStep::Landed, order.sequence + 2, *airborne);
        let signed = sign(&self.rules, &self.key, now, order.kit, step);
        self.hand_in(signed)
    }

    fn hand_in(&mut self, signed: Result<Vec<u8>, Malformed>) -> Vec<Output> {
        match signed {
            Ok(transaction) => {
                self.journal.pending.push(transaction);
                let mut out = vec![Output::Write(self.journal.clone())];
                out.extend(self.submit());
                out
            }
            Err(why) => {
                self.told.ledger_trouble = Some(format!("custody can't be signed: {why}"));
                Vec::new()
            }
        }
    }

    fn ended(&mut self, now: Utc, end: Result<Delivered, FlightError>, left: bool) -> Vec<Output> {
        self.repeats = REPEATS_MAX;
        let mut out = match end {
            Ok(_) => {
                self.told.phase = Phase::Delivered.name();
                let mut out = self.airborne(now); // it has flown, though no event said so in time
                out.extend(self.landed(now));
                out
            }
            Err(error) => self.failed(&error, left),
        };
        self.stage = Stage::Ready;
        out.push(self.news());
        out
    }

    /// An order whose flight never left the ground may be given again.
    fn failed(&mut self, error: &FlightError, left: bool) -> Vec<Output> {
        self.told.phase = Phase::Failed.name();
        self.told.failed = Some(error.to_string());
        match &self.stage {
            Stage::Flying { before, airborne: None, .. } if !left => {
                self.journal.flown.clone_from(&before.flown);
                self.journal.last.clone_from(&before.last);
                vec![Output::Write(self.journal.clone())]
            }
            _ => Vec::new(),
        }
    }

    fn committed(&mut self, proof: &TransactionProof) -> Vec<Output> {
        self.asked = false;
        let head = self.journal.pending.first().map(|head| Hash::of(head));
        if head != Some(Hash::of(&proof.transaction)) {
            return self.not_committed("the ledger's answer is about another transaction".into());
        }
        let flown = match flown(&self.rules, proof) {
            Ok(flown) => flown,
            Err(why) => return self.not_committed(why),
        };
        self.told.ledger_trouble = None;
        self.journal.pending.remove(0);
        self.keep(proof, &flown);
        let mut out = vec![Output::Write(self.journal.clone())];
        out.extend(self.submit());
        self.repeats = REPEATS_MAX;
        out.push(self.news_of(Some(flown)));
        out
    }

    /// Keeps a proof with the flight it belongs to, if that is the last one.
    fn keep(&mut self, proof: &TransactionProof, flown: &Flown) {
        let Ok(authored) = Transaction::open(&proof.transaction) else { return };
        let Event::Custody(custody) = authored.transaction.event else { return };
        let Some(last) = &mut self.journal.last else { return };
        let loaded = self.journal.flown.get(&last.kit).copied().unwrap_or_default();
        if custody.kit == last.kit && custody.sequence > loaded {
            last.proofs.push(proof.to_bytes());
            self.told.steps.push(flown.clone());
        }
    }

    fn not_committed(&mut self, why: String) -> Vec<Output> {
        self.asked = false;
        let trouble = Some(format!("the ledger: {why}"));
        if self.told.ledger_trouble == trouble {
            return Vec::new();
        }
        self.told.ledger_trouble = trouble;
        vec![self.news()]
    }

    fn beat(&mut self) -> Vec<Output> {
        let mut out = Vec::from_iter(self.submit());
        if matches!(self.stage, Stage::Ready) && self.repeats > 0 {
            self.repeats -= 1;
            out.push(self.news());
        }
        out
    }

    /// The oldest transaction that is not proven, unless one is at the ledger already.
    fn submit(&mut self) -> Option<Output> {
        if self.asked {
            return None;
        }
        let oldest = self.journal.pending.first()?;
        self.asked = true;
        Some(Output::Submit(oldest.clone()))
    }

    /// How things stand, with one of the flight's custody steps in turn.
    fn news(&mut self) -> Output {
        let steps = &self.told.steps;
        let custody = steps.get(self.told.turn % steps.len().max(1)).cloned();
        self.told.turn = self.told.turn.wrapping_add(1);
        self.news_of(custody)
    }

    fn news_of(&self, custody: Option<Flown>) -> Output {
        let told = &self.told;
        Output::Publish(Box::new(News {
            order: told.order,
            kit: told.kit,
            phase: told.phase,
            flight: told.flight.clone(),
            custody,
            error: told.failed.clone().or_else(|| told.ledger_trouble.clone()),
        }))
    }
}

impl Told {
    fn of(order: &Accepted) -> Self {
        Self { order: Some(order.loaded), kit: Some(order.kit), phase: "ordered", ..Self::default() }
    }

    fn after_restart(rules: &OrderRules, journal: &Journal) -> Self {
        let Some(last) = &journal.last else { return Self::default() };
        let proofs = last.proofs.iter().filter_map(|proof| TransactionProof::read(proof).ok());
        let steps: Vec<Flown> = proofs.filter_map(|proof| flown(rules, &proof).ok()).collect();
        let waiting = journal.pending.iter().filter_map(|bytes| Transaction::open(bytes).ok());
        let waits = waiting.into_iter().any(|authored| {
            matches!(authored.transaction.event, Event::Custody(custody) if custody.step == CustodyStep::Landed)
        });
        let delivered = waits || steps.iter().any(|flown| flown.step == CustodyStep::Landed);
        let unknown =
            "the companion was started again after this flight had begun; how it ended is not known";
        Self {
            order: Some(last.loaded),
            kit: Some(last.kit),
            phase: if delivered { Phase::Delivered.name() } else { Phase::Failed.name() },
            failed: (!delivered).then(|| unknown.to_owned()),
            steps,
            ..Self::default()
        }
    }
}

fn refused(order: Option<&Accepted>, refusal: &OrderRefusal) -> Output {
    tracing::warn!(%refusal, "an order is refused");
    Output::Publish(Box::new(News {
        order: order.map(|order| order.loaded),
        kit: order.map(|order| order.kit),
        phase: "refused",
        error: Some(refusal.to_string()),
        ..News::default()
    }))
}

/// A custody transaction: step, its sequence, and the hash of the one before.
fn sign(
    rules: &OrderRules,
    key: &DeviceKey,
    at: Utc,
    kit: PublicKey,
    (step, sequence, previous): (CustodyStep, u64, Hash),
) -> Result<Vec<u8>, Malformed> {
    let event = Event::Custody(Custody { kit, sequence, step, previous });
    Transaction { ledger: rules.trust.ledger(), at, event }.sign(key.signing_key())
}

/// What a proof says, checked once more: it is told to others.
fn flown(rules: &OrderRules, proof: &TransactionProof) -> Result<Flown, String> {
    let proven = proof.check(&rules.trust).map_err(|error| error.to_string())?;
    match proven.transaction.event {
        Event::Custody(custody) => {
            Ok(Flown { step: custody.step, height: proven.position.height, proof: proof.to_bytes() })
        }
        other => Err(format!("the proof is of {}", other.name())),
    }
}
