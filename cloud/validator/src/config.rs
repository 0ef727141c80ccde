//! What a validator is told: in its file, and when it runs inside another program.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use ed25519_dalek::VerifyingKey;
use farhand_ledger::{BadTrust, Epoch, TrustRoot};
use farhand_link::{DeviceId, DeviceIdError, DeviceKey, DeviceRole, KeyError};
use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    app::Pace,
    epochs::{self, NotKnown},
    fault::FaultSignal,
    mempool::MempoolLimits,
    store::{Origin, Store, StoreError},
    watchdog::WatchLimits,
};

/// What a validator needs to run.
#[derive(Clone, Debug)]
pub struct ValidatorConfig {
    /// This validator's own folder; no other validator's.
    pub data_dir: PathBuf,
    /// The ledger's epochs; this validator is of the newest one.
    pub trust: TrustRoot,
    pub key: DeviceKey,
    /// Where the other validators connect to.
    pub peer_listen: SocketAddr,
    /// Where clients connect to.
    pub client_listen: SocketAddr,
    /// All other validators of the newest epoch. Others may stand here that come or went with another epoch.
    pub peers: Vec<(DeviceId, SocketAddr)>,
    /// Who may submit and ask.
    pub clients: Vec<(DeviceId, DeviceRole)>,
    pub pace: Pace,
    pub mempool: MempoolLimits,
    pub watch: WatchLimits,
}

/// The file: TOML, each value overridable as `FARHAND_VALIDATOR_…`. Paths in it start at its own folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    pub data_dir: PathBuf,
    pub genesis: PathBuf,
    pub key: PathBuf,
    pub peer_listen: SocketAddr,
    pub client_listen: SocketAddr,
    /// How far this validator's clock may be off.
    #[serde(default = "default_uncertainty_ms")]
    pub clock_uncertainty_ms: u64,
    /// How long a leader without work waits. 30 to 800.
    #[serde(default = "default_idle_wait_ms")]
    pub idle_wait_ms: u64,
    pub peers: Vec<PeerEntry>,
    #[serde(default)]
    pub clients: Vec<ClientEntry>,
}

/// Another validator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerEntry {
    /// Its key, 64 hexadecimal digits.
    pub key: String,
    pub addr: SocketAddr,
}

/// Somebody who may submit transactions and ask for proofs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    /// Its key, 64 hexadecimal digits.
    pub key: String,
    pub role: ClientRole,
}

/// What a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientRole {
    Edge,
    Kit,
    Flight,
    Cloud,
}

impl From<ClientRole> for DeviceRole {
    fn from(role: ClientRole) -> Self {
        match role {
            ClientRole::Edge => Self::Edge,
            ClientRole::Kit => Self::Kit,
            ClientRole::Flight => Self::Flight,
            ClientRole::Cloud => Self::Cloud,
        }
    }
}

pub(crate) fn default_uncertainty_ms() -> u64 {
    100
}

pub(crate) fn default_idle_wait_ms() -> u64 {
    400
}

/// Why a configuration can't be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: Box<figment::Error> },
    #[error("could not read the genesis file {}: {source}; `farhand-validator genesis` makes one, and `init` a whole ledger for a trial", path.display())]
    GenesisFile { path: PathBuf, source: io::Error },
    #[error("the genesis file {}: {why}", path.display())]
    Genesis { path: PathBuf, why: BadTrust },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{what} {key:?}: {why}")]
    Id { what: &'static str, key: String, why: DeviceIdError },
    #[error("{name} is {seen}, allowed are {min} to {max}")]
    Range { name: &'static str, seen: u64, min: u64, max: u64 },
    #[error(
        "this validator's key {me} is not among the validators that the genesis file leads to; is it the right `key` or `genesis`?"
    )]
    NotAValidator { me: DeviceId },
    #[error(
        "epoch {epoch} of the ledger goes on without this validator {me}. What it holds of the epochs before is evidence: \
         keep its folder"
    )]
    Retired { me: DeviceId, epoch: u64 },
    #[error("validator {key} of epoch {epoch} is not among the `peers`; add its key and address")]
    PeerMissing { key: DeviceId, epoch: u64 },
    #[error("peer {key} is this validator itself; a peer is another one")]
    OwnPeer { key: DeviceId },
    #[error(transparent)]
    NotKnown(#[from] NotKnown),
    #[error("validator {key} has power {seen}; this version runs validators of power 1 each")]
    Power { key: String, seen: u64 },
}

impl ValidatorConfig {
    /// The configuration in a file, with the key and genesis that it names.
    ///
    /// # Errors
    /// [`ConfigError`], with the file and what is wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let figment = Figment::new().merge(Toml::file_exact(path)).merge(Env::prefixed("FARHAND_VALIDATOR_"));
        let file: ConfigFile = figment
            .extract()
            .map_err(|why| ConfigError::File { path: path.to_owned(), why: Box::new(why) })?;
        file.resolve(path.parent().unwrap_or(Path::new(".")))
    }

    /// The store of the newest epoch, over those of the epochs before.
    ///
    /// # Errors
    /// [`StoreError`], as of the first that can't be opened.
    pub fn open_store(&self, fault: &FaultSignal) -> Result<Store, StoreError> {
        let mut before = None;
        for epoch in self.trust.epochs().take(self.trust.epochs().count() - 1) {
            before = Some(self.open_epoch(before, epoch, fault)?);
        }
        self.open_epoch(before, self.trust.newest(), fault)
    }

    fn open_epoch(
        &self,
        before: Option<Store>,
        epoch: &Epoch,
        fault: &FaultSignal,
    ) -> Result<Store, StoreError> {
        let dir = self.data_dir.join(format!("epoch-{}", epoch.number()));
        Store::open_after(before, &dir, &self.origin(epoch), fault.clone())
    }

    /// What the folder of an epoch belongs to.
    #[must_use]
    pub fn origin(&self, epoch: &Epoch) -> Origin {
        let keys = epoch.validators().iter();
        Origin {
            genesis: self.trust.fingerprint().0,
            epoch: epoch.number(),
            me: self.key.signing_key().verifying_key(),
            validators: keys
                .filter_map(|validator| VerifyingKey::from_bytes(&validator.key.0).ok())
                .collect(),
        }
    }

    /// Checks what a file or a caller can get wrong.
    ///
    /// # Errors
    /// [`ConfigError`] if validators, peers and this key don't belong together.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (me, epoch) = (self.key.id(), self.trust.newest().number());
        let was_one = |epoch: &Epoch| epoch.validators().iter().any(|one| one.key.0 == *me.as_bytes());
        let members = members(self.trust.newest())?;
        if !members.contains(&me) {
            let before = self.trust.epochs().any(was_one);
            let retired = ConfigError::Retired { me, epoch };
            return Err(if before { retired } else { ConfigError::NotAValidator { me } });
        }
        if self.peers.iter().any(|(key, _)| *key == me) {
            return Err(ConfigError::OwnPeer { key: me });
        }
        self.reaches(self.trust.newest())
    }

    /// Whether it is said here where all other validators of `epoch` are.
    ///
    /// # Errors
    /// [`ConfigError::PeerMissing`].
    pub fn reaches(&self, epoch: &Epoch) -> Result<(), ConfigError> {
        let me = self.key.id();
        let is_peer = |key: &DeviceId| *key == me || self.peers.iter().any(|(peer, _)| peer == key);
        match members(epoch)?.into_iter().find(|key| !is_peer(key)) {
            Some(key) => Err(ConfigError::PeerMissing { key, epoch: epoch.number() }),
            None => Ok(()),
        }
    }

    /// The other validators of the newest epoch, and those of the one before who are not in it.
    pub(crate) fn members_and_former(&self) -> [Vec<(DeviceId, SocketAddr)>; 2] {
        let is_of = |epoch: &Epoch, key: &DeviceId| {
            epoch.validators().iter().any(|validator| validator.key.0 == *key.as_bytes())
        };
        let newest = self.trust.newest();
        let (members, others): (Vec<_>, Vec<_>) =
            self.peers.iter().copied().partition(|(key, _)| is_of(newest, key));
        let before = self.trust.epochs().rev().nth(1);
        let was_one = |key: &DeviceId| before.is_some_and(|before| is_of(before, key));
        let (former, unknown): (Vec<_>, Vec<_>) = others.into_iter().partition(|(key, _)| was_one(key));
        for (key, _) in unknown {
            tracing::info!(peer = %key.short(), "is no validator of this epoch, and not let in");
        }
        [members, former]
    }
}

impl ConfigFile {
    pub(crate) fn resolve(self, folder: &Path) -> Result<ValidatorConfig, ConfigError> {
        within("idle_wait_ms", self.idle_wait_ms, 30, 800)?;
        within("clock_uncertainty_ms", self.clock_uncertainty_ms, 1, 10_000)?;
        let peer = |entry: &PeerEntry| Ok((id("peer", &entry.key)?, entry.addr));
        let client = |entry: &ClientEntry| Ok((id("client", &entry.key)?, entry.role.into()));
        let data_dir = folder.join(&self.data_dir);
        let config = ValidatorConfig {
            trust: epochs::known(&data_dir, read_genesis(&folder.join(&self.genesis))?)?,
            data_dir,
            key: DeviceKey::load(&folder.join(&self.key))?,
            peer_listen: self.peer_listen,
            client_listen: self.client_listen,
            peers: self.peers.iter().map(peer).collect::<Result<_, ConfigError>>()?,
            clients: self.clients.iter().map(client).collect::<Result<_, ConfigError>>()?,
            pace: Pace {
                idle_wait: std::time::Duration::from_millis(self.idle_wait_ms),
                uncertainty_us: self.clock_uncertainty_ms * 1000,
                ..Pace::default()
            },
            mempool: MempoolLimits::default(),
            watch: WatchLimits::default(),
        };
        config.check()?;
        Ok(config)
    }
}

/// The validators' names, if their votes weigh the same.
pub(crate) fn members(epoch: &Epoch) -> Result<Vec<DeviceId>, ConfigError> {
    let member = |validator: &farhand_ledger::Validator| {
        let key = validator.key.to_string();
        if validator.power != 1 {
            return Err(ConfigError::Power { key, seen: validator.power });
        }
        DeviceId::try_from(validator.key.0).map_err(|why| ConfigError::Id { what: "validator", key, why })
    };
    epoch.validators().iter().map(member).collect()
}

fn read_genesis(path: &Path) -> Result<TrustRoot, ConfigError> {
    let bytes =
        fs::read(path).map_err(|source| ConfigError::GenesisFile { path: path.to_owned(), source })?;
    TrustRoot::read(&bytes).map_err(|why| ConfigError::Genesis { path: path.to_owned(), why })
}

fn id(what: &'static str, key: &str) -> Result<DeviceId, ConfigError> {
    key.parse().map_err(|why| ConfigError::Id { what, key: key.to_owned(), why })
}

fn within(name: &'static str, seen: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&seen) { Ok(()) } else { Err(ConfigError::Range { name, seen, min, max }) }
}
