//! What validators say to each other. A frame is a kind and a body; bodies are the consensus crate's own encoding or the
//! evidence format's, and nothing here is decoded but lengths and kinds.

use bytes::Bytes;
use farhand_ledger::{BATCH_BYTES_MAX, Hash, TRANSACTION_BYTES_MAX};
use farhand_submit::frames::{BadFrame, at_most, exactly, frame, kind_of};

/// No message of the replica is longer: ten blocks without data, or a proposal, of the largest validator set.
pub const CONSENSUS_BYTES_MAX: usize = 128 * 1024;

/// From one validator to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerFrame {
    /// A message of the replica.
    Consensus(Bytes),
    /// A signed transaction.
    Transaction(Bytes),
    /// A batch.
    Batch(Bytes),
    /// Send me the batch with this root.
    WantBatch(Hash),
    /// The view that I am in, or will begin in.
    Entered(u64),
}

impl PeerFrame {
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Consensus(body) => frame(1, &[body]),
            Self::Transaction(body) => frame(2, &[body]),
            Self::Batch(body) => frame(3, &[body]),
            Self::WantBatch(root) => frame(4, &[&root.0]),
            Self::Entered(view) => frame(5, &[&view.to_le_bytes()]),
        }
    }

    /// # Errors
    /// [`BadFrame`], with the kind and the size.
    pub fn read(bytes: &Bytes) -> Result<Self, BadFrame> {
        let (kind, body) = kind_of(bytes)?;
        match kind {
            1 => at_most(body, CONSENSUS_BYTES_MAX).map(Self::Consensus),
            2 => at_most(body, TRANSACTION_BYTES_MAX).map(Self::Transaction),
            3 => at_most(body, BATCH_BYTES_MAX).map(Self::Batch),
            4 => exactly(kind, &body).map(|root| Self::WantBatch(Hash(root))),
            5 => exactly(kind, &body).map(|view| Self::Entered(u64::from_le_bytes(view))),
            kind => Err(BadFrame::UnknownKind { kind }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: whatever is said is understood as it was meant, and anything cut or unknown is refused.
    #[test]
    fn frames_say_the_same_on_the_other_side() {
        let body = Bytes::from_static(b"body");
        for frame in [
            PeerFrame::Consensus(body.clone()),
            PeerFrame::Transaction(body.clone()),
            PeerFrame::Batch(body.clone()),
            PeerFrame::WantBatch(Hash([3; 32])),
            PeerFrame::Entered(7),
        ] {
            assert_eq!(PeerFrame::read(&frame.to_bytes()), Ok(frame));
        }
        let want = PeerFrame::WantBatch(Hash([3; 32])).to_bytes();
        assert!(PeerFrame::read(&want.slice(..32)).is_err());
        let oversized = Bytes::from([vec![2], vec![0; TRANSACTION_BYTES_MAX + 1]].concat());
        assert!(matches!(PeerFrame::read(&oversized), Err(BadFrame::TooLong { .. })));
        assert_eq!(PeerFrame::read(&Bytes::from_static(&[99])), Err(BadFrame::UnknownKind { kind: 99 }));
    }
}
