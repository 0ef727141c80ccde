//! What the bridge to the ROS world is told before it starts: one TOML table, every path relative to the file.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use farhand_link::{DeviceKey, KeyError};
use farhand_mesh::{Certificate, CertificateError, MeshConfig};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// By then the router must have let this device in.
const OPEN_MS_MAX: u64 = 30_000;

/// The table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// ROS's domain id.
    #[serde(default)]
    pub domain: u32,
    /// The kit's arms, in its order; those beyond the fourth are not told.
    #[serde(default = "one_instrument")]
    pub arms: Vec<ArmEntry>,
    pub observe: ObserveEntry,
    pub mesh: MeshEntry,
}

/// What an arm holds, which says what joints it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArmEntry {
    Instrument,
    Endoscope,
}

fn one_instrument() -> Vec<ArmEntry> {
    vec![ArmEntry::Instrument]
}

/// This end of the kit's one-way cable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObserveEntry {
    /// What the kit's `observer.to` names (UDP).
    pub listen: SocketAddr,
    /// File with the cable's key: 64 hex digits, the same at both ends.
    pub key: PathBuf,
}

/// How this device gets onto the mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeshEntry {
    pub key: PathBuf,
    pub certificate: PathBuf,
    pub anchor: PathBuf,
    pub router: SocketAddr,
}

/// Why a configuration is not used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} does not hold a key: 64 hex digits are expected", .path.display())]
    CableKey { path: PathBuf },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{}: {source}", .path.display())]
    Certificate { path: PathBuf, source: CertificateError },
}

impl Config {
    /// The same, with every path from `folder` on.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let mesh = &mut self.mesh;
        for path in [&mut self.observe.key, &mut mesh.key, &mut mesh.certificate, &mut mesh.anchor] {
            *path = folder.join(&*path);
        }
        self
    }

    /// # Errors
    /// [`ConfigError`] if a file that it names is not what it is named as.
    pub fn mesh(&self) -> Result<MeshConfig, ConfigError> {
        let MeshEntry { key, certificate, anchor, router } = &self.mesh;
        Ok(MeshConfig {
            key: DeviceKey::load(key)?,
            certificate: pem(certificate)?,
            anchor: pem(anchor)?,
            router: *router,
            open_ms_max: OPEN_MS_MAX,
        })
    }

    pub(crate) fn cable_key(&self) -> Result<[u8; 32], ConfigError> {
        let path = &self.observe.key;
        let mut key = [0; 32];
        let decoded = hex::decode_to_slice(read(path)?.trim(), &mut key);
        decoded.map_err(|_| ConfigError::CableKey { path: path.clone() })?;
        Ok(key)
    }
}

fn pem(path: &Path) -> Result<Certificate, ConfigError> {
    Certificate::from_pem(&read(path)?)
        .map_err(|source| ConfigError::Certificate { path: path.into(), source })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })
}
