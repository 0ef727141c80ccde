use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hash(text: &str) -> Hash {
    Hash(hex(text).try_into().unwrap())
}

/// Entries, roots and proofs published with the reference implementations of RFC 6962 and RFC 9162:
/// github.com/transparency-dev/merkle (`testonly/constants.go`, `proof/verify_test.go`), before that
/// github.com/google/certificate-transparency (`merkletree/merkle_tree_test.cc`).
const ENTRIES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const INCLUSION_OF_0_IN_8: [&str; 3] = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
];
const INCLUSION_OF_5_IN_8: [&str; 3] = [
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
];
const CONSISTENCY_2_5: [&str; 2] = [
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
];
const CONSISTENCY_6_8: [&str; 3] = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
];

fn published_leaves() -> Vec<Hash> {
    ENTRIES.map(|entry| leaf_hash(&hex(entry))).to_vec()
}

fn hashes(texts: &[&str]) -> Vec<Hash> {
    texts.iter().map(|text| hash(text)).collect()
}

/// Leaf hashes that differ, as many as wanted.
fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&number.to_le_bytes())).collect()
}

/// Goal: our roots are the published ones, at every size and by both ways of reckoning.
#[test]
fn roots_are_the_published_ones() {
    let mut tree = Tree::new();
    for (size, expected) in ROOTS.iter().enumerate() {
        assert_eq!(tree.root(), hash(expected), "size {size}");
        assert_eq!(root(&published_leaves()[..size]), hash(expected), "size {size}");
        if let Some(entry) = ENTRIES.get(size) {
            tree.append(&hex(entry));
        }
    }
}

/// Goal: our inclusion proofs are the published ones, hash for hash, and lead to the published root.
#[test]
fn inclusion_proofs_are_the_published_ones() {
    let leaves = published_leaves();
    for (index, expected) in [(0, INCLUSION_OF_0_IN_8), (5, INCLUSION_OF_5_IN_8)] {
        assert_eq!(prove_inclusion(&leaves, index), Some(hashes(&expected)));
        assert!(includes(hash(ROOTS[8]), 8, index as u64, leaves[index], &hashes(&expected)));
    }
}

/// Goal: our consistency proofs are the published ones, and lead from one published root to the other.
#[test]
fn consistency_proofs_are_the_published_ones() {
    let leaves = published_leaves();
    for (first, second, expected) in [(2, 5, &CONSISTENCY_2_5[..]), (6, 8, &CONSISTENCY_6_8[..])] {
        assert_eq!(prove_consistency(&leaves[..second], first), Some(hashes(expected)));
        let (old, new) = ((first as u64, hash(ROOTS[first])), (second as u64, hash(ROOTS[second])));
        assert!(continues(old, new, &hashes(expected)));
    }
}

/// Goal: in every tree up to 64 leaves every leaf's proof holds at its own place, and nowhere else.
#[test]
fn a_leaf_is_included_at_its_place_only() {
    for size in 1..=64 {
        let leaves = leaves(size);
        let root = root(&leaves);
        for index in 0..size {
            let path = prove_inclusion(&leaves, index).unwrap();
            for place in 0..size {
                let holds = includes(root, size as u64, place as u64, leaves[index], &path);
                assert_eq!(holds, place == index, "leaf {index} of {size} at {place}");
            }
        }
    }
}

/// Goal: of any two trees up to 40 leaves the longer continues the shorter, and a changed past is noticed.
#[test]
fn a_longer_tree_continues_a_shorter_one_and_no_forged_past() {
    let all = leaves(40);
    for second in 1..=all.len() {
        for first in 1..=second {
            let path = prove_consistency(&all[..second], first).unwrap();
            let new = (second as u64, root(&all[..second]));
            assert!(continues((first as u64, root(&all[..first])), new, &path), "{first} to {second}");
            assert!(!continues((first as u64, Hash::of(b"forged")), new, &path), "{first} to {second}");
        }
    }
}

/// Goal: edges of the definition: nothing is in an empty tree, every tree continues it, none shrinks.
#[test]
fn the_empty_tree_is_a_beginning_and_not_an_end() {
    let some = (3, root(&leaves(3)));
    assert!(continues((0, empty_root()), some, &[]));
    assert!(!continues(some, (0, empty_root()), &[]));
    assert!(!continues((0, Hash::ZERO), some, &[]));
    assert_eq!(prove_inclusion(&[], 0), None);
    assert_eq!(prove_consistency(&leaves(3), 0), None);
    assert_eq!(root_of_inclusion(Hash::ZERO, 0, 0, &[]), None);
}

proptest! {
    /// Goal: a proof with any one hash changed, dropped or added leads nowhere.
    #[test]
    fn a_damaged_proof_leads_nowhere(size in 2usize..200, index in 0usize..200, at in 0usize..8, bit in 0usize..256) {
        let leaves = leaves(size);
        let index = index % size;
        let path = prove_inclusion(&leaves, index).unwrap();
        let at = at % path.len();
        let mut changed = path.clone();
        changed[at].0[bit / 8] ^= 1 << (bit % 8);
        let mut dropped = path.clone();
        dropped.remove(at);
        let mut added = path.clone();
        added.insert(at, Hash::ZERO);
        for damaged in [changed, dropped, added] {
            prop_assert!(!includes(root(&leaves), size as u64, index as u64, leaves[index], &damaged));
        }
    }

    /// Goal: no numbers make the checks panic, and no made-up path is believed.
    #[test]
    fn made_up_proofs_are_refused(index: u64, size: u64, other: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let path: Vec<Hash> = path.into_iter().map(Hash).collect();
        prop_assert!(!includes(Hash::ZERO, size, index, Hash::of(b"leaf"), &path));
        prop_assert!(!continues((size, Hash::ZERO), (other, Hash::of(b"x")), &path));
    }
}
