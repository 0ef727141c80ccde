//! Sees every frame as it is sent, and what must never be sent.

use std::collections::{BTreeMap, BTreeSet};

use borsh::BorshSerialize as _;
use farhand_ledger::{Certificate, Hash, TrustRoot};
use hotstuff_rs::{
    block_sync::messages::{BlockSyncAdvertiseMessage, BlockSyncMessage},
    hotstuff::{messages::HotStuffMessage, types::PhaseCertificate},
    networking::messages::{Message, ProgressMessage},
    pacemaker::messages::{PacemakerMessage, ProgressCertificate},
};

use super::net::Post;

pub(super) struct Witness {
    trust: TrustRoot,
    honest: usize,
    /// The block that a quorum certified in a view.
    certified: BTreeMap<u64, Hash>,
    /// What a node voted for in a view.
    voted: BTreeMap<(usize, u64), Hash>,
    /// Blocks that nobody may certify.
    foul: BTreeSet<Hash>,
    wrong: Vec<String>,
}

impl Witness {
    pub(super) fn new(trust: TrustRoot, honest: usize) -> Self {
        let (certified, voted, foul, wrong) = Default::default();
        Self { trust, honest, certified, voted, foul, wrong }
    }

    pub(super) fn saw(&mut self, post: &Post) {
        let Some(message) = post.message() else { return };
        certificates(&message).into_iter().for_each(|certificate| self.saw_certificate(certificate));
        let Message::ProgressMessage(ProgressMessage::HotStuffMessage(HotStuffMessage::PhaseVote(vote))) =
            message
        else {
            return;
        };
        let (view, block) = (vote.view.int(), Hash(vote.block.bytes()));
        if post.from < self.honest {
            let first = *self.voted.entry((post.from, view)).or_insert(block);
            if first != block {
                self.wrong.push(format!("node {} voted for {first} and {block} in view {view}", post.from));
            }
        }
    }

    fn saw_certificate(&mut self, certificate: &PhaseCertificate) {
        let (view, block) = (certificate.view.int(), Hash(certificate.block.bytes()));
        if self.certified.get(&view) == Some(&block) {
            return;
        }
        let read = Certificate::read(&certificate.try_to_vec().unwrap());
        if !read.is_ok_and(|certificate| certificate.check(&self.trust).is_ok()) {
            return;
        }
        if self.foul.contains(&block) {
            self.wrong.push(format!("a quorum certified the foul block {block} in view {view}"));
        }
        if let Some(other) = self.certified.insert(view, block) {
            self.wrong.push(format!("a quorum certified {other} and {block} in view {view}"));
        }
    }

    /// A block that nobody may certify.
    pub(super) fn call_foul(&mut self, block: Hash) {
        self.foul.insert(block);
    }

    pub(super) fn wrong(&self) -> &[String] {
        &self.wrong
    }
}

/// All certificates in a message.
pub(super) fn certificates(message: &Message) -> Vec<&PhaseCertificate> {
    match message {
        Message::ProgressMessage(ProgressMessage::HotStuffMessage(message)) => match message {
            HotStuffMessage::Proposal(proposal) => vec![&proposal.block.justify],
            HotStuffMessage::NewView(new_view) => vec![&new_view.highest_pc],
            HotStuffMessage::Nudge(nudge) => vec![&nudge.justify],
            HotStuffMessage::PhaseVote(_) => vec![],
        },
        Message::ProgressMessage(ProgressMessage::PacemakerMessage(PacemakerMessage::AdvanceView(
            advance,
        ))) => match &advance.progress_certificate {
            ProgressCertificate::PhaseCertificate(certificate) => vec![certificate],
            ProgressCertificate::TimeoutCertificate(_) => vec![],
        },
        Message::ProgressMessage(ProgressMessage::BlockSyncAdvertiseMessage(
            BlockSyncAdvertiseMessage::AdvertisePC(advertise),
        )) => vec![&advertise.highest_pc],
        Message::BlockSyncMessage(BlockSyncMessage::BlockSyncResponse(response)) => {
            response.blocks.iter().map(|block| &block.justify).chain([&response.highest_pc]).collect()
        }
        _ => vec![],
    }
}
