//! What the replica is spared: messages of the consensus crate that it would trust too much.
//!
//! **Invariant (local):** a message that passes has no data in its blocks (batches travel beside them), asks for at most
//! as many blocks as the server may give, and is about a view that is near ours or that a quorum's certificate proves.
//! So nobody, a validator included, can make the crate allocate or remember on his word alone, and the known ways to make
//! one of its threads panic from afar are closed: a nudge in view 0 underflows there, and so does going back to a view
//! that an old timeout certificate names.

use borsh::BorshSerialize;
use ed25519_dalek::{Signature, VerifyingKey};
use farhand_ledger::{Certificate, Epoch, Validator};
use hotstuff_rs::{
    block_sync::messages::BlockSyncMessage,
    hotstuff::{messages::HotStuffMessage, types::PhaseCertificate},
    networking::messages::{Message, ProgressMessage},
    pacemaker::{
        messages::{AdvanceView, PacemakerMessage, ProgressCertificate, TimeoutVote},
        types::TimeoutCertificate,
    },
    types::{block::Block, data_types::SignatureBytes},
};
use thiserror::Error;

/// Rounds of leaders that a message may be ahead of our view without a certificate.
const ROUNDS_AHEAD_MAX: u64 = 2;

/// Why a message does not reach the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    #[error("a block of {data} data; payloads travel beside blocks")]
    DataInBlock { data: u32 },
    #[error("a request for {blocks} blocks, at most {max} may be asked for")]
    TooManyAsked { blocks: u32, max: u32 },
    #[error("an answer of {blocks} blocks, at most {max} were asked for")]
    TooManyGiven { blocks: usize, max: u32 },
    #[error("a message about view {view} without a certificate, at most {max} may be named so")]
    FarAhead { view: u64, max: u64 },
    #[error("a nudge; this ledger's validators do not change within an epoch")]
    Nudge,
}

/// Decides what the replica of one epoch's chain may be told.
#[derive(Clone, Debug)]
pub struct Gate {
    epoch: Epoch,
    sync_blocks_max: u32,
}

impl Gate {
    #[must_use]
    pub fn new(epoch: Epoch, sync_blocks_max: u32) -> Self {
        Self { epoch, sync_blocks_max }
    }

    /// What the replica is told, in order, when this message came and the newest view it entered is `entered`.
    ///
    /// # Errors
    /// [`Refused`], with what was seen and the limit.
    pub fn admit(&self, message: Message, entered: u64) -> Result<Vec<Message>, Refused> {
        match message {
            Message::BlockSyncMessage(sync) => Ok(vec![Message::BlockSyncMessage(self.sync(sync)?)]),
            Message::ProgressMessage(ProgressMessage::HotStuffMessage(hotstuff)) => {
                Ok(vec![self.hotstuff(hotstuff, entered)?.into()])
            }
            Message::ProgressMessage(ProgressMessage::PacemakerMessage(pacemaker)) => {
                let told = self.pacemaker(pacemaker, entered)?;
                Ok(told.into_iter().map(Message::from).collect())
            }
            Message::ProgressMessage(ProgressMessage::BlockSyncAdvertiseMessage(advertise)) => {
                Ok(vec![advertise.into()])
            }
        }
    }

    fn sync(&self, message: BlockSyncMessage) -> Result<BlockSyncMessage, Refused> {
        let max = self.sync_blocks_max;
        match &message {
            BlockSyncMessage::BlockSyncRequest(request) if request.limit > max => {
                return Err(Refused::TooManyAsked { blocks: request.limit, max });
            }
            BlockSyncMessage::BlockSyncResponse(response) if response.blocks.len() > max as usize => {
                return Err(Refused::TooManyGiven { blocks: response.blocks.len(), max });
            }
            BlockSyncMessage::BlockSyncResponse(response) => {
                response.blocks.iter().try_for_each(without_data)?
            }
            BlockSyncMessage::BlockSyncRequest(_) => {}
        }
        Ok(message)
    }

    fn hotstuff(&self, message: HotStuffMessage, entered: u64) -> Result<HotStuffMessage, Refused> {
        self.near(message.view().int(), entered)?;
        match &message {
            HotStuffMessage::Proposal(proposal) => without_data(&proposal.block)?,
            HotStuffMessage::Nudge(_) => return Err(Refused::Nudge),
            HotStuffMessage::PhaseVote(_) | HotStuffMessage::NewView(_) => {}
        }
        Ok(message)
    }

    fn pacemaker(&self, message: PacemakerMessage, entered: u64) -> Result<Vec<PacemakerMessage>, Refused> {
        match message {
            PacemakerMessage::TimeoutVote(vote) => self.timeout_vote(vote, entered),
            PacemakerMessage::AdvanceView(advance) => {
                self.advance_view(&advance, entered)?;
                Ok(vec![PacemakerMessage::AdvanceView(advance)])
            }
        }
    }

    /// The certificate that a vote brings along is told apart from it. In the vote, the replica would take an old one
    /// for an order to go back to its view, and end its thread over that; by itself an old one is ignored, and a new
    /// one helps whoever is behind just as well.
    fn timeout_vote(&self, mut vote: TimeoutVote, entered: u64) -> Result<Vec<PacemakerMessage>, Refused> {
        let view = vote.view.int();
        let brought = vote.highest_tc.take();
        if let Err(far) = self.near(view, entered) {
            let proven = brought.as_ref().filter(|timeout| self.timeout_holds(timeout)).ok_or(far)?;
            self.near(view, proven.view.int())?;
        }
        let advance =
            |timeout| AdvanceView { progress_certificate: ProgressCertificate::TimeoutCertificate(timeout) };
        let advance = brought.filter(|timeout| timeout.view.int() >= entered).map(advance);
        let advance = advance.filter(|advance| self.advance_view(advance, entered).is_ok());
        let advance = advance.map(PacemakerMessage::AdvanceView);
        Ok(advance.into_iter().chain([PacemakerMessage::TimeoutVote(vote)]).collect())
    }

    fn advance_view(&self, advance: &AdvanceView, entered: u64) -> Result<(), Refused> {
        let certificate = &advance.progress_certificate;
        self.near(certificate.view().int(), entered).or_else(|far| {
            let holds = match certificate {
                ProgressCertificate::TimeoutCertificate(timeout) => self.timeout_holds(timeout),
                ProgressCertificate::PhaseCertificate(phase) => self.phase_holds(phase),
            };
            if holds { Ok(()) } else { Err(far) }
        })
    }

    fn near(&self, view: u64, entered: u64) -> Result<(), Refused> {
        let ahead = ROUNDS_AHEAD_MAX * self.epoch.validators().len() as u64;
        let max = entered.saturating_add(ahead);
        if view <= max { Ok(()) } else { Err(Refused::FarAhead { view, max }) }
    }

    fn timeout_holds(&self, certificate: &TimeoutCertificate) -> bool {
        let statement =
            [certificate.chain_id.int().to_le_bytes(), certificate.view.int().to_le_bytes()].concat();
        let validators = self.epoch.validators();
        let voted =
            |(signature, validator)| signed(&statement, signature, validator).then_some(validator.power);
        let power: u64 = certificate.signatures.iter().zip(validators).filter_map(voted).sum();
        certificate.chain_id.int() == self.epoch.chain()
            && certificate.signatures.len() == validators.len()
            && power >= self.epoch.quorum()
    }

    fn phase_holds(&self, certificate: &PhaseCertificate) -> bool {
        let bytes = certificate.try_to_vec().unwrap_or_default(); // into memory, which takes every byte
        Certificate::read(&bytes).is_ok_and(|certificate| certificate.check_in(&self.epoch).is_ok())
    }
}

fn signed(statement: &[u8], signature: &Option<SignatureBytes>, validator: &Validator) -> bool {
    let (Some(signature), Ok(key)) = (signature, VerifyingKey::from_bytes(&validator.key.0)) else {
        return false;
    };
    key.verify_strict(statement, &Signature::from_bytes(&signature.bytes())).is_ok()
}

fn without_data(block: &Block) -> Result<(), Refused> {
    match block.data.len().int() {
        0 => Ok(()),
        data => Err(Refused::DataInBlock { data }),
    }
}

#[cfg(test)]
mod tests {
    use borsh::BorshDeserialize;
    use farhand_ledger::{Event, Grant, Utc, five_keys::FiveKeys};
    use farhand_wire::Role;
    use hotstuff_rs::{
        block_sync::messages::{BlockSyncRequest, BlockSyncResponse},
        hotstuff::{
            messages::{Nudge, Proposal},
            types::Phase,
        },
        types::data_types::{BlockHeight, ChainID, CryptoHash, Data, Datum, ViewNumber},
    };

    use super::*;

    const ASKED_MAX: u32 = 16;

    /// A ledger, and a certificate that a quorum of its validators signed.
    fn ledger() -> (Gate, PhaseCertificate) {
        let mut keys = FiveKeys::new([1; 32]);
        let hospital = keys.hospital().clone();
        let key = keys.trust().hospitals()[0];
        let grant = Grant { key, role: Role::Field, pseudonym: "one".to_owned(), until_utc_ms: 1 };
        let signed = keys.sign(&hospital, Utc::default(), Event::Grant(grant)).unwrap();
        let proof = keys.commit(Utc::default(), vec![signed]).unwrap().remove(0);
        let certificate = PhaseCertificate::try_from_slice(&proof.commit.certificate.to_bytes()).unwrap();
        (Gate::new(keys.trust().newest().clone(), ASKED_MAX), certificate)
    }

    fn timeout(view: u64) -> TimeoutCertificate {
        let bytes = [&1u64.to_le_bytes()[..], &view.to_le_bytes(), &0u32.to_le_bytes()].concat();
        TimeoutCertificate::try_from_slice(&bytes).unwrap()
    }

    fn timeout_vote(view: u64, highest: Option<u64>) -> Message {
        let signature = SignatureBytes::try_from_slice(&[0; 64]).unwrap();
        let (chain_id, view, highest_tc) = (ChainID::new(1), ViewNumber::new(view), highest.map(timeout));
        PacemakerMessage::TimeoutVote(TimeoutVote { chain_id, view, signature, highest_tc }).into()
    }

    fn refusal(answer: Result<Vec<Message>, Refused>) -> Option<Refused> {
        answer.err()
    }

    /// Goal: the crate would allocate whatever number of blocks is asked for, and give more than its own limit.
    #[test]
    fn a_request_for_too_many_blocks_never_reaches_the_replica() {
        let (gate, _) = ledger();
        let ask = |limit| {
            let (chain_id, start_height) = (ChainID::new(1), BlockHeight::new(0));
            refusal(gate.admit(BlockSyncRequest { chain_id, start_height, limit }.into(), 0))
        };
        assert_eq!(ask(ASKED_MAX), None);
        assert_eq!(ask(u32::MAX), Some(Refused::TooManyAsked { blocks: u32::MAX, max: ASKED_MAX }));
    }

    /// Goal: a block that carries data itself is refused, for its data would not reach who catches up later.
    #[test]
    fn a_block_with_data_is_refused() {
        let (gate, justify) = ledger();
        let propose = |data| {
            let hash = CryptoHash::new([0; 32]);
            let block = Block::new(BlockHeight::new(1), justify.clone(), hash, Data::new(data));
            let proposal = Proposal { chain_id: ChainID::new(1), view: ViewNumber::new(4), block };
            refusal(gate.admit(HotStuffMessage::Proposal(proposal).into(), 4))
        };
        assert_eq!(propose(vec![]), None);
        assert_eq!(propose(vec![Datum::new(vec![1])]), Some(Refused::DataInBlock { data: 1 }));
    }

    /// Goal: an answer to who catches up has no more blocks than may be asked for, and no data in any of them.
    #[test]
    fn an_answer_of_too_many_blocks_or_with_data_is_refused() {
        let (gate, highest_pc) = ledger();
        let answer = |blocks: usize, data: Vec<Datum>| {
            let (height, hash) = (BlockHeight::new(1), CryptoHash::new([0; 32]));
            let block = Block::new(height, highest_pc.clone(), hash, Data::new(data));
            let blocks = vec![block; blocks];
            refusal(gate.admit(BlockSyncResponse { blocks, highest_pc: highest_pc.clone() }.into(), 0))
        };
        let max = ASKED_MAX as usize;
        assert_eq!(answer(max, vec![]), None);
        assert_eq!(answer(max + 1, vec![]), Some(Refused::TooManyGiven { blocks: max + 1, max: ASKED_MAX }));
        assert_eq!(answer(1, vec![Datum::new(vec![1])]), Some(Refused::DataInBlock { data: 1 }));
    }

    /// Goal: a nudge is for changing the validators, which no epoch does, and one in view 0 would end the replica's thread.
    #[test]
    fn a_nudge_is_refused() {
        let (gate, mut justify) = ledger();
        justify.phase = Phase::Prepare;
        for view in [0, 5] {
            let nudge = Nudge::new(ChainID::new(1), ViewNumber::new(view), justify.clone());
            assert_eq!(refusal(gate.admit(HotStuffMessage::Nudge(nudge).into(), 0)), Some(Refused::Nudge));
        }
    }

    /// Goal: whoever is far behind learns of it from a quorum's certificate, and nobody can name a far view without one.
    #[test]
    fn a_far_view_needs_a_certificate() {
        let (gate, certificate) = ledger();
        let advance = |certificate: &PhaseCertificate| {
            let progress_certificate = ProgressCertificate::PhaseCertificate(certificate.clone());
            Message::from(PacemakerMessage::AdvanceView(AdvanceView { progress_certificate }))
        };
        assert!(certificate.view.int() > 0);
        assert_eq!(refusal(gate.admit(advance(&certificate), 0)), None);
        assert!(gate.phase_holds(&certificate));
        let mut far = certificate;
        far.view = ViewNumber::new(1_000_000);
        let refused = refusal(gate.admit(advance(&far), 0));
        assert_eq!(refused, Some(Refused::FarAhead { view: 1_000_000, max: 10 }));
        assert_eq!(refusal(gate.admit(timeout_vote(10, None), 0)), None);
        assert!(refusal(gate.admit(timeout_vote(15, Some(10)), 0)).is_some(), "it has no signatures");
    }

    /// Goal: a timeout certificate inside a vote would end the replica's thread if the replica is past its view when it
    /// looks, whatever it was when the vote came; it is told as a certificate by itself, which is harmless.
    #[test]
    fn a_timeout_certificate_never_reaches_the_replica_inside_a_vote() {
        let (gate, _) = ledger();
        let told = |highest| {
            let says = |message: Message| match message {
                Message::ProgressMessage(ProgressMessage::PacemakerMessage(told)) => match told {
                    PacemakerMessage::TimeoutVote(vote) => ("vote", vote.highest_tc.is_some()),
                    PacemakerMessage::AdvanceView(_) => ("advance", false),
                },
                _ => ("something else", false),
            };
            gate.admit(timeout_vote(20, highest), 18).unwrap().into_iter().map(says).collect::<Vec<_>>()
        };
        assert_eq!(told(None), [("vote", false)]);
        assert_eq!(told(Some(15)), [("vote", false)]);
        assert_eq!(told(Some(18)), [("advance", false), ("vote", false)]);
    }
}
