//! What an edge box asks a kit to sign of its custody, and what the kit answers.
//!
//! Messages, not evidence: the kit believes nothing here that the proofs do not show. What comes of it is a
//! [`Transaction`](crate::Transaction), which is evidence once a quorum has committed it.

use farhand_wire::PublicKey;
use minicbor::{Decode, Encode};

use crate::{
    Cbor, LedgerId, Malformed, REASON_BYTES_MAX, TRANSACTION_BYTES_MAX, TransactionProof, Utc,
    cbor::{at_most, within},
};

/// As many as an opening shows.
const PROOFS_MAX: usize = 64;

/// Edge to kit, after the two bytes of `Kind::CustodyAsk`: sign the next step of your custody.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CustodyRequest {
    /// The ledger that the transaction is for; the kit signs for its trust root's alone.
    #[n(0)]
    pub ledger: LedgerId,
    /// By the edge box's clock, as a kit has none that knows the date. Becomes the transaction's time; never before the
    /// newest proven step's.
    #[n(1)]
    pub at: Utc,
    #[n(2)]
    pub step: KitStep,
    /// The edge box that asks: its device key. A kit pairs with the one that it is configured for, and no other.
    #[n(3)]
    pub edge: PublicKey,
    /// Every custody step since the kit was sealed, in order.
    #[n(4)]
    pub proofs: Vec<TransactionProof>,
}

/// The steps that a kit signs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum KitStep {
    #[n(0)]
    SelfTested,
    #[n(1)]
    Paired,
}

/// Kit to edge, after the two bytes of `Kind::CustodyAnswer`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum CustodyAnswer {
    /// A custody transaction in its envelope, by the kit's device key: to be put on the ledger as it is.
    #[n(0)]
    Signed(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>),
    /// Nothing was signed, and why, in words.
    #[n(1)]
    Refused {
        #[n(0)]
        step: KitStep,
        #[n(1)]
        why: String,
    },
}

impl Cbor for CustodyRequest {
    const WHAT: &'static str = "custody request";
    const BYTES_MAX: usize = 1024 * 1024;

    fn check(&self) -> Result<(), Malformed> {
        self.at.check()?;
        within("custody proofs", self.proofs.len() as u64, 0, PROOFS_MAX as u64)?;
        self.proofs.iter().try_for_each(Cbor::check)
    }
}

impl Cbor for CustodyAnswer {
    const WHAT: &'static str = "custody answer";
    const BYTES_MAX: usize = TRANSACTION_BYTES_MAX + 16;

    fn check(&self) -> Result<(), Malformed> {
        match self {
            Self::Signed(transaction) => {
                at_most("signed transaction", transaction.len(), TRANSACTION_BYTES_MAX)
            }
            Self::Refused { why, .. } => at_most("reason", why.len(), REASON_BYTES_MAX),
        }
    }
}
