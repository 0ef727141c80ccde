//! Not a ledger: **five validator keys in one hand**, for tests in virtual time and until real validators run.
//!
//! What comes out is byte for byte what five validators would have committed, so everything that checks proofs is
//! exercised as it will be. But whoever holds the seed can commit anything: nothing here is evidence.

use ed25519_dalek::{Signer, SigningKey};
use farhand_wire::{PublicKey, SessionId};

use crate::{
    Batch, Cbor as _, Certificate, CommitProof, Consent, Custody, CustodyStep, Endorsement, Epoch, EpochEnd,
    Event, Hash, Header, LedgerId, Malformed, Member, Opening, OpeningEvidence, Transaction,
    TransactionProof, TrustRoot, Utc, Validator, merkle, vote_payload,
};

const VALIDATORS: u8 = 5;

/// Five validators, a hospital, and the chain that they have made so far.
#[derive(Clone, Debug)]
pub struct FiveKeys {
    /// In ascending order of their public keys.
    validators: Vec<SigningKey>,
    hospital: SigningKey,
    trust: TrustRoot,
    height: u64,
    view: u64,
    /// Certifies the newest block.
    newest: Certificate,
}

/// What a session is opened with.
#[derive(Debug)]
pub struct Plan<'a> {
    pub session: SessionId,
    pub roster: Vec<Member>,
    /// The edge box's device key.
    pub edge: PublicKey,
    /// The kit's device key: it signs its self-test and its pairing.
    pub kit: &'a SigningKey,
    /// Of the field team: it signs the other custody steps.
    pub field: &'a SigningKey,
    pub limits_digest: Hash,
    pub arm_digest: Hash,
    pub at: Utc,
}

impl Plan<'_> {
    /// What a ledger must hold for the session to be open, signed, in order: consent, custody, and last the opening.
    /// A ledger that asks for grants wants those before.
    pub fn transactions(&self, ledger: LedgerId, hospital: &SigningKey) -> Result<Vec<Vec<u8>>, Malformed> {
        use CustodyStep::{Airborne, Landed, Loaded, Paired, Sealed, SelfTested, Unsealed};
        let sign = |author: &SigningKey, event| Transaction { ledger, at: self.at, event }.sign(author);
        let commitment = Hash::of_parts(&[b"five keys: no consent form", &self.session.0]);
        let consent = Consent { session: self.session, commitment, given: true };
        let mut signed = vec![sign(hospital, Event::Consent(consent))?];
        let consent = Hash::of(&signed[0]);
        let steps = [Sealed, Loaded, Airborne, Landed, Unsealed, SelfTested, Paired { edge: self.edge }];
        let mut previous = Hash::ZERO;
        for (sequence, step) in (1..).zip(steps) {
            let author = if matches!(step, SelfTested | Paired { .. }) { self.kit } else { self.field };
            let custody = Custody { kit: public(self.kit), sequence, step, previous };
            let custody = sign(author, Event::Custody(custody))?;
            previous = Hash::of(&custody);
            signed.push(custody);
        }
        let opening = Opening {
            session: self.session,
            roster: self.roster.clone(),
            edge: self.edge,
            kit: public(self.kit),
            limits_digest: self.limits_digest,
            arm_digest: self.arm_digest,
            consent,
            custody: previous,
        };
        signed.push(sign(hospital, Event::SessionOpened(opening))?);
        Ok(signed)
    }
}

impl FiveKeys {
    /// Keys and a fresh chain, all from one seed. Block 0 names the ledger.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        let mut validators: Vec<SigningKey> = (0..VALIDATORS).map(|number| key(&seed, number)).collect();
        validators.sort_by_key(|key| key.verifying_key().to_bytes());
        let hospital = key(&seed, VALIDATORS);
        let ledger = Hash::of_parts(&[b"farhand five keys ledger", &seed]).0;
        let ledger = LedgerId(*ledger.first_chunk().expect("16 of 32 bytes"));
        let trust = TrustRoot::new(ledger, 1, powers(&validators), vec![public(&hospital)])
            .expect("five equal keys and one hospital are what a trust root wants");
        let mut keys =
            Self { validators, hospital, trust, height: 0, view: 0, newest: Certificate::genesis() };
        keys.name_the_ledger();
        keys
    }

    /// Block 0.
    fn name_the_ledger(&mut self) {
        let genesis = Batch::new(self.trust.ledger(), Utc::default(), Vec::new())
            .expect("an empty batch is within all bounds");
        self.block(genesis.root());
    }

    /// What a verifier holds beforehand.
    #[must_use]
    pub fn trust(&self) -> &TrustRoot {
        &self.trust
    }

    /// In ascending order of their public keys.
    #[must_use]
    pub fn validators(&self) -> &[SigningKey] {
        &self.validators
    }

    /// The hospital's key.
    #[must_use]
    pub fn hospital(&self) -> &SigningKey {
        &self.hospital
    }

    /// A transaction for this ledger, signed.
    pub fn sign(&self, author: &SigningKey, at: Utc, event: Event) -> Result<Vec<u8>, Malformed> {
        Transaction { ledger: self.trust.ledger(), at, event }.sign(author)
    }

    /// Puts signed transactions into one block, commits it, and returns a proof of each.
    pub fn commit(
        &mut self,
        at: Utc,
        transactions: Vec<Vec<u8>>,
    ) -> Result<Vec<TransactionProof>, Malformed> {
        let batch = Batch::new(self.trust.ledger(), at, transactions)?;
        let headers = vec![
            self.block(batch.root()),
            self.block(merkle::empty_root()),
            self.block(merkle::empty_root()),
        ];
        let commit = CommitProof { headers, certificate: self.newest.clone() };
        let proof = |index| TransactionProof::new(&batch, index, commit.clone());
        Ok((0..batch.transactions().len()).map_while(proof).collect())
    }

    /// Commits consent, custody and opening, each in its block, as a kit would be shown them.
    pub fn open(&mut self, plan: Plan<'_>) -> Result<OpeningEvidence, Malformed> {
        let transactions = plan.transactions(self.trust.ledger(), &self.hospital)?;
        let committed = transactions.into_iter().map(|one| Ok(self.commit(plan.at, vec![one])?.remove(0)));
        let mut custody = committed.collect::<Result<Vec<_>, Malformed>>()?;
        let opening = custody.remove(custody.len() - 1);
        let consent = custody.remove(0);
        Ok(OpeningEvidence { opening, consent, custody })
    }

    /// Ends the epoch: so many validators leave, and as many others come. `endorse` chooses, of the old keys and the new, who
    /// says so; unless that makes an end, the epoch goes on. The proof of the end.
    pub fn next_epoch(
        &mut self,
        at: Utc,
        leave: u8,
        endorse: fn(&[SigningKey], &[SigningKey]) -> Vec<SigningKey>,
    ) -> Result<TransactionProof, Malformed> {
        let ending = self.trust.newest().clone();
        let comers = (0..leave).map(|number| key(&ending.hash().0, number));
        let stay = self.validators.iter().skip(leave.into()).cloned();
        let mut validators: Vec<SigningKey> = stay.chain(comers).collect();
        validators.sort_by_key(|key| key.verifying_key().to_bytes());
        let (number, chain) = (ending.number() + 1, ending.chain() + 1);
        let hospitals = ending.hospitals().to_vec();
        let next = Epoch::new(ending.ledger(), number, chain, powers(&validators), hospitals)
            .expect("five equal keys and one hospital are what an epoch wants");
        let endorsements = endorse(&self.validators, &validators);
        let endorsements =
            endorsements.iter().map(|key| Endorsement::sign(&ending, &next, key).into()).collect();
        let end = EpochEnd { previous: ending.hash(), next: next.to_bytes(), endorsements };
        let signed = self.sign(&self.validators[0], at, Event::EpochEnded(end))?;
        let proof = self.commit(at, vec![signed])?.remove(0);
        if self.trust.end(&proof.to_bytes()).is_ok() {
            (self.validators, self.height, self.view, self.newest) =
                (validators, 0, 0, Certificate::genesis());
            self.name_the_ledger();
        }
        Ok(proof)
    }

    /// Appends a block and certifies it.
    fn block(&mut self, data_hash: Hash) -> Header {
        let header = Header { height: self.height, justify: self.newest.clone(), data_hash };
        self.height += 1;
        self.view += 1;
        self.newest = self.certify(header.hash());
        header
    }

    /// A certificate with exactly a quorum: one validator, another one each view, is missing.
    fn certify(&self, block: Hash) -> Certificate {
        let payload = vote_payload(self.trust.chain(), self.view, block, 0);
        let missing = (self.view % u64::from(VALIDATORS)) as usize;
        let vote =
            |(slot, key): (usize, &SigningKey)| (slot != missing).then(|| key.sign(&payload).to_bytes());
        let signatures = self.validators.iter().enumerate().map(vote).collect();
        Certificate { chain: self.trust.chain(), view: self.view, block, phase: 0, signatures }
    }
}

fn key(seed: &[u8; 32], number: u8) -> SigningKey {
    SigningKey::from_bytes(&Hash::of_parts(&[b"farhand five keys", seed, &[number]]).0)
}

fn powers(validators: &[SigningKey]) -> Vec<Validator> {
    validators.iter().map(|key| Validator { key: public(key), power: 1 }).collect()
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}
