//! The growing log, leaf by leaf.
//!
//! Invariant (local): leaves are numbered without holes from 0, and `recorded` does not fall, except at a restart.

use farhand_ledger::{
    Cbor, Checkpoint, Entry, Hash, Malformed, RECORD_HEAD_BYTES, Salt, What,
    merkle::{self, Tree},
};
use farhand_wire::{EdgeTick, SessionId};

const SALT_DOMAIN: &[u8] = b"farhand/v1 salt\0";

/// As [`farhand_ledger::SessionLog`], for a log that is read back leaf by leaf and not as a whole.
#[derive(Debug)]
pub(super) struct Log {
    session: SessionId,
    /// Secret, of this run alone: salts come from it.
    seed: [u8; 32],
    tree: Tree,
    recorded: EdgeTick,
    /// Size and root at the newest checkpoint.
    checkpointed: (u64, Hash),
}

impl Log {
    pub(super) fn new(session: SessionId, seed: [u8; 32]) -> Self {
        let checkpointed = (0, merkle::empty_root());
        Self { session, seed, tree: Tree::new(), recorded: EdgeTick::default(), checkpointed }
    }

    pub(super) fn size(&self) -> u64 {
        self.tree.size()
    }

    pub(super) fn root(&self) -> Hash {
        self.tree.root()
    }

    /// When the newest leaf was recorded.
    pub(super) fn recorded(&self) -> EdgeTick {
        self.recorded
    }

    /// Appends a leaf, and its record (length, check, leaf) to `out`. A time that falls is raised to the newest.
    pub(super) fn append(&mut self, at: EdgeTick, what: What, out: &mut Vec<u8>) -> Result<What, Malformed> {
        let restarted = matches!(what, What::Restarted { .. });
        let recorded = if restarted { at } else { at.max(self.recorded) };
        let entry = Entry { salt: self.salt(), number: self.size(), recorded, what };
        entry.check()?;
        let bytes = entry.to_bytes();
        let leaf = self.tree.append(&bytes);
        self.recorded = recorded;
        let length = u32::try_from(bytes.len()).expect("a leaf that was checked is far below 4 GiB");
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&leaf.0[..RECORD_HEAD_BYTES - 4]);
        out.extend_from_slice(&bytes);
        Ok(entry.what)
    }

    /// Takes a leaf that is on disk already.
    pub(super) fn replay(&mut self, entry: &Entry, leaf: Hash) {
        self.tree.append_hash(leaf);
        self.recorded = entry.recorded;
    }

    /// The log as it is, to be signed; `None` if nothing came since the newest checkpoint.
    pub(super) fn checkpoint(&mut self) -> Option<Checkpoint> {
        let (first_sequence, previous_root) = self.checkpointed;
        let (session, tree_size, root) = (self.session, self.size(), self.root());
        (tree_size > first_sequence).then(|| {
            self.checkpointed = (tree_size, root);
            let last_sequence = tree_size - 1;
            Checkpoint { session, tree_size, root, previous_root, first_sequence, last_sequence }
        })
    }

    /// Goes on from a checkpoint that was signed before.
    pub(super) fn checkpointed(&mut self, signed: &Checkpoint) {
        self.checkpointed = (signed.tree_size, signed.root);
    }

    /// Nobody without the seed can tell it from a random number, or one from another; it costs no system call.
    fn salt(&self) -> Salt {
        let hash = Hash::of(&[SALT_DOMAIN, &self.seed, &self.size().to_le_bytes()].concat());
        Salt(*hash.0.first_chunk().expect("a hash has more than 16 bytes"))
    }
}
