//! What the server is told at its start, as TOML.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use farhand_wire::Role;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One session's server. In a file, relative paths start at the file's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The session: 16 bytes, hex.
    #[serde(with = "hex")]
    pub session: [u8; 16],
    /// TCP address for browsers; loopback only, for it speaks plain HTTP. Port 0 takes a free one.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// UDP address for the edge box (mutual TLS over QUIC).
    #[serde(default = "default_edge_listen")]
    pub edge_listen: SocketAddr,
    /// This server's own key (PKCS #8 PEM, mode 0600); made if it is absent.
    pub device_key: PathBuf,
    /// The edge box's device key, the only one let in: 32 bytes, hex.
    #[serde(with = "hex")]
    pub edge: [u8; 32],
    /// The ledger's genesis file, handed to browsers. They compare it with the fingerprint in their link.
    pub trust_root: PathBuf,
    /// Opening evidence of the session. Looked for until it is there.
    pub opening: Option<PathBuf>,
    /// The console as built: a folder with an `index.html`.
    pub console: PathBuf,
    /// The kit's limits, as the text whose SHA-256 the opening names: for pages that draw them.
    pub limits: Option<PathBuf>,
    /// Where sealed bundles lie, for auditors.
    pub bundles: Option<PathBuf>,
    /// Where the endorsements of claimed links are kept, for the hospital's desk.
    pub claims: Option<PathBuf>,
    /// The delivery that the field team follows on its page.
    pub field: Option<FieldConfig>,
    /// Role links.
    #[serde(default)]
    pub links: Vec<LinkEntry>,
}

/// A delivery. Keys are hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldConfig {
    /// The kit's device key.
    #[serde(with = "hex")]
    pub kit: [u8; 32],
    /// The aircraft's device key.
    #[serde(with = "hex")]
    pub aircraft: [u8; 32],
    /// What it flies: a QGroundControl plan.
    pub plan: PathBuf,
    /// Where the custody steps' proofs are kept.
    pub custody: PathBuf,
    /// The validators that this server may submit to.
    pub validators: Vec<ValidatorEntry>,
    /// The site's mesh, on which the aircraft listens.
    pub mesh: MeshEntry,
}

/// The way onto the site's mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeshEntry {
    pub router: SocketAddr,
    /// This server's certificate by the site's authority (PEM).
    pub certificate: PathBuf,
    /// The authority's own (PEM).
    pub anchor: PathBuf,
}

/// A validator of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorEntry {
    #[serde(with = "hex")]
    pub key: [u8; 32],
    /// Where it listens for clients.
    pub addr: SocketAddr,
}

/// One role link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkEntry {
    /// Its name: 16 random bytes, hex.
    #[serde(with = "hex")]
    pub link: [u8; 16],
    /// Its public key: 32 bytes, hex.
    #[serde(with = "hex")]
    pub key: [u8; 32],
    pub role: LinkRole,
    pub pseudonym: String,
    /// It must be claimed before this, s of Unix time.
    pub expires_s: u64,
}

/// The roles that a link can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkRole {
    Surgeon,
    Bedside,
    Field,
    Auditor,
}

/// Why a configuration can't be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("could not read the configuration {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the configuration {} is not right: {source}", path.display())]
    Parse { path: PathBuf, source: Box<toml::de::Error> },
}

impl Config {
    /// The configuration in `path`.
    ///
    /// # Errors
    /// [`ConfigError`] if the file can't be read, or holds something else, with the line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: source.into() })?;
        Ok(config.below(path.parent().unwrap_or(Path::new(""))))
    }

    fn below(mut self, folder: &Path) -> Self {
        for path in [&mut self.device_key, &mut self.trust_root, &mut self.console] {
            *path = folder.join(&path);
        }
        for path in
            [&mut self.opening, &mut self.limits, &mut self.bundles, &mut self.claims].into_iter().flatten()
        {
            *path = folder.join(&path);
        }
        if let Some(field) = &mut self.field {
            field.plan = folder.join(&field.plan);
            field.custody = folder.join(&field.custody);
            field.mesh.certificate = folder.join(&field.mesh.certificate);
            field.mesh.anchor = folder.join(&field.mesh.anchor);
        }
        self
    }
}

impl From<LinkRole> for Role {
    fn from(role: LinkRole) -> Self {
        match role {
            LinkRole::Surgeon => Self::Surgeon,
            LinkRole::Bedside => Self::Bedside,
            LinkRole::Field => Self::Field,
            LinkRole::Auditor => Self::Auditor,
        }
    }
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7000))
}

fn default_edge_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7001))
}
