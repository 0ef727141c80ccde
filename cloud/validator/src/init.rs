//! Makes a ledger whose validators all run on this machine: for a trial, and for tests.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
};

use farhand_ledger::{BadTrust, LedgerId, TrustRoot, Validator};
use farhand_link::{DeviceId, DeviceKey, KeyError};
use farhand_wire::PublicKey;
use thiserror::Error;

use crate::config::{ClientEntry, ClientRole, ConfigFile, PeerEntry};

/// What to make.
#[derive(Clone, Debug)]
pub struct LocalPlan {
    /// Where the validators keep their data, a folder each.
    pub data: PathBuf,
    /// Where keys, genesis and configurations go.
    pub out: PathBuf,
    pub validators: usize,
    pub listen: IpAddr,
    /// Two ports a validator from here on; 0 takes what is free now.
    pub first_port: u16,
    /// Others who may submit, besides the client key that is made.
    pub clients: Vec<(DeviceId, ClientRole)>,
}

/// What was made.
#[derive(Debug)]
pub struct LocalLedger {
    pub trust: TrustRoot,
    /// The genesis file: what a regulator, and every kit, keeps.
    pub genesis: PathBuf,
    /// Grants roles and opens sessions.
    pub hospital: DeviceKey,
    /// May submit to all validators, as a cloud server.
    pub client: DeviceKey,
    /// A configuration file for each validator.
    pub configs: Vec<PathBuf>,
    /// Where clients find the validators.
    pub client_addrs: Vec<(DeviceId, SocketAddr)>,
}

/// Why a ledger could not be made.
#[derive(Debug, Error)]
pub enum InitError {
    #[error("{} exists already and holds a ledger; give another `--out`, or run what is there", path.display())]
    Exists { path: PathBuf },
    #[error("could not write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Trust(#[from] BadTrust),
    #[error("no free UDP port at {listen}: {source}")]
    NoPort { listen: IpAddr, source: io::Error },
    #[error("ports {first} and up: {validators} validators need two each, up to 65535")]
    Ports { first: u16, validators: usize },
    #[error("the configuration of a validator could not be written as TOML: {0}")]
    Toml(#[from] toml::ser::Error),
}

/// Makes keys, a genesis file and a configuration for each validator.
///
/// # Errors
/// [`InitError`]; fewer than five validators are refused before anything is written.
pub fn make_local_ledger(plan: &LocalPlan) -> Result<LocalLedger, InitError> {
    let genesis = plan.out.join("genesis.trust");
    if genesis.exists() {
        return Err(InitError::Exists { path: plan.out.clone() });
    }
    let keys = (0..plan.validators).map(|_| DeviceKey::generate()).collect::<Result<Vec<_>, _>>()?;
    let trial_hospital = DeviceKey::generate()?;
    trust_root(&ids(&keys), &[trial_hospital.id()])?; // refuses what can't be a ledger, before a file is there
    let out = Folder(plan.out.clone());
    out.make()?;
    let hospital = DeviceKey::load_or_create(&out.0.join("hospital.key"))?;
    let client = DeviceKey::load_or_create(&out.0.join("client.key"))?;
    let keys =
        (1..=plan.validators).map(|number| out.validator_key(number)).collect::<Result<Vec<_>, _>>()?;
    let trust = trust_root(&ids(&keys), &[hospital.id()])?;
    let ports = ports(plan)?;
    let members: Vec<Member> =
        keys.iter().map(DeviceKey::id).zip(ports).map(Member::new(plan.listen)).collect();
    let mut configs = Vec::new();
    for (number, me) in (1..).zip(&members) {
        configs.push(write_config(plan, number, me, &members, client.id())?);
    }
    out.write("genesis.trust", &trust.to_bytes())?; // last: what makes the folder a ledger
    let client_addrs = members.iter().map(|member| (member.id, member.clients)).collect();
    Ok(LocalLedger { trust, genesis, hospital, client, configs, client_addrs })
}

/// The ledger's id is random; so is its chain id, which is part of it.
pub(crate) fn trust_root(validators: &[DeviceId], hospitals: &[DeviceId]) -> Result<TrustRoot, InitError> {
    let random = DeviceKey::generate()?.id();
    let (uuid, rest) = random.as_bytes().split_at(16);
    let ledger = LedgerId(uuid.try_into().expect("16 bytes of 16"));
    let chain = u64::from_le_bytes(rest[..8].try_into().expect("8 bytes of 8")).max(1);
    let public = |id: &DeviceId| PublicKey(*id.as_bytes());
    let validators = validators.iter().map(|id| Validator { key: public(id), power: 1 }).collect();
    Ok(TrustRoot::new(ledger, chain, validators, hospitals.iter().map(public).collect())?)
}

fn ids(keys: &[DeviceKey]) -> Vec<DeviceId> {
    keys.iter().map(DeviceKey::id).collect()
}

struct Member {
    id: DeviceId,
    peers: SocketAddr,
    clients: SocketAddr,
}

impl Member {
    fn new(listen: IpAddr) -> impl Fn((DeviceId, [u16; 2])) -> Self {
        move |(id, [peers, clients])| Self {
            id,
            peers: SocketAddr::new(listen, peers),
            clients: SocketAddr::new(listen, clients),
        }
    }
}

fn write_config(
    plan: &LocalPlan,
    number: usize,
    me: &Member,
    members: &[Member],
    client: DeviceId,
) -> Result<PathBuf, InitError> {
    let name = format!("validator-{number}");
    let others = members.iter().filter(|member| member.id != me.id);
    let made = (client, ClientRole::Cloud);
    let clients = plan.clients.iter().chain([&made]);
    let file = ConfigFile {
        data_dir: absolute(&plan.data.join(&name))?,
        genesis: PathBuf::from("../genesis.trust"),
        key: PathBuf::from("device.key"),
        peer_listen: me.peers,
        client_listen: me.clients,
        clock_uncertainty_ms: crate::config::default_uncertainty_ms(),
        idle_wait_ms: crate::config::default_idle_wait_ms(),
        peers: others.map(|member| PeerEntry { key: member.id.to_string(), addr: member.peers }).collect(),
        clients: clients.map(|(id, role)| ClientEntry { key: id.to_string(), role: *role }).collect(),
    };
    Folder(plan.out.join(name)).write("validator.toml", toml::to_string(&file)?.as_bytes())
}

fn absolute(path: &Path) -> Result<PathBuf, InitError> {
    std::path::absolute(path).map_err(|source| InitError::Write { path: path.to_owned(), source })
}

/// Two ports for each validator. Free ones are held until all are found, so that none is given twice.
fn ports(plan: &LocalPlan) -> Result<Vec<[u16; 2]>, InitError> {
    let count = 2 * plan.validators;
    let ports: Vec<u16> = if plan.first_port == 0 {
        free_ports(plan.listen, count).map_err(|source| InitError::NoPort { listen: plan.listen, source })?
    } else {
        (plan.first_port..=u16::MAX).take(count).collect()
    };
    if ports.len() < count {
        return Err(InitError::Ports { first: plan.first_port, validators: plan.validators });
    }
    Ok(ports.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
}

fn free_ports(listen: IpAddr, count: usize) -> io::Result<Vec<u16>> {
    let sockets = (0..count).map(|_| UdpSocket::bind((listen, 0))).collect::<io::Result<Vec<_>>>()?;
    sockets.iter().map(|socket| socket.local_addr().map(|addr| addr.port())).collect()
}

pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    fn make(&self) -> Result<(), InitError> {
        fs::create_dir_all(&self.0).map_err(|source| InitError::Write { path: self.0.clone(), source })
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, InitError> {
        self.make()?;
        let path = self.0.join(name);
        match fs::write(&path, bytes) {
            Ok(()) => Ok(path),
            Err(source) => Err(InitError::Write { path, source }),
        }
    }

    fn validator_key(&self, number: usize) -> Result<DeviceKey, InitError> {
        Self(self.0.join(format!("validator-{number}"))).key()
    }

    /// The key in this folder, made if there is none.
    pub(crate) fn key(&self) -> Result<DeviceKey, InitError> {
        self.make()?;
        Ok(DeviceKey::load_or_create(&self.0.join("device.key"))?)
    }
}
