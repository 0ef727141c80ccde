//! What the opening proves: consent, the kit's way, and when each was committed.

use farhand_ledger::{
    Cbor, CustodyStep, Event, Hash, Opening, OpeningEvidence, Transaction, TransactionProof, Utc,
};
use farhand_wire::PublicKey;

/// One committed fact.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub(crate) what: &'static str,
    /// Whose key signed it.
    pub(crate) by: PublicKey,
    /// By its author's clock.
    pub(crate) said: Utc,
    /// By the validators' clocks.
    pub(crate) committed: Utc,
    /// Where it stands on the ledger: block, and place in it.
    pub(crate) position: (u64, u64),
    /// SHA-256 of the signed transaction.
    pub(crate) hash: String,
}

/// The opening and all that it refers to, **as the bundle says it**: only the verifier's word makes it proven.
#[derive(Clone, Debug)]
pub(crate) struct OpeningFacts {
    pub(crate) opening: Opening,
    pub(crate) opened: Fact,
    pub(crate) consent: Option<Fact>,
    /// What the patient agreed to, and the people of the session: section 15 of the document.
    pub(crate) consent_commitment: Option<Hash>,
    pub(crate) custody: Vec<Fact>,
}

impl OpeningFacts {
    pub(crate) fn read(evidence: &[u8]) -> Option<Self> {
        let evidence = OpeningEvidence::read(evidence).ok()?;
        let (opened, event) = fact(&evidence.opening)?;
        let Event::SessionOpened(opening) = event else { return None };
        let (consent, consented) = fact(&evidence.consent).unzip();
        let consent_commitment = match consented {
            Some(Event::Consent(consent)) => Some(consent.commitment),
            _ => None,
        };
        let custody = evidence.custody.iter().filter_map(fact).map(|(fact, _)| fact).collect();
        Some(Self { opening, opened, consent, consent_commitment, custody })
    }
}

/// What a proof is about, not checked here.
pub(crate) fn fact(proof: &TransactionProof) -> Option<(Fact, Event)> {
    let authored = Transaction::open(&proof.transaction).ok()?;
    let fact = Fact {
        what: words(&authored.transaction.event),
        by: authored.author,
        said: authored.transaction.at,
        committed: proof.batch.at,
        position: (proof.commit.headers.first()?.height, proof.index),
        hash: authored.hash.to_string(),
    };
    Some((fact, authored.transaction.event))
}

fn words(event: &Event) -> &'static str {
    match event {
        Event::Consent(consent) if consent.given => "Consent is given",
        Event::Consent(_) => "Consent is withdrawn",
        Event::Custody(custody) => step(custody.step),
        Event::SessionOpened(_) => "The session is opened",
        Event::Sealed(_) => "The record is sealed",
        event => event.name(),
    }
}

fn step(step: CustodyStep) -> &'static str {
    match step {
        CustodyStep::Sealed => "Kit is packed and sealed",
        CustodyStep::Loaded => "Kit is loaded",
        CustodyStep::Airborne => "Kit is in the air",
        CustodyStep::Landed => "Kit has landed",
        CustodyStep::Unsealed => "The seal was whole, and is opened",
        CustodyStep::SelfTested => "Kit's own checks passed",
        CustodyStep::Paired { .. } => "Kit obeys this edge box",
    }
}
