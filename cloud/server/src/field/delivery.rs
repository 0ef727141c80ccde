//! How far a kit is on its way, and what is due. Pure: time is an argument.
//!
//! **Invariant (local):** the steps are proven by the ledger under the trust root, and each names the one before.

use farhand_ledger::{
    Authored, BadTransaction, Cbor, Custody, CustodyStep, Event, Hash, KitStep, LedgerId, ProofError,
    Transaction, TransactionProof, TrustRoot, Utc,
};
use farhand_wire::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// What the page can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    Dispatch,
    BringUp,
    Pair,
}

/// What somebody else than the page is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The hospital's depot seals the kit, or a person presses a button.
    Nothing,
    /// The aircraft flies, on the proof that the kit was loaded.
    Fly,
    /// The kit tests itself, or says that it is paired.
    Kit(KitStep),
}

/// What the aircraft says of itself, as it comes over the mesh.
#[derive(Clone, Debug, Deserialize)]
pub struct FlightNews {
    /// Hash of the order's *loaded* transaction, hex.
    pub order: Option<String>,
    /// In a word.
    pub phase: String,
    pub lat_deg: Option<f64>,
    pub lon_deg: Option<f64>,
    /// What it does now, for people.
    pub detail: Option<String>,
    /// Above the place of take-off.
    pub alt_m: Option<f64>,
    /// Of the whole flight, 0 to 1.
    pub progress: Option<f64>,
    pub custody: Option<FlownStep>,
    pub error: Option<String>,
}

/// A custody step that the aircraft has put on the ledger.
#[derive(Clone, Debug, Deserialize)]
pub struct FlownStep {
    /// The ledger's proof, base64.
    pub proof: String,
}

/// Why a step is not taken in, or not asked for now.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NotNext {
    #[error(transparent)]
    Transaction(#[from] BadTransaction),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error("it is not a custody step of this kit")]
    OtherKit,
    #[error("it is not what comes next: the kit is {}", .at)]
    Order { at: &'static str },
    #[error("it was signed by another key than this page's")]
    Author,
    #[error("it is for another ledger")]
    Ledger,
}

/// A step that the ledger has proven.
#[derive(Clone, Debug)]
struct Taken {
    custody: Custody,
    hash: Hash,
    author: PublicKey,
    height: u64,
    at: Utc,
    proof: TransactionProof,
}

/// One kit's delivery.
#[derive(Debug)]
pub struct Delivery {
    trust: TrustRoot,
    kit: PublicKey,
    edge: PublicKey,
    taken: Vec<Taken>,
    /// What is being done for the next step, in words.
    under_way: Option<String>,
    failed: Option<String>,
    flight: Option<FlightNews>,
    /// The page has asked for the pairing.
    pairing: bool,
}

/// The steps in their order, as the page names them.
const NAMES: [&str; 7] = ["sealed", "loaded", "airborne", "landed", "unsealed", "self-tested", "paired"];

impl Delivery {
    #[must_use]
    pub fn new(trust: TrustRoot, kit: PublicKey, edge: PublicKey) -> Self {
        Self {
            trust,
            kit,
            edge,
            taken: Vec::new(),
            under_way: None,
            failed: None,
            flight: None,
            pairing: false,
        }
    }

    /// Takes in the next step, proven. The same step again changes nothing and is no error.
    ///
    /// # Errors
    /// [`NotNext`]; nothing has changed.
    pub fn take(&mut self, proof: TransactionProof) -> Result<bool, NotNext> {
        let proven = proof.check(&self.trust)?;
        let Event::Custody(custody) = &proven.transaction.event else { return Err(NotNext::OtherKit) };
        if custody.kit != self.kit {
            return Err(NotNext::OtherKit);
        }
        if self.taken.iter().any(|taken| taken.hash == proven.hash) {
            return Ok(false);
        }
        let follows = match self.taken.last() {
            None => custody.step == CustodyStep::Sealed,
            Some(last) => custody.previous == last.hash && custody.step.may_follow(last.custody.step),
        };
        if !follows {
            return Err(NotNext::Order { at: self.at() });
        }
        self.taken.push(Taken {
            custody: custody.clone(),
            hash: proven.hash,
            author: proven.author,
            height: proven.position.height,
            at: proven.transaction.at,
            proof,
        });
        (self.under_way, self.failed) = (None, None);
        Ok(true)
    }

    /// Every step so far, proven.
    #[must_use]
    pub fn proofs(&self) -> Vec<TransactionProof> {
        self.taken.iter().map(|taken| taken.proof.clone()).collect()
    }

    /// The edge box that the kit is to obey.
    #[must_use]
    pub fn edge(&self) -> PublicKey {
        self.edge
    }

    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.trust.ledger()
    }

    /// Whether the way is done: the kit is paired with the edge box.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.last() == Some(CustodyStep::Paired { edge: self.edge })
    }

    /// What a machine is to do now, whether it was told already or not.
    #[must_use]
    pub fn due(&self) -> Due {
        match self.last() {
            Some(CustodyStep::Loaded) if !self.is_flown() => Due::Fly,
            Some(CustodyStep::Unsealed) => Due::Kit(KitStep::SelfTested),
            Some(CustodyStep::SelfTested) if self.pairing => Due::Kit(KitStep::Paired),
            _ => Due::Nothing,
        }
    }

    /// What the page may ask for now.
    #[must_use]
    pub fn next_call(&self) -> Option<Call> {
        match self.last()? {
            CustodyStep::Sealed => Some(Call::Dispatch),
            CustodyStep::Landed => Some(Call::BringUp),
            CustodyStep::SelfTested => Some(Call::Pair),
            _ => None,
        }
    }

    /// The transaction that a person signs to make that call; `None` where no person signs.
    #[must_use]
    pub fn to_sign(&self, call: Call, now: Utc) -> Option<Transaction> {
        let step = match call {
            Call::Dispatch => CustodyStep::Loaded,
            Call::BringUp => CustodyStep::Unsealed,
            Call::Pair => return None,
        };
        let last = self.taken.last()?;
        let custody =
            Custody { kit: self.kit, sequence: last.custody.sequence + 1, step, previous: last.hash };
        Some(Transaction { ledger: self.trust.ledger(), at: now, event: Event::Custody(custody) })
    }

    /// Whether `signed` is what that call needs, by `by`.
    ///
    /// # Errors
    /// [`NotNext`], which says what is wrong with it.
    pub fn check_signed(&self, call: Call, signed: &[u8], by: PublicKey) -> Result<(), NotNext> {
        let Authored { author, transaction, .. } = Transaction::open(signed)?;
        if author != by {
            return Err(NotNext::Author);
        }
        if transaction.ledger != self.trust.ledger() {
            return Err(NotNext::Ledger);
        }
        let expected = self.to_sign(call, transaction.at).filter(|_| self.next_call() == Some(call));
        if expected.as_ref() == Some(&transaction) { Ok(()) } else { Err(NotNext::Order { at: self.at() }) }
    }

    /// The page asks that the kit be paired.
    pub fn pair(&mut self) {
        (self.pairing, self.failed) = (true, None);
    }

    /// Something is being done for the next step.
    pub fn working(&mut self, what: impl Into<String>) {
        (self.under_way, self.failed) = (Some(what.into()), None);
    }

    /// It did not work; the page shows why, and may ask again.
    pub fn failed(&mut self, why: impl Into<String>) {
        (self.under_way, self.failed) = (None, Some(why.into()));
        self.pairing = false;
    }

    /// Whether something is being done now.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.under_way.is_some()
    }

    /// The aircraft says how it is.
    pub fn heard(&mut self, news: FlightNews) {
        if matches!(self.last(), Some(CustodyStep::Loaded | CustodyStep::Airborne)) {
            self.failed = news.error.clone();
        }
        self.flight = Some(news);
    }

    /// As the page shows it.
    #[must_use]
    pub fn view(&self, now: Utc) -> Value {
        let next = self.next_call().filter(|_| self.under_way.is_none());
        let next = next.map(|call| {
            let transaction = self.to_sign(call, now).map(|it| crate::api::base64(&it.to_bytes()));
            serde_json::json!({ "call": call, "transaction": transaction })
        });
        let flight = self.flight.as_ref().map(|news| {
            serde_json::json!({
                "phase": news.phase, "lat_deg": news.lat_deg, "lon_deg": news.lon_deg,
                "alt_m": news.alt_m, "progress": news.progress,
            })
        });
        let steps: Vec<Value> = (0..NAMES.len()).map(|number| self.step_view(number)).collect();
        serde_json::json!({ "kit": self.kit.to_string(), "steps": steps, "flight": flight, "next": next })
    }

    fn step_view(&self, number: usize) -> Value {
        let at = self.taken.last().map_or(0, |last| number_of(last.custody.step) + 1);
        let taken = self.taken.iter().rev().find(|taken| number_of(taken.custody.step) == number);
        let (state, detail) = match taken {
            Some(taken) if number < at => ("done", taken.words()),
            _ if number > at => ("waiting", String::new()),
            _ => match (&self.failed, &self.under_way) {
                (Some(why), _) => ("failed", why.clone()),
                (None, Some(what)) => ("now", what.clone()),
                (None, None) => match self.last() {
                    Some(CustodyStep::Loaded | CustodyStep::Airborne) => ("now", self.flight_words()),
                    Some(CustodyStep::Unsealed) => ("now", "the kit tests itself".to_owned()),
                    Some(CustodyStep::SelfTested) if self.pairing => ("now", "the kit is asked".to_owned()),
                    _ => ("waiting", String::new()),
                },
            },
        };
        let flies = state == "now" && (2..=3).contains(&number);
        let progress = flies.then(|| self.flight.as_ref().and_then(|news| news.progress)).flatten();
        serde_json::json!({ "step": NAMES[number], "state": state, "detail": detail, "progress": progress })
    }

    fn flight_words(&self) -> String {
        let words = |news: &FlightNews| news.detail.clone().unwrap_or_else(|| news.phase.clone());
        self.flight.as_ref().map_or("waits for the aircraft".to_owned(), words)
    }

    /// Whether the aircraft has spoken of this very order, and not of an older flight.
    fn is_flown(&self) -> bool {
        let loaded = self.taken.last().map(|taken| taken.hash.to_string());
        self.flight.as_ref().is_some_and(|news| news.order == loaded && news.phase != "refused")
    }

    fn last(&self) -> Option<CustodyStep> {
        self.taken.last().map(|taken| taken.custody.step)
    }

    fn at(&self) -> &'static str {
        self.last().map_or("not sealed yet", |step| NAMES[number_of(step)])
    }
}

impl Taken {
    fn words(&self) -> String {
        let by = self.author.to_string();
        format!("signed by {}, block {}, {} s UTC", &by[..8], self.height, self.at.us / 1_000_000)
    }
}

fn number_of(step: CustodyStep) -> usize {
    match step {
        CustodyStep::Sealed => 0,
        CustodyStep::Loaded => 1,
        CustodyStep::Airborne => 2,
        CustodyStep::Landed => 3,
        CustodyStep::Unsealed => 4,
        CustodyStep::SelfTested => 5,
        CustodyStep::Paired { .. } => 6,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a stage that cannot be set is a failed test")]

    use ed25519_dalek::SigningKey;
    use farhand_ledger::five_keys::FiveKeys;

    use super::*;

    const NOW: Utc = Utc { us: 1_700_000_000_000_000, uncertainty_us: 1_000 };

    struct Stage {
        keys: FiveKeys,
        delivery: Delivery,
        page: SigningKey,
        kit: SigningKey,
    }

    fn public(key: &SigningKey) -> PublicKey {
        PublicKey(key.verifying_key().to_bytes())
    }

    impl Stage {
        fn new() -> Self {
            let keys = FiveKeys::new([9; 32]);
            let [page, kit, edge] = [1, 2, 3].map(|seed| SigningKey::from_bytes(&[seed; 32]));
            let delivery = Delivery::new(keys.trust().clone(), public(&kit), public(&edge));
            Self { keys, delivery, page, kit }
        }

        fn commit(&mut self, signed: Vec<u8>) -> TransactionProof {
            self.keys.commit(NOW, vec![signed]).unwrap().remove(0)
        }

        fn step(&mut self, step: CustodyStep) -> TransactionProof {
            let (sequence, previous) =
                self.delivery.taken.last().map_or((1, Hash::ZERO), |it| (it.custody.sequence + 1, it.hash));
            let custody = Custody { kit: public(&self.kit), sequence, step, previous };
            let signed = self.keys.sign(&self.kit, NOW, Event::Custody(custody)).unwrap();
            self.commit(signed)
        }

        fn takes(&mut self, step: CustodyStep) {
            let proof = self.step(step);
            assert!(self.delivery.take(proof).unwrap());
        }
    }

    /// Goal: each of the page's buttons is offered when its step is next, and machines' steps are due when theirs are.
    #[test]
    fn what_is_next_follows_from_what_is_proven() {
        let mut stage = Stage::new();
        let edge = stage.delivery.edge();
        assert_eq!((stage.delivery.next_call(), stage.delivery.due()), (None, Due::Nothing));
        let way = [
            (CustodyStep::Sealed, Some(Call::Dispatch), Due::Nothing),
            (CustodyStep::Loaded, None, Due::Fly),
            (CustodyStep::Airborne, None, Due::Nothing),
            (CustodyStep::Landed, Some(Call::BringUp), Due::Nothing),
            (CustodyStep::Unsealed, None, Due::Kit(KitStep::SelfTested)),
            (CustodyStep::SelfTested, Some(Call::Pair), Due::Kit(KitStep::Paired)),
            (CustodyStep::Paired { edge }, None, Due::Nothing),
        ];
        for (step, call, due) in way {
            stage.takes(step);
            if step == CustodyStep::SelfTested {
                assert_eq!(stage.delivery.due(), Due::Nothing, "nobody has asked for the pairing");
                stage.delivery.pair();
            }
            assert_eq!((stage.delivery.next_call(), stage.delivery.due()), (call, due), "{step:?}");
        }
        assert!(stage.delivery.is_complete());
    }

    /// Goal: what a page posts must be the very step that is next, signed by that page.
    #[test]
    fn only_the_next_step_by_this_page_is_taken_from_it() {
        let mut stage = Stage::new();
        stage.takes(CustodyStep::Sealed);
        let (by, stranger) = (public(&stage.page), SigningKey::from_bytes(&[8; 32]));
        let loaded = stage.delivery.to_sign(Call::Dispatch, NOW).unwrap();
        let check = |stage: &Stage, call, signed: &[u8]| stage.delivery.check_signed(call, signed, by);
        assert_eq!(check(&stage, Call::Dispatch, &loaded.sign(&stage.page).unwrap()), Ok(()));
        let by_stranger = loaded.sign(&stranger).unwrap();
        assert_eq!(check(&stage, Call::Dispatch, &by_stranger), Err(NotNext::Author));
        let early = stage.delivery.to_sign(Call::BringUp, NOW).unwrap().sign(&stage.page).unwrap();
        assert_eq!(check(&stage, Call::BringUp, &early), Err(NotNext::Order { at: "sealed" }));
        let mut other = loaded.clone();
        other.ledger = LedgerId([0; 16]);
        assert_eq!(check(&stage, Call::Dispatch, &other.sign(&stage.page).unwrap()), Err(NotNext::Ledger));
        assert!(matches!(check(&stage, Call::Dispatch, b"\x10\x01"), Err(NotNext::Transaction(_))));
        let proof = stage.commit(loaded.sign(&stage.page).unwrap());
        assert_eq!(stage.delivery.take(proof.clone()), Ok(true));
        assert_eq!(stage.delivery.take(proof), Ok(false), "the same again changes nothing");
        assert_eq!(
            check(&stage, Call::Dispatch, &loaded.sign(&stage.page).unwrap()),
            Err(NotNext::Order { at: "loaded" })
        );
    }

    /// Goal: a step that leaves one out, of another kit, or from another ledger's validators, is not taken.
    #[test]
    fn a_step_that_does_not_follow_is_refused() {
        let mut stage = Stage::new();
        stage.takes(CustodyStep::Sealed);
        let skipping = stage.step(CustodyStep::Landed);
        assert_eq!(stage.delivery.take(skipping), Err(NotNext::Order { at: "sealed" }));
        let kit = std::mem::replace(&mut stage.kit, SigningKey::from_bytes(&[5; 32]));
        let other_kit = stage.step(CustodyStep::Loaded);
        assert_eq!(stage.delivery.take(other_kit), Err(NotNext::OtherKit));
        stage.kit = kit;
        stage.keys = FiveKeys::new([8; 32]);
        let elsewhere = stage.step(CustodyStep::Loaded);
        assert!(matches!(stage.delivery.take(elsewhere), Err(NotNext::Proof(_))));
    }
}
