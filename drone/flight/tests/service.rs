//! The service as a pure machine: which orders are followed, and what is signed, kept and told.

#![allow(clippy::unwrap_used)]

mod depot;

use depot::{AT, Depot, order, order_of, plan, public};
use ed25519_dalek::SigningKey;
use farhand_flight::{
    Delivered, FlightError, FlightEvent, Input, Journal, News, OrderRefusal, OrderRules, Output, Phase,
    Routes, Service,
};
use farhand_ledger::{CustodyStep, Event, Hash, Transaction, Utc};
use farhand_link::DeviceKey;
use farhand_mission::Mission;
use farhand_wire::PublicKey;
use serde_json::json;

fn aircraft() -> DeviceKey {
    DeviceKey::from_seed(&[0x33; 32])
}

fn event(phase: Phase, in_air: bool) -> FlightEvent {
    FlightEvent {
        at_us: 0,
        phase,
        position: Some(Mission::trial().home().place),
        in_air,
        altitude_m: Some(if in_air { 10.0 } else { 0.0 }),
        battery_percent: Some(90.0),
        eta_s: None,
        done: 0.5,
        detail: String::new(),
    }
}

fn delivered() -> Result<Delivered, FlightError> {
    Ok(Delivered { place: Mission::trial().delivery(), off_m: 0.1, flight_ms: 1, battery_percent: None })
}

/// The machine with a driver that does everything at once.
struct Rig {
    depot: Depot,
    service: Service,
    journal: Journal,
    disk_is_full: bool,
    flights: u32,
    news: Vec<News>,
}

impl Rig {
    fn new() -> Self {
        let depot = Depot::new(1);
        depot.grant(PublicKey(*aircraft().id().as_bytes()));
        let service = Service::new(depot.rules(), aircraft(), Journal::default());
        let journal = Journal::default();
        Self { depot, service, journal, disk_is_full: false, flights: 0, news: Vec::new() }
    }

    /// As after a crash: all that is left is on disk.
    fn restart(&mut self) {
        self.service = Service::new(self.depot.rules(), aircraft(), self.journal.clone());
    }

    fn handle(&mut self, input: Input<'_>) {
        let mut todo = self.service.handle(AT, input);
        while !todo.is_empty() {
            let mut next = Vec::new();
            for output in todo {
                match output {
                    Output::Write(_) if self.disk_is_full => {
                        next.extend(self.service.handle(AT, Input::Written(Err("no space left".into()))));
                    }
                    Output::Write(journal) => {
                        self.journal = journal;
                        next.extend(self.service.handle(AT, Input::Written(Ok(()))));
                    }
                    Output::Fly(mission) => {
                        assert_eq!(*mission, Mission::trial());
                        self.flights += 1;
                    }
                    Output::Submit(bytes) => next.extend(match self.depot.take(&bytes) {
                        Ok(proof) => self.service.handle(AT, Input::Committed(proof)),
                        Err(why) => self.service.handle(AT, Input::NotCommitted(why)),
                    }),
                    Output::Publish(news) => self.news.push(*news),
                }
            }
            todo = next;
        }
    }

    fn fly(&mut self) {
        self.handle(Input::Flight(event(Phase::Arming, false)));
        self.handle(Input::Flight(event(Phase::TakingOff, true)));
        self.handle(Input::Flight(event(Phase::Cruising, true)));
        self.handle(Input::Ended { end: delivered(), left: true });
    }

    fn last_error(&self) -> String {
        self.news.last().and_then(|news| news.error.clone()).unwrap_or_default()
    }

    fn told(&self) -> Vec<CustodyStep> {
        self.news.iter().filter_map(|news| news.custody.as_ref()).map(|flown| flown.step).collect()
    }
}

/// Goal: an order on good proofs is flown once, and the kit's custody goes on from *loaded* by *airborne* and *landed*,
/// each naming the one before and signed by the aircraft.
#[test]
fn a_delivery_continues_the_kits_custody() {
    let mut rig = Rig::new();
    let proofs = rig.depot.load();
    let loaded = Hash::of(&proofs[1].transaction);
    rig.handle(Input::Order(&order(&proofs)));
    assert_eq!(rig.flights, 1);
    rig.fly();
    use CustodyStep::*;
    assert_eq!(rig.depot.steps(), [Sealed, Loaded, Airborne, Landed]);
    assert!(rig.told().contains(&Airborne) && rig.told().contains(&Landed), "{:?}", rig.told());
    let mut previous = (2, loaded);
    for proof in &rig.journal.last.as_ref().unwrap().proofs {
        let proof = <farhand_ledger::TransactionProof as farhand_ledger::Cbor>::read(proof).unwrap();
        let proven = proof.check(&rig.depot.trust).unwrap();
        let Event::Custody(custody) = proven.transaction.event else { unreachable!() };
        assert_eq!((custody.sequence, custody.previous), (previous.0 + 1, previous.1));
        assert_eq!((custody.kit, proven.author.0), (rig.depot.kit, *aircraft().id().as_bytes()));
        previous = (custody.sequence, proven.hash);
    }
    assert_eq!(previous.0, 4);
    assert!(rig.news.iter().all(|news| news.error.is_none() && news.order == Some(loaded)));
}

/// Goal: each kind of order that may not be followed is refused by name, and nothing is flown or kept.
#[test]
fn each_wrong_order_is_refused_by_name() {
    let rig = Rig::new();
    let depot = &rig.depot;
    let [sealed, loaded] = depot.load();
    let good = [sealed.clone(), loaded.clone()];
    let other_kit = public(&SigningKey::from_bytes(&[0x44; 32]));
    let others = [CustodyStep::Sealed, CustodyStep::Loaded].map(|step| depot.step_of(other_kit, step));
    let forged = Depot::new(2).load();
    let mut altered = loaded.clone();
    altered.transaction[40] ^= 1;
    let elsewhere = depot.put(depot.kit, 2, CustodyStep::Loaded, Hash([7; 32]));
    let skipping = depot.put(depot.kit, 9, CustodyStep::Loaded, Hash::of(&sealed.transaction));
    let airborne = depot.put(depot.kit, 3, CustodyStep::Airborne, Hash::of(&loaded.transaction));
    let check = |bytes: &[u8]| depot.rules().check(bytes).unwrap_err();
    assert!(depot.rules().check(&order(&good)).is_ok());

    assert!(matches!(check(&order(&forged)), OrderRefusal::Proof { what: "sealed", .. }));
    assert!(matches!(check(&order(&[sealed.clone(), altered])), OrderRefusal::Proof { what: "loaded", .. }));
    assert_eq!(check(&order(&others)), OrderRefusal::OtherKit { seen: other_kit });
    assert!(matches!(
        check(&order(std::slice::from_ref(&loaded))),
        OrderRefusal::Proofs { seen: 1, min: 2, .. }
    ));
    assert!(matches!(
        check(&order(&vec![loaded.clone(); 65])),
        OrderRefusal::Proofs { seen: 65, max: 64, .. }
    ));
    let steps = |refusal| matches!(refusal, OrderRefusal::Steps { .. });
    assert!(steps(check(&order(&[loaded.clone(), loaded.clone()]))), "no seal before");
    assert!(steps(check(&order(&[loaded.clone(), airborne]))), "already on its way");
    for broken in [elsewhere, skipping] {
        assert!(matches!(check(&order(&[sealed.clone(), broken])), OrderRefusal::Broken { .. }));
    }
    assert!(steps(check(&order(&[loaded.clone(), sealed.clone()]))), "the wrong way round");
    let mixed = check(&order(&[others[0].clone(), loaded.clone()]));
    assert!(matches!(mixed, OrderRefusal::OtherKit { .. }), "{mixed:?}");

    let mut detour = plan();
    detour["mission"]["items"][1]["params"][4] = json!(47.4013);
    assert_eq!(check(&order_of(&detour, &good)), OrderRefusal::Route { routes: 1 });
    let any = OrderRules { routes: Routes::Any, ..depot.rules() };
    assert!(any.check(&order_of(&detour, &good)).is_ok());
    let mut far = plan();
    far["mission"]["items"][1]["params"][4] = json!(48.0);
    assert!(matches!(any.check(&order_of(&far, &good)), Err(OrderRefusal::Mission(_))));
    assert!(matches!(check(&order_of(&json!({}), &good)), OrderRefusal::Plan(_)));
    for unreadable in ["", "{}", "[]", r#"{"plan": {}, "custody": ["*", "*"]}"#] {
        let refusal = check(unreadable.as_bytes());
        assert!(matches!(refusal, OrderRefusal::Unreadable { .. }), "{refusal:?}");
    }
}

/// Goal: an order is flown once: not again while it is flown, not after, not after a restart; and it is said why.
#[test]
fn an_order_is_flown_once() {
    let mut rig = Rig::new();
    let first = order(&rig.depot.load());
    rig.handle(Input::Order(&first));
    rig.handle(Input::Order(&first));
    assert_eq!((rig.flights, rig.last_error()), (1, String::new()));
    let second = order(&rig.depot.load()); // sealed anew, in the meantime
    rig.handle(Input::Order(&second));
    assert!(rig.last_error().contains("on its way"), "{}", rig.last_error());
    rig.fly();
    for _ in 0..2 {
        rig.handle(Input::Order(&first));
        assert!(rig.last_error().contains("was flown"), "{}", rig.last_error());
        rig.restart();
    }
    assert_eq!(rig.flights, 1);
    rig.handle(Input::Order(&second));
    assert_eq!(rig.flights, 2);
}

/// Goal: what the ledger can't take now is kept, over a restart too, and handed in later in its order; the flight goes on.
#[test]
fn custody_waits_for_the_ledger() {
    let mut rig = Rig::new();
    let proofs = rig.depot.load();
    rig.handle(Input::Order(&order(&proofs)));
    rig.depot.set_down(true);
    rig.fly();
    rig.handle(Input::Beat);
    assert_eq!((rig.depot.steps().len(), rig.journal.pending.len()), (2, 2));
    assert!(rig.last_error().contains("no validator"), "{}", rig.last_error());
    assert!(rig.told().is_empty(), "nothing is told as proven that is not");
    rig.restart();
    rig.handle(Input::Beat);
    rig.depot.set_down(false);
    rig.handle(Input::Beat);
    use CustodyStep::*;
    assert_eq!(rig.depot.steps(), [Sealed, Loaded, Airborne, Landed]);
    assert!(rig.journal.pending.is_empty());
    rig.handle(Input::Beat);
    rig.handle(Input::Beat);
    assert!(rig.told().ends_with(&[Airborne, Landed]) || rig.told().ends_with(&[Landed, Airborne]));
    assert_eq!(rig.last_error(), "");
}

/// Goal: a flight that fails before it left the ground leaves the order open; one that was in the air does not, and signs
/// no landing.
#[test]
fn only_a_flight_that_never_left_the_ground_may_be_tried_again() {
    let mut rig = Rig::new();
    let bytes = order(&rig.depot.load());
    rig.handle(Input::Order(&bytes));
    let not_ready = FlightError::NotReady { waited_ms: 1, missing: "its battery".into() };
    rig.handle(Input::Ended { end: Err(not_ready), left: false });
    assert!(rig.last_error().contains("its battery"));
    rig.restart();
    rig.handle(Input::Order(&bytes));
    assert_eq!(rig.flights, 2);
    rig.handle(Input::Flight(event(Phase::TakingOff, true)));
    let lost = FlightError::LinkLost { phase: Phase::Cruising, silent_ms: 1, last_seen: None };
    rig.handle(Input::Ended { end: Err(lost), left: true });
    assert_eq!(rig.depot.steps().last(), Some(&CustodyStep::Airborne));
    rig.handle(Input::Order(&bytes));
    assert!(rig.last_error().contains("was flown"), "{}", rig.last_error());
    rig.restart();
    rig.handle(Input::Beat);
    assert!(rig.last_error().contains("how it ended is not known"), "{}", rig.last_error());
}

/// Goal: what can't be put on record is not flown, and may be ordered again.
#[test]
fn what_cannot_be_recorded_is_not_flown() {
    let mut rig = Rig::new();
    let bytes = order(&rig.depot.load());
    rig.disk_is_full = true;
    rig.handle(Input::Order(&bytes));
    assert!(rig.last_error().contains("no space left"), "{}", rig.last_error());
    assert_eq!((rig.flights, &rig.journal), (0, &Journal::default()));
    rig.disk_is_full = false;
    rig.handle(Input::Order(&bytes));
    assert_eq!(rig.flights, 1);
}

/// Goal: whatever a ledger answers, nothing is taken for proven that the trust root does not prove, or that was not asked.
#[test]
fn a_wrong_proof_proves_nothing() {
    let mut rig = Rig::new();
    rig.handle(Input::Order(&order(&rig.depot.load())));
    rig.depot.set_down(true);
    rig.handle(Input::Flight(event(Phase::TakingOff, true)));
    let pending = rig.journal.pending.clone();
    let stranger = Depot::new(3);
    stranger.grant(PublicKey(*aircraft().id().as_bytes()));
    for wrong in [stranger.load()[1].clone(), rig.depot.step_of(rig.depot.kit, CustodyStep::Sealed)] {
        rig.handle(Input::Committed(wrong));
        assert_eq!(rig.journal.pending, pending);
    }
    let mut keys = farhand_ledger::five_keys::FiveKeys::new([9; 32]);
    let forged = keys.commit(AT, vec![pending[0].clone()]).unwrap().remove(0);
    rig.handle(Input::Committed(forged));
    assert_eq!(rig.journal.pending, pending);
    assert!(rig.told().is_empty());
}

/// Goal: a step is signed for the moment it happened, not for when the ledger came back.
#[test]
fn a_step_keeps_its_own_time() {
    let mut rig = Rig::new();
    rig.handle(Input::Order(&order(&rig.depot.load())));
    rig.depot.set_down(true);
    rig.handle(Input::Flight(event(Phase::TakingOff, true)));
    rig.depot.set_down(false);
    let later = Utc { us: AT.us + 60_000_000, ..AT };
    let out = rig.service.handle(later, Input::Beat);
    let Some(Output::Submit(bytes)) = out.first() else { unreachable!("{out:?}") };
    assert_eq!(Transaction::open(bytes).unwrap().transaction.at, AT);
}
