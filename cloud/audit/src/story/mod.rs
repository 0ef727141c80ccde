//! What happened in a session, gathered leaf by leaf while the verifier passes: for the printed report.
//!
//! Invariant (global): **memory does not grow with the session.** Figures over time are bins, lists keep their first and
//! newest items and count the rest. Nothing here is checked; the verdict beside it says what it is worth.

pub(crate) mod bins;
pub(crate) mod bounded;
pub(crate) mod moments;
pub(crate) mod proven;
pub(crate) mod runs;

use std::collections::{BTreeMap, BTreeSet};

use farhand_bundle::Passed;
use farhand_ledger::{
    Cbor, DisplayReport, Entry, Event, FrameEntry, Hash, KitSegment, Segment, SurgeonSegment,
    TransactionProof, What,
};
use farhand_wire::{Command, EdgeTick, KitState, LeaseToken, PressId, PublicKey, Said, Statement};

use self::{
    bins::{Bins, Second, Spread, raise},
    bounded::Bounded,
    moments::{CommandMark, FrameMark, Moments, NamedBy, Recent},
    proven::{OpeningFacts, fact},
    runs::{Modes, Place, Reason, Refusals},
};
use crate::{
    report::role,
    show::{Line, line_of},
};

/// Names, models and presses that are remembered; a session has a handful.
const REMEMBERED_MAX: usize = 4096;

/// Something that stands out on every plot.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) kind: MarkKind,
    pub(crate) leaf: u64,
    pub(crate) utc_us: u64,
    pub(crate) by: Option<PublicKey>,
    pub(crate) what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MarkKind {
    EStop,
    Cleared,
    HandOver,
    Refused,
    Gap,
    Restart,
}

impl MarkKind {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::EStop => "E-stop",
            Self::Cleared => "E-stop cleared",
            Self::HandOver => "Control",
            Self::Refused => "Order refused",
            Self::Gap => "Gap",
            Self::Restart => "Restart",
        }
    }
}

/// A model that drew overlays.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) digest: Hash,
}

/// Everything that is told of a session besides the verdict.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    pub(crate) opening: Option<OpeningFacts>,
    /// UTC of the first leaf and of the last.
    pub(crate) span_us: Option<(u64, u64)>,
    /// Leaves that are no stream.
    pub(crate) events: Bounded<Line, 1500, 500>,
    pub(crate) marks: Bounded<Mark, 300, 100>,
    /// How far UTC may be off, as the newest clock leaf says.
    pub(crate) uncertainty_us: Option<u64>,
    pub(crate) bins: Option<Bins<Second>>,
    pub(crate) glass: Spread,
    pub(crate) refusals: Refusals,
    pub(crate) modes: Modes,
    pub(crate) moments: Moments,
    pub(crate) models: Vec<Model>,
    /// Digests that overlays name.
    pub(crate) overlay_models: BTreeSet<Hash>,
    pub(crate) overlays: u64,
    /// Commitments to something about a person.
    pub(crate) personal: BTreeSet<Hash>,
    /// Who speaks with which key, as the bundle says.
    names: BTreeMap<PublicKey, String>,
    recent: Recent,
    presses: BTreeSet<PressId>,
    newest_token: Option<LeaseToken>,
}

/// When and where something is.
#[derive(Clone, Copy, Debug)]
struct At {
    leaf: u64,
    utc_us: u64,
    recorded: EdgeTick,
}

impl Story {
    /// Takes the next leaf.
    pub(crate) fn take(&mut self, passed: &Passed<'_>) {
        let utc_us = passed.utc_us;
        self.span_us = Some((self.span_us.map_or(utc_us, |(first, _)| first), utc_us));
        self.bins.get_or_insert_with(|| Bins::new(utc_us));
        // Stretches of redacted leaves have a list of their own.
        let line = line_of(passed).filter(|_| passed.redacted.is_none());
        line.into_iter().for_each(|line| self.events.push(line));
        if let Some(entry) = passed.entry {
            self.take_entry(entry, passed);
        }
    }

    /// No more leaves come.
    pub(crate) fn finish(&mut self) {
        self.refusals.finish();
    }

    /// Whose key that is, if the bundle says so.
    pub(crate) fn name(&self, key: &PublicKey) -> Option<&str> {
        self.names.get(key).map(String::as_str)
    }

    /// The same of a key in hexadecimal.
    pub(crate) fn name_of(&self, key: &str) -> Option<&str> {
        self.name(&key_of(key)?)
    }

    /// Whether it is the kit's, as the bundle says. Verdicts by anybody else are a finding, and no verdicts.
    pub(crate) fn is_kit(&self, key: &PublicKey) -> bool {
        self.opening.as_ref().is_none_or(|facts| facts.opening.kit == *key)
    }

    fn take_entry(&mut self, entry: &Entry, passed: &Passed<'_>) {
        let at = At { leaf: passed.number, utc_us: passed.utc_us, recorded: entry.recorded };
        match &entry.what {
            What::Opened { evidence } if at.leaf == 0 => self.take_opening(evidence),
            What::Command { frame } => self.take_command(at, frame),
            What::SurgeonSegment { signed } => self.take_list(at, signed),
            What::KitSegment { signed } => self.take_verdicts(at, signed),
            What::Frame(frame) => self.take_frame(at, frame, passed.has_picture),
            What::DisplayReport { signed } => self.take_shown(at, signed),
            What::Statement { signed } => self.take_statement(at, signed),
            What::KitState { sealed } => self.take_state(at, sealed),
            What::Overlay { model, .. } => self.take_overlay(*model),
            What::Proof { proof } => self.take_proof(proof),
            What::Personal { commitment } if self.personal.len() < REMEMBERED_MAX => {
                self.personal.insert(*commitment);
            }
            What::Clock { utc, .. } => self.uncertainty_us = Some(utc.uncertainty_us),
            What::Gap(gap) => {
                let what = format!("{:?} {} to {}: {}", gap.of, gap.first, gap.last, gap.reason);
                self.mark(MarkKind::Gap, at, None, what);
            }
            What::Restarted { reason } => self.mark(MarkKind::Restart, at, None, reason.clone()),
            _ => {}
        }
    }

    fn bin(&mut self, at: At) -> &mut Second {
        self.bins.get_or_insert_with(|| Bins::new(at.utc_us)).at(at.utc_us)
    }

    fn mark(&mut self, kind: MarkKind, at: At, by: Option<PublicKey>, what: String) {
        self.marks.push(Mark { kind, leaf: at.leaf, utc_us: at.utc_us, by, what });
    }

    fn learn(&mut self, key: PublicKey, name: String) {
        if self.names.len() < REMEMBERED_MAX {
            self.names.insert(key, name);
        }
    }

    fn take_opening(&mut self, evidence: &[u8]) {
        self.opening = OpeningFacts::read(evidence);
        let Some(facts) = self.opening.clone() else { return };
        for member in &facts.opening.roster {
            self.learn(member.key, format!("{}, {}", member.pseudonym, role(member.role)));
        }
        self.learn(facts.opening.edge, "edge box".to_owned());
        self.learn(facts.opening.kit, "kit".to_owned());
        self.learn(facts.opened.by, "hospital".to_owned());
    }

    fn take_command(&mut self, at: At, frame: &[u8]) {
        let Ok(command) = Command::read(frame) else { return };
        let At { utc_us, recorded, .. } = at;
        let Command { token, sequence, frame_seen, frame_age_us: age_us, .. } = command;
        let named = NamedBy { token, sequence, age_us };
        self.recent.command(CommandMark { utc_us, recorded, frame_seen, named });
        self.moments.named(frame_seen, named);
    }

    fn take_list(&mut self, at: At, signed: &[u8]) {
        if let Ok((_, segment)) = SurgeonSegment::open(signed) {
            self.bin(at).sent += segment.sent.len() as u64;
        }
    }

    fn take_verdicts(&mut self, at: At, signed: &[u8]) {
        let Ok((author, segment)) = KitSegment::open(signed) else { return };
        if !self.is_kit(&author) {
            return;
        }
        for verdict in &segment.verdicts {
            let Some(said) = Reason::of(verdict.outcome) else {
                self.bin(at).taken_in += 1;
                continue;
            };
            self.bin(at).refused += 1;
            let command = self.recent.judged(segment.token, verdict.sequence);
            let picture = command.and_then(|command| self.recent.seen_by(command));
            let place = Place { utc_us: command.map_or(at.utc_us, |c| c.utc_us), leaf: at.leaf, picture };
            self.refusals.take(segment.token, verdict, said, place);
        }
    }

    fn take_frame(&mut self, at: At, frame: &FrameEntry, has_picture: bool) {
        let mark = FrameMark {
            leaf: at.leaf,
            utc_us: at.utc_us,
            frame: frame.frame,
            captured: frame.captured,
            picture_hash: frame.picture_hash,
            has_picture,
            age_us: None,
            named_by: None,
            shown: None,
        };
        self.recent.frame(mark);
        self.moments.frame(mark);
        let bin = self.bin(at);
        bin.frames += 1;
        bin.frame_bytes = bin.frame_bytes.saturating_add(frame.au_bytes);
    }

    fn take_shown(&mut self, at: At, signed: &[u8]) {
        let Ok((_, report)) = DisplayReport::open(signed) else { return };
        for shown in &report.shown {
            self.bin(at).glass.add(shown.glass_to_glass_us);
            self.glass.add(shown.glass_to_glass_us);
            self.recent.shown(at.leaf, shown);
            self.moments.shown(at.leaf, shown);
            self.refusals.shown(at.leaf, shown);
        }
    }

    fn take_state(&mut self, at: At, sealed: &[u8]) {
        let Ok(state) = KitState::read(sealed) else { return };
        let mode = self.modes.take(at.leaf, at.utc_us, &state);
        let bin = self.bin(at);
        bin.mode = bin.mode.max(Some(mode));
        if state.newest.0 > 0 {
            raise(&mut bin.command_age_ms, state.command_age_ms);
            raise(&mut bin.picture_age_ms, state.picture_age_ms);
        }
    }

    fn take_statement(&mut self, at: At, signed: &[u8]) {
        let Ok((author, statement)) = Statement::open(signed) else { return };
        match statement.said {
            Said::Endorse { session_key } => {
                if let Some(name) = self.name(&author).map(str::to_owned) {
                    self.learn(session_key, name);
                }
            }
            // Whoever pressed repeats it until the kit has heard.
            Said::EStop { press } if self.presses.len() < REMEMBERED_MAX && self.presses.insert(press) => {
                self.mark(MarkKind::EStop, at, Some(author), "pressed".to_owned());
                self.moments.stop(self.recent.on_screen(at.recorded));
            }
            Said::ClearEStop { .. } => {
                self.mark(
                    MarkKind::Cleared,
                    at,
                    Some(author),
                    "dealt with, in this person's word".to_owned(),
                );
            }
            Said::LeaseGrant { transcript } => {
                self.take_grant(at, author, transcript.token, transcript.holder)
            }
            Said::HandOver { token, to } => {
                let what = format!("lets go of token {token}, in favour of {}", self.who(&to));
                self.mark(MarkKind::HandOver, at, Some(author), what);
            }
            Said::TakeOver { to, .. } => {
                let what = format!("gives control to {}", self.who(&to));
                self.mark(MarkKind::HandOver, at, Some(author), what);
            }
            Said::Refused { to, why } => {
                let what = format!("to {}: {why}", self.who(&to));
                self.mark(MarkKind::Refused, at, Some(author), what);
            }
            _ => {}
        }
    }

    /// The first grant begins the work; each later one under a new token is a change of hands.
    fn take_grant(&mut self, at: At, author: PublicKey, token: LeaseToken, holder: PublicKey) {
        let what = format!("goes to {} under token {token}", self.who(&holder));
        self.mark(MarkKind::HandOver, at, Some(author), what);
        if self.newest_token.replace(token).is_some_and(|before| before != token) {
            self.moments.hand_over(self.recent.on_screen(at.recorded));
        }
    }

    fn take_overlay(&mut self, model: Hash) {
        self.overlays += 1;
        if self.overlay_models.len() < REMEMBERED_MAX {
            self.overlay_models.insert(model);
        }
    }

    fn take_proof(&mut self, proof: &[u8]) {
        let Some((_, event)) = TransactionProof::read(proof).ok().and_then(|proof| fact(&proof)) else {
            return;
        };
        match event {
            Event::RosterAdded(added) => {
                let member = added.member;
                self.learn(member.key, format!("{}, {}", member.pseudonym, role(member.role)));
            }
            Event::ModelDigest(model) if self.models.len() < REMEMBERED_MAX => {
                self.models.push(Model { name: model.name, digest: model.digest });
            }
            _ => {}
        }
    }

    /// A key by its name, and by its first digits where it has none.
    pub(crate) fn who(&self, key: &PublicKey) -> String {
        let short = crate::report::short(key);
        self.name(key).map_or_else(|| short.clone(), |name| format!("{name} ({short})"))
    }
}

/// A key from its hexadecimal digits.
pub(crate) fn key_of(hex: &str) -> Option<PublicKey> {
    let byte = |at: usize| u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
    Some(PublicKey(*bytes?.first_chunk()?))
}
