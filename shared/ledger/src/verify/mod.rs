//! The verifier of a session: from leaves, proofs, manifest and a trust root to a [`Report`] of typed findings.
//!
//! **It reads each leaf once, in order, and its memory does not grow with the session**; whatever container the leaves
//! came in is somebody else's concern. A fault is reported and the reading goes on, so that one report says all there
//! is to say.
//!
//! Holds means: the leaves are exactly those that the edge box sealed and five organisations or more committed; they
//! begin with an opening that was committed, with consent and unbroken custody; their numbers have no holes; everything
//! signed is signed by who may; the surgeon's lists, the log and the kit's verdicts tell one story; and every picture
//! that was reported shown is one that was sent.

mod anchors;
mod commands;
mod finding;
mod frames;

use std::collections::BTreeMap;

use farhand_wire::{EdgeTick, KitBootId, KitState, LeaseToken, PublicKey, SessionId, Statement};

use self::{
    anchors::{Anchors, Whole, check_seal},
    commands::Commands,
    finding::Findings,
    frames::Frames,
};
pub use self::{
    commands::CommandCounts,
    finding::{FINDINGS_MAX, Finding, Problem, Severity},
};
use crate::{
    Cbor, Chain, Closing, DisplayReport, Entry, Gap, Hash, KitSegment, Link, Manifest, Numbered,
    OpeningEvidence, People, Sealing, Segment, SurgeonSegment, TransactionProof, TrustRoot, Utc,
    VerifiedOpening, What,
    merkle::{self, Tree},
    verify_opening,
};

/// Chains and declared gaps that are remembered.
const REMEMBERED_MAX: usize = 4096;

/// A leaf of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// Its bytes.
    Whole(Vec<u8>),
    /// Only its hash is left.
    Redacted(Hash),
}

/// What a report comes to, and the exit code that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything holds under the trust root that was given.
    Holds = 0,
    /// Something does not hold.
    DoesNotHold = 1,
    /// Nothing was found wrong, but something could not be read.
    Unreadable = 2,
    /// Everything holds under the trust root that the bundle itself brought, which proves nothing.
    Untrusted = 3,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    pub verdict: Verdict,
    pub findings: Vec<Finding>,
    /// Findings beyond [`FINDINGS_MAX`].
    pub findings_left_out: u64,
    /// Who, with which machines; `None` if the opening does not hold.
    pub opening: Option<VerifiedOpening>,
    pub manifest: Option<Manifest>,
    /// Leaves, redacted ones too.
    pub leaves: u64,
    pub root: Hash,
    pub redacted: u64,
    pub counts: Closing,
    pub commands: CommandCounts,
    /// Frames that the browser confirmed to have received as they were sent.
    pub frames_confirmed: u64,
    /// Frames that were reported too late to be compared.
    pub frames_unchecked: u64,
    /// Committed checkpoints that hold.
    pub checkpoints: u64,
    /// The first and the last time that the log states.
    pub time: Option<(Utc, Utc)>,
    /// Of the trust root that was used.
    pub trust: Option<Hash>,
}

/// All of a bundle but its leaves.
#[derive(Clone, Debug)]
pub struct Frame<C> {
    pub manifest: Vec<u8>,
    /// Proof of the sealing transaction.
    pub seal: Vec<u8>,
    /// Proofs of checkpoints, in order.
    pub checkpoints: C,
}

/// Verifies a whole bundle. An error is the container's own: it could not be read on.
pub fn verify<C, L, E>(bundle: Frame<C>, leaves: L, trust: Option<&TrustRoot>) -> Result<Report, E>
where
    C: Iterator<Item = Vec<u8>>,
    L: IntoIterator<Item = Result<Leaf, E>>,
{
    let mut verifier = Verifier::new(bundle, trust);
    for leaf in leaves {
        verifier.leaf(&leaf?);
    }
    Ok(verifier.finish())
}

/// Verification under way.
#[derive(Debug)]
pub struct Verifier<C> {
    trust: Option<TrustRoot>,
    /// Whether the trust root came from somewhere else than the bundle.
    trusted: bool,
    manifest: Option<Manifest>,
    manifest_hash: Hash,
    seal: Vec<u8>,
    tree: Tree,
    recorded: EdgeTick,
    closed: bool,
    redacted: u64,
    counts: Closing,
    time: Option<(Utc, Utc)>,
    people: Option<People>,
    commands: Commands,
    frames: Frames,
    chains: Chains,
    gaps: Gaps,
    anchors: Anchors<C>,
    findings: Findings,
}

impl<C: Iterator<Item = Vec<u8>>> Verifier<C> {
    /// A verifier that waits for the first leaf. Without a trust root the bundle's own is used, and the best verdict is
    /// [`Verdict::Untrusted`].
    pub fn new(bundle: Frame<C>, trust: Option<&TrustRoot>) -> Self {
        let mut findings = Findings::default();
        let manifest = Manifest::read(&bundle.manifest)
            .map_err(|error| findings.add(None, Problem::Malformed(error)))
            .ok();
        let own = manifest.as_ref().and_then(|manifest| own_trust(manifest, trust, &mut findings));
        Self {
            trust: trust.cloned().or(own),
            trusted: trust.is_some(),
            manifest,
            manifest_hash: Hash::of(&bundle.manifest),
            seal: bundle.seal,
            tree: Tree::new(),
            recorded: EdgeTick::default(),
            closed: false,
            redacted: 0,
            counts: Closing::default(),
            time: None,
            people: None,
            commands: Commands::default(),
            frames: Frames::default(),
            chains: Chains::default(),
            gaps: Gaps::default(),
            anchors: Anchors::new(bundle.checkpoints),
            findings,
        }
    }

    /// Takes the next leaf, and returns its entry if it can be read, for whoever compares it with the rest of the bundle.
    pub fn leaf(&mut self, leaf: &Leaf) -> Option<Entry> {
        let number = self.tree.size();
        let entry = match leaf {
            Leaf::Redacted(hash) => {
                self.tree.append_hash(*hash);
                self.redacted += 1;
                self.findings.add(number, Problem::Redacted);
                None
            }
            Leaf::Whole(bytes) => {
                self.tree.append(bytes);
                Entry::read(bytes).map_err(|error| self.findings.add(number, Problem::Malformed(error))).ok()
            }
        };
        if let Some(entry) = &entry {
            self.take(number, entry);
        } else if number == 0 {
            self.findings.add(number, Problem::NotOpened);
        }
        if let (Some(people), Some(trust)) = (&self.people, &self.trust) {
            self.anchors.compare(&self.tree, people.opening(), trust, &mut self.findings);
        }
        entry
    }

    /// All leaves have been taken: looks at what must be there by now, and says what was found.
    #[must_use]
    pub fn finish(mut self) -> Report {
        if !self.closed {
            self.findings.add(None, Problem::NotClosed);
        }
        let gaps = &self.gaps;
        let missing = |token, number| gaps.declared(Numbered::Commands, token, number, number);
        self.commands.settle_all(missing, &mut self.findings);
        if let (Some(people), Some(trust)) = (&self.people, &self.trust) {
            self.anchors.finish(&self.tree, people.opening(), trust, &mut self.findings);
            check_seal(&self.seal, &self.whole(people), trust, &mut self.findings);
        }
        self.report()
    }

    fn report(self) -> Report {
        let verdict = match (self.findings.violated(self.redacted > 0), self.findings.unreadable()) {
            (true, _) => Verdict::DoesNotHold,
            (false, true) => Verdict::Unreadable,
            (false, false) if self.trusted => Verdict::Holds,
            (false, false) => Verdict::Untrusted,
        };
        Report {
            verdict,
            findings: self.findings.list,
            findings_left_out: self.findings.left_out,
            opening: self.people.map(|people| people.opening().clone()),
            manifest: self.manifest,
            leaves: self.tree.size(),
            root: self.tree.root(),
            redacted: self.redacted,
            counts: self.counts,
            commands: self.commands.counts,
            frames_confirmed: self.frames.confirmed,
            frames_unchecked: self.frames.unchecked,
            checkpoints: self.anchors.held,
            time: self.time,
            trust: self.trust.map(|trust| trust.fingerprint()),
        }
    }

    fn whole(&self, people: &People) -> Whole {
        Whole {
            edge: people.opening().edge(),
            redacted: self.redacted,
            checkpointed: self.anchors.reach(),
            sealing: Sealing {
                session: people.opening().session(),
                tree_size: self.tree.size(),
                root: self.tree.root(),
                manifest: self.manifest_hash,
                commands: self.counts.commands,
                frames: self.counts.frames,
            },
        }
    }

    fn take(&mut self, leaf: u64, entry: &Entry) {
        if entry.number != leaf {
            self.findings.add(leaf, Problem::Number { seen: entry.number, expected: leaf });
        }
        let opens = matches!(entry.what, What::Opened { .. });
        if leaf == 0 && !opens {
            self.findings.add(leaf, Problem::NotOpened);
        }
        if self.closed || (opens && leaf > 0) {
            self.findings.add(leaf, Problem::Misplaced);
        }
        self.take_time(leaf, entry);
        self.take_what(leaf, &entry.what);
        let gaps = &self.gaps;
        let missing = |token, number| gaps.declared(Numbered::Commands, token, number, number);
        self.commands.settle(missing, &mut self.findings);
    }

    fn take_time(&mut self, leaf: u64, entry: &Entry) {
        if let What::Restarted { reason } = &entry.what {
            self.findings.add(leaf, Problem::Restarted { reason: reason.clone() });
            self.frames.restart();
        } else if entry.recorded < self.recorded {
            self.findings.add(leaf, Problem::Recorded { seen: entry.recorded, newest: self.recorded });
        }
        self.recorded = entry.recorded;
    }

    fn take_what(&mut self, leaf: u64, what: &What) {
        match what {
            What::Opened { evidence } => self.take_opening(leaf, evidence),
            What::Command { frame } => self.take_command(leaf, frame),
            What::SurgeonSegment { signed } => self.take_surgeon_segment(leaf, signed),
            What::KitSegment { signed } => self.take_kit_segment(leaf, signed),
            What::Frame(frame) => {
                self.counts.frames += 1;
                let gaps = &self.gaps;
                let missing = |first, last| gaps.declared(Numbered::Frames, LeaseToken(0), first, last);
                self.frames.take(leaf, frame, missing, &mut self.findings);
            }
            What::DisplayReport { signed } => self.take_display_report(leaf, signed),
            What::Statement { signed } => {
                self.counts.statements += 1;
                self.take_statement(leaf, signed);
            }
            What::KitState { sealed } => self.take_kit_state(leaf, sealed),
            What::Proof { proof } => self.take_proof(leaf, proof),
            What::Gap(gap) => {
                let Gap { of, first, last, ref reason, .. } = *gap;
                self.findings.add(leaf, Problem::Gap { of, first, last, reason: reason.clone() });
                self.gaps.take(gap);
            }
            What::Clock { utc, .. } => self.time = Some((self.time.map_or(*utc, |(first, _)| first), *utc)),
            What::Closed(closing) => self.take_closing(leaf, closing),
            What::Overlay { .. }
            | What::Engagement { .. }
            | What::Region { .. }
            | What::Switch { .. }
            | What::Personal { .. }
            | What::Restarted { .. } => {}
        }
    }

    fn take_opening(&mut self, leaf: u64, evidence: &[u8]) {
        let Some(trust) = &self.trust else { return };
        let evidence = OpeningEvidence::read(evidence).map_err(Into::into);
        match evidence.and_then(|evidence| verify_opening(&evidence, trust)) {
            Ok(opening) if leaf == 0 => {
                let expected = opening.session();
                if let Some(seen) = self.manifest.as_ref().map(|m| m.session).filter(|seen| *seen != expected)
                {
                    self.findings.add(leaf, Problem::ManifestSession { seen, expected });
                }
                self.people = Some(People::new(opening));
            }
            Ok(_) => {}
            Err(error) => self.findings.add(leaf, Problem::Opening(error)),
        }
    }

    fn take_statement(&mut self, leaf: u64, signed: &[u8]) {
        let Some(people) = &mut self.people else { return };
        match Statement::open(signed) {
            Ok((author, statement)) => match people.may_say(author, &statement) {
                Ok(()) => people.learn(author, &statement.said),
                Err(error) => self.findings.add(leaf, error.into()),
            },
            Err(error) => self.findings.add(leaf, Problem::Signature { what: "statement", error }),
        }
    }

    fn take_command(&mut self, leaf: u64, frame: &[u8]) {
        self.counts.commands += 1;
        if let Some(people) = &self.people {
            self.commands.logged(leaf, frame, self.frames.newest(), people, &mut self.findings);
        }
    }

    fn take_surgeon_segment(&mut self, leaf: u64, signed: &[u8]) {
        self.counts.surgeon_segments += 1;
        let Some((author, segment)) = self.open::<SurgeonSegment>(leaf, signed) else { return };
        self.chain(
            leaf,
            SurgeonSegment::WHAT,
            Numbered::SurgeonSegments,
            (author, KitBootId::default()),
            segment.link,
            signed,
        );
        let Some(people) = &self.people else { return };
        if !people.is_surgeons_session_key(author) {
            self.findings.add(leaf, Problem::Author { what: SurgeonSegment::WHAT, seen: author });
        }
        self.commands.listed(leaf, author, &segment, people, &mut self.findings);
    }

    fn take_kit_segment(&mut self, leaf: u64, signed: &[u8]) {
        self.counts.kit_segments += 1;
        let Some((author, segment)) = self.open::<KitSegment>(leaf, signed) else { return };
        self.chain(
            leaf,
            KitSegment::WHAT,
            Numbered::KitSegments,
            (author, segment.boot),
            segment.link,
            signed,
        );
        let kit = self.people.as_ref().map(|people| people.opening().kit());
        if kit.is_some_and(|kit| kit != author) {
            return self.findings.add(leaf, Problem::Author { what: KitSegment::WHAT, seen: author });
        }
        self.commands.judged(leaf, &segment, &mut self.findings);
    }

    fn take_display_report(&mut self, leaf: u64, signed: &[u8]) {
        self.counts.display_reports += 1;
        let Some((author, report)) = self.open::<DisplayReport>(leaf, signed) else { return };
        self.chain(
            leaf,
            DisplayReport::WHAT,
            Numbered::DisplayReports,
            (author, KitBootId::default()),
            report.link,
            signed,
        );
        if self.people.as_ref().is_some_and(|people| !people.is_surgeons_session_key(author)) {
            self.findings.add(leaf, Problem::Author { what: DisplayReport::WHAT, seen: author });
        }
        report.shown.iter().for_each(|shown| self.frames.shown(leaf, shown, &mut self.findings));
    }

    fn take_kit_state(&mut self, leaf: u64, sealed: &[u8]) {
        match KitState::read(sealed) {
            Err(error) => self.findings.add(leaf, Problem::Wire { what: "kit state", error }),
            Ok(state) => self.expect_session(leaf, "kit state", state.session),
        }
    }

    fn take_proof(&mut self, leaf: u64, proof: &[u8]) {
        let (Some(people), Some(trust)) = (&mut self.people, &self.trust) else { return };
        let proven = TransactionProof::read(proof)
            .map_err(Into::into)
            .and_then(|p| p.check(trust).map(|proven| (p, proven)));
        match proven {
            Ok((proof, proven)) if matches!(proven.transaction.event, crate::Event::RosterAdded(_)) => {
                match people.opening().clone().with_addition(&proof, trust) {
                    Ok(opening) => people.add(opening),
                    Err(error) => self.findings.add(leaf, Problem::Transaction(error)),
                }
            }
            Ok(_) => {}
            Err(error) => self.findings.add(leaf, Problem::Transaction(error)),
        }
    }

    fn take_closing(&mut self, leaf: u64, claimed: &Closing) {
        self.closed = true;
        let seen = Closing { reason: claimed.reason.clone(), ..self.counts.clone() };
        let missing: Option<u64> = numbers(claimed)
            .into_iter()
            .zip(numbers(&seen))
            .try_fold(0u64, |sum, (claimed, seen)| sum.checked_add(claimed.checked_sub(seen)?));
        if missing.is_none_or(|missing| missing > self.redacted) {
            let redacted = self.redacted;
            let (claimed, seen) = (Box::new(claimed.clone()), Box::new(seen));
            self.findings.add(leaf, Problem::Counts { claimed, seen, redacted });
        }
        self.counts.reason.clone_from(&claimed.reason);
    }

    /// A signed segment, if its author signed it and it is of this session.
    fn open<S: Segment>(&mut self, leaf: u64, signed: &[u8]) -> Option<(PublicKey, S)> {
        match S::open(signed) {
            Ok((author, segment)) => {
                self.expect_session(leaf, S::WHAT, segment.link().session);
                Some((author, segment))
            }
            Err(error) => {
                self.findings.add(leaf, Problem::Segment { what: S::WHAT, error });
                None
            }
        }
    }

    fn expect_session(&mut self, leaf: u64, what: &'static str, seen: SessionId) {
        let expected = self.people.as_ref().map_or(seen, |people| people.opening().session());
        if seen != expected {
            self.findings.add(leaf, Problem::Session { what, seen, expected });
        }
    }

    fn chain(
        &mut self,
        leaf: u64,
        what: &'static str,
        of: Numbered,
        author: (PublicKey, KitBootId),
        link: Link,
        signed: &[u8],
    ) {
        let chain = self.chains.of((of, author), link.session);
        let next = chain.next().number;
        if let Err(error) = chain.extend(link, signed) {
            chain.skip_to(link, signed);
            let declared = next < link.number && self.gaps.declared(of, LeaseToken(0), next, link.number - 1);
            if !declared {
                self.findings.add(leaf, Problem::Chain { what, error });
            }
        }
    }
}

/// The trust root that the bundle brings: used if no other is given, compared if one is.
fn own_trust(manifest: &Manifest, given: Option<&TrustRoot>, findings: &mut Findings) -> Option<TrustRoot> {
    let own = TrustRoot::read(&manifest.trust)
        .map_err(|error| findings.add(None, Problem::OwnTrust(error)))
        .ok()?;
    if let Some(given) = given.filter(|given| **given != own) {
        let (seen, expected) = (own.fingerprint(), given.fingerprint());
        findings.add(None, Problem::OtherTrust { seen, expected });
    }
    Some(own)
}

fn numbers(closing: &Closing) -> [u64; 6] {
    let Closing { commands, frames, surgeon_segments, kit_segments, display_reports, statements, .. } =
        *closing;
    [commands, frames, surgeon_segments, kit_segments, display_reports, statements]
}

type ChainKey = (Numbered, (PublicKey, KitBootId));

/// Chains of segments, one for each author (and each run of the kit).
#[derive(Debug, Default)]
struct Chains(BTreeMap<ChainKey, Chain>);

impl Chains {
    fn of(&mut self, key: ChainKey, session: SessionId) -> &mut Chain {
        if self.0.len() >= REMEMBERED_MAX && !self.0.contains_key(&key) {
            self.0.pop_first();
        }
        self.0.entry(key).or_insert_with(|| Chain::new(session))
    }
}

/// What the edge box declared missing.
#[derive(Debug, Default)]
struct Gaps(Vec<(Numbered, LeaseToken, u64, u64)>);

impl Gaps {
    fn take(&mut self, gap: &Gap) {
        if self.0.len() < REMEMBERED_MAX {
            self.0.push((gap.of, gap.token, gap.first, gap.last));
        }
    }

    fn declared(&self, of: Numbered, token: LeaseToken, first: u64, last: u64) -> bool {
        self.0
            .iter()
            .any(|&(what, whose, from, to)| (what, whose) == (of, token) && from <= first && last <= to)
    }
}

/// What a redacted leaf leaves behind.
#[must_use]
pub fn redact(leaf: &[u8]) -> Leaf {
    Leaf::Redacted(merkle::leaf_hash(leaf))
}
