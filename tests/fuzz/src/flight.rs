//! The aircraft: plans, orders, MAVLink, and the journal of what was flown.

use std::sync::OnceLock;

use farhand_flight::{Companion, FlightLimits, Frames, Journal, OrderRules, Received, Routes};
use farhand_mission::{Mission, Plan};

use crate::stage::{folder, pieces, public, trust};

/// A plan reads back as it was written, and what can be flown of it is itself a plan.
pub(crate) fn plan(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(plan) = Plan::from_json(text) else { return };
    let written = plan.to_json();
    let again = Plan::from_json(&written).map(|again| again.to_json());
    assert_eq!(again.as_ref(), Ok(&written), "a plan changes when it is read again");
    if let Ok(mission) = Mission::from_plan(&plan) {
        let again = Mission::from_plan(&mission.to_plan());
        assert_eq!(again.as_ref(), Ok(&mission), "a mission changes when it is a plan");
    }
}

/// An order to fly: nothing flies but the kit of these rules.
pub(crate) fn order(bytes: &[u8]) {
    static RULES: OnceLock<OrderRules> = OnceLock::new();
    let rules = RULES.get_or_init(|| OrderRules {
        trust: trust().clone(),
        kits: vec![public(5)],
        routes: Routes::Only(vec![Mission::trial()]),
    });
    if let Ok(accepted) = rules.check(bytes) {
        assert_eq!((accepted.kit, accepted.sequence), (public(5), 2));
    }
}

/// Datagrams to the companion, each a moment after the other; the number says how much later.
pub(crate) fn mavlink(bytes: &[u8]) {
    const SECRET: [u8; 32] = *b"a key that signed none of these.";
    let mut companion = Companion::new(Mission::trial(), FlightLimits::default());
    let mut now_us = 0;
    for (gap, datagram) in pieces(bytes) {
        assert!(Frames::new(Some(SECRET)).decode(datagram).is_empty(), "nobody signed that");
        let inbox: Vec<Received> = Frames::new(None).decode(datagram);
        now_us += u64::from(gap) * 20_000;
        let out = companion.step(now_us, &inbox);
        assert!(out.messages.len() < 100 && out.events.len() < 20);
    }
}

/// The journal is what it says, or damaged.
pub(crate) fn journal(bytes: &[u8]) {
    let folder = folder(&[("journal.json", bytes)]);
    let path = folder.path().join("journal.json");
    if let Ok(journal) = Journal::load(&path) {
        journal.store(&path).expect("there is room for a journal");
        assert_eq!(Journal::load(&path).ok(), Some(journal));
    }
}
