//! Commands from three sides: the edge box's log, the surgeon's signed lists, the kit's signed verdicts.
//!
//! They arrive out of step, so each command has a slot until all three are expected to have spoken. Memory is bounded:
//! the oldest slots are settled first, and a slot is settled once.

use std::collections::BTreeMap;

use farhand_wire::{Command, FrameId, KitBootId, KitTick, LeaseToken, MAC_BYTES, PublicKey, Sequence};

use super::finding::{Findings, Problem};
use crate::{Hash, KitSegment, KitVerdict, Outcome, People, SurgeonSegment};

/// Commands in flight between the three: a minute at 250 a second.
const SLOTS_MAX: usize = 16_384;
/// Authors and tokens that are remembered.
const LISTS_MAX: usize = 4096;

/// What became of commands, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandCounts {
    /// In the surgeon's lists.
    pub sent: u64,
    /// Sent, but never seen by the edge box.
    pub lost_to_edge: u64,
    /// Logged, but never judged by the kit.
    pub lost_to_kit: u64,
    pub taken_in: u64,
    pub refused: u64,
    /// Frames at the kit that were not authentic.
    pub unauthentic: u64,
    /// Commands sent before any frame had been seen.
    pub blind: u64,
}

type Key = (LeaseToken, Sequence);

#[derive(Debug, Default)]
struct Slot {
    logged: Option<(u64, Hash)>,
    listed: Option<Hash>,
    judged: bool,
}

/// Commands so far.
#[derive(Debug, Default)]
pub(super) struct Commands {
    slots: BTreeMap<Key, Slot>,
    /// The end of each surgeon's list under each token.
    lists: BTreeMap<(PublicKey, LeaseToken), Sequence>,
    /// Tokens whose missing lease has been reported.
    leaseless: BTreeMap<LeaseToken, ()>,
    /// The kit's run, where its newest segment ends, and the newest command that it took in.
    kit: Option<(KitBootId, KitTick, (u64, u64))>,
    pub(super) counts: CommandCounts,
}

impl Commands {
    /// Takes a command that the edge box logged.
    pub(super) fn logged(
        &mut self,
        leaf: u64,
        bytes: &[u8],
        newest: FrameId,
        people: &People,
        findings: &mut Findings,
    ) {
        let command = match Command::read(bytes) {
            Ok(command) => command,
            Err(error) => return findings.add(leaf, Problem::Wire { what: "command", error }),
        };
        let Command { token, sequence, frame_seen: seen, .. } = command;
        let (session, expected) = (command.session, people.opening().session());
        if session != expected {
            findings.add(leaf, Problem::Session { what: "command", seen: session, expected });
        }
        if bytes.ends_with(&[0; MAC_BYTES]) {
            findings.add(leaf, Problem::NoCode { token, sequence });
        }
        if seen > newest {
            findings.add(leaf, Problem::UnseenFrame { token, sequence, seen, newest });
        }
        self.counts.blind += u64::from(seen.0 == 0);
        self.expect_lease(leaf, token, people, findings);
        let hash = Hash::of(bytes);
        let slot = self.slots.entry((token, sequence)).or_default();
        match slot.logged.replace((leaf, hash)) {
            Some(_) => findings.add(leaf, Problem::Twice { token, sequence }),
            None => slot.compare((token, sequence), findings),
        }
    }

    fn expect_lease(&mut self, leaf: u64, token: LeaseToken, people: &People, findings: &mut Findings) {
        if people.holder(token).is_some() || self.leaseless.len() >= LISTS_MAX {
            return;
        }
        if self.leaseless.insert(token, ()).is_none() {
            findings.add(leaf, Problem::NoLease { token });
        }
    }

    /// Takes a surgeon's list, signed by `author`.
    pub(super) fn listed(
        &mut self,
        leaf: u64,
        author: PublicKey,
        segment: &SurgeonSegment,
        people: &People,
        findings: &mut Findings,
    ) {
        let token = segment.token;
        match people.holder(token) {
            Some(expected) if expected != author => {
                findings.add(leaf, Problem::NotHolder { token, seen: author, expected });
            }
            Some(_) => {}
            None => self.expect_lease(leaf, token, people, findings),
        }
        for sent in &segment.sent {
            self.continue_list(leaf, (author, token), sent.sequence, findings);
            let key = (token, sent.sequence);
            let slot = self.slots.entry(key).or_default();
            slot.listed = Some(sent.hash);
            slot.compare(key, findings);
            self.counts.sent += 1;
        }
    }

    fn continue_list(
        &mut self,
        leaf: u64,
        list: (PublicKey, LeaseToken),
        seen: Sequence,
        findings: &mut Findings,
    ) {
        let expected = self.lists.get(&list).copied().unwrap_or_default().next();
        if seen != expected {
            findings.add(leaf, Problem::ListHole { token: list.1, seen, expected });
        }
        if self.lists.len() >= LISTS_MAX {
            self.lists.pop_first();
        }
        self.lists.insert(list, seen);
    }

    /// Takes the kit's verdicts.
    pub(super) fn judged(&mut self, leaf: u64, segment: &KitSegment, findings: &mut Findings) {
        let newest = self.continue_time(leaf, segment, findings);
        self.counts.unauthentic += segment.unauthentic;
        let newest = segment
            .verdicts
            .iter()
            .fold(newest, |newest, verdict| self.judge(leaf, segment, verdict, newest, findings));
        self.kit = Some((segment.boot, segment.to, newest));
    }

    /// Segments of one run of the kit cover its time without holes. Returns the newest command that it took in before.
    fn continue_time(&mut self, leaf: u64, segment: &KitSegment, findings: &mut Findings) -> (u64, u64) {
        let (expected_from, newest) = match self.kit {
            Some((boot, to, newest)) if boot == segment.boot => (to, newest),
            Some((_, _, newest)) => (segment.from, newest),
            None => (segment.from, (0, 0)),
        };
        if segment.from != expected_from || segment.to < segment.from {
            let (seen_from, seen_to, expected_from) = (segment.from.0, segment.to.0, expected_from.0);
            findings.add(leaf, Problem::KitTime { seen_from, seen_to, expected_from });
        }
        newest
    }

    fn judge(
        &mut self,
        leaf: u64,
        segment: &KitSegment,
        verdict: &KitVerdict,
        newest: (u64, u64),
        findings: &mut Findings,
    ) -> (u64, u64) {
        let (token, sequence, tick) = (segment.token, verdict.sequence, verdict.tick);
        if !(segment.from..segment.to).contains(&tick) {
            findings.add(leaf, Problem::VerdictTime { tick: tick.0, from: segment.from.0, to: segment.to.0 });
        }
        let slot = self.slots.entry((token, sequence)).or_default();
        // A command that came over two paths is judged twice: taken in once, then refused as old.
        if slot.judged && verdict.outcome == Outcome::TakenIn {
            findings.add(leaf, Problem::JudgedTwice { token, sequence, seen: *verdict });
        }
        slot.judged = true;
        if verdict.outcome != Outcome::TakenIn {
            self.counts.refused += 1;
            return newest;
        }
        self.counts.taken_in += 1;
        let seen = (token.0, sequence.0);
        if seen <= newest {
            findings.add(leaf, Problem::TakenInLate { seen, newest });
        }
        newest.max(seen)
    }

    /// Settles the oldest slots beyond the bound; `missing` says whether the edge box declared a command missing.
    pub(super) fn settle(&mut self, missing: impl Fn(LeaseToken, u64) -> bool, findings: &mut Findings) {
        self.settle_down_to(SLOTS_MAX, missing, findings);
    }

    /// Settles all slots: the session is over.
    pub(super) fn settle_all(&mut self, missing: impl Fn(LeaseToken, u64) -> bool, findings: &mut Findings) {
        self.settle_down_to(0, missing, findings);
    }

    fn settle_down_to(
        &mut self,
        slots_max: usize,
        missing: impl Fn(LeaseToken, u64) -> bool,
        findings: &mut Findings,
    ) {
        while self.slots.len() > slots_max
            && let Some(((token, sequence), slot)) = self.slots.pop_first()
        {
            match (slot.logged, slot.judged) {
                (Some((leaf, _)), _) if slot.listed.is_none() => {
                    findings.add(leaf, Problem::Unlisted { token, sequence });
                }
                (Some(_), false) => self.counts.lost_to_kit += 1,
                (None, true) if !missing(token, sequence.0) => {
                    findings.add(None, Problem::Unlogged { token, sequence });
                }
                (None, false) => self.counts.lost_to_edge += 1,
                _ => {}
            }
        }
    }
}

impl Slot {
    /// What is logged is what the surgeon sent.
    fn compare(&self, (token, sequence): Key, findings: &mut Findings) {
        if let (Some((leaf, seen)), Some(expected)) = (self.logged, self.listed)
            && seen != expected
        {
            findings.add(leaf, Problem::OtherCommand { token, sequence, seen, expected });
        }
    }
}
