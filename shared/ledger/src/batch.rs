//! Batches: what a block commits to. A block carries no data itself; its `data_hash` is the Merkle root of a batch that
//! travels beside consensus, found by that hash.
//!
//! Leaf 0 is the batch's header, leaves 1 and up are the signed transactions in order. The header says how many there
//! are, so a proof of one transaction also proves where it stood among how many. A block without anything to commit has
//! [`merkle::empty_root`] for its `data_hash`; block 0 always has a batch, and its header names the ledger.

use minicbor::{Decode, Encode, bytes::ByteVec};

use crate::{
    Cbor, Hash, LedgerId, Malformed, TRANSACTION_BYTES_MAX, Utc,
    cbor::{at_most, within},
    merkle,
};

/// No batch has more transactions.
pub const TRANSACTIONS_MAX: usize = 4096;
/// No batch is longer.
pub const BATCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Leaf 0 of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BatchHeader {
    #[n(0)]
    pub ledger: LedgerId,
    /// By the clock of the validator that made it; the others compared it with theirs before they voted.
    #[n(1)]
    pub at: Utc,
    /// How many transactions follow.
    #[n(2)]
    pub transactions: u64,
}

impl Cbor for BatchHeader {
    const WHAT: &'static str = "batch header";
    const BYTES_MAX: usize = 64;

    fn check(&self) -> Result<(), Malformed> {
        self.at.check()?;
        within("transactions in a batch", self.transactions, 0, TRANSACTIONS_MAX as u64)
    }
}

/// A header and its signed transactions, in order. Their signatures are looked at by whoever takes them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    transactions: Vec<ByteVec>,
}

impl Batch {
    /// A batch of signed transactions.
    pub fn new(ledger: LedgerId, at: Utc, transactions: Vec<Vec<u8>>) -> Result<Self, Malformed> {
        let header = BatchHeader { ledger, at, transactions: transactions.len() as u64 };
        let batch = Self { header, transactions: transactions.into_iter().map(ByteVec::from).collect() };
        batch.check()?;
        at_most(Self::WHAT, batch.to_bytes().len(), Self::BYTES_MAX)?;
        Ok(batch)
    }

    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The signed transactions, in order.
    pub fn transactions(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.transactions.iter().map(|bytes| bytes.as_slice())
    }

    /// The `data_hash` of the block that commits to this batch.
    #[must_use]
    pub fn root(&self) -> Hash {
        merkle::root(&self.leaves())
    }

    /// Hashes of all leaves: the header's, then the transactions'.
    #[must_use]
    pub fn leaves(&self) -> Vec<Hash> {
        let header = merkle::leaf_hash(&self.header.to_bytes());
        std::iter::once(header).chain(self.transactions().map(merkle::leaf_hash)).collect()
    }
}

impl<C> Encode<C> for Batch {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.array(2)?;
        self.header.encode(e, ctx)?;
        self.transactions.encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Batch {
    fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
        if d.array()? != Some(2) {
            return Err(minicbor::decode::Error::message("a batch is an array of two"));
        }
        Ok(Self { header: Decode::decode(d, ctx)?, transactions: Decode::decode(d, ctx)? })
    }
}

impl Cbor for Batch {
    const WHAT: &'static str = "batch";
    const BYTES_MAX: usize = BATCH_BYTES_MAX;

    fn check(&self) -> Result<(), Malformed> {
        self.header.check()?;
        let count = self.transactions.len() as u64;
        within("transactions in a batch", self.header.transactions, count, count)?;
        self.transactions()
            .try_for_each(|bytes| at_most("signed transaction", bytes.len(), TRANSACTION_BYTES_MAX))
    }
}
