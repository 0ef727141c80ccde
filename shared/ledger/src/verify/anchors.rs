//! Committed checkpoints beside the growing tree, and the seal at its end.

use farhand_wire::PublicKey;

use super::finding::{Findings, Problem};
use crate::{
    Cbor, Checkpoint, Event, Hash, Position, ProofError, Proven, Sealing, TransactionProof, TrustRoot,
    VerifiedOpening, merkle::Tree,
};

/// What an honest validator's clock may differ from an honest edge box's, beyond what both admit.
const CLOCKS_DIFFER_US_MAX: u64 = 5_000_000;

/// Proofs of checkpoints, in order, of which the next one is waiting for the tree to reach it.
#[derive(Debug)]
pub(super) struct Anchors<C> {
    proofs: C,
    next: Option<Checkpoint>,
    newest: Option<(Checkpoint, Position)>,
    /// Checkpoints that hold.
    pub(super) held: u64,
    /// Leaves that they cover.
    pub(super) covered: u64,
}

impl<C: Iterator<Item = Vec<u8>>> Anchors<C> {
    pub(super) fn new(proofs: C) -> Self {
        Self { proofs, next: None, newest: None, held: 0, covered: 0 }
    }

    /// Compares the tree, which has just grown by a leaf, with the checkpoint of its size, if there is one.
    pub(super) fn compare(
        &mut self,
        tree: &Tree,
        opening: &VerifiedOpening,
        trust: &TrustRoot,
        findings: &mut Findings,
    ) {
        if self.next.is_none() {
            self.advance(opening, trust, findings);
        }
        while let Some(checkpoint) = self.next.take_if(|next| next.tree_size <= tree.size()) {
            let (size, seen, expected) = (tree.size(), tree.root(), checkpoint.root);
            if (checkpoint.tree_size, expected) == (size, seen) {
                self.held += 1;
                self.covered = size;
            } else {
                findings.add(size - 1, Problem::Root { size: checkpoint.tree_size, seen, expected });
            }
            self.advance(opening, trust, findings);
        }
    }

    /// Whatever is left at the end is a checkpoint of leaves that are not there.
    pub(super) fn finish(
        &mut self,
        tree: &Tree,
        opening: &VerifiedOpening,
        trust: &TrustRoot,
        findings: &mut Findings,
    ) {
        loop {
            if let Some(next) = self.next.take() {
                findings.add(None, Problem::Cut { checkpointed: next.tree_size, size: tree.size() });
            }
            self.advance(opening, trust, findings);
            if self.next.is_none() {
                return;
            }
        }
    }

    /// Leaves under the newest checkpoint.
    pub(super) fn reach(&self) -> u64 {
        self.newest.map_or(0, |(newest, _)| newest.tree_size)
    }

    /// Reads proofs until one is a checkpoint that continues the one before.
    fn advance(&mut self, opening: &VerifiedOpening, trust: &TrustRoot, findings: &mut Findings) {
        while self.next.is_none()
            && let Some(proof) = self.proofs.next()
        {
            match read(&proof, trust) {
                Ok(proven) => self.accept(&proven, opening, findings),
                Err(error) => findings.add(None, Problem::CheckpointProof(error)),
            }
        }
    }

    fn accept(&mut self, proven: &Proven, opening: &VerifiedOpening, findings: &mut Findings) {
        let Event::Checkpoint(checkpoint) = proven.transaction.event else {
            return findings.add(None, Problem::NotACheckpoint { seen: proven.transaction.event.name() });
        };
        let leaf = Some(checkpoint.last_sequence);
        for problem in self.doubts(proven, &checkpoint, opening).into_iter().flatten() {
            findings.add(leaf, problem);
        }
        // The next one is compared with this one even if this one is bad, so that one fault is reported once.
        self.newest = Some((checkpoint, proven.position));
        self.next = Some(checkpoint);
    }

    fn doubts(
        &self,
        proven: &Proven,
        checkpoint: &Checkpoint,
        opening: &VerifiedOpening,
    ) -> [Option<Problem>; 5] {
        let (newest, after) = self.newest.unzip();
        let (seen, expected) = (proven.author, opening.edge());
        let session = (checkpoint.session, opening.session());
        let order = after.filter(|after| proven.position <= *after);
        [
            (seen != expected).then_some(Problem::CheckpointAuthor { seen, expected }),
            (session.0 != session.1)
                .then_some(Problem::CheckpointSession { seen: session.0, expected: session.1 }),
            checkpoint.follows(newest.as_ref()).err().map(Problem::Checkpoint),
            order.map(|after| Problem::CheckpointOrder { seen: proven.position, after }),
            from_the_future(proven),
        ]
    }
}

/// A checkpoint that was committed before it was made: one of the clocks lies.
fn from_the_future(proven: &Proven) -> Option<Problem> {
    let (said, committed) = (proven.transaction.at, proven.committed);
    let earliest = said.us.saturating_sub(said.uncertainty_us);
    let latest = committed.us + committed.uncertainty_us + CLOCKS_DIFFER_US_MAX;
    (earliest > latest).then_some(Problem::CheckpointTime { seen_us: said.us, committed_us: committed.us })
}

pub(super) fn read(proof: &[u8], trust: &TrustRoot) -> Result<Proven, ProofError> {
    TransactionProof::read(proof)?.check(trust)
}

/// What the bundle has, to be compared with what the seal says.
pub(super) struct Whole {
    pub(super) edge: PublicKey,
    pub(super) redacted: u64,
    /// Leaves under the newest checkpoint.
    pub(super) checkpointed: u64,
    pub(super) sealing: Sealing,
}

/// Compares the seal with the bundle.
pub(super) fn check_seal(proof: &[u8], whole: &Whole, trust: &TrustRoot, findings: &mut Findings) {
    let proven = match read(proof, trust) {
        Ok(proven) => proven,
        Err(error) => return findings.add(None, Problem::Seal(error)),
    };
    let Event::Sealed(seal) = proven.transaction.event else {
        return findings.add(None, Problem::NotASeal { seen: proven.transaction.event.name() });
    };
    let has = &whole.sealing;
    if proven.author != whole.edge {
        findings.add(None, Problem::SealAuthor { seen: proven.author, expected: whole.edge });
    }
    if seal.session != has.session {
        findings.add(None, Problem::SealSession { seen: seal.session, expected: has.session });
    }
    for (what, seen, expected, may_lack) in [
        ("leaves", has.tree_size, seal.tree_size, 0),
        ("commands", has.commands, seal.commands, whole.redacted),
        ("frames", has.frames, seal.frames, whole.redacted),
    ] {
        if seen > expected || expected - seen > may_lack {
            findings.add(None, Problem::SealNumber { what, seen, expected });
        }
    }
    // The ledger seals nothing but its newest checkpoint, and checkpoints name the one before: so none is left out.
    if whole.checkpointed != seal.tree_size {
        let (seen, expected) = (whole.checkpointed, seal.tree_size);
        findings.add(None, Problem::CheckpointsEnd { seen, expected });
    }
    let hashes: [(&str, Hash, Hash); 2] =
        [("root", has.root, seal.root), ("manifest", has.manifest, seal.manifest)];
    for (what, seen, expected) in hashes {
        if seen != expected {
            findings.add(None, Problem::SealHash { what, seen, expected });
        }
    }
}
