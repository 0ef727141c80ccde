//! What may be written onto the ledger: a pure function of the chain so far.
//!
//! **Invariant (global):** every validator comes to the same answer, because nothing counts here but the transaction, the
//! batch's own header and the state that earlier transactions left. The state is kept by the consensus crate as committed
//! application state, changed in the same atomic write as the commit, so it is what the chain says after any crash.

use std::collections::BTreeMap;

use farhand_ledger::{
    Authored, BadEpochEnd, BadTransaction, Batch, Checkpoint, CheckpointError, Consent, Custody, CustodyStep,
    Epoch, EpochEnd, Event, Grant, Hash, LedgerId, Opening, Sealing, TrustRoot, Utc,
};
use farhand_wire::{PublicKey, Role, SessionId};
use minicbor::{Decode, Encode};
use thiserror::Error;

/// An author's clock may be this much ahead of the batch's, besides what both say they may be off by.
pub const AUTHOR_AHEAD_US_MAX: u64 = 5_000_000;

/// The state that the chain left so far.
pub trait ChainState {
    /// The value under a key of [`keys`].
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;
}

/// State with changes on top that are not in it yet.
pub struct Draft<'a> {
    below: &'a dyn ChainState,
    changes: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl std::fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}

impl<'a> Draft<'a> {
    #[must_use]
    pub fn over(below: &'a dyn ChainState) -> Self {
        Self { below, changes: BTreeMap::new() }
    }

    /// What was changed, by key.
    pub fn into_changes(self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        self.changes.into_iter()
    }

    fn read<T: for<'b> Decode<'b, ()>>(&self, key: &[u8]) -> Result<Option<T>, Inadmissible> {
        self.get(key)
            .map(|value| minicbor::decode(&value).map_err(|_| Inadmissible::StateUnreadable))
            .transpose()
    }

    fn set(&mut self, key: Vec<u8>, value: impl Encode<()>) {
        self.changes.insert(key, minicbor::to_vec(value).expect("a vector takes every byte"));
    }
}

impl ChainState for Draft<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.changes.get(key).cloned().or_else(|| self.below.get(key))
    }
}

/// The keys of the state. The first byte keeps the kinds apart.
pub mod keys {
    use super::{Hash, PublicKey, Role, SessionId};

    /// Where a committed transaction stands: [`super::Place`].
    #[must_use]
    pub fn transaction(hash: &Hash) -> Vec<u8> {
        [b"t", &hash.0[..]].concat()
    }

    /// Hash of the transaction that ended an epoch.
    #[must_use]
    pub fn ended(epoch: u64) -> Vec<u8> {
        [b"e", &epoch.to_le_bytes()[..]].concat()
    }

    /// Time of the newest batch, µs.
    #[must_use]
    pub fn newest_batch_us() -> Vec<u8> {
        b"u".to_vec()
    }

    pub(super) fn grant(key: &PublicKey, role: Role) -> Vec<u8> {
        [b"g", &key.0[..], &[role_number(role)]].concat()
    }

    pub(super) fn consent(session: &SessionId) -> Vec<u8> {
        [b"a", &session.0[..]].concat()
    }

    pub(super) fn custody(kit: &PublicKey) -> Vec<u8> {
        [b"k", &kit.0[..]].concat()
    }

    pub(super) fn session(session: &SessionId) -> Vec<u8> {
        [b"s", &session.0[..]].concat()
    }

    pub(super) fn checkpoint(session: &SessionId) -> Vec<u8> {
        [b"c", &session.0[..]].concat()
    }

    fn role_number(role: Role) -> u8 {
        match role {
            Role::Surgeon => 0,
            Role::Bedside => 1,
            Role::Field => 2,
            Role::Auditor => 3,
            Role::Edge => 4,
            Role::Kit => 5,
            Role::Hospital => 6,
        }
    }
}

/// Where a transaction stands on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Place {
    #[n(0)]
    pub epoch: u64,
    /// Height of the block on the epoch's chain.
    #[n(1)]
    pub height: u64,
    /// Number of the transaction in the block's batch, from 0.
    #[n(2)]
    pub index: u64,
}

/// A session that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct Session {
    #[n(0)]
    edge: PublicKey,
    #[n(1)]
    sealed: bool,
}

/// The newest word on a patient's consent to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct ConsentState {
    #[n(0)]
    hash: Hash,
    #[n(1)]
    given: bool,
}

/// The end of a kit's chain of custody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct CustodyTail {
    #[n(0)]
    hash: Hash,
    #[n(1)]
    sequence: u64,
    #[n(2)]
    step: CustodyStep,
}

/// Why a transaction may not be written here and now.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Inadmissible {
    #[error("it is for ledger {seen}, this is {expected}")]
    OtherLedger { seen: LedgerId, expected: LedgerId },
    #[error("it stands at height {} of epoch {} already", place.height, place.epoch)]
    Repeated { place: Place },
    #[error("its author's clock says {seen_us} µs, at most {max_us} is believed now")]
    FromTheFuture { seen_us: u64, max_us: u64 },
    #[error("{author} is not a hospital of this ledger")]
    NotAHospital { author: PublicKey },
    #[error("{key} has no grant as {role:?}")]
    NotGranted { key: PublicKey, role: Role },
    #[error("the grant of {key} as {role:?} ended at {until_utc_ms} ms, now is {now_utc_ms}")]
    GrantEnded { key: PublicKey, role: Role, until_utc_ms: u64, now_utc_ms: u64 },
    #[error("session {session} is open already")]
    AlreadyOpen { session: SessionId },
    #[error("session {session} is not open")]
    NotOpen { session: SessionId },
    #[error("session {session} is sealed")]
    Sealed { session: SessionId },
    #[error("{author} signed it, only the session's edge box {expected} may")]
    NotTheEdge { author: PublicKey, expected: PublicKey },
    #[error("the consent to session {session} is not what it refers to, or was withdrawn")]
    Consent { session: SessionId },
    #[error("the custody of kit {kit} does not end where it refers to, paired with the session's edge box")]
    CustodyOpen { kit: PublicKey },
    #[error("custody step {seen} of kit {kit}, expected {expected}")]
    CustodySequence { kit: PublicKey, seen: u64, expected: u64 },
    #[error("custody of kit {kit} continues {seen}, expected {expected}")]
    CustodyForks { kit: PublicKey, seen: Hash, expected: Hash },
    #[error("custody of kit {kit} can't go to {step:?} now")]
    CustodyStep { kit: PublicKey, step: CustodyStep },
    #[error("{author} signed a step that only the kit {kit} itself may")]
    NotTheKit { author: PublicKey, kit: PublicKey },
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(
        "it seals {seen} leaves with root {seen_root}, the last checkpoint has {expected} with {expected_root}"
    )]
    SealsOther { seen: u64, seen_root: Hash, expected: u64, expected_root: Hash },
    #[error("epoch {epoch} has ended; the next one takes it")]
    AfterEnd { epoch: u64 },
    #[error(transparent)]
    EpochEnd(#[from] BadEpochEnd),
    #[error(
        "validator {validator} of the next epoch has power {seen}; this version runs validators of power 1 each"
    )]
    Power { validator: PublicKey, seen: u64 },
    #[error(
        "{staying} validators stay, and a quorum of the next epoch is {quorum}: change fewer at a time, so that those who \
         stay go on by themselves"
    )]
    Staying { staying: usize, quorum: u64 },
    #[error("the chain's state can't be read; this validator's store is of another version")]
    StateUnreadable,
}

/// Why a batch may not be written.
#[derive(Debug, Error)]
pub enum BadBatch {
    #[error("its transaction {index}: {why}")]
    Signature { index: usize, why: BadTransaction },
    #[error("its transaction {index}: {why}")]
    Transaction { index: usize, why: Inadmissible },
}

/// The rules of one epoch of a ledger.
#[derive(Clone, Debug)]
pub struct Rules {
    pub epoch: Epoch,
    /// Chain ids of the epochs before.
    pub past_chains: Vec<u64>,
}

/// Where and when a transaction is being written.
#[derive(Clone, Copy, Debug)]
pub struct Here {
    pub place: Place,
    /// Of the batch.
    pub at: Utc,
}

impl Rules {
    /// The rules of an epoch that `trust` knows.
    #[must_use]
    pub fn of(trust: &TrustRoot, epoch: &Epoch) -> Self {
        let past = trust.epochs().take_while(|one| one.number() < epoch.number());
        Self { epoch: epoch.clone(), past_chains: past.map(Epoch::chain).collect() }
    }

    #[must_use]
    pub fn ledger(&self) -> LedgerId {
        self.epoch.ledger()
    }

    /// Writes a whole batch onto `draft`, each of its transactions opened by `open`.
    ///
    /// # Errors
    /// [`BadBatch`], with the first transaction that may not be; the draft is of no use then.
    pub fn write(
        &self,
        draft: &mut Draft<'_>,
        height: u64,
        batch: &Batch,
        open: impl Fn(&[u8]) -> Result<Authored, BadTransaction>,
    ) -> Result<(), BadBatch> {
        let (at, epoch) = (batch.header().at, self.epoch.number());
        for (index, bytes) in batch.transactions().enumerate() {
            let authored = open(bytes).map_err(|why| BadBatch::Signature { index, why })?;
            let here = Here { place: Place { epoch, height, index: index as u64 }, at };
            self.apply(draft, here, &authored).map_err(|why| BadBatch::Transaction { index, why })?;
        }
        draft.changes.insert(keys::newest_batch_us(), at.us.to_le_bytes().to_vec());
        Ok(())
    }

    /// Writes a transaction whose signature was checked onto `draft`, which is unchanged if that may not be.
    ///
    /// # Errors
    /// [`Inadmissible`], with what was seen and what would be right.
    pub fn apply(&self, draft: &mut Draft<'_>, here: Here, authored: &Authored) -> Result<(), Inadmissible> {
        self.check_envelope(draft, here, authored)?;
        let author = authored.author;
        match &authored.transaction.event {
            Event::Grant(grant) => self.grant(draft, author, grant),
            Event::SessionOpened(opening) => self.open(draft, here, author, opening),
            Event::RosterAdded(addition) => {
                self.hospital(author)?;
                running(draft, &addition.session)?;
                granted(draft, here, addition.member.key, addition.member.role)
            }
            Event::Consent(consent) => self.consent(draft, author, authored.hash, consent),
            Event::Custody(custody) => custody_step(draft, here, author, authored.hash, custody),
            Event::Checkpoint(checkpoint) => continue_log(draft, author, checkpoint),
            Event::ModelDigest(model) => by_edge(draft, author, &model.session).map(drop),
            Event::HandOver(hand_over) => by_edge(draft, author, &hand_over.session).map(drop),
            Event::Sealed(sealing) => seal(draft, author, sealing),
            Event::EpochEnded(end) => self.end(draft, authored.hash, end),
            Event::Exported(export) => {
                session_of(draft, &export.session)?;
                granted_any(draft, here, author)
            }
        }?;
        draft.set(keys::transaction(&authored.hash), here.place);
        Ok(())
    }

    fn check_envelope(&self, draft: &Draft<'_>, here: Here, authored: &Authored) -> Result<(), Inadmissible> {
        let transaction = &authored.transaction;
        let (seen, expected) = (transaction.ledger, self.ledger());
        if seen != expected {
            return Err(Inadmissible::OtherLedger { seen, expected });
        }
        if let Some(place) = draft.read(&keys::transaction(&authored.hash))? {
            return Err(Inadmissible::Repeated { place });
        }
        let epoch = self.epoch.number();
        if draft.get(&keys::ended(epoch)).is_some() {
            return Err(Inadmissible::AfterEnd { epoch });
        }
        let seen_us = transaction.at.us.saturating_sub(transaction.at.uncertainty_us);
        let max_us = here.at.us + here.at.uncertainty_us + AUTHOR_AHEAD_US_MAX;
        if seen_us > max_us { Err(Inadmissible::FromTheFuture { seen_us, max_us }) } else { Ok(()) }
    }

    fn hospital(&self, author: PublicKey) -> Result<(), Inadmissible> {
        if self.epoch.hospitals().contains(&author) {
            Ok(())
        } else {
            Err(Inadmissible::NotAHospital { author })
        }
    }

    fn end(&self, draft: &mut Draft<'_>, hash: Hash, end: &EpochEnd) -> Result<(), Inadmissible> {
        let next = end.check(&self.epoch)?;
        self.may_follow(&next)?;
        draft.set(keys::ended(self.epoch.number()), hash);
        Ok(())
    }

    /// Whether validators of this version can go on with `next`, whatever endorsements it has.
    ///
    /// # Errors
    /// [`Inadmissible`], with what would be right.
    pub fn may_follow(&self, next: &Epoch) -> Result<(), Inadmissible> {
        let seen = next.chain();
        if seen == self.epoch.chain() || self.past_chains.contains(&seen) {
            return Err(BadEpochEnd::Chain { seen }.into());
        }
        if let Some(other) = next.validators().iter().find(|validator| validator.power != 1) {
            return Err(Inadmissible::Power { validator: other.key, seen: other.power });
        }
        let stays = |key| self.epoch.validators().iter().any(|validator| validator.key == key);
        let staying = next.validators().iter().filter(|validator| stays(validator.key)).count();
        let quorum = next.quorum();
        if (staying as u64) < quorum { Err(Inadmissible::Staying { staying, quorum }) } else { Ok(()) }
    }

    fn grant(&self, draft: &mut Draft<'_>, author: PublicKey, grant: &Grant) -> Result<(), Inadmissible> {
        self.hospital(author)?;
        draft.set(keys::grant(&grant.key, grant.role), grant.until_utc_ms);
        Ok(())
    }

    fn consent(
        &self,
        draft: &mut Draft<'_>,
        author: PublicKey,
        hash: Hash,
        consent: &Consent,
    ) -> Result<(), Inadmissible> {
        self.hospital(author)?;
        draft.set(keys::consent(&consent.session), ConsentState { hash, given: consent.given });
        Ok(())
    }

    fn open(
        &self,
        draft: &mut Draft<'_>,
        here: Here,
        author: PublicKey,
        opening: &Opening,
    ) -> Result<(), Inadmissible> {
        self.hospital(author)?;
        let session = opening.session;
        if draft.get(&keys::session(&session)).is_some() {
            return Err(Inadmissible::AlreadyOpen { session });
        }
        opening.roster.iter().try_for_each(|member| granted(draft, here, member.key, member.role))?;
        let consent = draft.read(&keys::consent(&session))?;
        if consent != Some(ConsentState { hash: opening.consent, given: true }) {
            return Err(Inadmissible::Consent { session });
        }
        let tail: Option<CustodyTail> = draft.read(&keys::custody(&opening.kit))?;
        let paired = CustodyStep::Paired { edge: opening.edge };
        if !tail.is_some_and(|tail| tail.hash == opening.custody && tail.step == paired) {
            return Err(Inadmissible::CustodyOpen { kit: opening.kit });
        }
        draft.set(keys::session(&session), Session { edge: opening.edge, sealed: false });
        Ok(())
    }
}

fn granted(draft: &Draft<'_>, here: Here, key: PublicKey, role: Role) -> Result<(), Inadmissible> {
    let until: Option<u64> = draft.read(&keys::grant(&key, role))?;
    let until_utc_ms = until.ok_or(Inadmissible::NotGranted { key, role })?;
    let now_utc_ms = here.at.us / 1000;
    if now_utc_ms <= until_utc_ms {
        Ok(())
    } else {
        Err(Inadmissible::GrantEnded { key, role, until_utc_ms, now_utc_ms })
    }
}

/// Whoever may look at a session's record may also take it out, and is named by the transaction.
fn granted_any(draft: &Draft<'_>, here: Here, key: PublicKey) -> Result<(), Inadmissible> {
    let roles = [Role::Surgeon, Role::Bedside, Role::Field, Role::Hospital, Role::Edge];
    let mut answer = granted(draft, here, key, Role::Auditor);
    for role in roles {
        answer = answer.or_else(|first| granted(draft, here, key, role).map_err(|_| first));
    }
    answer
}

fn session_of(draft: &Draft<'_>, session: &SessionId) -> Result<Session, Inadmissible> {
    draft.read(&keys::session(session))?.ok_or(Inadmissible::NotOpen { session: *session })
}

fn running(draft: &Draft<'_>, session: &SessionId) -> Result<Session, Inadmissible> {
    let found = session_of(draft, session)?;
    if found.sealed { Err(Inadmissible::Sealed { session: *session }) } else { Ok(found) }
}

fn by_edge(draft: &Draft<'_>, author: PublicKey, session: &SessionId) -> Result<Session, Inadmissible> {
    let found = running(draft, session)?;
    if found.edge == author {
        Ok(found)
    } else {
        Err(Inadmissible::NotTheEdge { author, expected: found.edge })
    }
}

fn continue_log(
    draft: &mut Draft<'_>,
    author: PublicKey,
    checkpoint: &Checkpoint,
) -> Result<(), Inadmissible> {
    by_edge(draft, author, &checkpoint.session)?;
    let key = keys::checkpoint(&checkpoint.session);
    let last: Option<Checkpoint> = draft.read(&key)?;
    checkpoint.follows(last.as_ref())?;
    draft.set(key, checkpoint);
    Ok(())
}

fn seal(draft: &mut Draft<'_>, author: PublicKey, sealing: &Sealing) -> Result<(), Inadmissible> {
    let session = by_edge(draft, author, &sealing.session)?;
    let last: Option<Checkpoint> = draft.read(&keys::checkpoint(&sealing.session))?;
    let (expected, expected_root) =
        last.map_or((0, farhand_ledger::merkle::empty_root()), |last| (last.tree_size, last.root));
    let (seen, seen_root) = (sealing.tree_size, sealing.root);
    if (seen, seen_root) != (expected, expected_root) {
        return Err(Inadmissible::SealsOther { seen, seen_root, expected, expected_root });
    }
    draft.set(keys::session(&sealing.session), Session { sealed: true, ..session });
    Ok(())
}

fn custody_step(
    draft: &mut Draft<'_>,
    here: Here,
    author: PublicKey,
    hash: Hash,
    custody: &Custody,
) -> Result<(), Inadmissible> {
    let Custody { kit, sequence: seen, step, previous } = *custody;
    let tail: Option<CustodyTail> = draft.read(&keys::custody(&kit))?;
    let (expected, link) = tail.map_or((1, Hash::ZERO), |tail| (tail.sequence + 1, tail.hash));
    if seen != expected {
        return Err(Inadmissible::CustodySequence { kit, seen, expected });
    }
    if previous != link {
        return Err(Inadmissible::CustodyForks { kit, seen: previous, expected: link });
    }
    let may_be = tail.map_or(step == CustodyStep::Sealed, |tail| step.may_follow(tail.step));
    if !may_be {
        return Err(Inadmissible::CustodyStep { kit, step });
    }
    match step {
        CustodyStep::SelfTested | CustodyStep::Paired { .. } if author == kit => {}
        CustodyStep::SelfTested | CustodyStep::Paired { .. } => {
            return Err(Inadmissible::NotTheKit { author, kit });
        }
        _ => granted(draft, here, author, Role::Field)?,
    }
    draft.set(keys::custody(&kit), CustodyTail { hash, sequence: seen, step });
    Ok(())
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
