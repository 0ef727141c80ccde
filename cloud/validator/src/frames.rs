//! What validators say to each other. A frame is a kind and a body; bodies are the consensus crate's own encoding or the
//! evidence format's, and nothing here is decoded but lengths and kinds.

use bytes::Bytes;
use farhand_ledger::{BATCH_BYTES_MAX, Cbor as _, Hash, TRANSACTION_BYTES_MAX, TransactionProof};
use farhand_submit::frames::{BadFrame, at_most, exactly, frame, kind_of};

/// No message of the replica is longer: ten blocks without data, or a proposal, of the largest validator set.
pub const CONSENSUS_BYTES_MAX: usize = 128 * 1024;
/// No answer with headers is longer.
pub const HEADERS_BYTES_MAX: usize = 128 * 1024;

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
    /// The view that I am in, or will begin in, on the chain of that epoch.
    Entered { epoch: u64, view: u64 },
    /// The epoch that you are in has ended: the proof of its end.
    Ended(Bytes),
    /// Send me the header of this block, and those before it.
    WantHeaders(Hash),
    /// A header and those before it, back from it.
    Headers(Bytes),
}

impl PeerFrame {
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Consensus(body) => frame(1, &[body]),
            Self::Transaction(body) => frame(2, &[body]),
            Self::Batch(body) => frame(3, &[body]),
            Self::WantBatch(root) => frame(4, &[&root.0]),
            Self::Entered { epoch, view } => frame(5, &[&epoch.to_le_bytes(), &view.to_le_bytes()]),
            Self::Ended(proof) => frame(6, &[proof]),
            Self::WantHeaders(block) => frame(7, &[&block.0]),
            Self::Headers(body) => frame(8, &[body]),
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
            5 => {
                let [epoch, view] = numbers(exactly(kind, &body)?);
                Ok(Self::Entered { epoch, view })
            }
            6 => at_most(body, TransactionProof::BYTES_MAX).map(Self::Ended),
            7 => exactly(kind, &body).map(|block| Self::WantHeaders(Hash(block))),
            8 => at_most(body, HEADERS_BYTES_MAX).map(Self::Headers),
            kind => Err(BadFrame::UnknownKind { kind }),
        }
    }
}

fn numbers(bytes: [u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(bytes);
    [both as u64, (both >> 64) as u64]
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
            PeerFrame::Entered { epoch: 7, view: 1 << 60 },
            PeerFrame::Ended(body.clone()),
            PeerFrame::WantHeaders(Hash([5; 32])),
            PeerFrame::Headers(body.clone()),
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
