//! Merkle trees of RFC 9162 §2.1: SHA-256, `0x00` before a leaf, `0x01` before two nodes.
//!
//! A [`Tree`] grows by appending and holds one hash for each bit of its size, no more. Proofs are built from the leaf
//! hashes that somebody kept, and checked with nothing but a root.

use crate::Hash;

/// No proof has more hashes: a tree of 2^64 leaves is 64 deep, and a consistency proof adds one.
pub const PATH_MAX: usize = 65;

/// Hash of a leaf: SHA-256(0x00 ‖ entry).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash::of_parts(&[&[0], entry])
}

/// Hash of two subtrees: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: Hash, right: Hash) -> Hash {
    Hash::of_parts(&[&[1], &left.0, &right.0])
}

/// Root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash::of(b"")
}

/// Root over leaf hashes.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    leaves.iter().copied().collect::<Tree>().root()
}

/// A growing tree. Invariant (local): `peaks` holds the root of one perfect subtree for each set bit of `size`, the
/// largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry and returns its leaf hash.
    pub fn append(&mut self, entry: &[u8]) -> Hash {
        let leaf = leaf_hash(entry);
        self.append_hash(leaf);
        leaf
    }

    /// Appends a leaf of which only the hash is known.
    pub fn append_hash(&mut self, leaf: Hash) {
        let mut peak = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("one peak for each set bit of the size");
            peak = node_hash(left, peak);
        }
        self.peaks.push(peak);
        self.size += 1;
    }

    /// Root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.peaks
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node_hash(left, right))
            .unwrap_or_else(empty_root)
    }
}

impl FromIterator<Hash> for Tree {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut tree = Self::new();
        leaves.into_iter().for_each(|leaf| tree.append_hash(leaf));
        tree
    }
}

/// Proof that leaf `index` (from 0) is in the tree over `leaves`; `None` if there is no such leaf. RFC 9162 §2.1.3.1.
#[must_use]
pub fn prove_inclusion(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (inside, index, other) =
        if index < left.len() { (left, index, right) } else { (right, index - left.len(), left) };
    let mut path = prove_inclusion(inside, index)?;
    path.push(root(other));
    Some(path)
}

/// Proof that the first `first` of `leaves` were a tree that all of them continue; `None` if `first` is not within 1 to
/// their number. RFC 9162 §2.1.4.1.
#[must_use]
pub fn prove_consistency(leaves: &[Hash], first: usize) -> Option<Vec<Hash>> {
    (1..=leaves.len()).contains(&first).then(|| subproof(leaves, first, true))
}

fn subproof(leaves: &[Hash], first: usize, complete: bool) -> Vec<Hash> {
    if first == leaves.len() {
        return if complete { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, other) = if first <= left.len() {
        (subproof(left, first, complete), right)
    } else {
        (subproof(right, first - left.len(), false), left)
    };
    path.push(root(other));
    path
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: usize) -> usize {
    1 << (size - 1).ilog2()
}

/// The root that `path` leads to from `leaf` at `index` of `size` leaves; `None` if the path does not fit that place.
/// RFC 9162 §2.1.3.2.
#[must_use]
pub fn root_of_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let mut climb = Climb { node: index, last: size - 1 };
    let mut hash = leaf;
    for &sibling in path {
        hash = if climb.sibling_is_left()? { node_hash(sibling, hash) } else { node_hash(hash, sibling) };
    }
    climb.at_top().then_some(hash)
}

/// Whether `leaf` at `index` is in the tree of `size` leaves with that root.
#[must_use]
pub fn includes(root: Hash, size: u64, index: u64, leaf: Hash, path: &[Hash]) -> bool {
    root_of_inclusion(leaf, index, size, path) == Some(root)
}

/// Whether the tree `second` (size, root) continues the tree `first`. RFC 9162 §2.1.4.2; a tree without leaves is
/// continued by every tree, with an empty proof.
#[must_use]
pub fn continues(first: (u64, Hash), second: (u64, Hash), path: &[Hash]) -> bool {
    match first.0 {
        size if size == second.0 => path.is_empty() && first.1 == second.1,
        size if size > second.0 => false,
        0 => path.is_empty() && first.1 == empty_root(),
        _ => continues_longer(first, second, path).is_some(),
    }
}

fn continues_longer(first: (u64, Hash), second: (u64, Hash), path: &[Hash]) -> Option<()> {
    // A perfect first tree is a node of the second one, and its root is not repeated in the proof.
    let (start, path) = if first.0.is_power_of_two() {
        (first.1, path)
    } else {
        let (start, path) = path.split_first()?;
        (*start, path)
    };
    let shift = (first.0 - 1).trailing_ones();
    let mut climb = Climb { node: (first.0 - 1) >> shift, last: (second.0 - 1) >> shift };
    let (mut old, mut new) = (start, start);
    for &sibling in path {
        if climb.sibling_is_left()? {
            old = node_hash(sibling, old);
            new = node_hash(sibling, new);
        } else {
            new = node_hash(new, sibling);
        }
    }
    (climb.at_top() && old == first.1 && new == second.1).then_some(())
}

/// The way from a node up to the root: its number in its level, and the number of the last node there.
struct Climb {
    node: u64,
    last: u64,
}

impl Climb {
    /// Goes up by one sibling and says on which side it was; `None` at the root. A last node without a sibling goes up
    /// alone.
    fn sibling_is_left(&mut self) -> Option<bool> {
        if self.last == 0 {
            return None;
        }
        let left = self.node & 1 == 1 || self.node == self.last;
        if left {
            // Not zero: it is odd, or equal to a last node that is not the root.
            let alone = self.node.trailing_zeros();
            self.node >>= alone;
            self.last >>= alone;
        }
        self.node >>= 1;
        self.last >>= 1;
        Some(left)
    }

    fn at_top(&self) -> bool {
        self.last == 0
    }
}

#[cfg(test)]
#[path = "merkle_tests.rs"]
mod tests;
