//! What a validator can do that lies.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use borsh::{BorshDeserialize as _, BorshSerialize};
use ed25519_dalek::{Signer as _, SigningKey};
use farhand_ledger::{Batch, Hash, LedgerId, Utc};
use fastrand::Rng;
use hotstuff_rs::{
    block_sync::messages::{
        BlockSyncAdvertiseMessage, BlockSyncMessage, BlockSyncRequest, BlockSyncResponse,
    },
    hotstuff::{
        messages::{HotStuffMessage, NewView, PhaseVote, Proposal},
        types::{Phase, PhaseCertificate},
    },
    networking::messages::{Message, ProgressMessage},
    types::{
        block::Block,
        data_types::{BlockHeight, ChainID, CryptoHash, Data, SignatureBytes, ViewNumber},
    },
};

use super::{
    net::{Delivery, Net, Policy, Post},
    rig::{LIAR, Rig, TWIN, grant_by},
    witness::certificates,
};
use crate::{app::now_us, frames::PeerFrame, payload::Payload, run::SYNC_BLOCKS_MAX};

fn frame(message: impl Into<Message>) -> PeerFrame {
    PeerFrame::Consensus(message.into().try_to_vec().unwrap().into())
}

/// What it needs to make messages of its own.
struct Forge {
    key: SigningKey,
    /// A key that no hospital has.
    nobody: SigningKey,
    ledger: LedgerId,
    chain: ChainID,
    made: u64,
}

impl Forge {
    fn new(rig: &Rig) -> Self {
        Self {
            key: rig.member(LIAR).signing_key().clone(),
            nobody: SigningKey::from_bytes(&[99; 32]),
            ledger: rig.trust.ledger(),
            chain: ChainID::new(rig.trust.chain()),
            made: 1 << 40,
        }
    }

    fn batch(&mut self, transactions: Vec<Vec<u8>>) -> Payload {
        self.made += 1;
        let at = Utc { us: now_us() + self.made % 1000, uncertainty_us: 100_000 };
        Payload::new(Batch::new(self.ledger, at, transactions).unwrap())
    }

    /// A good batch that nobody else has.
    fn good_batch(&mut self) -> Payload {
        self.batch(Vec::new())
    }

    /// A batch with a transaction that may not be written.
    fn bad_batch(&mut self) -> Payload {
        let transaction = grant_by(&self.nobody, self.ledger, self.made);
        self.batch(vec![transaction])
    }

    fn vote(&self, view: ViewNumber, block: CryptoHash) -> HotStuffMessage {
        let (chain_id, phase) = (self.chain, Phase::Generic);
        let signature = self.key.sign(&(chain_id, view, block, phase).try_to_vec().unwrap()).to_bytes();
        let signature = SignatureBytes::try_from_slice(&signature).unwrap();
        PhaseVote { chain_id, view, block, phase, signature }.into()
    }
}

impl Forge {
    /// Blocks beside one that is known, and their batches.
    fn fodder(&mut self, post: &Post, known: &Block) -> Vec<Delivery> {
        let payloads: Vec<_> = (0..SYNC_BLOCKS_MAX).map(|_| self.good_batch()).collect();
        let blocks = payloads.iter().map(|payload| sibling(known, payload.root)).collect();
        let answer = frame(BlockSyncResponse { blocks, highest_pc: known.justify.clone() });
        let batches = payloads.into_iter().map(|payload| PeerFrame::Batch(payload.bytes.into()));
        batches.chain([answer]).map(|frame| post.instead(&frame)).collect()
    }
}

fn sibling(of: &Block, root: Hash) -> Block {
    Block::new(of.height, of.justify.clone(), CryptoHash::new(root.0), Data::new(Vec::new()))
}

/// Leads some of the others to one block and the rest to another, or all to one that breaks the rules, and votes for both.
pub(super) fn equivocates(rig: &Rig, seed: u64) -> Policy {
    let (mut forge, mut dice, net) = (Forge::new(rig), Rng::with_seed(seed), rig.net.clone());
    let mut others: BTreeMap<u64, (Proposal, PeerFrame, [bool; 5])> = BTreeMap::new();
    Box::new(move |post| {
        let Some(message) = (post.from == LIAR).then(|| post.hotstuff()).flatten() else {
            return vec![post.at_once()];
        };
        match message {
            HotStuffMessage::Proposal(proposal) => {
                let (other, batch, led) = others.entry(proposal.view.int()).or_insert_with(|| {
                    let breaks_rules = dice.u8(..4) == 0;
                    let payload = if breaks_rules { forge.bad_batch() } else { forge.good_batch() };
                    let block = sibling(&proposal.block, payload.root);
                    if breaks_rules {
                        net.witness(|witness| witness.call_foul(Hash(block.hash.bytes())));
                    }
                    let led = [(); 5].map(|()| breaks_rules || dice.bool());
                    (Proposal { block, ..proposal }, PeerFrame::Batch(payload.bytes.into()), led)
                });
                match led[post.to] {
                    true => {
                        vec![post.instead(batch), post.instead(&frame(HotStuffMessage::from(other.clone())))]
                    }
                    false => vec![post.at_once()],
                }
            }
            HotStuffMessage::PhaseVote(vote) => {
                let other = others
                    .get(&vote.view.int())
                    .map_or(CryptoHash::new([9; 32]), |(other, ..)| other.block.hash);
                vec![post.at_once(), post.instead(&frame(forge.vote(vote.view, other)))]
            }
            _ => vec![post.at_once()],
        }
    })
}

const REMEMBERED_MAX: usize = 400;
const CERTIFICATES_MAX: usize = 12;

/// Says again what it and others said before, bent and unbent, and what only others may say.
pub(super) fn repeats_and_forges(rig: &Rig, seed: u64) -> Policy {
    let mut babble = Babble {
        forge: Forge::new(rig),
        dice: Rng::with_seed(seed),
        net: rig.net.clone(),
        heard: VecDeque::new(),
        certificates: VecDeque::new(),
        newest: None,
    };
    Box::new(move |post| {
        babble.hear(post);
        let mut said = vec![post.at_once()];
        if post.from == LIAR {
            (0..3).for_each(|_| said.extend(babble.say(post)));
        }
        said
    })
}

struct Babble {
    forge: Forge,
    dice: Rng,
    net: Net,
    heard: VecDeque<Post>,
    certificates: VecDeque<PhaseCertificate>,
    newest: Option<Proposal>,
}

impl Babble {
    fn hear(&mut self, post: &Post) {
        let Some(message) = post.message() else { return };
        for certificate in certificates(&message) {
            if self.certificates.back().is_none_or(|newest| newest.view < certificate.view) {
                self.certificates.push_back(certificate.clone());
            }
        }
        if let Some(HotStuffMessage::Proposal(proposal)) = post.hotstuff() {
            self.newest = Some(proposal);
        }
        self.heard.push_back(post.clone());
        self.heard.drain(..self.heard.len().saturating_sub(REMEMBERED_MAX));
        self.certificates.drain(..self.certificates.len().saturating_sub(CERTIFICATES_MAX));
    }

    fn say(&mut self, post: &Post) -> Vec<Delivery> {
        let Some(newest) = self.newest.clone() else { return vec![] };
        let old = self.heard[self.dice.usize(..self.heard.len())].frame.clone();
        let frames = match self.dice.u8(..6) {
            0 => vec![PeerFrame::read(&old).unwrap()],
            1 => return vec![self.bent(post, &old)],
            // The lock would go back with each of these, were it not held.
            2 => self.certificates.iter().rev().map(|old| self.new_view(newest.view, old)).collect(),
            3 => self.certificates.iter().rev().map(|old| self.new_view(newest.view + 1, old)).collect(),
            4 => self.usurp(&newest),
            _ => vec![frame(BlockSyncRequest {
                chain_id: self.forge.chain,
                start_height: BlockHeight::new(0),
                limit: u32::MAX,
            })],
        };
        frames.iter().map(|frame| post.instead(frame)).collect()
    }

    fn bent(&mut self, post: &Post, frame: &[u8]) -> Delivery {
        let mut bytes = frame.to_vec();
        let at = self.dice.usize(..bytes.len());
        bytes[at] ^= 1 << self.dice.u8(..8);
        Delivery { after: Duration::ZERO, post: Post { frame: bytes.into(), ..post.clone() } }
    }

    fn new_view(&self, view: ViewNumber, highest_pc: &PhaseCertificate) -> PeerFrame {
        let (chain_id, highest_pc) = (self.forge.chain, highest_pc.clone());
        frame(HotStuffMessage::from(NewView { chain_id, view, highest_pc }))
    }

    /// A proposal in a view in which another leads.
    fn usurp(&mut self, newest: &Proposal) -> Vec<PeerFrame> {
        let mut view = newest.view;
        if view.int() % 5 == LIAR as u64 {
            view = view + 1;
        }
        let payload = self.forge.good_batch();
        let block = sibling(&newest.block, payload.root);
        self.net.witness(|witness| witness.call_foul(Hash(block.hash.bytes())));
        let proposal = Proposal { chain_id: self.forge.chain, view, block };
        vec![PeerFrame::Batch(payload.bytes.into()), frame(HotStuffMessage::from(proposal))]
    }
}

/// Gives its batches to `to` only, and answers nobody who asks for one.
pub(super) fn withholds_batches(to: &'static [usize]) -> Policy {
    Box::new(move |post| match post.kind() {
        PeerFrame::Batch(_) if post.from == LIAR && !to.contains(&post.to) => vec![],
        PeerFrame::WantBatch(_) if post.to == LIAR => vec![],
        _ => vec![post.at_once()],
    })
}

/// Answers a node that catches up with ever new blocks that lead nowhere. Until it asked the liar first, that node hears of
/// nobody else to ask; while `cut` it hears nothing.
pub(super) fn feeds(rig: &Rig, victim: usize, cut: Arc<AtomicBool>) -> Policy {
    let (mut forge, mut known, mut was_asked) = (Forge::new(rig), None, false);
    Box::new(move |post| match post.message() {
        Some(Message::BlockSyncMessage(BlockSyncMessage::BlockSyncRequest(_))) if post.to == LIAR => {
            was_asked = true;
            let back = Post { from: LIAR, to: post.from, ..post.clone() };
            known.as_ref().map_or(vec![], |known| forge.fodder(&back, known))
        }
        _ if post.to == victim && cut.load(Ordering::Relaxed) => vec![],
        Some(Message::ProgressMessage(ProgressMessage::BlockSyncAdvertiseMessage(
            BlockSyncAdvertiseMessage::AdvertiseBlock(_),
        ))) if post.to == victim && post.from != LIAR && !was_asked => vec![],
        _ => {
            if let (Some(HotStuffMessage::Proposal(proposal)), true) = (post.hotstuff(), post.to == victim) {
                known = Some(proposal.block);
            }
            vec![post.at_once()]
        }
    })
}

/// The line to one node comes and goes, and is slow and out of order while it is there.
pub(super) fn flaps(node: usize, seed: u64) -> Policy {
    let (mut dice, began) = (Rng::with_seed(seed), Instant::now());
    Box::new(move |post| {
        if post.from != node && post.to != node {
            return vec![post.at_once()];
        }
        let is_down = began.elapsed().as_millis() / 700 % 2 == 1;
        let copies = if is_down { 0 } else { 1 + usize::from(dice.u8(..10) == 0) };
        let mut late = || Delivery { after: Duration::from_millis(dice.u64(..40)), post: post.clone() };
        (0..copies).map(|_| late()).collect()
    })
}

/// The liar and its twin, one key, each with its own store, are heard by parts of the others that change with the view.
pub(super) fn parts_twins(seed: u64) -> Policy {
    let mut newest = 0;
    Box::new(move |post| {
        if let Some(message) = post.hotstuff() {
            newest = newest.max(message.view().int());
        }
        let side = sides(seed, newest);
        if side[post.from] == side[post.to] || side[post.from].is_none() || side[post.to].is_none() {
            vec![post.at_once()]
        } else {
            vec![]
        }
    })
}

/// Who hears whom in a view; `None` hears all and is heard by all.
fn sides(seed: u64, view: u64) -> [Option<bool>; 6] {
    let mut dice = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(view));
    let mut side = [Some(true); 6];
    let twins = if dice.bool() { [LIAR, TWIN] } else { [TWIN, LIAR] };
    side[twins[1]] = Some(false);
    match dice.u8(..10) {
        0..=5 => side[dice.usize(..4)] = Some(false),
        6 => (0..4).for_each(|node| side[node] = Some(dice.bool())),
        _ => (0..4).for_each(|node| side[node] = None),
    }
    side
}
