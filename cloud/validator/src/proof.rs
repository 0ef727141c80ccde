//! Proofs of what is committed, built from what is on the disk.
//!
//! **Invariant (local):** nothing is proven that this validator has not committed durably: the store shows a height only
//! after the write that committed it.

use borsh::BorshSerialize as _;
use farhand_ledger::{Certificate, CommitProof, HEADERS_MAX, Hash, Header, TransactionProof};
use hotstuff_rs::{
    block_tree::pluggables::KVGet,
    hotstuff::types::PhaseCertificate,
    types::data_types::{BlockHeight, CryptoHash},
};

use crate::{
    payload::Payloads,
    rules::Place,
    store::{Snapshot, Store},
};

/// The proof of the transaction at `place`; `None` while the blocks that commit it are not all there yet.
#[must_use]
pub fn transaction_proof(store: &Store, payloads: &Payloads, place: Place) -> Option<TransactionProof> {
    let store = store.epochs().find(|store| store.epoch() == place.epoch)?;
    let commit = commit_proof(&store.look(), place.height)?;
    let payload = payloads.get(commit.headers.first()?.data_hash)?;
    TransactionProof::new(&payload.batch, usize::try_from(place.index).ok()?, commit)
}

/// The proof that the block at `height` is committed: from its header to the first three consecutive views after it.
#[must_use]
pub fn commit_proof(chain: &Snapshot, height: u64) -> Option<CommitProof> {
    let newest = chain.highest_committed_block().ok()??;
    let committed = chain.block_height(&newest).ok()??.int();
    if height > committed {
        return None;
    }
    let (speculative, tip) = uncommitted(chain, committed)?;
    let known = (height..=committed).map(|height| header_at(chain, height));
    let mut headers = Vec::new();
    for header in known.chain(speculative.into_iter().map(Some)).take(HEADERS_MAX + 1) {
        headers.push(header?);
        if let Some(proof) = consecutive(&headers, None) {
            return Some(proof);
        }
    }
    (headers.len() <= HEADERS_MAX).then(|| consecutive(&headers, Some(&tip))).flatten()
}

/// The proof that ends with these headers, if the last three certificates are of consecutive views. The last one is in
/// the last header (which is then b3, and is left out), or `tip`.
fn consecutive(headers: &[Header], tip: Option<&Certificate>) -> Option<CommitProof> {
    let (certificate, to_b2) = match tip {
        Some(tip) => (tip, headers),
        None => headers.split_last().map(|(b3, to_b2)| (&b3.justify, to_b2))?,
    };
    let [.., _, b1, b2] = to_b2 else { return None };
    let views = [b1.justify.view, b2.justify.view, certificate.view];
    let follow = views[1] == views[0] + 1 && views[2] == views[1] + 1;
    follow.then(|| CommitProof { headers: to_b2.to_vec(), certificate: certificate.clone() })
}

/// The headers above the committed ones, in order, that the highest certificate leads to, and that certificate.
fn uncommitted(chain: &Snapshot, committed: u64) -> Option<(Vec<Header>, Certificate)> {
    let tip = certificate(&chain.highest_pc().ok()?)?;
    let mut headers = Vec::new();
    let mut next = tip.block;
    while headers.len() <= HEADERS_MAX {
        let header = header(chain, next)?;
        if header.height <= committed {
            break;
        }
        next = header.justify.block;
        headers.push(header);
    }
    headers.reverse();
    Some((headers, tip))
}

/// The committed block at that height.
#[must_use]
pub fn header_at(chain: &Snapshot, height: u64) -> Option<Header> {
    header(chain, Hash(chain.block_at_height(BlockHeight::new(height)).ok()??.bytes()))
}

/// The header of a block, committed or not.
#[must_use]
pub fn header(chain: &Snapshot, block: Hash) -> Option<Header> {
    let block = CryptoHash::new(block.0);
    Some(Header {
        height: chain.block_height(&block).ok()??.int(),
        justify: certificate(&chain.block_justify(&block).ok()?)?,
        data_hash: Hash(chain.block_data_hash(&block).ok()??.bytes()),
    })
}

/// The crate's certificate has the same bytes as the evidence format's.
fn certificate(certificate: &PhaseCertificate) -> Option<Certificate> {
    Certificate::read(&certificate.try_to_vec().ok()?).ok()
}
