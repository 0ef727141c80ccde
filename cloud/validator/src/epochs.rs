//! How one set of keepers hands over to the next: which epochs this validator knows, and what it does when its own ends.
//!
//! **Invariant (global):** a validator goes on to another epoch only with a proof that a quorum of its own one endorsed and
//! committed that, and it keeps the proof. It keeps no word for it: what is on the disk is checked again at each start.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use farhand_ledger::{
    BadEpochEnd, BadTrust, Cbor as _, Endorsement, Epoch, EpochEnd, Event, Hash, Malformed, Transaction,
    TransactionProof, TrustRoot, Utc, Validator,
};
use farhand_link::{DeviceId, DeviceKey, KeyError};
use farhand_wire::PublicKey;
use minicbor::bytes::ByteVec;
use thiserror::Error;
use tokio::time::sleep;

use crate::{
    fault::{Fault, FaultSignal},
    frames::PeerFrame,
    net::PeerNetwork,
    payload::Payloads,
    proof,
    rules::{ChainState as _, Inadmissible, Place, Rules, keys},
    store::Store,
};

/// The genesis file and the proven ends behind it, beside the stores of the epochs.
const FILE_NAME: &str = "epochs.trust";
/// How often the others are told of an end before this validator leaves; its replica votes on meanwhile.
const TELLINGS: u32 = 5;
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Why it can't be said which epoch a data folder is in.
#[derive(Debug, Error)]
pub enum NotKnown {
    #[error("could not read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {why}", path.display())]
    Trust { path: PathBuf, why: BadTrust },
    #[error("{} belongs to another ledger than the genesis file; give this validator a `data_dir` of its own", path.display())]
    OtherLedger { path: PathBuf },
}

/// All epochs that are known: from the genesis file, and from what this validator was shown since.
///
/// # Errors
/// [`NotKnown`] if the folder says something else than the file.
pub fn known(data_dir: &Path, genesis: TrustRoot) -> Result<TrustRoot, NotKnown> {
    let path = data_dir.join(FILE_NAME);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(genesis),
        Err(source) => return Err(NotKnown::Read { path, source }),
        Ok(bytes) => bytes,
    };
    match TrustRoot::read(&bytes) {
        Err(why) => Err(NotKnown::Trust { path, why }),
        Ok(kept) if genesis.leads_to(&kept) => Ok(kept),
        Ok(kept) if kept.leads_to(&genesis) => Ok(genesis),
        Ok(_) => Err(NotKnown::OtherLedger { path }),
    }
}

/// The epochs as a running validator knows them.
#[derive(Debug)]
pub struct Epochs {
    pub trust: TrustRoot,
    pub data_dir: PathBuf,
    pub fault: FaultSignal,
    /// Held by whoever keeps the proof of the end: several peers may tell of it at once, and this validator may see it itself.
    keeping: Mutex<()>,
}

impl Epochs {
    #[must_use]
    pub fn new(trust: TrustRoot, data_dir: PathBuf, fault: FaultSignal) -> Self {
        Self { trust, data_dir, fault, keeping: Mutex::new(()) }
    }

    /// Ends this validator if its epoch has ended, and keeps the proof; started again, it goes on in the next one.
    ///
    /// # Errors
    /// [`BadEpochEnd`] if that is not proven.
    pub fn conclude(&self, proof: &[u8]) -> Result<(), BadEpochEnd> {
        let _alone = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        if self.fault.raised().is_some() {
            return Ok(());
        }
        let mut trust = self.trust.clone();
        trust.end(proof)?;
        self.fault.raise(match keep(&self.data_dir, &trust) {
            Ok(()) => Fault::EpochEnded { epoch: self.trust.newest().number() },
            Err(error) => {
                Fault::Store { action: "keep the proof of an epoch's end", detail: error.to_string() }
            }
        });
        Ok(())
    }

    /// The proof of an epoch's end, if that is known.
    #[must_use]
    pub fn end_of(&self, epoch: u64) -> Option<Bytes> {
        self.trust.end_proof(epoch).map(Bytes::copy_from_slice)
    }

    /// **Waits for the end of the epoch on this validator's own chain, and tells the others before it leaves**: without its
    /// votes they may be too few to see the end by themselves, and if it has no place in the next epoch, nobody else can tell.
    pub(crate) async fn run(&self, store: &Store, payloads: &Payloads, network: &PeerNetwork) {
        let mut progress = store.progress();
        while progress.changed().await.is_ok() {
            let Some(proof) = own_end(store, payloads) else { continue };
            let proof = proof.to_bytes();
            let ended = PeerFrame::Ended(proof.clone().into()).to_bytes();
            for _ in 0..TELLINGS {
                network.tell_all(&ended);
                sleep(TELL_EVERY).await;
            }
            match self.conclude(&proof) {
                Ok(()) => return,
                Err(why) => tracing::error!(%why, "the end on this chain is none"), // the rules let it in
            }
        }
    }
}

/// The proof of the transaction that ended the newest epoch, once there is one.
fn own_end(store: &Store, payloads: &Payloads) -> Option<TransactionProof> {
    let ended: Hash = minicbor::decode(&store.get(&keys::ended(store.epoch()))?).ok()?;
    let place: Place = minicbor::decode(&store.get(&keys::transaction(&ended))?).ok()?;
    proof::transaction_proof(store, payloads, place)
}

/// On the disk when this returns, whole or not at all.
fn keep(data_dir: &Path, trust: &TrustRoot) -> io::Result<()> {
    let half = data_dir.join(format!("{FILE_NAME}.new"));
    let mut file = fs::File::create(&half)?;
    file.write_all(&trust.to_bytes())?;
    file.sync_all()?;
    fs::rename(half, data_dir.join(FILE_NAME))?;
    fs::File::open(data_dir)?.sync_all()
}

/// Who comes and goes with the next epoch.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub add: Vec<DeviceId>,
    pub remove: Vec<DeviceId>,
    pub add_hospital: Vec<DeviceId>,
    pub remove_hospital: Vec<DeviceId>,
}

/// Why there is no next epoch to be had.
#[derive(Debug, Error)]
pub enum ChangeError {
    #[error("nobody comes and nobody goes")]
    Nothing,
    #[error("{key} is there already")]
    There { key: PublicKey },
    #[error("{key} is not there")]
    NotThere { key: PublicKey },
    #[error(transparent)]
    Trust(#[from] BadTrust),
    #[error(transparent)]
    MayNotFollow(#[from] Inadmissible),
    #[error(transparent)]
    End(#[from] BadEpochEnd),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("no chain id could be drawn: {0}")]
    Random(#[from] KeyError),
}

/// The epoch after the newest, with a chain id of its own. Nobody has endorsed it yet.
///
/// # Errors
/// [`ChangeError`] if the change is none, or these validators could not go on so.
pub fn propose(trust: &TrustRoot, change: &Change) -> Result<Epoch, ChangeError> {
    let ending = trust.newest();
    if change.add.len() + change.remove.len() + change.add_hospital.len() + change.remove_hospital.len() == 0
    {
        return Err(ChangeError::Nothing);
    }
    let validators = ending.validators().iter().map(|validator| validator.key).collect();
    let validators = changed(validators, &change.remove, &change.add)?;
    let hospitals = changed(ending.hospitals().to_vec(), &change.remove_hospital, &change.add_hospital)?;
    let random = DeviceKey::generate()?.id();
    let chain = random.as_bytes().first_chunk().map_or(1, |bytes| u64::from_le_bytes(*bytes).max(1));
    let members = validators.into_iter().map(|key| Validator { key, power: 1 }).collect();
    let next = Epoch::new(ending.ledger(), ending.number() + 1, chain, members, hospitals)?;
    Rules::of(trust, ending).may_follow(&next)?;
    Ok(next)
}

fn changed(
    mut keys: Vec<PublicKey>,
    remove: &[DeviceId],
    add: &[DeviceId],
) -> Result<Vec<PublicKey>, ChangeError> {
    for key in remove.iter().map(public) {
        let at = keys.iter().position(|one| *one == key).ok_or(ChangeError::NotThere { key })?;
        keys.remove(at);
    }
    for key in add.iter().map(public) {
        if keys.contains(&key) {
            return Err(ChangeError::There { key });
        }
        keys.push(key);
    }
    Ok(keys)
}

/// This validator's word that `next` may follow.
///
/// # Errors
/// [`ChangeError`] if these validators could not go on so.
pub fn endorse(trust: &TrustRoot, next: &Epoch, key: &SigningKey) -> Result<Vec<u8>, ChangeError> {
    Rules::of(trust, trust.newest()).may_follow(next)?;
    Ok(Endorsement::sign(trust.newest(), next, key))
}

/// The signed transaction that ends the newest epoch.
///
/// # Errors
/// [`ChangeError`] if the endorsements are not a quorum's for this epoch.
pub fn end(
    trust: &TrustRoot,
    next: &Epoch,
    endorsements: Vec<Vec<u8>>,
    at: Utc,
    key: &SigningKey,
) -> Result<Vec<u8>, ChangeError> {
    let mut endorsements: Vec<ByteVec> = endorsements.into_iter().map(ByteVec::from).collect();
    endorsements.sort_by_key(|signed| signer(signed));
    endorsements.dedup_by_key(|signed| signer(signed));
    let end = EpochEnd { previous: trust.newest().hash(), next: next.to_bytes(), endorsements };
    end.check(trust.newest())?;
    let event = Event::EpochEnded(end);
    Ok(Transaction { ledger: trust.ledger(), at, event }.sign(key)?)
}

fn signer(signed: &[u8]) -> Option<PublicKey> {
    farhand_wire::Signed::read(signed).ok().map(|signed| signed.author)
}

fn public(id: &DeviceId) -> PublicKey {
    PublicKey(*id.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use farhand_ledger::five_keys::FiveKeys;

    use super::*;

    /// Goal: an end that several tell of at once is kept once, and is no fault of the disk's.
    #[test]
    fn an_end_told_by_many_at_once_is_kept() {
        let mut keys = FiveKeys::new([3; 32]);
        let genesis = keys.trust().clone();
        let at = Utc { us: 1_700_000_000_000_000, uncertainty_us: 1_000 };
        let proof = keys.next_epoch(at, 1, |old, _| old.to_vec()).unwrap().to_bytes();
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let epochs = Epochs::new(genesis.clone(), dir.path().to_owned(), FaultSignal::default());
            thread::scope(|scope| {
                (0..8).for_each(|_| drop(scope.spawn(|| epochs.conclude(&proof).unwrap())));
            });
            assert_eq!(epochs.fault.raised(), Some(Fault::EpochEnded { epoch: 0 }));
            assert_eq!(known(dir.path(), genesis.clone()).unwrap().newest().number(), 1);
        }
    }
}
