//! What a validator is told: in its file, and when it runs inside another program.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use ed25519_dalek::VerifyingKey;
use farhand_ledger::{BadTrust, TrustRoot};
use farhand_link::{DeviceId, DeviceIdError, DeviceKey, DeviceRole, KeyError};
use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{app::Pace, mempool::MempoolLimits, store::Origin, watchdog::WatchLimits};

/// What a validator needs to run.
#[derive(Clone, Debug)]
pub struct ValidatorConfig {
    /// This validator's own folder; no other validator's.
    pub data_dir: PathBuf,
    pub trust: TrustRoot,
    pub key: DeviceKey,
    /// Where the other validators connect to.
    pub peer_listen: SocketAddr,
    /// Where clients connect to.
    pub client_listen: SocketAddr,
    /// All other validators of the trust root.
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
        "this validator's key {me} is not among the validators of the genesis file; is it the right `key` or `genesis`?"
    )]
    NotAValidator { me: DeviceId },
    #[error("validator {key} of the genesis file is not among the `peers`")]
    PeerMissing { key: DeviceId },
    #[error("peer {key} is not among the validators of the genesis file")]
    PeerUnknown { key: DeviceId },
    #[error("the genesis file knows {seen} epochs; this version's validators run a ledger's first one")]
    Epochs { seen: usize },
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

    /// What this validator's data folder belongs to.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let keys = self.trust.validators().iter();
        Origin {
            genesis: self.trust.fingerprint().0,
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
        match self.trust.epochs().count() {
            1 => {}
            seen => return Err(ConfigError::Epochs { seen }),
        }
        let members = members(&self.trust)?;
        let me = self.key.id();
        if !members.contains(&me) {
            return Err(ConfigError::NotAValidator { me });
        }
        if let Some(&(key, _)) = self.peers.iter().find(|(key, _)| !members.contains(key) || *key == me) {
            return Err(ConfigError::PeerUnknown { key });
        }
        let is_peer = |key: &DeviceId| *key == me || self.peers.iter().any(|(peer, _)| peer == key);
        match members.iter().find(|key| !is_peer(key)) {
            Some(&key) => Err(ConfigError::PeerMissing { key }),
            None => Ok(()),
        }
    }
}

impl ConfigFile {
    pub(crate) fn resolve(self, folder: &Path) -> Result<ValidatorConfig, ConfigError> {
        within("idle_wait_ms", self.idle_wait_ms, 30, 800)?;
        within("clock_uncertainty_ms", self.clock_uncertainty_ms, 1, 10_000)?;
        let peer = |entry: &PeerEntry| Ok((id("peer", &entry.key)?, entry.addr));
        let client = |entry: &ClientEntry| Ok((id("client", &entry.key)?, entry.role.into()));
        let config = ValidatorConfig {
            data_dir: folder.join(&self.data_dir),
            trust: read_genesis(&folder.join(&self.genesis))?,
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
pub(crate) fn members(trust: &TrustRoot) -> Result<Vec<DeviceId>, ConfigError> {
    let member = |validator: &farhand_ledger::Validator| {
        let key = validator.key.to_string();
        if validator.power != 1 {
            return Err(ConfigError::Power { key, seen: validator.power });
        }
        DeviceId::try_from(validator.key.0).map_err(|why| ConfigError::Id { what: "validator", key, why })
    };
    trust.validators().iter().map(member).collect()
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
