//! How the record is, for people and for whoever watches.

/// The record's health. All is well while [`RecordHealth::behind`] and [`RecordHealth::ledger`] are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordHealth {
    /// Leaves that are durable.
    pub leaves: u64,
    /// Why nothing more becomes durable, in words: the disk is full, say. The watermark stands still meanwhile.
    pub behind: Option<String>,
    /// Bytes that wait for the disk.
    pub queued_bytes: u64,
    /// Things that found no room while the record was behind. Each is declared missing in the log.
    pub lost: u64,
    /// Things that may not be in a log that is to hold, and were left out.
    pub refused: u64,
    /// The newest of them, and why.
    pub refusal: Option<String>,
    /// Leaves under checkpoints that are proven to be on the ledger.
    pub anchored: u64,
    /// Why checkpoints do not get onto the ledger, in words. Recording goes on without them.
    pub ledger: Option<String>,
}

impl RecordHealth {
    /// Durable leaves that no committed checkpoint covers yet.
    #[must_use]
    pub fn unanchored(&self) -> u64 {
        self.leaves.saturating_sub(self.anchored)
    }
}
