//! How an organisation of its own comes to run a validator: it makes its key, the genesis file that all agree on names it,
//! and from that file and the others' addresses it writes its configuration. No private key leaves the folder it was
//! made in.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use farhand_ledger::TrustRoot;
use farhand_link::{DeviceId, DeviceKey};
use thiserror::Error;

use crate::{
    config::{ConfigError, ConfigFile, PeerEntry, default_idle_wait_ms, default_uncertainty_ms},
    init::{Folder, InitError, trust_root},
};

const CONFIG: &str = "validator.toml";
const GENESIS: &str = "genesis.trust";

/// Where a validator is to live, and whom it talks to.
#[derive(Clone, Debug)]
pub struct Joining {
    /// Key, genesis, configuration and data.
    pub dir: PathBuf,
    /// The genesis file, as it came from the others.
    pub genesis: PathBuf,
    pub peer_listen: SocketAddr,
    pub client_listen: SocketAddr,
    /// All other validators.
    pub peers: Vec<(DeviceId, SocketAddr)>,
}

/// Why a validator was not set up.
#[derive(Debug, Error)]
pub enum JoinError {
    #[error("{} is there already; run it, or give another --dir", path.display())]
    Exists { path: PathBuf },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Init(#[from] InitError),
}

/// This organisation's key, made in `dir` if there is none: its public half is what the others need.
///
/// # Errors
/// [`InitError`] if the folder or the key can't be written or read.
pub fn own_key(dir: &Path) -> Result<DeviceKey, InitError> {
    Folder(dir.to_owned()).key()
}

/// Writes a genesis file for these validators and hospitals, which exists from then on under a name of its own.
///
/// # Errors
/// [`InitError`] if they can't keep a ledger, or the file is there already.
pub fn make_genesis(
    out: &Path,
    validators: &[DeviceId],
    hospitals: &[DeviceId],
) -> Result<TrustRoot, InitError> {
    if out.exists() {
        return Err(InitError::Exists { path: out.to_owned() });
    }
    let trust = trust_root(validators, hospitals)?;
    fs::write(out, trust.to_bytes()).map_err(|source| InitError::Write { path: out.to_owned(), source })?;
    Ok(trust)
}

/// Writes the configuration of the validator whose key is in the folder; it can be run then.
///
/// # Errors
/// [`JoinError`] if the genesis file does not name that key, or other validators than `peers`. No configuration is written
/// then.
pub fn join(plan: &Joining) -> Result<PathBuf, JoinError> {
    let folder = Folder(plan.dir.clone());
    let path = plan.dir.join(CONFIG);
    if path.exists() {
        return Err(JoinError::Exists { path });
    }
    folder.key()?;
    let genesis = fs::read(&plan.genesis)
        .map_err(|source| ConfigError::GenesisFile { path: plan.genesis.clone(), source })?;
    folder.write(GENESIS, &genesis)?;
    let file = ConfigFile {
        data_dir: "data".into(),
        genesis: GENESIS.into(),
        key: "device.key".into(),
        peer_listen: plan.peer_listen,
        client_listen: plan.client_listen,
        clock_uncertainty_ms: default_uncertainty_ms(),
        idle_wait_ms: default_idle_wait_ms(),
        peers: plan.peers.iter().map(|&(id, addr)| PeerEntry { key: id.to_string(), addr }).collect(),
        clients: Vec::new(),
    };
    file.clone().resolve(&plan.dir)?;
    let text = toml::to_string(&file).map_err(InitError::from)?;
    Ok(folder.write(CONFIG, text.as_bytes())?)
}
