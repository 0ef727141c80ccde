//! Commands from three sides: the edge box's log, the surgeon's signed lists, the kit's signed verdicts.
//!
//! They arrive out of step, so each command has a slot until all three are expected to have spoken. Memory is bounded:
//! the oldest slots are settled first, and a slot is settled once.

use std::collections::BTreeMap;

use farhand_wire::{Command, EdgeTick, KitBootId, KitTick, LeaseToken, MAC_BYTES, PublicKey, Sequence};

use super::{
    finding::{Findings, Problem},
    frames::Frames,
};
use crate::{Hash, KitSegment, KitVerdict, Outcome, People, SurgeonSegment};

/// Commands in flight between the three: a minute at 250 a second.
const SLOTS_MAX: usize = 16_384;
/// Authors, tokens, holes and doubts that are remembered.
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
    logged: Option<Logged>,
    listed: Option<Hash>,
    judged: bool,
    /// In which leaf the kit says so, and when it was.
    taken_in: Option<(u64, KitTick)>,
}

#[derive(Clone, Copy, Debug)]
struct Logged {
    leaf: u64,
    hash: Hash,
    /// The newest tick of the kit's that the surgeon's console knew.
    echo: KitTick,
}

/// A command that one side has and another has not, unless a gap says so: gaps may be declared as late as at the end.
#[derive(Clone, Copy, Debug)]
enum Doubt {
    Unlisted { leaf: u64 },
    Unlogged,
}

/// Commands in a row of which the same is to be said.
#[derive(Debug, Default)]
struct Run(Option<(LeaseToken, u64, u64)>);

impl Run {
    /// Takes the next one, and hands back what came before if this does not go on with it.
    fn take(&mut self, token: LeaseToken, sequence: u64) -> Option<(LeaseToken, u64, u64)> {
        match &mut self.0 {
            Some((whose, _, last)) if *whose == token && last.checked_add(1) == Some(sequence) => {
                *last = sequence;
                None
            }
            run => run.replace((token, sequence, sequence)),
        }
    }
}

/// Commands so far.
#[derive(Debug, Default)]
pub(super) struct Commands {
    slots: BTreeMap<Key, Slot>,
    /// The end of each surgeon's list under each token.
    lists: BTreeMap<(PublicKey, LeaseToken), Sequence>,
    /// Tokens whose missing lease has been reported.
    leaseless: BTreeMap<LeaseToken, ()>,
    /// What lists lack because a segment is missing, and that is declared.
    holes: Vec<(LeaseToken, u64, u64)>,
    doubts: Vec<(Key, Doubt)>,
    lost_to_edge: Run,
    lost_to_kit: Run,
    /// The kit's run, where its newest segment ends, and the newest command that it took in.
    kit: Option<(KitBootId, KitTick, (u64, u64))>,
    pub(super) counts: CommandCounts,
}

impl Commands {
    /// Takes a command that the edge box logged.
    pub(super) fn logged(
        &mut self,
        (leaf, recorded): (u64, EdgeTick),
        bytes: &[u8],
        frames: &Frames,
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
        let newest = frames.newest();
        if seen > newest {
            findings.add(leaf, Problem::UnseenFrame { token, sequence, seen, newest });
        }
        if let Some(seen_us) = command.frame_age_us.map(u64::from)
            && let Some(by_edge_us) = frames.other_age(seen, recorded, seen_us)
        {
            findings.add(leaf, Problem::FrameAge { token, sequence, frame: seen, seen_us, by_edge_us });
        }
        self.counts.blind += u64::from(seen.0 == 0);
        self.expect_lease(leaf, token, people, findings);
        let logged = Logged { leaf, hash: Hash::of(bytes), echo: command.kit_tick_echo };
        let slot = self.slots.entry((token, sequence)).or_default();
        match slot.logged.replace(logged) {
            Some(_) => findings.add(leaf, Problem::Twice { token, sequence }),
            None => {
                slot.compare((token, sequence), findings);
                slot.compare_time((token, sequence), findings);
            }
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

    /// Takes a surgeon's list, signed by `author`. `missing` says whether the edge box declared those commands missing, or
    /// the segments before this one.
    pub(super) fn listed(
        &mut self,
        leaf: u64,
        (author, segment): (PublicKey, &SurgeonSegment),
        people: &People,
        missing: impl Fn(u64, u64) -> bool,
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
            self.continue_list(leaf, (author, token), sent.sequence, &missing, findings);
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
        missing: impl Fn(u64, u64) -> bool,
        findings: &mut Findings,
    ) {
        let expected = self.lists.get(&list).copied().unwrap_or_default().next();
        if seen != expected {
            let problem = Problem::ListHole { token: list.1, seen, expected };
            if seen > expected && missing(expected.0, seen.0 - 1) && self.holes.len() < LISTS_MAX {
                self.holes.push((list.1, expected.0, seen.0 - 1));
                findings.add(leaf, Problem::Declared(Box::new(problem)));
            } else {
                findings.add(leaf, problem);
            }
        }
        if self.lists.len() >= LISTS_MAX {
            self.lists.pop_first();
        }
        self.lists.insert(list, seen);
    }

    /// Takes the kit's verdicts; `declared` says that the edge box declared segments before this one missing.
    pub(super) fn judged(
        &mut self,
        leaf: u64,
        segment: &KitSegment,
        declared: bool,
        findings: &mut Findings,
    ) {
        let newest = self.continue_time(leaf, segment, declared, findings);
        self.counts.unauthentic += segment.unauthentic;
        let newest = segment
            .verdicts
            .iter()
            .fold(newest, |newest, verdict| self.judge(leaf, segment, verdict, newest, findings));
        self.kit = Some((segment.boot, segment.to, newest));
    }

    /// Segments of one run of the kit cover its time without holes. Returns the newest command that it took in before.
    fn continue_time(
        &mut self,
        leaf: u64,
        segment: &KitSegment,
        declared: bool,
        findings: &mut Findings,
    ) -> (u64, u64) {
        let (expected_from, newest) = match self.kit {
            Some((boot, to, newest)) if boot == segment.boot => (to, newest),
            Some((_, _, newest)) => (segment.from, newest),
            None => (segment.from, (0, 0)),
        };
        if segment.from != expected_from || segment.to < segment.from {
            let (seen_from, seen_to, expected_from) = (segment.from.0, segment.to.0, expected_from.0);
            let problem = Problem::KitTime { seen_from, seen_to, expected_from };
            let is_later = expected_from <= seen_from && seen_from <= seen_to;
            let is_gap = declared && is_later;
            findings.add(leaf, if is_gap { Problem::Declared(Box::new(problem)) } else { problem });
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
        slot.taken_in = Some((leaf, tick));
        slot.compare_time((token, sequence), findings);
        let seen = (token.0, sequence.0);
        if seen <= newest {
            findings.add(leaf, Problem::TakenInLate { seen, newest });
        }
        newest.max(seen)
    }

    /// Settles the oldest slots beyond the bound.
    pub(super) fn settle(&mut self, findings: &mut Findings) {
        self.settle_down_to(SLOTS_MAX, findings);
    }

    /// Settles all slots: the session is over. `missing` says whether the edge box declared a command missing.
    pub(super) fn settle_all(&mut self, missing: impl Fn(LeaseToken, u64) -> bool, findings: &mut Findings) {
        self.settle_down_to(0, findings);
        self.lost_to_edge.0.take().into_iter().for_each(|run| findings.add(None, lost_to_edge(run)));
        self.lost_to_kit.0.take().into_iter().for_each(|run| findings.add(None, lost_to_kit(run)));
        for (key, doubt) in std::mem::take(&mut self.doubts) {
            if !missing(key.0, key.1.0) && !self.is_hole(key, doubt) {
                findings.add(doubt.leaf(), doubt.problem(key));
            }
        }
    }

    /// Whether a list is missing, by declaration, that may have had this command.
    fn is_hole(&self, (token, sequence): Key, doubt: Doubt) -> bool {
        let within = |&(whose, first, last)| whose == token && (first..=last).contains(&sequence.0);
        matches!(doubt, Doubt::Unlisted { .. }) && self.holes.iter().any(within)
    }

    fn settle_down_to(&mut self, slots_max: usize, findings: &mut Findings) {
        while self.slots.len() > slots_max
            && let Some((key, slot)) = self.slots.pop_first()
        {
            let (token, Sequence(sequence)) = key;
            match (slot.logged, slot.judged) {
                (Some(_), false) => {
                    self.counts.lost_to_kit += 1;
                    let run = self.lost_to_kit.take(token, sequence);
                    run.into_iter().for_each(|run| findings.add(None, lost_to_kit(run)));
                }
                (None, false) => {
                    self.counts.lost_to_edge += 1;
                    let run = self.lost_to_edge.take(token, sequence);
                    run.into_iter().for_each(|run| findings.add(None, lost_to_edge(run)));
                }
                (None, true) => self.doubt(key, Doubt::Unlogged, findings),
                (Some(_), true) => {}
            }
            if let Some(Logged { leaf, .. }) = slot.logged.filter(|_| slot.listed.is_none()) {
                self.doubt(key, Doubt::Unlisted { leaf }, findings);
            }
        }
    }

    fn doubt(&mut self, key: Key, doubt: Doubt, findings: &mut Findings) {
        if self.doubts.len() < LISTS_MAX {
            self.doubts.push((key, doubt));
        } else {
            findings.add(doubt.leaf(), doubt.problem(key));
        }
    }
}

fn lost_to_edge((token, first, last): (LeaseToken, u64, u64)) -> Problem {
    Problem::LostToEdge { token, first, last }
}

fn lost_to_kit((token, first, last): (LeaseToken, u64, u64)) -> Problem {
    Problem::LostToKit { token, first, last }
}

impl Doubt {
    fn leaf(self) -> Option<u64> {
        match self {
            Self::Unlisted { leaf } => Some(leaf),
            Self::Unlogged => None,
        }
    }

    fn problem(self, (token, sequence): Key) -> Problem {
        match self {
            Self::Unlisted { .. } => Problem::Unlisted { token, sequence },
            Self::Unlogged => Problem::Unlogged { token, sequence },
        }
    }
}

impl Slot {
    /// What is logged is what the surgeon sent.
    fn compare(&self, (token, sequence): Key, findings: &mut Findings) {
        if let (Some(Logged { leaf, hash: seen, .. }), Some(expected)) = (self.logged, self.listed)
            && seen != expected
        {
            findings.add(leaf, Problem::OtherCommand { token, sequence, seen, expected });
        }
    }

    /// Both times are the kit's: it can't take in a command that knows of a later moment.
    fn compare_time(&self, (token, sequence): Key, findings: &mut Findings) {
        if let (Some(logged), Some((leaf, tick))) = (self.logged, self.taken_in)
            && tick < logged.echo
        {
            let (tick, echo) = (tick.0, logged.echo.0);
            findings.add(leaf, Problem::JudgedEarly { token, sequence, tick, echo });
        }
    }
}
