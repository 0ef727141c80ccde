//! Faults that lie: one of five says what it should not, and the other four neither disagree nor stand still.
//!
//! The validators are the real ones, over real stores; only the connections are played (by [`net`], under a policy of
//! [`liar`]). What is checked of every run: no view has two certificates and no honest node votes twice in one
//! ([`witness`]); the four agree on every height, hold every batch they committed, and none has a fault ([`rig`]). After
//! the lying ends all commit again; and where one of five lies, the four commit meanwhile.
//!
//! `FARHAND_TWINS_SEEDS=50` explores more seeds than the few of a usual run.

mod liar;
mod net;
mod rig;
mod witness;

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use farhand_ledger::merkle;
use rig::{ALL, HONEST, LIAR, Rig, TWIN};

use crate::{app::now_us, payload::Payload, store::disks::Image};

/// What is the seed of each run, if usually there are `usual` of them.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    0..env::var("FARHAND_TWINS_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(usual)
}

/// Goal: two replicas with one key, each honest by itself, lead and vote twice without knowing; nobody disagrees.
#[test]
fn twins_of_one_key_cause_no_fork() {
    for seed in seeds(2) {
        let mut rig = Rig::begin();
        rig.start(TWIN, Image::default(), now_us);
        rig.obey(liar::parts_twins(seed));
        for at in [0, LIAR, TWIN, 2, TWIN, LIAR, 1, 3] {
            let transaction = rig.grant();
            rig.submit(at, &transaction);
            rig.pass(Duration::from_millis(700));
        }
        rig.assert_heals(&HONEST);
    }
}

/// Goal: a leader that shows some one block and others another, or one that breaks the rules, and votes for all of them,
/// costs time and nothing else.
#[test]
fn an_equivocating_leader_and_double_votes_cause_no_fork() {
    for seed in seeds(1) {
        let mut rig = Rig::begin();
        rig.obey(liar::equivocates(&rig, seed));
        for at in [0, LIAR, 1, 2, 3] {
            rig.commit(at, &HONEST);
        }
        rig.assert_heals(&ALL);
    }
}

/// Goal: old messages, bent ones, those of others and proposals out of turn move nothing: no vote, no lock.
#[test]
fn repeated_and_forged_messages_move_nothing() {
    for seed in seeds(1) {
        let mut rig = Rig::begin();
        rig.commit(0, &ALL);
        rig.obey(liar::repeats_and_forges(&rig, seed));
        for at in [0, 1, LIAR, 2, 3, 0] {
            rig.commit(at, &HONEST);
        }
        rig.assert_heals(&HONEST);
    }
}

/// Goal: a batch that nobody is given is not voted for; one that some are given reaches the others through them.
#[test]
fn a_withheld_batch_stops_nobody() {
    let mut rig = Rig::begin();
    rig.commit(0, &ALL);
    rig.obey(liar::withholds_batches(&[]));
    let hidden = rig.grant();
    let hidden = rig.submit_quietly(LIAR, &hidden);
    for at in [0, 1] {
        rig.commit(at, &HONEST);
    }
    assert!(!rig.knows(0, hidden), "a batch was committed that nobody else has");
    rig.obey(liar::withholds_batches(&[0, 1, 2]));
    rig.wait_for(hidden, &HONEST);
    rig.assert_heals(&ALL);
}

/// Goal: a validator whose store is put back to an earlier day votes twice in good faith; nobody disagrees, and it catches
/// up.
#[test]
fn a_store_that_was_put_back_causes_no_fork() {
    let mut rig = Rig::begin();
    rig.commit(0, &ALL);
    let earlier = rig.node(LIAR).disk.after_power_cut(|| true);
    for at in [0, 1, 2] {
        rig.commit(at, &ALL);
    }
    rig.stop(LIAR);
    rig.start(LIAR, earlier, now_us);
    for at in [3, LIAR] {
        rig.commit(at, &HONEST);
    }
    rig.assert_heals(&ALL);
}

/// Goal: one that catches up from a liar, who has new blocks for it without end, is not held for ever.
#[test]
fn a_sync_without_end_holds_nobody() {
    let mut rig = Rig::make();
    let cut = Arc::new(AtomicBool::new(false));
    rig.obey(liar::feeds(&rig, 3, Arc::clone(&cut)));
    ALL.into_iter().for_each(|node| rig.start(node, Image::default(), now_us));
    rig.commit(0, &HONEST);
    cut.store(true, Ordering::Relaxed);
    rig.commit(0, &[0, 1, 2]);
    rig.commit(1, &[0, 1, 2]);
    cut.store(false, Ordering::Relaxed);
    rig.commit(2, &HONEST);
    rig.assert_heals(&ALL);
}

/// Goal: a line that comes and goes, slow, doubling and out of order, stops nobody else, and who is behind it catches up.
#[test]
fn a_flapping_line_stops_nobody() {
    let mut rig = Rig::begin();
    rig.obey(liar::flaps(LIAR, 1));
    for at in [0, 1, 2, 3, 0] {
        rig.commit(at, &HONEST);
        rig.pass(Duration::from_millis(300));
    }
    rig.assert_heals(&ALL);
}

/// Goal: a validator whose clock is a minute ahead writes none of that onto the ledger, and the others go on.
#[test]
fn a_clock_ahead_is_not_believed() {
    let mut rig = Rig::make();
    HONEST.into_iter().for_each(|node| rig.start(node, Image::default(), now_us));
    rig.start(LIAR, Image::default(), || now_us() + 60_000_000);
    for at in [LIAR, 0, 1] {
        rig.commit(at, &HONEST);
    }
    rig.assert_safe();
    let latest_us = now_us() + 5_000_000; // what is believed, and some more
    let node = rig.node(0);
    let roots = (0..=node.height().unwrap()).map(|height| node.batch_root(height));
    let times: Vec<u64> = roots
        .filter(|root| *root != merkle::empty_root())
        .map(|root| Payload::read(node.store.batch(&root.0).unwrap()).unwrap().batch.header().at.us)
        .collect();
    assert!(times.len() >= 3 && times.iter().all(|us| *us < latest_us), "{times:?}, at most {latest_us}");
}
