//! An order to fly, and whether it may be followed.
//!
//! **Invariant (global): nothing flies but a sealed kit that somebody of the field team has loaded, on the ledger's own
//! proof of both.** That the author of *loaded* was granted the field's role at that time is in the proof: no quorum
//! commits a custody step by anybody else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use farhand_ledger::{
    Cbor as _, Custody, CustodyStep, Event, Hash, Malformed, Position, ProofError, TransactionProof,
    TrustRoot,
};
use farhand_mission::{Mission, MissionError, Plan, PlanError, PlanItem};
use farhand_wire::PublicKey;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// No order brings more proofs. The last two count.
pub const PROOFS_MAX: usize = 64;
const PROOFS_MIN: usize = 2;

/// Where this aircraft flies at all. The ledger knows who ordered a flight, not where to; so whoever passes orders on
/// could send the aircraft elsewhere, unless its routes were approved beforehand.
#[derive(Clone, Debug, PartialEq)]
pub enum Routes {
    /// These, and no other.
    Only(Vec<Mission>),
    /// Any, within the mission's limits: for those who trust whoever passes orders on.
    Any,
}

/// What an order is held against.
#[derive(Clone, Debug)]
pub struct OrderRules {
    pub trust: TrustRoot,
    /// Device keys of the kits that this aircraft carries.
    pub kits: Vec<PublicKey>,
    pub routes: Routes,
}

/// An order that may be followed.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    pub mission: Mission,
    pub kit: PublicKey,
    /// Of the *loaded* step.
    pub sequence: u64,
    /// Hash of the *loaded* transaction: the order's name.
    pub loaded: Hash,
}

/// Why an order is not followed. Nothing has been flown.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum OrderRefusal {
    #[error("the order can't be read: {why}")]
    Unreadable { why: String },
    #[error("the order's plan: {0}")]
    Plan(#[from] PlanError),
    #[error("the order's plan can't be flown: {0}")]
    Mission(#[from] MissionError),
    #[error("the order's plan is none of this aircraft's {routes} approved routes")]
    Route { routes: usize },
    #[error(
        "the order brings {seen} custody proofs, allowed are {min} to {max}: sealed and loaded are needed"
    )]
    Proofs { seen: usize, min: usize, max: usize },
    #[error("the proof of {what}: {why}")]
    Malformed { what: &'static str, why: Malformed },
    #[error("the proof of {what} does not hold: {why}")]
    Proof { what: &'static str, why: ProofError },
    #[error("what should prove {what} proves {seen}")]
    NotCustody { what: &'static str, seen: &'static str },
    #[error("the last two custody steps are {seen:?}, expected sealed and loaded")]
    Steps { seen: [CustodyStep; 2] },
    #[error("kit {seen} is none that this aircraft carries")]
    OtherKit { seen: PublicKey },
    #[error("loaded does not follow the sealing that was shown: it names {seen}, shown is {shown}")]
    Broken { seen: Hash, shown: Hash },
    #[error(
        "this order was flown: kit {kit} was loaded at step {sequence}, and step {flown} is flown already"
    )]
    Replay { kit: PublicKey, sequence: u64, flown: u64 },
    #[error("the aircraft is on its way with another order, {flying}")]
    Busy { flying: Hash },
    #[error("the ledger has yet to take {seen} custody steps of this aircraft; with {max} it flies no more")]
    Backlog { seen: usize, max: usize },
    #[error("the order can't be put on record, so it is not flown: {why}")]
    NotRecorded { why: String },
}

/// `{"plan": …, "custody": ["base64", …]}`: a QGroundControl plan, and the ledger's proofs of the kit's custody so far, the
/// last two of which are *sealed* and *loaded*.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    plan: Value,
    custody: Vec<String>,
}

/// A custody step that a quorum has committed.
struct Step {
    custody: Custody,
    hash: Hash,
    position: Position,
}

impl OrderRules {
    /// The flight that is ordered, if the order holds. Whether it was flown already is the caller's to know.
    pub fn check(&self, bytes: &[u8]) -> Result<Accepted, OrderRefusal> {
        let order: Written = serde_json::from_slice(bytes)
            .map_err(|error| OrderRefusal::Unreadable { why: error.to_string() })?;
        let [.., sealed, loaded] = &order.custody[..] else { return Err(count(order.custody.len())) };
        if order.custody.len() > PROOFS_MAX {
            return Err(count(order.custody.len()));
        }
        let sealed = self.step("sealed", sealed)?;
        let loaded = self.step("loaded", loaded)?;
        self.check_steps(&sealed, &loaded)?;
        let mission = Mission::from_plan(&Plan::from_json(&order.plan.to_string())?)?;
        self.check_route(&mission)?;
        let Step { custody: Custody { kit, sequence, .. }, hash, .. } = loaded;
        Ok(Accepted { mission, kit, sequence, loaded: hash })
    }

    fn step(&self, what: &'static str, text: &str) -> Result<Step, OrderRefusal> {
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| OrderRefusal::Unreadable { why: format!("the proof of {what}: {error}") })?;
        let proof = TransactionProof::read(&bytes).map_err(|why| OrderRefusal::Malformed { what, why })?;
        let proven = proof.check(&self.trust).map_err(|why| OrderRefusal::Proof { what, why })?;
        match proven.transaction.event {
            Event::Custody(custody) => Ok(Step { custody, hash: proven.hash, position: proven.position }),
            other => Err(OrderRefusal::NotCustody { what, seen: other.name() }),
        }
    }

    fn check_steps(&self, sealed: &Step, loaded: &Step) -> Result<(), OrderRefusal> {
        let seen = [sealed.custody.step, loaded.custody.step];
        if seen != [CustodyStep::Sealed, CustodyStep::Loaded] {
            return Err(OrderRefusal::Steps { seen });
        }
        for kit in [sealed.custody.kit, loaded.custody.kit] {
            if kit != loaded.custody.kit || !self.kits.contains(&kit) {
                return Err(OrderRefusal::OtherKit { seen: kit });
            }
        }
        let follows = loaded.custody.previous == sealed.hash
            && Some(loaded.custody.sequence) == sealed.custody.sequence.checked_add(1)
            && loaded.position > sealed.position;
        if follows {
            return Ok(());
        }
        Err(OrderRefusal::Broken { seen: loaded.custody.previous, shown: sealed.hash })
    }

    fn check_route(&self, mission: &Mission) -> Result<(), OrderRefusal> {
        match &self.routes {
            Routes::Only(routes) if !routes.iter().any(|route| is_same(route, mission)) => {
                Err(OrderRefusal::Route { routes: routes.len() })
            }
            Routes::Only(_) | Routes::Any => Ok(()),
        }
    }
}

fn count(seen: usize) -> OrderRefusal {
    OrderRefusal::Proofs { seen, min: PROOFS_MIN, max: PROOFS_MAX }
}

/// Whether two missions are one, up to a tenth of a millimetre: a plan that passes through another program's JSON may come
/// back with its last digits changed.
fn is_same(one: &Mission, other: &Mission) -> bool {
    let (one, other) = (one.to_plan(), other.to_plan());
    let corners = |plan: &Plan| -> Option<Vec<f64>> {
        let fence = plan.fence.as_ref()?;
        Some(fence.vertices().iter().flat_map(|place| [place.lat_deg(), place.lon_deg()]).collect())
    };
    let numbers = |plan: &Plan| {
        let home = plan.home;
        let payload_kg = plan.payload_mass_kg.unwrap_or(f64::NAN);
        [home.place.lat_deg(), home.place.lon_deg(), home.altitude_amsl_m, plan.cruise_speed_m_s, payload_kg]
    };
    let same_fence = match (corners(&one), corners(&other)) {
        (Some(one), Some(other)) => all_same(&one, &other),
        (one, other) => one.is_none() && other.is_none(),
    };
    let same_item = |(one, other): (&PlanItem, &PlanItem)| {
        (one.command, one.frame) == (other.command, other.frame) && all_same(&one.params, &other.params)
    };
    same_fence
        && all_same(&numbers(&one), &numbers(&other))
        && one.items.len() == other.items.len()
        && one.items.iter().zip(&other.items).all(same_item)
}

/// NaN stands for "not set" and equals itself.
fn all_same(one: &[f64], other: &[f64]) -> bool {
    const APART_MAX: f64 = 1e-9;
    let same =
        |(one, other): (&f64, &f64)| (one - other).abs() <= APART_MAX || one.is_nan() && other.is_nan();
    one.len() == other.len() && one.iter().zip(other).all(same)
}
