//! What the service is told: by the program it runs in, or in a file.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use farhand_ledger::{BadTrust, TrustRoot};
use farhand_link::{DeviceId, DeviceIdError, DeviceKey, KeyError};
use farhand_mesh::{Certificate, CertificateError, MeshConfig};
use farhand_mission::{Mission, MissionError, Plan, PlanError};
use farhand_wire::PublicKey;
use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use serde::Deserialize;
use thiserror::Error;

use super::{OrderRules, Routes};
use crate::{FlightLimits, LinkAddress, LinkAddressError};

const CLOCK_UNCERTAINTY_US: u64 = 100_000;
const MESH_OPEN_MS_MAX: u64 = 5_000;

/// What the service needs to run.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The way onto the mesh. Its key is the aircraft's device key: it signs custody too, and the hospital must have
    /// granted it the field's role on the ledger.
    pub mesh: MeshConfig,
    pub rules: OrderRules,
    /// The ledger's validators, which must let this key in as an aircraft.
    pub validators: Vec<(DeviceId, SocketAddr)>,
    pub autopilot: LinkAddress,
    /// MAVLink 2 signing: what is not signed with it is not heard.
    pub autopilot_key: Option<[u8; 32]>,
    pub limits: FlightLimits,
    /// A file of this aircraft's own, in a folder that exists.
    pub journal: PathBuf,
    /// How far this machine's clock may be off.
    pub clock_uncertainty_us: u64,
}

/// The file: TOML, each value overridable as `FARHAND_FLIGHT_SERVE_…`. Paths in it start at its own folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    /// The device key.
    key: PathBuf,
    /// The trust root.
    genesis: PathBuf,
    /// Device keys of the kits that may be carried, 64 hexadecimal digits each.
    kits: Vec<String>,
    /// Approved plans. Empty only with `any_route`.
    #[serde(default)]
    routes: Vec<PathBuf>,
    #[serde(default)]
    any_route: bool,
    journal: PathBuf,
    autopilot: AutopilotEntry,
    mesh: MeshEntry,
    validators: Vec<ValidatorEntry>,
    #[serde(default = "default_uncertainty_ms")]
    clock_uncertainty_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AutopilotEntry {
    /// `udp:ADDRESS:PORT` waits for the aircraft to call, `udpout:ADDRESS:PORT` calls it.
    link: String,
    /// File with the link's signing key, 64 hexadecimal digits.
    key: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeshEntry {
    router: SocketAddr,
    certificate: PathBuf,
    anchor: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ValidatorEntry {
    key: String,
    addr: SocketAddr,
}

fn default_uncertainty_ms() -> u64 {
    CLOCK_UNCERTAINTY_US / 1_000
}

/// Why a configuration can't be used.
#[derive(Debug, Error)]
pub enum ServeConfigError {
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: Box<figment::Error> },
    #[error("{} can't be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the genesis file {}: {why}", path.display())]
    Genesis { path: PathBuf, why: BadTrust },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("{what} {key:?}: {why}")]
    Id { what: &'static str, key: String, why: DeviceIdError },
    #[error("the certificate {}: {why}", path.display())]
    Certificate { path: PathBuf, why: CertificateError },
    #[error("the plan {}: {why}", path.display())]
    Plan { path: PathBuf, why: PlanError },
    #[error("the plan {} can't be flown: {why}", path.display())]
    Mission { path: PathBuf, why: MissionError },
    #[error("{} is no signing key: it must be 64 hexadecimal digits", path.display())]
    SigningKey { path: PathBuf },
    #[error(transparent)]
    Link(#[from] LinkAddressError),
    #[error(
        "name the plans this aircraft may fly as `routes`, or say `any_route = true`, not both and not neither"
    )]
    Routes,
}

impl ServeConfig {
    /// A configuration with the usual limits.
    #[must_use]
    pub fn new(mesh: MeshConfig, rules: OrderRules, autopilot: LinkAddress, journal: PathBuf) -> Self {
        Self {
            mesh,
            rules,
            validators: Vec::new(),
            autopilot,
            autopilot_key: None,
            limits: FlightLimits::in_service(),
            journal,
            clock_uncertainty_us: CLOCK_UNCERTAINTY_US,
        }
    }

    /// The configuration in a file, with what it names.
    ///
    /// # Errors
    /// [`ServeConfigError`], with the file and what is wrong in it.
    pub fn load(path: &Path) -> Result<Self, ServeConfigError> {
        let figment =
            Figment::new().merge(Toml::file_exact(path)).merge(Env::prefixed("FARHAND_FLIGHT_SERVE_"));
        let file: ConfigFile = figment
            .extract()
            .map_err(|why| ServeConfigError::File { path: path.to_owned(), why: Box::new(why) })?;
        file.resolve(path.parent().unwrap_or(Path::new(".")))
    }
}

impl ConfigFile {
    fn resolve(self, folder: &Path) -> Result<ServeConfig, ServeConfigError> {
        let mesh = MeshConfig {
            key: DeviceKey::load(&folder.join(&self.key))?,
            certificate: certificate(&folder.join(&self.mesh.certificate))?,
            anchor: certificate(&folder.join(&self.mesh.anchor))?,
            router: self.mesh.router,
            open_ms_max: MESH_OPEN_MS_MAX,
        };
        let kits = self.kits.iter().map(|key| Ok(PublicKey(*id("kit", key)?.as_bytes())));
        let rules = OrderRules {
            trust: genesis(&folder.join(&self.genesis))?,
            kits: kits.collect::<Result<_, ServeConfigError>>()?,
            routes: self.routes(folder)?,
        };
        let validators = self.validators.iter().map(|entry| Ok((id("validator", &entry.key)?, entry.addr)));
        let signing_key =
            self.autopilot.key.as_ref().map(|key| signing_key(&folder.join(key))).transpose()?;
        Ok(ServeConfig {
            validators: validators.collect::<Result<_, ServeConfigError>>()?,
            autopilot_key: signing_key,
            clock_uncertainty_us: self.clock_uncertainty_ms.saturating_mul(1_000),
            ..ServeConfig::new(mesh, rules, self.autopilot.link.parse()?, folder.join(&self.journal))
        })
    }

    fn routes(&self, folder: &Path) -> Result<Routes, ServeConfigError> {
        match (self.any_route, self.routes.is_empty()) {
            (true, true) => Ok(Routes::Any),
            (false, false) => {
                let routes = self.routes.iter().map(|path| route(&folder.join(path)));
                Ok(Routes::Only(routes.collect::<Result<_, _>>()?))
            }
            _ => Err(ServeConfigError::Routes),
        }
    }
}

fn text(path: &Path) -> Result<String, ServeConfigError> {
    fs::read_to_string(path).map_err(|source| ServeConfigError::Unreadable { path: path.to_owned(), source })
}

fn certificate(path: &Path) -> Result<Certificate, ServeConfigError> {
    let wrong = |why| ServeConfigError::Certificate { path: path.to_owned(), why };
    Certificate::from_pem(&text(path)?).map_err(wrong)
}

fn genesis(path: &Path) -> Result<TrustRoot, ServeConfigError> {
    let bytes =
        fs::read(path).map_err(|source| ServeConfigError::Unreadable { path: path.to_owned(), source })?;
    TrustRoot::read(&bytes).map_err(|why| ServeConfigError::Genesis { path: path.to_owned(), why })
}

fn route(path: &Path) -> Result<Mission, ServeConfigError> {
    let plan =
        Plan::from_json(&text(path)?).map_err(|why| ServeConfigError::Plan { path: path.to_owned(), why })?;
    Mission::from_plan(&plan).map_err(|why| ServeConfigError::Mission { path: path.to_owned(), why })
}

fn signing_key(path: &Path) -> Result<[u8; 32], ServeConfigError> {
    let mut key = [0; 32];
    hex::decode_to_slice(text(path)?.trim(), &mut key)
        .map_err(|_| ServeConfigError::SigningKey { path: path.to_owned() })?;
    Ok(key)
}

fn id(what: &'static str, key: &str) -> Result<DeviceId, ServeConfigError> {
    key.parse().map_err(|why| ServeConfigError::Id { what, key: key.to_owned(), why })
}
